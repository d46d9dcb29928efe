"""Login and sign-up, logout, who am I, another password, tickets."""

from datetime import UTC, datetime
from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts import limits, sessions, tickets
from chalicelib.accounts import users as accounts
from chalicelib.accounts.sign_up import check_open, sign_up
from chalicelib.kernel import logs
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.permissions import Scope
from chalicelib.tenants.organization import details
from chalicelib.web.answers import answer
from chalicelib.web.bodies import Body, flag_field, json_object, text_field
from chalicelib.web.clients import client_of
from chalicelib.web.cookies import device_cookie, device_of, session_cookie
from chalicelib.web.identity import token_of
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("POST", "/auth/login", needs=Access.ANYONE, body=Body.OBJECT)
def login(request: Request) -> Response:
    body = json_object(request)
    username, password = text_field(body, "username"), text_field(body, "password")
    wants_token = flag_field(body, "token")
    client = client_of(request)
    report_limit(request, limits.count_login(stores(), client.address))
    session = sessions.login(stores(), username, password, client)
    logs.add_context(organization_id=session.caller.organization_id, user_id=session.caller.user_id)
    if isinstance(session, sessions.Challenge):
        return answer({"second_factor": "required", "challenge": session.token})
    return signed_in(session, wants_token=wants_token)


@routes.on("POST", "/organizations", needs=Access.ANYONE, body=Body.OBJECT)
def create_organization(request: Request) -> Response:
    check_open(stores())
    body = json_object(request)
    name, username, password = (text_field(body, name) for name in ("name", "username", "password"))
    report_limit(request, limits.count_sign_up(stores(), client_of(request).address))
    made = sign_up(stores(), name, username, password, client_of(request))
    return signed_in(made.session, status=201, organization=details(made.organization))


@routes.on("POST", "/auth/logout", needs=Access.PERSON_SETTING_UP)
def logout(request: Request, caller: Caller) -> Response:
    token, _ = token_of(request)
    sessions.logout(stores(), caller, token or "")
    return answer({"success": True}, headers={"Set-Cookie": session_cookie("", 0)})


@routes.on("GET", "/auth/me", needs=Access.KNOWN)
def me(request: Request, caller: Caller) -> Response:
    return answer({"user": user_json(caller)})


@routes.on("POST", "/auth/password", needs=Access.PERSON, body=Body.OBJECT)
def change_password(request: Request, caller: Caller) -> Response:
    body = json_object(request)
    current, new = text_field(body, "current_password"), text_field(body, "new_password")
    # A stolen session must not be a fast way to guess the password, and failed logins of others are not this user's.
    report_limit(request, limits.count_password_again(stores(), caller))
    token, _ = token_of(request)
    device = accounts.change_password(stores(), caller, token or "", current, new, device_of(request))
    return answer({"success": True}, headers={"Set-Cookie": device_cookie(device)})


@routes.on("POST", "/auth/ticket", needs=Scope.FILES_WRITE)
def ticket(request: Request, caller: Caller) -> Response:
    report_limit(request, limits.count_ticket(stores(), caller))
    token, _ = token_of(request)
    drawn = tickets.draw_ticket(stores(), caller, token or "")
    expires_at = timestamp(datetime.fromtimestamp(drawn.expires_at, UTC))
    # A path, not an address: only the page knows under which name, and which path in front, it reaches this API.
    return answer({"base_path": f"/t/{drawn.token}", "expires_at": expires_at}, 201)


def signed_in(session: sessions.SignedIn, *, status: int = 200, wants_token: bool = False, **more: Any) -> Response:
    """The answer that starts a session, with its cookie; or its token, for a page of another site, to which no cookie
    travels.

    :param more: what is told besides the user.
    """
    caller = session.caller
    logs.add_context(organization_id=caller.organization_id, user_id=caller.user_id)
    body: dict[str, Any] = {"success": True, "user": user_json(caller), **more}
    cookies = [device_cookie(session.device)]
    if wants_token:
        body["token"] = session.token
    else:
        cookies.insert(0, session_cookie(session.token, stores().settings.session_ttl_seconds))
    return answer(body, status, {"Set-Cookie": cookies})


def user_json(caller: Caller) -> dict[str, Any]:
    return {
        "id": caller.user_id,
        "username": caller.username,
        "organization_id": caller.organization_id,
        "role": caller.role,
        "scopes": sorted(caller.scopes),
        "second_factor": caller.has_second_factor,
        "must_set_up_second_factor": caller.must_set_up_second_factor,
    }
