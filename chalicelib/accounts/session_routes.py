"""A user's own sessions: which there are, and ending them."""

from dataclasses import asdict

from chalice.app import Request, Response

from chalicelib.accounts import own_sessions
from chalicelib.kernel.caller import Caller
from chalicelib.web.answers import answer, no_content
from chalicelib.web.identity import token_of
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("GET", "/auth/sessions", needs=Access.PERSON)
def list_sessions(request: Request, caller: Caller) -> Response:
    token, _ = token_of(request)
    return answer({"sessions": [asdict(one) for one in own_sessions.list_own(stores(), caller, token or "")]})


@routes.on("DELETE", "/auth/sessions", needs=Access.PERSON)
def end_other_sessions(request: Request, caller: Caller) -> Response:
    token, _ = token_of(request)
    return answer({"ended_sessions": own_sessions.end_others(stores(), caller, token or "")})


@routes.on("DELETE", "/auth/sessions/{session_id}", needs=Access.PERSON)
def end_session(request: Request, caller: Caller, session_id: str) -> Response:
    own_sessions.end_own(stores(), caller, session_id)
    return no_content()
