"""GET /schemas/events.json: what it answers, that it has every type, and that it stays good for later versions."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from chalicelib.events.records import EventType
from chalicelib.web.openapi import SCHEMA_CACHE_CONTROL
from infra.event_schema import TARGET
from infra.openapi import compile_document, compile_event_schema, read_source
from tests.aws_calls import aws_calls
from tests.unit.api import Api, Session
from tests.unit.conftest import Configure
from tests.unit.contract import check_error
from tests.unit.world import World

PATH = "/schemas/events.json"
SCHEMA: dict[str, Any] = json.loads(TARGET.read_text(encoding="utf-8"))


def is_valid(event: dict[str, Any]) -> bool:
    return jsonschema_rs.Draft202012Validator(SCHEMA).is_valid(event)


@pytest.fixture
def event(api: Api, anna: Session, world: World) -> dict[str, Any]:
    """One as the feed shows it."""
    api.upload(anna)
    [event] = world.events()
    return event


def test_everybody_gets_it_and_may_keep_it(any_api: Api) -> None:
    with aws_calls() as made:
        answer = any_api.get(PATH)
    assert (answer.status, answer.json, made) == (200, SCHEMA, [])
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == SCHEMA_CACHE_CONTROL
    assert "Set-Cookie" not in answer.headers
    assert "RateLimit-Remaining" not in answer.headers


@pytest.mark.parametrize("told", ["{}", "W/{}", '"another", {}', "*"])
def test_whoever_has_it_is_told_so(any_api: Api, told: str) -> None:
    etag = any_api.get(PATH).headers["ETag"]
    answer = any_api.get(PATH, headers={"If-None-Match": told.format(etag)})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
    assert answer.headers["Cache-Control"] == SCHEMA_CACHE_CONTROL


@pytest.mark.parametrize("told", ['"another"', "nonsense", "", '"'])
def test_whoever_has_another_gets_it(any_api: Api, told: str) -> None:
    assert any_api.get(PATH, headers={"If-None-Match": told}).json == SCHEMA


def test_asking_is_limited_by_address(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_ANONYMOUS="2/hour")
    assert [api.get(PATH).status for _ in range(2)] == [200, 200]
    check_error(api.get(PATH), 429)


def test_packaged_schema_is_the_one_that_people_write() -> None:
    assert TARGET.read_text(encoding="utf-8") == compile_event_schema(), "run: make openapi"


def test_it_is_a_schema_of_the_draft_that_it_names() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert jsonschema_rs.meta.is_valid(SCHEMA)


def test_every_type_is_described() -> None:
    assert set(read_source()["x-events"]) == set(EventType)


def test_event_is_valid(event: dict[str, Any]) -> None:
    assert is_valid(event)


@pytest.mark.parametrize(
    "more",
    [
        {"weather": "fine"},
        {"type": "file.polished", "data": {"shine": 3}},
        {"changes": {"filename": {"from": 1, "to": 2}}},
    ],
)
def test_what_later_versions_add_is_valid(event: dict[str, Any], more: dict[str, Any]) -> None:
    assert is_valid({**event, **more, "data": {**event["data"], **more.get("data", {}), "tags": ["new"]}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "FILE"},
        {"version": 2},
        {"sequence": 0},
        {"id": "evt_x"},
        {"time": "2026-11-25T10:00:00+01:00"},
        {"actor": {"type": "nobody"}},
        {"target": {"type": "user", "id": "x"}},
        {"data": {}},
        {"changes": {"filename": "b.txt"}},
    ],
)
def test_what_breaks_the_contract_is_not_valid(event: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert not is_valid({**event, **wrong})


def test_description_of_the_api_takes_no_field_that_it_does_not_name(event: dict[str, Any]) -> None:
    document = json.loads(compile_document())
    exact = jsonschema_rs.Draft202012Validator(
        {"$ref": "#/components/schemas/Event", "components": document["components"]}
    )
    assert exact.is_valid(event)
    assert not exact.is_valid({**event, "data": {**event["data"], "lease_owner": "x"}})
    assert not exact.is_valid({**event, "type": "file.polished"})
    assert not exact.is_valid({**event, "changes": {"filename": {"from": "a", "to": "b"}}})
