"""The feed of an organisation's events."""

from chalice.app import Request, Response

from chalicelib.events import feed
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.permissions import Scope
from chalicelib.web import queries
from chalicelib.web.answers import answer
from chalicelib.web.routing import Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("GET", "/events", needs=Scope.FILES_READ)
def list_events(request: Request, caller: Caller) -> Response:
    types = queries.words(request, "types")
    last = queries.optional_number(request, "last", least=1)
    if last is None:
        page = feed.events_after(
            stores(),
            caller,
            queries.whole_number(request, "after", 0, least=0),
            limit=queries.whole_number(request, "limit", feed.DEFAULT_LIMIT, least=1),
            types=types,
            wait_seconds=queries.whole_number(request, "wait", 0, least=0),
        )
    elif any(queries.one(request, name) is not None for name in ("after", "limit", "wait")):
        raise BadInput("last does not go together with after, limit or wait.")
    else:
        page = feed.newest_events(stores(), caller, last, types)
    with_origin = caller.may(Scope.AUDIT_READ)
    events = [event.to_json(with_origin=with_origin) for event in page.events]
    return answer({"events": events, "next_after": page.next_after})
