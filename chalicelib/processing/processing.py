"""What happens to an upload after it arrived: hash, recognise, check, copy, complete. Once, whatever is repeated.

The row is the lock: a worker takes a lease by a conditional write, and only the holder of the lease can complete.
Every step may be the last one before a crash; the message then shows up again and the next worker starts over, or the
sweep finds the row.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib import keys
from chalicelib.files.disposition import attachment
from chalicelib.files.record import File
from chalicelib.files.store import RemovedFile
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ObjectChanged, ObjectMissing, PermanentFault, QuotaExceeded, VersionConflict
from chalicelib.platform.objects import CheckedBytes, TempObject
from chalicelib.processing.digests import Digests
from chalicelib.processing.mime import HEAD_BYTES, detect_type
from chalicelib.tenants.organization import Organization
from chalicelib.uploads.form_uploads import discard_upload
from chalicelib.wiring import Stores

_log = logging.getLogger(__name__)

GAVE_UP = (
    "The file could not be processed after several attempts. It can be retried; if it fails again, contact support."
)
#: Each start of processing counts; a file that crashes its worker every time must not go round for ever.
MAX_STARTS = 9
#: Between two rounds of tries while something that we depend on is away; five times as long each. SQS delays a message
#: by at most 15 minutes (AWS limit).
OUTAGE_PAUSE_SECONDS = 60
OUTAGE_PAUSE_FACTOR = 5
OUTAGE_MAX_PAUSE_SECONDS = 900
STARTS_IN_A_ROUND = 3
BYTES_GONE = "The uploaded bytes are gone. Upload the file again."


class Outcome(StrEnum):
    """What became of one announcement of an upload."""

    COMPLETED = "completed"
    FAILED = "failed"
    ALREADY_COMPLETED = "already_completed"
    ALREADY_FAILED = "already_failed"
    UNKNOWN_FILE = "unknown_file"
    FOREIGN_KEY = "foreign_key"
    HELD_BY_ANOTHER = "held_by_another"


@dataclass(frozen=True)
class Examined:
    """What reading the object told."""

    size_bytes: int
    checked: CheckedBytes
    mime_type: str

    @property
    def sha256(self) -> str:
        return self.checked.sha256


def process_upload(stores: Stores, key: str, worker: str) -> Outcome:
    """Bring the upload under this key of the temp bucket to its end.

    :param worker: names the announcement; the same one shown again takes over its own lease.
    :raises Exception: a transient fault; calling again is safe and may succeed.
    """
    parsed = keys.parse_temp_key(key)
    if parsed is None:
        _log.warning("An object with a foreign key was removed from the temp bucket")
        stores.objects.delete_stray(key)
        return Outcome.FOREIGN_KEY
    organization_id, file_id = parsed
    file, organization = stores.files.find_with_organization(organization_id, file_id)
    if file is None or organization is None:
        # The row is written before the bytes, so a file without a row was deleted: so must be whatever is left of it.
        _log.info("Upload %s has no row: it was deleted", file_id)
        stores.objects.delete_temp(organization_id, file_id)
        stores.objects.delete_permanent_of(organization_id, file_id)
        return Outcome.UNKNOWN_FILE
    settled = _already_settled(stores, file)
    if settled is not None:
        return settled
    if _held_by_another(file, worker):
        # Whoever holds the lease has an announcement of its own, and the sweep stands behind it.
        _log.info("Upload %s is being processed by another worker", file_id)
        return Outcome.HELD_BY_ANOTHER
    try:
        taken = _take(stores, file, worker)
    except VersionConflict:
        return process_upload(stores, key, worker)
    except QuotaExceeded as error:
        _log.info("Upload %s stays failed: %s", file_id, error)
        return Outcome.ALREADY_FAILED
    try:
        return _carry_out(stores, taken, organization)
    except PermanentFault as fault:
        _require_lease(taken)
        return _fail(stores, taken, fault.reason, discard_bytes=fault.discard_bytes)


def postpone(stores: Stores, key: str, worker: str) -> bool:
    """The tries failed because something is away: let go of the file and announce it anew, for later.

    :returns: False when it has had all its starts.
    """
    parsed = keys.parse_temp_key(key)
    file = stores.files.find(*parsed) if parsed is not None else None
    if file is None or not file.is_open or _held_by_another(file, worker):
        return True
    if file.attempts >= MAX_STARTS:
        return False
    # The next announcement is another worker, which would take the lease for somebody's who is still at it.
    stores.files.replace(file, replace(file, lease_owner=None, lease_expires_at=0))
    rounds = file.attempts // STARTS_IN_A_ROUND
    pause_seconds = min(OUTAGE_PAUSE_SECONDS * OUTAGE_PAUSE_FACTOR ** max(0, rounds - 1), OUTAGE_MAX_PAUSE_SECONDS)
    stores.queue.announce(file.organization_id, file.file_id, delay_seconds=pause_seconds)
    _log.warning("Upload %s waits %d s: something is away", file.file_id, pause_seconds)
    return True


def give_up(stores: Stores, key: str, worker: str) -> None:
    """The last attempt failed: say so in the row. The object stays, so that the file can be processed again."""
    parsed = keys.parse_temp_key(key)
    if parsed is None:
        return
    file = stores.files.find(*parsed)
    if file is not None and file.is_open and not _held_by_another(file, worker):
        end_as_failed(stores, file, GAVE_UP, worker)


def end_as_failed(stores: Stores, file: File, reason: str, worker: str) -> None:
    """End an open file from outside of an attempt; whoever calls has made sure that nobody holds its lease.

    :raises VersionConflict: somebody has taken it meanwhile.
    """
    if file.attempts:
        # A dead attempt may have left a copy, and copies are touched by the holder of the lease alone: without it, the
        # copy that we delete could be the one that another worker is just completing the file with.
        file = _take(stores, file, worker)
    _fail(stores, file, reason, discard_bytes=False)


def _already_settled(stores: Stores, file: File) -> Outcome | None:
    if file.status == "completed":
        # A repeated event, or a presigned upload used again: what was checked stays, what came later goes.
        stores.objects.delete_temp(file.organization_id, file.file_id)
        return Outcome.ALREADY_COMPLETED
    if file.status == "failed" and file.unrecoverable:
        stores.objects.delete_temp(file.organization_id, file.file_id)
        return Outcome.ALREADY_FAILED
    return None


def _held_by_another(file: File, worker: str) -> bool:
    return file.status == "processing" and file.lease_owner != worker and file.lease_expires_at > time.time()


def _require_lease(file: File) -> None:
    """A worker that was asleep for longer than its lease (a suspended machine) must not act on what it knew before.

    :raises VersionConflict: the lease is over; somebody else may have the file by now.
    """
    if file.lease_expires_at <= time.time():
        raise VersionConflict("the lease ran out")


def _take(stores: Stores, file: File, worker: str) -> File:
    """Move to ``processing`` and hold the lease. A failed file takes its room in the quota again."""
    return stores.files.replace(
        file,
        file.reset(
            status="processing",
            attempts=file.attempts + 1,
            lease_owner=worker,
            lease_expires_at=int(time.time()) + stores.settings.processing_lease_seconds,
        ),
    )


def _carry_out(stores: Stores, file: File, organization: Organization) -> Outcome:
    try:
        with stores.objects.open_temp(file.organization_id, file.file_id) as source:
            _check_size(stores, file, organization, source.size_bytes)
            examined = _examine(source)
    except ObjectMissing:
        raise PermanentFault(BYTES_GONE) from None
    _check(file, organization, examined)
    _require_lease(file)
    try:
        object_version = stores.objects.copy_to_permanent(
            file.organization_id,
            file.file_id,
            file.object_name,
            source,
            examined.checked,
            content_type=examined.mime_type,
            disposition=attachment(file.filename),
        )
    except ObjectMissing as error:
        raise ObjectChanged("the upload went away between reading and copying") from error
    return _complete(stores, file, examined, object_version)


def _complete(stores: Stores, file: File, examined: Examined, object_version: str | None) -> Outcome:
    completed = replace(
        file,
        status="completed",
        file_size=examined.size_bytes,
        size_is_exact=True,
        reserved_bytes=examined.size_bytes,
        mime_type=examined.mime_type,
        sha256_hash=examined.sha256,
        processed_at=timestamp(),
        object_version=object_version,
        lease_owner=None,
        lease_expires_at=0,
    )
    try:
        stores.files.replace(file, completed)
    except VersionConflict:
        return _lost_the_row(stores, file, object_version)
    stores.objects.delete_temp(file.organization_id, file.file_id)
    return Outcome.COMPLETED


def _lost_the_row(stores: Stores, file: File, our_version: str | None) -> Outcome:
    """Between taking and completing, the row changed: deleted meanwhile, or our own write took effect unnoticed.

    :param our_version: what this attempt wrote over the permanent object: a copy, or the mark of a deletion.
    """
    now = stores.files.find(file.organization_id, file.file_id)
    if now is None:
        stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
        stores.objects.delete_temp(file.organization_id, file.file_id)
        return Outcome.UNKNOWN_FILE
    if now.status == "completed" and our_version is not None and our_version != now.object_version:
        # Ours came later and hides the version that the file was completed with, which the bucket would then forget
        # after its retention time. Taken away, it makes the right one the current one again.
        stores.objects.delete_permanent_version(file.organization_id, file.file_id, file.object_name, our_version)
    settled = _already_settled(stores, now)
    if settled is not None:
        return settled
    raise VersionConflict("the file was taken over")


def _fail(stores: Stores, file: File, reason: str, *, discard_bytes: bool) -> Outcome:
    mark = None
    if file.attempts:
        # An attempt may have died between its copy and its completion; a failed file keeps nothing in the permanent
        # bucket.
        mark = stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
    failed = replace(
        file,
        status="failed",
        reserved_bytes=0,
        error_message=reason,
        processed_at=timestamp(),
        unrecoverable=discard_bytes,
        lease_owner=None,
        lease_expires_at=0,
    )
    try:
        stores.files.replace(file, failed)
    except VersionConflict:
        return _lost_the_row(stores, file, mark)
    _log.warning("Upload %s failed: %s", file.file_id, reason)
    if discard_bytes:
        # After the row: if they were gone first, a crash in between would make lost bytes of what is a refusal.
        stores.objects.delete_temp(file.organization_id, file.file_id)
    return Outcome.FAILED


def _check_size(stores: Stores, file: File, organization: Organization, size_bytes: int) -> None:
    most = min(stores.settings.max_direct_upload_bytes, organization.policy.max_file_bytes or size_bytes)
    if size_bytes > most:
        raise PermanentFault(f"The file has {size_bytes} bytes; at most {most} are allowed.", discard_bytes=True)
    if not file.size_is_exact and size_bytes <= file.file_size:
        return
    if size_bytes != file.file_size:
        raise PermanentFault(
            f"The upload has {size_bytes} bytes, not the {file.file_size} that were announced.",
            discard_bytes=True,
        )


def _examine(source: TempObject) -> Examined:
    """Read the object once, as a stream; only its head when storage has verified the hash of the whole already."""
    chunks = _chunks_with_head(source.chunks)
    head = next(chunks, b"")
    if source.verified_sha256 is not None:
        return Examined(source.size_bytes, CheckedBytes(source.verified_sha256), detect_type(head))
    digests = Digests(source.copy_part_bytes)
    digests.update(head)
    for chunk in chunks:
        digests.update(chunk)
    if digests.size_bytes != source.size_bytes:
        raise ObjectChanged(f"read {digests.size_bytes} of {source.size_bytes} bytes")
    return Examined(digests.size_bytes, digests.finish(), detect_type(head))


def _chunks_with_head(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, the first piece being long enough to recognise the type by, if there are that many."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    if head:
        yield head
    yield from chunks


def _check(file: File, organization: Organization, examined: Examined) -> None:
    if file.expected_sha256 and file.expected_sha256 != examined.sha256:
        raise PermanentFault(
            f"The SHA-256 of the upload is {examined.sha256}, not the announced {file.expected_sha256}.",
            discard_bytes=True,
        )
    policy = organization.policy
    refusal = policy.refusal_of(examined.mime_type) or policy.refusal_of_name(file.filename, examined.mime_type)
    if refusal is not None:
        raise PermanentFault(refusal, discard_bytes=True)


def remove_leftovers(stores: Stores, removed: RemovedFile) -> None:
    """Finish the deletion of a file: its objects, then the note of it. Repeatable."""
    file = removed.file
    discard_upload(stores, file)
    stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
    stores.files.forget(removed)
