"""What a change of a file's row tells."""

from typing import Any

from chalicelib.events.records import Event, EventType, Target, changed
from chalicelib.files.record import File, details


def event_of(before: File | None, after: File) -> Event | None:
    """None when it is a step of processing, or a note of ours, that nobody outside sees.

    :param after: as it is written, with its new version.
    """
    if before is None:
        return _event(EventType.FILE_CREATED, after)
    if before.status != after.status:
        if after.status == "completed":
            return _event(EventType.FILE_COMPLETED, after)
        if after.status == "failed":
            return _event(EventType.FILE_FAILED, after)
        if before.status == "failed":
            return _event(EventType.FILE_RETRIED, after)
    if before.hashing == "pending" and after.hashing != "pending" and after.status == "completed":
        return _event(EventType.FILE_HASHED, after)
    if before.filename != after.filename:
        names = changed({"filename": before.filename}, {"filename": after.filename})
        return _event(EventType.FILE_RENAMED, after, names)
    return None


def event_of_deletion(file: File) -> Event:
    return _event(EventType.FILE_DELETED, file)


def event_of_restoration(file: File, occasion: str) -> Event:
    return _event(EventType.FILE_RESTORED, file, occasion=occasion)


def event_of_download(file: File, occasion: str) -> Event:
    return _event(EventType.FILE_DOWNLOADED, file, occasion=occasion)


def _event(kind: EventType, file: File, changes: dict[str, object] | None = None, occasion: str | None = None) -> Event:
    return Event(
        organization_id=file.organization_id,
        type=kind,
        target=Target("file", file.file_id),
        occasion=occasion or str(file.version),
        data=_told(file),
        changes=changes,
    )


def _told(file: File) -> dict[str, Any]:
    """Its details, without what only repeats that there is a SHA-256, or none yet: an event is billed by its length."""
    told = details(file)
    if file.hashing is None:
        del told["sha256"]
        if file.crc64nvme is None:
            del told["checksums"]
    return told
