"""What every route shares: identity, limits, headers, and the one place where errors become responses."""

import functools
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from chalice.app import Blueprint, CaseInsensitiveMapping, Request, Response

from chalicelib.accounts import limits
from chalicelib.accounts.devices import DEVICE_TTL_SECONDS
from chalicelib.accounts.sessions import authenticate
from chalicelib.accounts.tickets import redeem_ticket
from chalicelib.kernel import logs
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import (
    BadInput,
    ForeignOrigin,
    MethodNotAllowed,
    NotSignedIn,
    StrongroomError,
    TooManyRequests,
    Unavailable,
    UnsupportedMediaType,
)
from chalicelib.web.addresses import source_address
from chalicelib.wiring import stores

_log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
JSON = "application/json"
RESPONSE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Nothing here is a page, so a browser that is made to show it as one may do nothing with it (OWASP's REST sheet).
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
#: Two years (ASVS 3.4.1). Sent only with TLS: browsers ignore it without.
STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
#: An answer that says who asked may not, or that can't be told from a proxy's, leaves no hint about the inside.
FRAMEWORK_ERRORS = {400: BadInput, 405: MethodNotAllowed, 415: UnsupportedMediaType}

#: Where a request keeps its limit until its answer is made.
_STANDING = "strongroom.standing"
#: Marks a request that has reached a view of ours. The answer to any other is the framework's own error.
_OURS = "strongroom.ours"

View = Callable[..., Response]


def answer(body: Any, status: int = 200, headers: dict[str, Any] | None = None) -> Response:
    return Response(
        body=body, status_code=status, headers={"Content-Type": JSON, **RESPONSE_HEADERS, **(headers or {})}
    )


def error_answer(request: Request | None, error: StrongroomError) -> Response:
    """The contract's one error shape."""
    headers: dict[str, Any] = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "5"
    if error.status == HTTPStatus.UNAUTHORIZED:
        # RFC 9110, 15.5.2: every 401 names a scheme, the one for a wrong password too.
        headers["WWW-Authenticate"] = 'Bearer realm="strongroom"'
    body = {"error": str(error), "message": str(error), "request_id": request_id(request)}
    return answer(body, error.status, headers)


def request_id(request: Request | None) -> str:
    """The id under which our logs and the gateway's know this request."""
    if request is None:
        return ""
    return str(request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", ""))


def cookie_name() -> str:
    """With the ``__Host-`` prefix no other host can set it (RFC 6265bis), but browsers demand Secure for that."""
    return "__Host-session" if stores().settings.cookie_secure else "session"


def token_of(request: Request) -> tuple[str | None, bool]:
    """The session token of a request, and whether it came by cookie."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None, False
    return _cookie(request.headers.get("cookie", ""), cookie_name()), True


def _cookie(header: str, name: str) -> str | None:
    """Python's own parser drops every cookie of a header in which one is odd, and other programs' cookies often are."""
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value or None
    return None


def session_cookie(token: str, max_age_seconds: int) -> str:
    secure = "; Secure" if stores().settings.cookie_secure else ""
    return f"{cookie_name()}={token}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Lax{secure}"


def _device_cookie_name() -> str:
    return "__Host-device" if stores().settings.cookie_secure else "device"


def device_of(request: Request) -> str | None:
    """The device cookie as sent, which may be anything."""
    return _cookie(request.headers.get("cookie", ""), _device_cookie_name())


def device_cookie_header(value: str) -> str:
    secure = "; Secure" if stores().settings.cookie_secure else ""
    return f"{_device_cookie_name()}={value}; Path=/; Max-Age={DEVICE_TTL_SECONDS}; HttpOnly; SameSite=Lax{secure}"


def check_origin(request: Request) -> None:
    """Refuse what a page of another origin sends with the browser's cookie (OWASP's CSRF sheet).

    :raises ForeignOrigin: Origin, or without one Referer, is neither ours nor configured; or without Origin the browser
        says that the page is of another origin, be it of the same site.
    """
    origin = request.headers.get("origin")
    if origin is None:
        # Redirects keep the Referer of the first page; Sec-Fetch-Site looks at every step.
        if request.headers.get("sec-fetch-site") in ("same-site", "cross-site"):
            raise ForeignOrigin
        referer = request.headers.get("referer")
        if not referer:
            return
        origin = _origin_of(referer)
    # Behind TLS a page without it is foreign: whoever can change the traffic can put anything into it.
    schemes = ("https",) if stores().settings.cookie_secure else ("https", "http")
    ours = {f"{scheme}://{request.headers.get('host')}" for scheme in schemes}
    if origin not in ours and origin not in stores().settings.cors_origins:
        raise ForeignOrigin


def _origin_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}"


def public(blueprint: Blueprint) -> Callable[[View], View]:
    """A route that anyone may call: the view gets the request first."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(**path_arguments: str) -> Response:
            request = blueprint.current_request
            return _answer_errors(request, lambda: view(request, **path_arguments))

        return wrapped

    return decorate


def signed_in(blueprint: Blueprint) -> Callable[[View], View]:
    """A route for a live session: the view gets the request and the caller first."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(**path_arguments: str) -> Response:
            request = blueprint.current_request
            return _answer_errors(request, lambda: _as_caller(request, view, path_arguments))

        wrapped.requires_session = True  # type: ignore[attr-defined]
        return wrapped

    return decorate


def with_ticket(blueprint: Blueprint) -> Callable[[View], View]:
    """A route for an upload ticket in the path: the view gets the request and the caller first."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(*, ticket: str, **path_arguments: str) -> Response:
            request = blueprint.current_request
            return _answer_errors(request, lambda: _as_bearer(request, ticket, view, path_arguments))

        wrapped.requires_session = True  # type: ignore[attr-defined]
        return wrapped

    return decorate


def _as_bearer(request: Request, ticket: str, view: View, path_arguments: dict[str, str]) -> Response:
    try:
        caller = redeem_ticket(stores(), ticket)
    except NotSignedIn:
        tell_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=True))
        raise
    logs.add_context(organization_id=caller.organization_id, user_id=caller.user_id)
    tell_limit(request, limits.count_request(stores(), caller))
    return view(request, caller, **path_arguments)


def _as_caller(request: Request, view: View, path_arguments: dict[str, str]) -> Response:
    caller = identify(request)
    tell_limit(request, limits.count_request(stores(), caller))
    return view(request, caller, **path_arguments)


def identify(request: Request) -> Caller:
    """Whose session this is.

    :raises NotSignedIn: nobody's.
    :raises ForeignOrigin: a write by cookie from a foreign page.
    :raises TooManyRequests: too many requests without a session from this address.
    """
    token, by_cookie = token_of(request)
    try:
        caller = authenticate(stores(), token)
    except NotSignedIn:
        tell_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=token is not None))
        raise
    if by_cookie and request.method not in SAFE_METHODS:
        check_origin(request)
    logs.add_context(organization_id=caller.organization_id, user_id=caller.user_id)
    return caller


def is_signed_in(request: Request) -> bool:
    """Whether the request carries the token of a live session. For routes that anyone may call."""
    token, _ = token_of(request)
    try:
        authenticate(stores(), token)
    except NotSignedIn:
        return False
    return True


def tell_limit(request: Request, standing: limits.LimitStatus) -> None:
    """The answer, whatever it will be, carries where the asker stands; the limit that was counted last is told."""
    request.context[_STANDING] = standing


def _limit_headers(standing: limits.LimitStatus) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers-03 and most services spell them."""
    return {
        "RateLimit-Limit": str(standing.limit),
        "RateLimit-Remaining": str(standing.remaining),
        "RateLimit-Reset": str(standing.reset_seconds),
    }


def _answer_errors(request: Request, view: Callable[[], Response]) -> Response:
    request.context[_OURS] = True
    response = _answer_or_error(request, view)
    standing = request.context.get(_STANDING)
    if standing is not None:
        response.headers.update(_limit_headers(standing))
    return response


def _answer_or_error(request: Request, view: Callable[[], Response]) -> Response:
    try:
        return view()
    except limits.LimitReached as error:
        tell_limit(request, error.standing)
        return error_answer(request, error)
    except StrongroomError as error:
        return error_answer(request, error)
    except Exception as error:
        if stores().is_outage(error):
            _log.error("A dependency is away: %s", type(error).__name__, exc_info=True)
            return error_answer(request, Unavailable())
        _log.exception("Unexpected error")
        return error_answer(request, StrongroomError())


def log_and_shape(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Middleware of the whole API: one log line a request, and the contract's shape for the framework's own errors."""
    started = time.perf_counter()
    logs.clear_context()
    logs.add_context(request_id=request_id(request))
    response = get_response(request)
    if _OURS not in request.context and isinstance(response.body, dict) and "Code" in response.body:
        allow = response.headers.get("Allow")
        error = FRAMEWORK_ERRORS.get(response.status_code, StrongroomError)()
        response = error_answer(request, error)
        if allow:
            response.headers["Allow"] = allow
    _add_cors(request, response)
    if stores().settings.cookie_secure:
        response.headers.update(STRICT_TRANSPORT)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    _log.info(
        "%s %s %s",
        request.method,
        request.path,
        response.status_code,
        extra={"route": request.path, "status": response.status_code, "milliseconds": milliseconds},
    )
    return response


def _add_cors(request: Request, response: Response) -> None:
    origins = stores().settings.cors_origins
    if not origins:
        return
    response.headers["Vary"] = "Origin"
    origin = request.headers.get("origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = (
            "Location, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
        )


def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object.

    :raises UnsupportedMediaType: it is not sent as JSON.
    :raises BadInput: it is not a JSON object.
    """
    import json

    if media_type(request.headers) != JSON:
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        parsed = json.loads(request.raw_body or b"")
    except (ValueError, RecursionError):
        raise BadInput("The body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise BadInput("The body must be a JSON object.")
    return parsed


def media_type(headers: CaseInsensitiveMapping) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def text_field(body: dict[str, Any], name: str) -> str:
    """:raises BadInput: missing, not a string, empty, or not encodable."""
    value = body.get(name)
    if value is None:
        raise BadInput(f"{name} is missing.")
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a string.")
    if not value:
        raise BadInput(f"{name} is empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{name} is not valid Unicode.") from None
    return value
