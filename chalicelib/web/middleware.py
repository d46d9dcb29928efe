"""Around every HTTP request: one log line, the contract's shape for the framework's own errors, common headers."""

import logging
import time
from collections.abc import Callable

from chalice.app import Request, Response

from chalicelib.kernel import logs
from chalicelib.kernel.errors import BadInput, MethodNotAllowed, StrongroomError, UnsupportedMediaType
from chalicelib.web.answers import error_answer, request_id
from chalicelib.web.cors import add_cors_headers
from chalicelib.web.identity import act_as_stranger
from chalicelib.web.routing import reached_a_view
from chalicelib.wiring import stores

_log = logging.getLogger(__name__)

#: Two years (ASVS 3.4.1). Sent only with TLS: browsers ignore it without.
STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
#: The framework's own refusals before a view is reached, and what they are here.
FRAMEWORK_ERRORS = {400: BadInput, 405: MethodNotAllowed, 415: UnsupportedMediaType}


def log_and_shape(request: Request, get_response: Callable[[Request], Response]) -> Response:
    started = time.perf_counter()
    logs.clear_context()
    logs.add_context(request_id=request_id(request))
    act_as_stranger(request)
    response = _shaped(request, get_response(request))
    add_cors_headers(request, response)
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


def _shaped(request: Request, response: Response) -> Response:
    """The framework's error as ours; whatever a view has made is left alone."""
    if reached_a_view(request) or not (isinstance(response.body, dict) and "Code" in response.body):
        return response
    allow = response.headers.get("Allow")
    error = FRAMEWORK_ERRORS.get(response.status_code, StrongroomError)()
    shaped = error_answer(request, error)
    if allow:
        shaped.headers["Allow"] = allow
    return shaped
