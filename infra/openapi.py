"""Turns docs/openapi.yaml, which people write, into chalicelib/web/openapi.json, which the API serves.

The deployment package holds nothing but app.py and chalicelib, and no YAML parser; so the JSON is made beforehand and
kept in the repository. A test holds the two together. Run it with `make openapi`.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from chalicelib.files.record import File
from chalicelib.kernel.errors import catalogue
from chalicelib.kernel.fields import json_schema
from infra.gateway import gateway_codes

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "docs" / "openapi.yaml"
TARGET = ROOT / "chalicelib" / "web" / "openapi.json"


def compile_document() -> str:
    document: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    # Anchors of the source; a reader of the JSON has no use for them.
    del document["x-headers"]
    document["components"]["schemas"]["FileRecord"] = json_schema(File)
    document["components"]["schemas"]["Error"]["properties"]["code"]["enum"] = error_codes()
    document["paths"] |= _by_ticket(document["paths"])
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


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
                operation["security"] = []
                operation["responses"].pop("403", None)
                for response in operation["responses"].values():
                    for link in response.get("links", {}).values():
                        link["operationId"] += "ByTicket"
                        link["parameters"]["ticket"] = "$request.path.ticket"
        twins["/t/{ticket}" + path] = twin
    return twins


if __name__ == "__main__":
    TARGET.write_text(compile_document(), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size:,} bytes")
