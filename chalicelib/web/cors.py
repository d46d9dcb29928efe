"""Cross-origin requests: the preflight of every path, for the origins that are configured and no others."""

from collections.abc import Callable
from typing import Any

from chalice.app import Chalice, Response

from chalicelib.web.http import RESPONSE_HEADERS
from chalicelib.wiring import stores

PREFLIGHT_MAX_AGE_SECONDS = "600"
ALLOWED_HEADERS = "Authorization, Content-Type"


def register_preflight(app: Chalice) -> None:
    """Give every path an OPTIONS of ours: Chalice's own knows one origin only, and at import time."""
    for number, (path, methods) in enumerate(sorted(app.routes.items())):
        allowed = ", ".join(sorted({*methods, "OPTIONS"}))
        app.route(path, methods=["OPTIONS"], content_types=[], name=f"preflight_{number}")(_preflight(app, allowed))


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
