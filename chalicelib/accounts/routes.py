"""Login, logout, who am I, another password."""

from datetime import UTC, datetime

from chalice.app import Blueprint, Request, Response

from chalicelib.accounts import administration as accounts
from chalicelib.accounts import limits, sessions, tickets
from chalicelib.kernel import logs
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.web.addresses import source_address
from chalicelib.web.http import (
    answer,
    device_cookie_header,
    device_of,
    json_object,
    public,
    session_cookie,
    signed_in,
    tell_limit,
    text_field,
    token_of,
)
from chalicelib.wiring import stores

routes = Blueprint(__name__)


@routes.route("/auth/login", methods=["POST"], content_types=[])
@public(routes)
def login(request: Request) -> Response:
    body = json_object(request)
    username, password = text_field(body, "username"), text_field(body, "password")
    address = source_address(request)
    tell_limit(request, limits.count_login(stores(), address))
    session = sessions.login(stores(), username, password, address=address, device=device_of(request))
    logs.add_context(organization_id=session.caller.organization_id, user_id=session.caller.user_id)
    cookie = session_cookie(session.token, stores().settings.session_ttl_seconds)
    return answer(
        {"success": True, "user": user_json(session.caller)},
        headers={"Set-Cookie": [cookie, device_cookie_header(session.device)]},
    )


@routes.route("/auth/logout", methods=["POST"], content_types=[])
@signed_in(routes)
def logout(request: Request, caller: Caller) -> Response:
    token, _ = token_of(request)
    sessions.logout(stores(), caller, token or "")
    return answer({"success": True}, headers={"Set-Cookie": session_cookie("", 0)})


@routes.route("/auth/me", methods=["GET"], content_types=[])
@signed_in(routes)
def me(request: Request, caller: Caller) -> Response:
    return answer({"user": user_json(caller)})


@routes.route("/auth/password", methods=["POST"], content_types=[])
@signed_in(routes)
def change_password(request: Request, caller: Caller) -> Response:
    body = json_object(request)
    current, new = text_field(body, "current_password"), text_field(body, "new_password")
    # A stolen session must not be a fast way to guess the password, and failed logins of others are not this user's.
    tell_limit(request, limits.count_password_change(stores(), caller))
    token, _ = token_of(request)
    device = accounts.change_password(stores(), caller, token or "", current, new, device_of(request))
    return answer({"success": True}, headers={"Set-Cookie": device_cookie_header(device)})


@routes.route("/auth/ticket", methods=["POST"], content_types=[])
@signed_in(routes)
def ticket(request: Request, caller: Caller) -> Response:
    tell_limit(request, limits.count_ticket(stores(), caller))
    token, _ = token_of(request)
    drawn = tickets.draw_ticket(stores(), caller, token or "")
    expires_at = timestamp(datetime.fromtimestamp(drawn.expires_at, UTC))
    # A path, not an address: only the page knows under which name, and which path in front, it reaches this API.
    return answer({"base_path": f"/t/{drawn.token}", "expires_at": expires_at}, 201)


def user_json(caller: Caller) -> dict[str, str]:
    return {"id": caller.user_id, "username": caller.username, "organization_id": caller.organization_id}
