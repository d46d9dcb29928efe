"""What a user does with the organisation's files: list, read, download, delete."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

from chalicelib import keys
from chalicelib.files.cursors import make_cursor, read_cursor
from chalicelib.files.disposition import attachment
from chalicelib.files.event_records import event_of_download
from chalicelib.files.record import File, RemovedFile
from chalicelib.files.searching import search_page
from chalicelib.files.temp_bytes import discard_upload
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput, Conflict, FileNotFound, NotYourFile
from chalicelib.kernel.permissions import Scope
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.tenants.organization import Organization
from chalicelib.tenants.organizations import organization_of
from chalicelib.wiring import Stores

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
#: DynamoDB reads and bills the rows that an offset skips; a cursor reads none of them.
MAX_OFFSET = 10_000
_BUSY = "The file is being changed at the moment; try again."
MAX_BULK_DELETES = 100
PARALLEL_DELETES = 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    files: list[File]
    #: None where nobody has counted: of a search by name.
    total: int | None
    limit: int
    offset: int
    next_cursor: str | None


def list_files(
    stores: Stores,
    caller: Caller,
    *,
    limit: int = DEFAULT_LIMIT,
    offset: int = 0,
    cursor: str | None = None,
    status: str | None = None,
    mime_type: str | None = None,
    name: str | None = None,
) -> Listing:
    """One page, newest first. ``total`` counts all that match the filters, on all pages.

    :param name: words that names have in them; see :mod:`chalicelib.files.searching`.
    :raises BadInput: an offset above 10,000 or beside a name, no usable name, or a cursor that was not made for this
        list.
    """
    if offset > MAX_OFFSET:
        raise BadInput(f"offset goes up to {MAX_OFFSET}; to read further follow next_cursor with the cursor parameter.")
    limit = min(limit, MAX_LIMIT)
    if name is not None:
        if offset:
            raise BadInput("offset does not go together with name; follow next_cursor with the cursor parameter.")
        filters = {"status": status, "mime_type": mime_type}
        found, next_cursor = search_page(stores, caller, name, cursor=cursor, limit=limit, **filters)
        return Listing(found, None, limit, offset, next_cursor)
    organization = organization_of(stores, caller)
    before_id = read_cursor(caller.organization_id, status, mime_type, cursor) if cursor is not None else None
    total = organization.file_count(status, mime_type)
    # One more than asked for tells whether there is a next page.
    found = stores.files.page(caller.organization_id, status, mime_type, before_id, limit + 1, skip=offset)
    page = found[:limit]
    more = len(found) > limit
    next_cursor = make_cursor(caller.organization_id, status, mime_type, page[-1].file_id) if more else None
    return Listing(page, total, limit, offset, next_cursor)


def get_file(stores: Stores, caller: Caller, file_id: str) -> File:
    """:raises FileNotFound: it is absent, or another organisation's."""
    file = stores.files.find(caller.organization_id, file_id) if keys.is_file_id(file_id) else None
    if file is None:
        raise FileNotFound
    return file


def download_url(stores: Stores, caller: Caller, file_id: str, *, method: str = "get_object") -> str:
    """A short-lived URL of the bytes that were checked, always sent as an attachment; the audit trail tells of it.

    :raises FileNotFound: as :func:`get_file`.
    :raises Conflict: it is not completed.
    """
    file = get_file(stores, caller, file_id)
    if file.status != "completed":
        raise Conflict(f"The file is {file.status}, so there is nothing to download" + _what_next(file))
    # Before the URL is given away: what can't be audited can't be downloaded.
    stores.outbox.put(event_of_download(file, occasion=keys.new_file_id()))
    return stores.objects.download_url(
        file.organization_id,
        file.file_id,
        file.object_name,
        version=file.object_version if stores.settings.download_pins_version else None,
        disposition=attachment(file.filename),
        content_type=file.mime_type or "application/octet-stream",
        ttl_seconds=stores.settings.download_url_ttl_seconds,
        method=method,
    )


def delete_file(stores: Stores, caller: Caller, file_id: str) -> None:
    """Row, objects and counters go together: the row and the counters at once, then the objects.

    A crash in between leaves a note from which the sweep goes on.

    :raises FileNotFound: it is absent, or another organisation's.
    :raises NotYourFile: it is another's, and the caller may change one's own only.
    :raises Conflict: it kept changing while we tried.
    """

    def remove(file: File) -> RemovedFile:
        _check_owner(caller, file)
        return stores.files.remove(file)

    finish_removal(
        stores, compare_and_swap(lambda: get_file(stores, caller, file_id), remove, exhausted=Conflict(_BUSY))
    )


def delete_as_operator(stores: Stores, organization_id: str, file_id: str) -> None:
    """As :func:`delete_file`. Repeatable.

    :raises Conflict: it kept changing while we tried.
    """
    removed = compare_and_swap(
        lambda: stores.files.find(organization_id, file_id),
        lambda file: stores.files.remove(file) if file is not None else None,
        exhausted=Conflict(_BUSY),
    )
    if removed is not None:
        finish_removal(stores, removed)


def finish_removal(stores: Stores, removed: RemovedFile) -> None:
    """Delete the objects of a file whose row is gone, and then its note. Repeatable."""
    file = removed.file
    discard_upload(stores, file)
    if file.status == "processing":
        # A worker may be copying it. The note stays until the lease has expired; then the sweep deletes the copy.
        return
    if file.attempts:
        stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
    stores.files.forget(removed)


def delete_files(stores: Stores, caller: Caller, file_ids: list[str]) -> dict[str, str]:
    """Delete many files independently: one that can't be deleted does not stop the others.

    :returns: id -> ``deleted``, ``not_found``, ``not_yours`` for another's file where the caller may delete one's own
        only, or ``conflict`` for one that kept changing; asking again is safe.
    :raises BadInput: none, or more than 100.
    """
    if not 1 <= len(file_ids) <= MAX_BULK_DELETES:
        raise BadInput(f"Name 1 to {MAX_BULK_DELETES} files, not {len(file_ids)}.")

    def delete(file_id: str) -> str:
        try:
            delete_file(stores, caller, file_id)
        except FileNotFound:
            return "not_found"
        except NotYourFile:
            return "not_yours"
        except Conflict:
            return "conflict"
        return "deleted"

    unique = list(dict.fromkeys(file_ids))
    with ThreadPoolExecutor(PARALLEL_DELETES) as pool:
        # Each thread acts for whoever acts here.
        running = [pool.submit(copy_context().run, delete, file_id) for file_id in unique]
    return {file_id: result.result() for file_id, result in zip(unique, running, strict=True)}


def rename_file(stores: Stores, caller: Caller, file_id: str, filename: str) -> File:
    """Give a file another name. No bytes move: the object keeps the key that it has.

    :raises BadInput: no filename.
    :raises FileNotFound: as :func:`get_file`.
    :raises NotYourFile: as :func:`delete_file`.
    :raises Conflict: the organisation's policy wants an extension that belongs to the type, and this one does not.
    """
    if not filename.strip():
        raise BadInput("filename is empty.")
    name = keys.clean_filename(filename)

    def rename(read: tuple[File, Organization]) -> File:
        file, organization = read
        _check_owner(caller, file)
        # A file without a type can't be checked yet; processing checks the name that it has by then.
        refusal = organization.policy.refusal_of_name(name, file.mime_type) if file.mime_type else None
        if refusal is not None:
            raise Conflict(refusal)
        return stores.files.replace(file, replace(file, filename=name))

    return compare_and_swap(lambda: _find_with_organization(stores, caller, file_id), rename, exhausted=Conflict(_BUSY))


def _find_with_organization(stores: Stores, caller: Caller, file_id: str) -> tuple[File, Organization]:
    if not keys.is_file_id(file_id):
        raise FileNotFound
    file, organization = stores.files.find_with_organization(caller.organization_id, file_id)
    if file is None or organization is None:
        raise FileNotFound
    return file, organization


def retry_file(stores: Stores, caller: Caller, file_id: str) -> File:
    """Process a failed file again. Its size is reserved in the quota again.

    :raises NotYourFile: as :func:`delete_file`.
    :raises Conflict: it did not fail, or its bytes are gone.
    :raises QuotaExceeded: there is no room any more.
    """

    def check(file: File) -> File:
        _check_owner(caller, file)
        if file.status != "failed":
            raise Conflict(f"The file is {file.status}; only a failed file can be retried.")
        if file.unrecoverable or not stores.direct_uploads.has_arrived(file.organization_id, file.file_id):
            raise Conflict("The bytes of the file are gone, so it can't be retried; upload it again.")
        # Counting starts again, or the sweep would fail the file at once. Not 0: there may be a copy to delete.
        return file.reset(status="pending", attempts=1, upload_expires_at=0)

    file = _change(stores, caller, file_id, check)
    try:
        stores.queue.announce(file.organization_id, file.file_id)
    except Exception as error:
        # The retry is already recorded: the sweep announces a pending row whose bytes are there.
        _log.warning("Could not announce the retry of %s (%s); the sweep will", file_id, type(error).__name__)
    return file


def _check_owner(caller: Caller, file: File) -> None:
    """:raises NotYourFile: it is another's, and the caller may change one's own only."""
    if file.uploaded_by_id != caller.user_id and not caller.may(Scope.FILES_MANAGE):
        raise NotYourFile(
            f"{file.uploaded_by_username} has uploaded this file; to change what others have uploaded, "
            f"the permission {Scope.FILES_MANAGE} is needed."
        )


def _change(stores: Stores, caller: Caller, file_id: str, change: Callable[[File], File]) -> File:
    """Read, change and write a file; repeat when another request changed it meanwhile."""
    return compare_and_swap(
        lambda: get_file(stores, caller, file_id),
        lambda file: stores.files.replace(file, change(file)),
        exhausted=Conflict(_BUSY),
    )


def _what_next(file: File) -> str:
    return "." if file.status == "failed" else " yet; ask for the file's details until its status is completed."
