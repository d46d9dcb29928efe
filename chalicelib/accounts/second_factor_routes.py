"""The second factor: the code at login, and what its user does with it."""

from dataclasses import asdict
from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts import limits, second_factor
from chalicelib.accounts.challenges import complete_login
from chalicelib.accounts.routes import signed_in
from chalicelib.kernel import logs
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import ChallengeEnded
from chalicelib.web.answers import answer, no_content
from chalicelib.web.bodies import Body, flag_field, json_object, text_field
from chalicelib.web.clients import client_of
from chalicelib.web.identity import token_of
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("POST", "/auth/second-factor", needs=Access.ANYONE, body=Body.OBJECT)
def complete(request: Request) -> Response:
    body = json_object(request)
    challenge, code, wants_token = text_field(body, "challenge"), text_field(body, "code"), flag_field(body, "token")
    client = client_of(request)
    try:
        session = complete_login(stores(), challenge, code, client)
    except ChallengeEnded:
        # Looked up for nothing, like the token of no session.
        report_limit(request, limits.count_anonymous(stores(), client.address, with_token=True))
        raise
    logs.add_context(organization_id=session.caller.organization_id, user_id=session.caller.user_id)
    return signed_in(session, wants_token=wants_token)


@routes.on("POST", "/auth/second-factor/setup", needs=Access.PERSON_SETTING_UP, body=Body.OBJECT)
def set_up(request: Request, caller: Caller) -> Response:
    body = json_object(request)
    password = text_field(body, "password")
    code = text_field(body, "code") if "code" in body else None
    return answer(asdict(second_factor.set_up(stores(), caller, _again(request, caller), password, code)))


@routes.on("POST", "/auth/second-factor/confirm", needs=Access.PERSON_SETTING_UP, body=Body.OBJECT)
def confirm(request: Request, caller: Caller) -> Response:
    code = text_field(json_object(request), "code")
    token, _ = token_of(request)
    return answer({"recovery_codes": second_factor.confirm(stores(), caller, token or "", code)})


@routes.on("POST", "/auth/second-factor/recovery-codes", needs=Access.PERSON, body=Body.OBJECT)
def renew_recovery_codes(request: Request, caller: Caller) -> Response:
    password, code = _password_and_code(json_object(request))
    token = _again(request, caller)
    return answer({"recovery_codes": second_factor.renew_recovery_codes(stores(), caller, token, password, code)})


@routes.on("DELETE", "/auth/second-factor", needs=Access.PERSON, body=Body.OBJECT)
def remove(request: Request, caller: Caller) -> Response:
    password, code = _password_and_code(json_object(request))
    second_factor.remove(stores(), caller, _again(request, caller), password, code)
    return no_content()


def _password_and_code(body: dict[str, Any]) -> tuple[str, str]:
    return text_field(body, "password"), text_field(body, "code")


def _again(request: Request, caller: Caller) -> str:
    """Count an attempt at the password. The token of the session that asks."""
    report_limit(request, limits.count_password_again(stores(), caller))
    token, _ = token_of(request)
    return token or ""
