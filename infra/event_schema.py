"""Makes the schema of an event from what docs/openapi.yaml says of each type.

Twice: as the schema `Event` of the OpenAPI document, which is exact, so that tests notice a field that should not be
there; and as a document of its own, which allows what later versions add, because receivers keep it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chalicelib.events.records import FORM_VERSION

TARGET = Path(__file__).resolve().parents[1] / "chalicelib" / "web" / "event_schema.json"
#: What OpenAPI and JSON Schema call the place of shared schemas.
_COMPONENTS, _DEFINITIONS = "#/components/schemas/", "#/$defs/"


def describe_types(event: dict[str, Any], types: Mapping[str, Any]) -> None:
    """Complete the schema `Event` of the OpenAPI document.

    :param types: ``x-events`` of docs/openapi.yaml.
    """
    event["properties"]["type"]["enum"] = list(types)
    event["allOf"] = [
        {"if": {"properties": {"type": {"const": name}}}, "then": _form_of(described)}
        for name, described in types.items()
    ]


def _form_of(described: Mapping[str, Any]) -> dict[str, Any]:
    fields = described.get("changes")
    return {
        "properties": {
            "target": {"properties": {"type": {"enum": described["target"]}}},
            "data": {"$ref": _COMPONENTS + described["data"]},
            "changes": {"propertyNames": {"enum": fields}, "minProperties": 1} if fields else False,
        }
    }


def event_schema(schemas: Mapping[str, Any]) -> str:
    """JSON Schema 2020-12 of an event, for whoever reads them.

    :param schemas: the components of the OpenAPI document, `Event` completed.
    """
    wanted = ["Event"]
    for name in wanted:
        wanted += [other for other in _named_by(schemas[name]) if other not in wanted]
    definitions = {name: _open(schemas[name]) for name in wanted}
    kind = definitions["Event"]["properties"]["type"]
    kind["anyOf"] = [{"enum": kind.pop("enum")}, {"pattern": "^[a-z_]+[.][a-z_]+$"}]
    for branch in definitions["Event"]["allOf"]:
        # A later version may tell what has changed where this one does not.
        del branch["then"]["properties"]["changes"]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:strongroom:event:{FORM_VERSION}",
        "title": "Event",
        "$ref": f"{_DEFINITIONS}Event",
        "$defs": definitions,
    }
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")) + "\n"


def _named_by(schema: Any) -> Iterator[str]:
    """The components that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix(_COMPONENTS)
        for inner in schema.values():
            yield from _named_by(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _named_by(inner)


def _open(schema: Any) -> Any:
    """A copy that allows fields that it does not name."""
    if isinstance(schema, list):
        return [_open(inner) for inner in schema]
    if not isinstance(schema, dict):
        return copy.copy(schema)
    opened = {}
    for name, inner in schema.items():
        if name in ("additionalProperties", "unevaluatedProperties") and inner is False:
            continue
        is_reference = name == "$ref" and isinstance(inner, str)
        opened[name] = inner.replace(_COMPONENTS, _DEFINITIONS) if is_reference else _open(inner)
    return opened
