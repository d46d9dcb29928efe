"""Starting an upload: the row first, then the bytes, so that a crash leaves no bytes without a row.

Named stages, each of which may be the last to happen: *reserve* writes the row and takes its room in the quota; *store*
puts the bytes into the temp bucket, which announces itself to processing. A crash between the two leaves a pending row,
which the sweep ends.
"""

import logging
from dataclasses import replace

from chalicelib import keys
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.content import Content, sha256_of, size_of
from chalicelib.kernel.errors import BadInput, TooLarge, VersionConflict
from chalicelib.wiring import Stores

_log = logging.getLogger(__name__)


def upload_form(stores: Stores, caller: Caller, filename: str, declared_type: str | None, body: Content) -> File:
    """Take the bytes of a form upload. Returns as soon as they are in the temp bucket; processing follows.

    :raises BadInput: no filename.
    :raises TooLarge: more bytes than a form may carry.
    :raises QuotaExceeded: the organisation has no room.
    """
    size_bytes = size_of(body)
    check_form_size(stores, size_bytes)
    file = stores.files.create(replace(new_file(caller, filename, declared_type, size_bytes), upload_method="form"))
    try:
        stores.objects.put_temp(caller.organization_id, file.file_id, body, sha256_of(body))
    except Exception as error:
        arrived = take_back(stores, file, error)
        if arrived is None:
            raise
        return arrived
    return file


def new_file(caller: Caller, filename: str, declared_type: str | None, size_bytes: int) -> File:
    """The pending record of an upload that is about to arrive, not written yet.

    :raises BadInput: no filename.
    """
    if not filename.strip():
        raise BadInput("The upload has no filename.")
    now = timestamp()
    name = keys.clean_filename(filename)
    return File(
        organization_id=caller.organization_id,
        file_id=keys.new_file_id(),
        filename=name,
        object_name=name,
        status="pending",
        file_size=size_bytes,
        reserved_bytes=size_bytes,
        uploaded_by_id=caller.user_id,
        uploaded_by_username=caller.username,
        uploaded_by_type=caller.type.value,
        created_at=now,
        touched_at=now,
        declared_type=declared_type,
    )


def check_form_size(stores: Stores, size_bytes: int) -> None:
    """:raises TooLarge: its message says how to upload instead."""
    most = stores.settings.max_upload_bytes
    if size_bytes > most:
        raise TooLarge(form_too_large(most, stores.settings.max_direct_upload_bytes))


def form_too_large(max_form_bytes: int, max_direct_upload_bytes: int) -> str:
    sentence = f"A file sent by form may have at most {max_form_bytes} bytes."
    if max_direct_upload_bytes > max_form_bytes:
        sentence += (
            f" For up to {max_direct_upload_bytes} bytes, POST JSON with filename and size to /files and send the bytes"
            " straight to storage as its answer says."
        )
    return sentence


def take_back(stores: Stores, file: File, error: Exception) -> File | None:
    """Undo an upload whose bytes did not arrive, or may not have. If that fails too, the sweep does it.

    :param error: why we can't know.
    :returns: the file as it is now, when processing has seen its bytes: so they did arrive, and only the answer was
        lost.
    """
    try:
        removed = stores.files.remove(file)
        if stores.is_outage(error):
            # Deleting would time out too; the sweep deletes by the note.
            return None
        stores.objects.delete_temp(file.organization_id, file.file_id)
        stores.files.forget(removed)
    except VersionConflict:
        _log.warning("Upload %s arrived although storing it reported a fault", file.file_id)
        return stores.files.find(file.organization_id, file.file_id)
    except Exception as another:
        _log.warning("Could not take back upload %s (%s); the sweep will", file.file_id, type(another).__name__)
    return None
