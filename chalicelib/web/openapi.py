"""The description of this API, for tools and people."""

from functools import cache
from pathlib import Path

from chalice.app import Request, Response

from chalicelib.accounts import limits
from chalicelib.web.addresses import source_address
from chalicelib.web.answers import answer
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("GET", "/openapi.json", needs=Access.ANYONE)
def openapi(request: Request) -> Response:
    report_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=False))
    return answer(_document())


@cache
def _document() -> str:
    # Made from docs/openapi.yaml by `make openapi`; the package has no YAML parser.
    return Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")
