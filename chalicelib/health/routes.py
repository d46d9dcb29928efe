"""Whether the service can do its work."""

from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts import limits
from chalicelib.health import probes as health
from chalicelib.kernel.clock import timestamp
from chalicelib.web.addresses import source_address
from chalicelib.web.answers import answer
from chalicelib.web.identity import is_signed_in
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("GET", "/health", needs=Access.ANYONE)
def healthy(request: Request) -> Response:
    report_limit(request, limits.count_health(stores(), source_address(request)))
    dependencies = health.check(stores())
    well = all(dependencies.values())
    body: dict[str, Any] = {"status": "healthy" if well else "unhealthy", "time": timestamp()}
    # Which parts there are, and which of them is down, is for those who belong here (OWASP ASVS 5, 13.4.2). While the
    # tables are down nobody can be recognised; the log has it.
    if dependencies["database"] and health.says_yes(lambda: is_signed_in(request)):
        body["dependencies"] = {name: "up" if up else "down" for name, up in dependencies.items()}
    return answer(body, 200 if well else 503)
