"""Whether the service can do its work."""

from chalice.app import Blueprint, Request, Response

from chalicelib.accounts import limits
from chalicelib.health import probes as health
from chalicelib.kernel.clock import timestamp
from chalicelib.web.http import answer, public, source_address, tell_limit
from chalicelib.wiring import stores

routes = Blueprint(__name__)


@routes.route("/health", methods=["GET"], content_types=[])
@public(routes)
def healthy(request: Request) -> Response:
    tell_limit(request, limits.count_health(stores(), source_address(request)))
    dependencies = health.check(stores())
    well = all(dependencies.values())
    body = {
        "status": "healthy" if well else "unhealthy",
        "dependencies": {name: "up" if up else "down" for name, up in dependencies.items()},
        "time": timestamp(),
    }
    return answer(body, 200 if well else 503)
