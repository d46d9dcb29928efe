"""The audit trail, and its export."""

from chalice.app import Request, Response

from chalicelib.audit import trail
from chalicelib.audit.export import export_trail
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.permissions import Scope
from chalicelib.web import queries
from chalicelib.web.answers import answer, json_lines, redirect
from chalicelib.web.routing import Routes
from chalicelib.wiring import stores

routes = Routes(__name__)
#: Of an export that was cut: the number after which the next one goes on.
NEXT_AFTER = "X-Next-After"


@routes.on("GET", "/audit", needs=Scope.AUDIT_READ)
def list_audit_trail(request: Request, caller: Caller) -> Response:
    page = trail.list_trail(
        stores(),
        caller,
        _filters(request),
        limit=queries.whole_number(request, "limit", trail.DEFAULT_LIMIT, least=1),
        cursor=queries.one(request, "cursor"),
    )
    return answer({"events": page.events, "next_cursor": page.next_cursor})


@routes.on("GET", "/audit/export", needs=Scope.AUDIT_READ)
def export_audit_trail(request: Request, caller: Caller) -> Response:
    after = queries.whole_number(request, "after", 0, least=0)
    export = export_trail(stores(), caller, _filters(request), after=after)
    response = redirect(export.url) if export.url is not None else json_lines(export.text or "")
    if export.next_after is not None:
        response.headers[NEXT_AFTER] = str(export.next_after)
    return response


def _filters(request: Request) -> trail.Filters:
    return trail.read_filters(
        actor=queries.one(request, "actor"),
        target=queries.one(request, "target"),
        types=queries.words(request, "type"),
        earliest=queries.one(request, "from"),
        latest=queries.one(request, "to"),
    )
