"""An auditor's question: who deleted this file, from where, when; with the seal verified, and long after."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.audit import upkeep
from tests.unit.api import Api, Session
from tests.unit.audit.test_sealing import CHANGES, expire, rewrite
from tests.unit.cloud import NAMES
from tests.unit.contract import check_success
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


@pytest.fixture
def deleted(api: Api, anna: Session, world: World, clock: Any) -> str:
    """The id of a file that was uploaded and deleted, among others, and sealed."""
    api.upload(anna)
    file_id: str = api.upload(anna).json["id"]
    world.drain()
    clock.shift(60)
    check_success(api.delete(f"/files/{file_id}", anna, headers={"User-Agent": "curl/8"}), 204)
    world.publish()
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    return file_id


def test_who_deleted_a_file_from_where_and_when(
    operator: Operator, api: Api, anna: Session, world: World, acme: str, deleted: str
) -> None:
    [event] = api.get(f"/audit?target={deleted}&type=file.deleted", anna).json["events"]
    found = json.loads(operator.done("audit", "history", acme, deleted, "--type", "file.deleted", "--json"))
    [key] = [key for key in world.objects(NAMES.audit_bucket) if acme in key]
    assert found["events"] == [event | {"sealed_in": key}]
    assert event["actor"] == {
        **{"type": "user", "id": anna.caller.user_id, "name": "anna"},
        **{"address": "127.0.0.1", "program": "curl/8"},
    }
    assert event["time"] == "2026-03-01T12:01:00.000Z"
    assert (found["verified"]["files"], found["verified"]["faults"]) == (1, [])
    operator.done("audit", "verify")


def test_history_is_printed_in_its_order(operator: Operator, acme: str, deleted: str) -> None:
    heading, *rows, verified = operator.done("audit", "history", acme, deleted).splitlines()
    assert heading.split() == ["Sequence", "Time", "Type", "Actor", "Address", "Program", "Sealed", "in"]
    assert [row.split()[2] for row in rows] == ["file.created", "file.completed", "file.deleted"]
    assert rows[-1].split()[1:-1] == [
        *("2026-03-01T12:01:00.000Z", "file.deleted", "user", "anna", "127.0.0.1", "curl/8"),
    ]
    assert verified.startswith("1 sealed files with")


def test_history_is_found_when_the_feed_has_expired(
    operator: Operator, api: Api, anna: Session, world: World, acme: str, deleted: str
) -> None:
    before = operator.done("audit", "history", acme, deleted, "--json")
    assert [event["type"] for event in json.loads(before)["events"]][-1] == "file.deleted"
    expire(world)
    assert api.get(f"/audit?target={deleted}", anna).json["events"] == []
    assert operator.done("audit", "history", acme, deleted, "--json") == before


def test_what_is_not_sealed_yet_is_told_as_such(
    operator: Operator, api: Api, anna: Session, world: World, acme: str, deleted: str
) -> None:
    file_id = api.upload(anna).json["id"]
    check_success(api.delete(f"/files/{file_id}", anna), 204)
    world.publish()
    found = json.loads(operator.done("audit", "history", acme, file_id, "--json"))["events"]
    assert [(event["type"], event["sealed_in"]) for event in found] == [("file.created", None), ("file.deleted", None)]


def test_nothing_of_another_organisation_is_found(operator: Operator, world: World, deleted: str) -> None:
    other = next(one.organization_id for name, one in world.organizations.items() if name != "Acme")
    assert json.loads(operator.done("audit", "history", other, deleted, "--json"))["events"] == []


@pytest.mark.parametrize("change", ["changed", "missing", "last missing", "reordered", "added"])
@pytest.mark.parametrize("feed", ["there", "expired"])
def test_changed_seal_fails_the_answer(
    operator: Operator, world: World, acme: str, deleted: str, change: str, feed: str
) -> None:
    edits: dict[str, Callable[[list[str]], list[str]]] = {
        **CHANGES,
        "changed": lambda text: [line.replace('"anna"', '"berta"') for line in text],
        "reordered": lambda text: [text[0], *reversed(text[1:])],
    }
    [key] = [key for key in world.objects(NAMES.audit_bucket) if acme in key]
    if feed == "expired":
        expire(world)
    rewrite(world, key, edits[change])
    for command in (("history", acme, deleted), ("verify",)):
        result = operator.run("audit", *command)
        assert result.exit_code == 1
        faults = [line for line in result.stderr.splitlines() if line.startswith(f"{acme}: ")]
        assert faults
        assert result.stderr.splitlines()[-1].startswith(
            f"Error: What is sealed and what is stored differ in {len(faults)}"
        )
