"""Who asks: a session by header or cookie, an API key by header, or the upload ticket in the path, each counted."""

from chalice.app import Request

from chalicelib.accounts import limits
from chalicelib.accounts.sessions import authenticate
from chalicelib.accounts.tickets import redeem_ticket
from chalicelib.api_keys.key_text import is_meant_as_key
from chalicelib.api_keys.logic import authenticate_key
from chalicelib.kernel import logs
from chalicelib.kernel.acting import Actor, ActorKind, act_as
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import MissingPermission, NotSignedIn
from chalicelib.web.addresses import exact_address, source_address
from chalicelib.web.answers import request_id
from chalicelib.web.clients import program_of
from chalicelib.web.cookies import session_of
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.origins import check_origin
from chalicelib.wiring import stores

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def token_of(request: Request) -> tuple[str | None, bool]:
    """The session token or API key of a request, and whether it came by cookie."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None, False
    return session_of(request), True


def caller_of(request: Request) -> Caller:
    """
    :raises NotSignedIn: nobody's session or key.
    :raises MissingPermission: a key that is sent from outside its networks.
    :raises ForeignOrigin: a write by cookie from a foreign page.
    :raises LimitReached: too many requests, of this user or key, or without either from this address.
    """
    token, by_cookie = token_of(request)
    try:
        caller = _authenticated(request, token, by_cookie=by_cookie)
    except (NotSignedIn, MissingPermission):
        _count_stranger(request, with_token=token is not None)
        raise
    if by_cookie and request.method not in SAFE_METHODS:
        check_origin(request)
    return _counted(request, caller, ActorKind(caller.type.value))


def caller_by_ticket(request: Request, ticket: str) -> Caller:
    """
    :raises NotSignedIn: no ticket of ours, or one whose session has ended.
    :raises MissingPermission: it was drawn with a key, and is used outside the key's networks.
    :raises LimitReached: too many requests, of this user or key, or without either from this address.
    """
    try:
        caller = redeem_ticket(stores(), ticket, exact_address(request))
    except (NotSignedIn, MissingPermission):
        _count_stranger(request, with_token=True)
        raise
    return _counted(request, caller, ActorKind.TICKET)


def is_signed_in(request: Request) -> bool:
    """Whether the request carries the token of a live session, or a live key. For routes that anyone may call."""
    token, by_cookie = token_of(request)
    try:
        _authenticated(request, token, by_cookie=by_cookie)
    except (NotSignedIn, MissingPermission):
        return False
    return True


def _authenticated(request: Request, token: str | None, *, by_cookie: bool) -> Caller:
    # A key is for programs: a cookie would be sent along by any page.
    if token is not None and not by_cookie and is_meant_as_key(token):
        return authenticate_key(stores(), token, exact_address(request))
    return authenticate(stores(), token)


def act_as_stranger(request: Request) -> None:
    """Until it is known who asks."""
    told = {"address": exact_address(request), "program": program_of(request)}
    act_as(Actor(ActorKind.ANONYMOUS, **told), request_id(request))


def _counted(request: Request, caller: Caller, kind: ActorKind) -> Caller:
    told = {"address": exact_address(request), "program": program_of(request)}
    act_as(Actor(kind, caller.user_id, caller.username, **told))
    logs.add_context(organization_id=caller.organization_id, user_id=caller.user_id)
    report_limit(request, limits.count_request(stores(), caller))
    return caller


def _count_stranger(request: Request, *, with_token: bool) -> None:
    report_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=with_token))
