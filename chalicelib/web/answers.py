"""What an answer of this API looks like: JSON, the headers of every answer, and the one shape of errors."""

from http import HTTPStatus
from typing import Any

from chalice.app import Request, Response

from chalicelib.kernel.errors import StrongroomError, TooManyRequests, Unavailable

JSON = "application/json"
RESPONSE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Nothing here is a page, so a browser that is made to show it as one may do nothing with it (OWASP's REST sheet).
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
OUTAGE_RETRY_AFTER_SECONDS = "5"


def answer(body: Any, status: int = 200, headers: dict[str, Any] | None = None) -> Response:
    return Response(
        body=body, status_code=status, headers={"Content-Type": JSON, **RESPONSE_HEADERS, **(headers or {})}
    )


def json_lines(text: str) -> Response:
    return Response(body=text, status_code=200, headers={**RESPONSE_HEADERS, "Content-Type": "application/x-ndjson"})


def page(text: str, media_type: str, headers: dict[str, Any]) -> Response:
    """A document, script or style of the console, for a browser."""
    told = {**RESPONSE_HEADERS, "Content-Type": f"{media_type}; charset=utf-8", **headers}
    return Response(body=text, status_code=200, headers=told)


def no_content() -> Response:
    return Response(body="", status_code=204, headers=dict(RESPONSE_HEADERS))


def redirect(location: str) -> Response:
    return Response(body="", status_code=302, headers={"Location": location, **RESPONSE_HEADERS})


def location(request: Request, path: str) -> str:
    """A path of the API for the header of this name, which is relative to the whole address (RFC 9110, 10.2.2).

    The gateway's own address has the stage before each path of the API, a domain has not; the request's own path tells.
    """
    asked = str(request.context.get("path") or "")
    route = str(request.context.get("resourcePath") or "")
    before = asked.removesuffix(route) if asked.endswith(route) else ""
    return f"{before}{path}"


def error_answer(request: Request | None, error: StrongroomError) -> Response:
    """The contract's one error shape: a sentence for people, a code for programs, and the request's id in the logs."""
    headers: dict[str, Any] = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unavailable):
        headers["Retry-After"] = OUTAGE_RETRY_AFTER_SECONDS
    if error.status == HTTPStatus.UNAUTHORIZED:
        # RFC 9110, 15.5.2: every 401 names a scheme, the one for a wrong password too. API Gateway renames it to
        # X-Amzn-Remapped-WWW-Authenticate, as it does with each one that a function answers.
        headers["WWW-Authenticate"] = 'Bearer realm="strongroom"'
    sentence = str(error)
    body = {"error": sentence, "message": sentence, "code": error.code, "request_id": request_id(request)}
    return answer(body, error.status, headers)


def request_id(request: Request | None) -> str:
    """The id under which our logs and the gateway's know this request."""
    if request is None:
        return ""
    return str(request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", ""))
