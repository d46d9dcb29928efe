"""What has happened to one file, for those who may read it."""

from chalicelib.audit.trail import Filters, Page, list_trail
from chalicelib.events.records import AUDIT_ONLY, EventType, scope_of
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.permissions import Scope
from chalicelib.wiring import Stores

#: What the feed shows of a file. Downloads are in the audit trail only.
_SHOWN = tuple(kind.value for kind in EventType if scope_of(kind) is Scope.FILES_READ and kind not in AUDIT_ONLY)


def file_history(stores: Stores, caller: Caller, file: File, *, limit: int, cursor: str | None) -> Page:
    """Its events, the newest first. An auditor sees what the trail has of it; others what the feed has shown them.

    No index holds the events of one file: the feed is read back to where the file was made, 3,000 events with each
    request at most, so a page can be short, or empty, and have a next one.

    :param file: as the caller has read it; of a deleted one the audit trail alone tells.
    :raises BadInput: a cursor that is none of ours.
    """
    audits = caller.may(Scope.AUDIT_READ)
    filters = Filters(target=file.file_id, types=() if audits else _SHOWN)
    return list_trail(stores, caller, filters, limit=limit, cursor=cursor, with_origin=audits)
