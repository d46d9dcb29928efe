"""Turns docs/openapi.yaml, which people write, into openapi.json and event_schema.json of chalicelib/web, to be served.

The deployment package holds nothing but app.py and chalicelib, and no YAML parser; so the JSON is made beforehand and
kept in the repository. A test holds them together. Run it with `make openapi`.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from chalicelib.all_routes import ROUTES
from chalicelib.files.record import File
from chalicelib.kernel.errors import catalogue
from chalicelib.kernel.fields import json_schema
from chalicelib.kernel.permissions import Scope
from chalicelib.web.bodies import Body
from chalicelib.web.routing import Access, Operation
from infra import event_schema
from infra.gateway import gateway_codes

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "docs" / "openapi.yaml"
#: A session is sent in one of these ways, and a key in one.
SCHEMES = ("bearer", "cookie", "plainCookie")
KEY_SCHEME = "apiKey"
TARGET = ROOT / "chalicelib" / "web" / "openapi.json"


def read_source() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return document


def compile_document() -> str:
    document = read_source()
    # Anchors of the source; a reader of the JSON has no use for them.
    del document["x-headers"]
    event_schema.describe_types(document["components"]["schemas"]["Event"], document.pop("x-events"))
    document["components"]["schemas"]["FileRecord"] = json_schema(File)
    document["components"]["schemas"]["Scope"]["enum"] = list(Scope)
    document["components"]["schemas"]["Error"]["properties"]["code"]["enum"] = error_codes()
    document["paths"] |= _by_ticket(document["paths"])
    for blueprint in ROUTES:
        for route in blueprint.operations:
            described = document["paths"].get(route.path, {}).get(route.method.lower())
            # What nobody has described yet is found by a test, with a better message than one from here.
            if described is not None:
                _describe_access(described, route)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def compile_event_schema() -> str:
    """From the compiled document, so that both say the same."""
    return event_schema.event_schema(json.loads(compile_document())["components"]["schemas"])


def _describe_access(described: dict[str, Any], route: Operation) -> None:
    """What follows from how the route is told: who may call it, and the refusals that every such route can give."""
    responses = described["responses"]
    anyone = route.needs is Access.ANYONE
    if anyone or route.by_ticket:
        described["security"] = []
    else:
        scopes = [route.needs.value] if isinstance(route.needs, Scope) else []
        schemes = SCHEMES if route.needs is Access.PERSON else (*SCHEMES, KEY_SCHEME)
        described["security"] = [{scheme: scopes} for scheme in schemes]
    refusals = {"429": "TooManyRequests", "500": "ServerError", "503": "Unavailable"}
    if not anyone:
        refusals |= {"401": "NotSignedIn", "403": "Forbidden"}
    if route.body is not Body.UNREAD:
        refusals["415"] = "UnsupportedMediaType"
    for status, name in refusals.items():
        responses.setdefault(status, {"$ref": f"#/components/responses/{name}"})
    described["responses"] = dict(sorted(responses.items()))


def error_codes() -> list[str]:
    """Every code that an error of the API can carry, the gateway's own among them."""
    return sorted({error.code for error in catalogue()} | gateway_codes())


def _by_ticket(paths: dict[str, Any]) -> dict[str, Any]:
    """Uppy's routes once more, below a ticket: the same but for what stands for the session."""
    parameter = {
        "name": "ticket",
        "in": "path",
        "required": True,
        "description": "From `base_path` of POST /auth/ticket.",
        "schema": {"type": "string"},
    }
    twins: dict[str, Any] = {}
    for path, item in paths.items():
        if not path.startswith("/s3/"):
            continue
        twin = copy.deepcopy(item)
        twin["parameters"] = [parameter, *twin.get("parameters", [])]
        for method, operation in twin.items():
            if method != "parameters":
                operation["operationId"] += "ByTicket"
                for response in operation["responses"].values():
                    for link in response.get("links", {}).values():
                        link["operationId"] += "ByTicket"
                        link["parameters"]["ticket"] = "$request.path.ticket"
        twins["/t/{ticket}" + path] = twin
    return twins


if __name__ == "__main__":
    for target, text in ((TARGET, compile_document()), (event_schema.TARGET, compile_event_schema())):
        target.write_text(text, encoding="utf-8")
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")
