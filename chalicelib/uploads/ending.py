"""Ends the open uploads of a disabled user or an ended API key: what was signed before must write nothing more."""

from dataclasses import replace

from chalicelib.files.record import File
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.wiring import Stores

UPLOADER_DISABLED = "The user who started this upload was disabled before its bytes arrived."


def end_open_uploads(stores: Stores, organization_id: str, user_id: str, *, reason: str = UPLOADER_DISABLED) -> int:
    """Let no upload of this user or key start, and end those that are open.

    Repeatable, and to be repeated after a crash.

    Bytes that are there already stay, and are processed; a form that is used again after that changes nothing.

    :param reason: what is said of the files that fail by this.
    :returns: how many were ended.
    :raises Conflict: an upload kept changing.
    """
    # First: what starts before this is on the list that is read after it.
    stores.open_uploads.set_closed(organization_id, user_id, True)
    listed = stores.open_uploads.find(organization_id, user_id).file_ids
    return sum(_end(stores, organization_id, file_id, reason) for file_id in sorted(listed))


def allow_uploads(stores: Stores, organization_id: str, user_id: str) -> None:
    stores.open_uploads.set_closed(organization_id, user_id, False)


def _end(stores: Stores, organization_id: str, file_id: str, reason: str) -> bool:
    return compare_and_swap(
        lambda: stores.files.find(organization_id, file_id),
        lambda file: _end_as_read(stores, file, reason),
        exhausted=Conflict(f"Upload {file_id} kept changing while it was to be ended; run the command again."),
    )


def _end_as_read(stores: Stores, file: File | None, reason: str) -> bool:
    # While it is being put together, what has arrived is complete, and its client was told so.
    if file is None or not file.awaits_bytes or file.completing or file.accepted_fingerprint is not None:
        return False
    if file.multipart_upload_id is not None:
        # Before the row, which is off the list once it is written.
        stores.direct_uploads.abort(file.organization_id, file.file_id, file.multipart_upload_id)
    fingerprint = stores.direct_uploads.arrived_fingerprint(file.organization_id, file.file_id)
    if fingerprint is not None:
        stores.files.replace(file, replace(file, accepted_fingerprint=fingerprint))
        return False
    ended = replace(
        file,
        status="failed",
        reserved_bytes=0,
        error_message=reason,
        processed_at=timestamp(),
        # Whatever arrives later is deleted by processing, as its announcement comes.
        unrecoverable=True,
    )
    stores.files.replace(file, ended)
    return True
