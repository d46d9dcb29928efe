"""Cross-origin requests, for the origins that are configured and no others: preflights, and headers of answers."""

from collections.abc import Callable
from typing import Any

from chalice.app import Chalice, Request, Response

from chalicelib.web.answers import RESPONSE_HEADERS
from chalicelib.wiring import stores

PREFLIGHT_MAX_AGE_SECONDS = "600"
ALLOWED_HEADERS = "Authorization, Content-Type"
EXPOSED_HEADERS = "Location, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Next-After"


def register_preflight(app: Chalice) -> None:
    """Give every path an OPTIONS of ours: Chalice's own knows one origin only, and at import time."""
    for number, (path, methods) in enumerate(sorted(app.routes.items())):
        allowed = ", ".join(sorted({*methods, "OPTIONS"}))
        app.route(path, methods=["OPTIONS"], content_types=[], name=f"preflight_{number}")(_preflight(app, allowed))


def add_cors_headers(request: Request, response: Response) -> None:
    origins = stores().settings.cors_origins
    if not origins:
        return
    response.headers["Vary"] = "Origin"
    origin = request.headers.get("origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS


def _preflight(app: Chalice, allowed_methods: str) -> Callable[..., Response]:
    def answer_preflight(**path_arguments: str) -> Response:
        headers: dict[str, Any] = {"Allow": allowed_methods, **RESPONSE_HEADERS}
        origin = app.current_request.headers.get("origin") if app.current_request else None
        if origin in stores().settings.cors_origins:
            headers |= {
                "Access-Control-Allow-Methods": allowed_methods,
                "Access-Control-Allow-Headers": ALLOWED_HEADERS,
                "Access-Control-Max-Age": PREFLIGHT_MAX_AGE_SECONDS,
            }
        return Response(body="", status_code=204, headers=headers)

    return answer_preflight
