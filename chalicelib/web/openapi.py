"""The descriptions of this API and of its events, for tools and people."""

import hashlib
import re
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
#: The only answers that are the same for everybody, so caches on the way may keep them.
SCHEMA_CACHE_CONTROL = "public, max-age=3600"
_ETAG_CHARACTERS = 32


@routes.on("GET", "/openapi.json", needs=Access.ANYONE)
def openapi(request: Request) -> Response:
    report_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=False))
    return answer(_document("openapi.json"))


@routes.on("GET", "/schemas/events.json", needs=Access.ANYONE)
def event_schema(request: Request) -> Response:
    # The counters are not shown: a cache would show one client's to another.
    limits.count_anonymous(stores(), source_address(request), with_token=False)
    etag = _etag("event_schema.json")
    headers = {"Cache-Control": SCHEMA_CACHE_CONTROL, "ETag": etag}
    if _has(request, etag):
        return answer("", 304, headers)
    return answer(_document("event_schema.json"), headers=headers)


def _has(request: Request, etag: str) -> bool:
    """Whether the client has this answer (RFC 9110, 13.1.2; compared weakly)."""
    told = request.headers.get("if-none-match", "")
    return told.strip() == "*" or etag in re.findall(r'"[^"]*"', told)


@cache
def _etag(name: str) -> str:
    return f'"{hashlib.sha256(_document(name).encode()).hexdigest()[:_ETAG_CHARACTERS]}"'


@cache
def _document(name: str) -> str:
    # Made from docs/openapi.yaml by `make openapi`; the package has no YAML parser.
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
