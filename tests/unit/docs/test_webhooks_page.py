"""The event that docs/webhooks.md shows has the described shape, and what a delivery adds and leaves out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = json.loads((ROOT / "chalicelib" / "web" / "openapi.json").read_text(encoding="utf-8"))


def test_shown_event_is_one_of_the_feed_with_its_timestamp() -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    event = json.loads(text)
    assert event.pop("timestamp") == event["time"]
    assert not event["actor"].keys() & {"address", "program"}
    schema = {"$ref": "#/components/schemas/Event", "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(event)
