"""How the change of one file moves its organisation's counters, and why the organisation's row refuses it.

The store of files writes both in one transaction. Knows the form of a refused item; must not know how it is written.
"""

from dataclasses import dataclass
from typing import Any

from chalicelib import keys
from chalicelib.files.open_uploads_store import OpenChange, open_change
from chalicelib.files.record import File
from chalicelib.kernel.errors import QuotaExceeded, TooLarge, TooManyAtOnce

#: The counter of the files in processing; their type is not known yet.
PROCESSING = keys.count_key("processing", None)


@dataclass(frozen=True)
class CounterChange:
    """By how much a change of one row moves its organisation's counters."""

    reserved_bytes: int
    reserved_files: int
    counts: dict[str, int]
    open_change: OpenChange | None
    #: Of a new file that says its size, which the organisation's policy may refuse before any byte is sent.
    announced_bytes: int | None = None
    #: Moves the number of completed files whose SHA-256 a worker is computing.
    being_hashed: int = 0
    #: Refuses a file that begins to be processed, or hashed, where so many of the organisation are.
    most_at_once: int | None = None

    @property
    def is_empty(self) -> bool:
        return not (
            self.reserved_bytes
            or self.reserved_files
            or any(self.counts.values())
            or self.open_change
            or self.being_hashed
        )

    @property
    def begins_processing(self) -> bool:
        return self.most_at_once is not None and self.counts.get(PROCESSING, 0) > 0

    @property
    def begins_hashing(self) -> bool:
        return self.most_at_once is not None and self.being_hashed > 0


def difference_of(before: File | None, after: File | None) -> CounterChange:
    counts: dict[str, int] = {}
    for file, sign in ((before, -1), (after, 1)):
        if file is not None:
            key = keys.count_key(file.status, file.mime_type)
            counts[key] = counts.get(key, 0) + sign
    return CounterChange(
        reserved_bytes=(after.reserved_bytes if after else 0) - (before.reserved_bytes if before else 0),
        reserved_files=_counts_towards_quota(after) - _counts_towards_quota(before),
        counts=counts,
        open_change=open_change(before, after),
        being_hashed=_is_being_hashed(after) - _is_being_hashed(before),
        announced_bytes=after.file_size if before is None and after is not None and after.size_is_exact else None,
    )


def _is_being_hashed(file: File | None) -> int:
    return 1 if file is not None and file.is_being_hashed else 0


def _counts_towards_quota(file: File | None) -> int:
    return 0 if file is None or file.status == "failed" else 1


def check_policy(organization_item: dict[str, Any], difference: CounterChange) -> None:
    """:raises TooLarge: the new file has more bytes than the organisation takes."""
    if difference.announced_bytes is None or "max_file_bytes" not in organization_item:
        return
    most = _number(organization_item, "max_file_bytes")
    if difference.announced_bytes > most:
        raise TooLarge(
            f"The organisation takes files of at most {most} bytes; this one has {difference.announced_bytes}."
        )


def has_no_room(organization_item: dict[str, Any], difference: CounterChange) -> bool:
    return (
        _number(organization_item, "bytes_available") < difference.reserved_bytes
        or _number(organization_item, "files_available") < difference.reserved_files
    )


def refusal_of(organization_item: dict[str, Any], difference: CounterChange) -> Exception:
    counts = organization_item.get("counts", {}).get("M", {})
    if difference.begins_processing and _number(counts, PROCESSING) >= (difference.most_at_once or 0):
        return TooManyAtOnce(_number(counts, keys.count_key("pending", None)))
    if difference.begins_hashing:
        return TooManyAtOnce(0)
    return _quota_exceeded(organization_item, difference)


def _quota_exceeded(organization_item: dict[str, Any], difference: CounterChange) -> QuotaExceeded:
    if _number(organization_item, "files_available") < difference.reserved_files:
        return QuotaExceeded(
            f"The organisation holds {_number(organization_item, 'files_used')} files and may hold "
            f"{_number(organization_item, 'quota_files')}. Delete files or ask your operator for more."
        )
    return QuotaExceeded(
        f"This upload needs {difference.reserved_bytes} bytes; the organisation uses "
        f"{_number(organization_item, 'bytes_used')} of its {_number(organization_item, 'quota_bytes')}. "
        "Delete files or ask your operator for more."
    )


def _number(item: dict[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", 0))
