"""Who asks: the session by header or cookie, or the upload ticket in the path, each counted against its limit."""

from chalice.app import Request

from chalicelib.accounts import limits
from chalicelib.accounts.sessions import authenticate
from chalicelib.accounts.tickets import redeem_ticket
from chalicelib.kernel import logs
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import NotSignedIn
from chalicelib.web.addresses import source_address
from chalicelib.web.cookies import session_of
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.origins import check_origin
from chalicelib.wiring import stores

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def token_of(request: Request) -> tuple[str | None, bool]:
    """The session token of a request, and whether it came by cookie."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None, False
    return session_of(request), True


def caller_of(request: Request) -> Caller:
    """
    :raises NotSignedIn: nobody's session.
    :raises ForeignOrigin: a write by cookie from a foreign page.
    :raises LimitReached: too many requests, of this user, or without a session from this address.
    """
    token, by_cookie = token_of(request)
    try:
        caller = authenticate(stores(), token)
    except NotSignedIn:
        _count_stranger(request, with_token=token is not None)
        raise
    if by_cookie and request.method not in SAFE_METHODS:
        check_origin(request)
    return _counted(request, caller)


def caller_by_ticket(request: Request, ticket: str) -> Caller:
    """
    :raises NotSignedIn: no ticket of ours, or one whose session has ended.
    :raises LimitReached: too many requests, of this user, or without a session from this address.
    """
    try:
        caller = redeem_ticket(stores(), ticket)
    except NotSignedIn:
        _count_stranger(request, with_token=True)
        raise
    return _counted(request, caller)


def is_signed_in(request: Request) -> bool:
    """Whether the request carries the token of a live session. For routes that anyone may call."""
    token, _ = token_of(request)
    try:
        authenticate(stores(), token)
    except NotSignedIn:
        return False
    return True


def _counted(request: Request, caller: Caller) -> Caller:
    logs.add_context(organization_id=caller.organization_id, user_id=caller.user_id)
    report_limit(request, limits.count_request(stores(), caller))
    return caller


def _count_stranger(request: Request, *, with_token: bool) -> None:
    report_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=with_token))
