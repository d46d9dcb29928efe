"""The API's page has every route, and the answers that it shows have the shapes that the description gives them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from chalicelib.kernel.errors import catalogue
from infra.openapi import error_codes

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = json.loads((ROOT / "chalicelib" / "web" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters" and not path.startswith("/t/")
}


def sections() -> dict[str, str]:
    """`METHOD /path` -> what the page says under that heading."""
    found = {}
    for chunk in re.split(r"^(?=##)", PAGE, flags=re.MULTILINE):
        if heading := re.match(r"### (.+)\n", chunk):
            found[heading[1]] = chunk
    return found


def answers(text: str) -> list[Any]:
    """The JSON lines of the examples."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [json.loads(line) for line in lines if line[:1] in ("{", "[")]


def schema_of(operation: dict[str, Any], success: bool) -> dict[str, Any] | None:
    for status, response in operation["responses"].items():
        if "$ref" in response:
            response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
        if (status < "300") == success and "content" in response:
            content = response["content"]
            lines = content.get("application/x-ndjson", {}).get("x-line-schema")
            schema: dict[str, Any] = lines or content["application/json"]["schema"]
            return schema
    return None


def test_page_has_every_route_and_no_other() -> None:
    assert set(sections()) == set(OPERATIONS)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_answers_that_the_page_shows_have_the_described_shape(name: str) -> None:
    for answer in answers(sections()[name]):
        schema = schema_of(OPERATIONS[name], success=not (isinstance(answer, dict) and "error" in answer))
        assert schema is not None, f"{name} answers without a body"
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer)


def test_examples_of_direct_uploads_have_the_described_shape() -> None:
    schema = {"$ref": "#/components/schemas/StartedUpload", "components": DOCUMENT["components"]}
    chapter = PAGE[PAGE.index("## Large files") : PAGE.index("### POST /files/{file_id}/parts")]
    shown = answers(chapter)
    assert [answer["upload"]["method"] for answer in shown] == ["POST", "multipart"]
    for answer in shown:
        jsonschema_rs.Draft202012Validator(schema).validate(answer)


def test_every_code_of_an_error_is_explained_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.M)
    assert sorted(code for _, code in rows) == error_codes()
    statuses = {error.code: str(error.status) for error in catalogue()}
    assert all(statuses.get(code, status) == status for status, code in rows)
