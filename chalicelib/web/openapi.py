"""The description of this API, for tools and people."""

from functools import cache
from pathlib import Path

from chalice.app import Blueprint, Request, Response

from chalicelib.accounts import limits
from chalicelib.web.addresses import source_address
from chalicelib.web.http import answer, public, tell_limit
from chalicelib.wiring import stores

routes = Blueprint(__name__)


@routes.route("/openapi.json", methods=["GET"])
@public(routes)
def openapi(request: Request) -> Response:
    tell_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=False))
    return answer(_document())


@cache
def _document() -> str:
    # Made from docs/openapi.yaml by `make openapi`; the package has no YAML parser.
    return Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")
