"""The hourly upkeep: an organisation that can't be kept up holds up no other, and is told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import keys
from chalicelib.audit import upkeep
from chalicelib.events.records import NOBODYS_ORGANIZATION, Event, EventType, Target
from infra.sealed_events import check_sealed_events
from tests import aws_calls
from tests.unit.cloud import NAMES, STACK
from tests.unit.world import World

Fault = Callable[[World, str], AbstractContextManager[None]]


@pytest.fixture
def feeds(world: World, clock: Any) -> list[str]:
    """Organisations in the order in which they are kept up, each with an event of an hour ago."""
    found = [NOBODYS_ORGANIZATION, *world.stores.organizations.ids()]
    assert len(found) == 3
    for organization_id in found:
        write(world, organization_id)
    world.publish()
    clock.shift(3601)
    return found


def write(world: World, organization_id: str, occasion: str = "1") -> None:
    world.stores.outbox.put(
        Event(
            organization_id=organization_id,
            type=EventType.FILE_CREATED,
            target=Target("file", "thing"),
            occasion=occasion,
            data={},
        )
    )


def item_of(world: World, table: str, partition: str) -> Any:
    [item] = [
        row
        for row in world.cloud.backend_of_tables().tables[f"{STACK}-{table}"].all_items()
        if row.hash_key.value == partition and row.range_key.value != "0"
    ]
    return item


def spoil_line(world: World, organization_id: str) -> AbstractContextManager[None]:
    [line] = item_of(world, "events", organization_id).attrs["lines"].value
    line.value = "?"
    world.restart()
    return nullcontext()


def spoil_row(world: World, organization_id: str) -> AbstractContextManager[None]:
    """PynamoDB can't even read it."""
    item_of(world, "events", organization_id).attrs["lines"].type = "N"
    world.restart()
    return nullcontext()


def refuse_prefix(world: World, organization_id: str) -> AbstractContextManager[None]:
    return aws_calls.refused_at("s3.PutObject", keys.seal_prefix(organization_id))


def put_another_file(world: World, organization_id: str) -> AbstractContextManager[None]:
    world.put_audit(keys.seal_key(organization_id, 1), b"{}\n")
    return nullcontext()


FAULTS: dict[str, Fault] = {
    "a line that is no event": spoil_line,
    "a row that can't be read": spoil_row,
    "a prefix that S3 refuses": refuse_prefix,
    "a file of somebody else": put_another_file,
}


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """Those of the run before, as CloudWatch reads them from the log."""
    found = {}
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line)
        for described in told.get("_aws", {}).get("CloudWatchMetrics", []):
            assert described["Dimensions"] == [["Stage"]]
            [metric] = described["Metrics"]
            [found[metric["Name"]]] = told[metric["Name"]]
    return found


def sealed(world: World) -> set[str]:
    return {key.split("/")[1] for key, body in world.objects(NAMES.audit_bucket).items() if b'"seal"' in body}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_others_are_sealed_when_one_cannot_be(
    world: World, feeds: list[str], capsys: pytest.CaptureFixture[str], fault: str, place: int
) -> None:
    with FAULTS[fault](world, feeds[place]):
        assert upkeep.keep_up(world.stores) == {"feeds": 2, "errors": 1}
    assert sealed(world) == set(feeds) - {feeds[place]}
    told = metrics(capsys)
    assert told["FeedsNotKeptUp"] == 1
    assert told["SealLag"] == (0 if fault == "a row that can't be read" else 3601)


def test_run_without_a_fault_tells_so(world: World, feeds: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert upkeep.keep_up(world.stores) == {"feeds": 3}
    assert metrics(capsys) == {"FeedsNotKeptUp": 0, "SealLag": 0}


def test_lag_grows_until_the_fault_is_repaired(
    world: World, feeds: list[str], clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for hours in (1, 2, 3):
        with refuse_prefix(world, feeds[1]):
            upkeep.keep_up(world.stores)
        assert metrics(capsys)["SealLag"] == hours * 3600 + 1
        clock.shift(timedelta(hours=1))
    assert upkeep.keep_up(world.stores) == {"feeds": 3}
    assert metrics(capsys) == {"FeedsNotKeptUp": 0, "SealLag": 0}
    assert [check_sealed_events(world.stores, one).faults for one in feeds] == [[], [], []]


def test_published_events_are_sealed_when_another_cannot_be_published(
    world: World, feeds: list[str], clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write(world, feeds[1], "lost by the stream")
    items = world.cloud.backend_of_tables().tables[f"{STACK}-event-outbox"].all_items()
    lost = [item for item in items if feeds[1] in item.hash_key.value][-1]
    lost.attrs["told"].value = "?"
    clock.shift(3601)
    assert upkeep.keep_up(world.stores) == {"feeds": 2, "errors": 1}
    assert sealed(world) == set(feeds)
    assert metrics(capsys)["FeedsNotKeptUp"] == 1


def test_failures_with_a_success_between_them_are_no_outage(
    world: World, feeds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MAX_FAILURES_IN_A_ROW", 2)
    with refuse_prefix(world, feeds[0]), refuse_prefix(world, feeds[2]):
        assert upkeep.keep_up(world.stores) == {"feeds": 1, "errors": 2}


def test_outage_ends_the_run_and_is_told(
    world: World, feeds: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upkeep, "MAX_FAILURES_IN_A_ROW", 2)
    with aws_calls.unreachable("s3.PutObject") as tried, pytest.raises(Exception, match=r"away\.example"):
        upkeep.keep_up(world.stores)
    assert len(set(tried)) == 1
    assert metrics(capsys) == {"FeedsNotKeptUp": 2, "SealLag": 3601}
