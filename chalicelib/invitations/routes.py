"""Invitations and sign-up: how somebody gets an account over the API."""

from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts import limits
from chalicelib.accounts.people_routes import role_field
from chalicelib.accounts.routes import signed_in
from chalicelib.invitations import logic as invitations
from chalicelib.invitations.logic import Sent, Wanted
from chalicelib.invitations.records import details
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.permissions import Scope
from chalicelib.web.addresses import source_address
from chalicelib.web.answers import answer, no_content
from chalicelib.web.bodies import Body, json_object, text_field
from chalicelib.web.clients import client_of
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("POST", "/invitations", needs=Scope.USERS_MANAGE, body=Body.OBJECT)
def invite(request: Request, caller: Caller) -> Response:
    wanted = _wanted(json_object(request))
    report_limit(request, limits.count_invitation(stores(), caller))
    return answer(_sent_json(invitations.invite(stores(), caller, wanted)), 201)


@routes.on("GET", "/invitations", needs=Scope.USERS_MANAGE)
def list_invitations(request: Request, caller: Caller) -> Response:
    found = invitations.list_invitations(stores(), caller.organization_id)
    return answer({"invitations": [details(invitation) for invitation in found]})


@routes.on("DELETE", "/invitations/{invitation_id}", needs=Scope.USERS_MANAGE)
def revoke(request: Request, caller: Caller, invitation_id: str) -> Response:
    invitations.revoke(stores(), caller, invitation_id)
    return no_content()


@routes.on("POST", "/invitations/{invitation_id}/resend", needs=Scope.USERS_MANAGE)
def resend(request: Request, caller: Caller, invitation_id: str) -> Response:
    report_limit(request, limits.count_invitation(stores(), caller))
    return answer(_sent_json(invitations.resend(stores(), caller, invitation_id)))


@routes.on("POST", "/invitations/accept", needs=Access.ANYONE, body=Body.OBJECT)
def accept(request: Request) -> Response:
    body = json_object(request)
    token, username, password = (text_field(body, name) for name in ("token", "username", "password"))
    status, reserved = limits.reserve_acceptance(stores(), source_address(request))
    report_limit(request, status)
    try:
        session = invitations.accept(stores(), token, username, password, client_of(request))
    except BadInput:
        # A password that is too short is no guess.
        reserved.give_back(stores())
        raise
    reserved.give_back(stores())
    return signed_in(session, status=201)


def _sent_json(sent: Sent) -> dict[str, Any]:
    return {**details(sent.invitation), "token": sent.token, "url": sent.url, "mailed": sent.mailed}


def _wanted(body: dict[str, Any]) -> Wanted:
    """:raises BadInput: a field is missing or of a wrong type."""
    role = role_field(body)
    name, email = (text_field(body, field) if body.get(field) is not None else None for field in ("name", "email"))
    lifetime_seconds = body.get("expires_in_seconds", invitations.DEFAULT_LIFETIME_SECONDS)
    if isinstance(lifetime_seconds, bool) or not isinstance(lifetime_seconds, int):
        raise BadInput("expires_in_seconds must be a whole number of seconds.")
    return Wanted(role, name, email, lifetime_seconds)
