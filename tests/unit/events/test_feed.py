"""GET /events: after a number, the newest, by type, and waiting."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.events.records import Event, EventType, Target
from chalicelib.kernel.permissions import Scope
from tests import aws_calls
from tests.unit.api import Api, Session
from tests.unit.contract import check_error, check_success
from tests.unit.keys import make_key
from tests.unit.world import World


def write(world: World, number: int, kind: EventType = EventType.FILE_CREATED, name: str = "Acme") -> None:
    """An event as any change would write it."""
    organization_id = world.organizations[name].organization_id
    world.stores.outbox.put(
        Event(organization_id=organization_id, type=kind, target=Target("file", str(number)), occasion="1", data={})
    )


def seen(api: Api, session: Session, query: str = "") -> list[int]:
    answer = api.get(f"/events{query}", session)
    check_success(answer)
    return [event["sequence"] for event in answer.json["events"]]


@pytest.fixture
def twelve(world: World) -> None:
    """Twelve events, published as 1 to 5, 6, and 7 to 12."""
    for numbers in (range(1, 6), range(6, 7), range(7, 13)):
        for number in numbers:
            write(world, number)
        world.publish()
    assert len(world.rows("events")) == 3


@pytest.mark.usefixtures("twelve")
@pytest.mark.parametrize("after", range(14))
def test_all_after_a_number(api: Api, anna: Session, after: int) -> None:
    assert seen(api, anna, f"?after={after}") == list(range(after + 1, 13))


@pytest.mark.usefixtures("twelve")
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_make_the_whole(api: Api, anna: Session, limit: int) -> None:
    after, found = 0, []
    while True:
        answer = api.get(f"/events?after={after}&limit={limit}", anna).json
        assert len(answer["events"]) <= limit
        found += [event["sequence"] for event in answer["events"]]
        if answer["next_after"] == after:
            break
        after = answer["next_after"]
    assert found == list(range(1, 13))


@pytest.mark.usefixtures("twelve")
@pytest.mark.parametrize(("last", "expected"), [(1, [12]), (3, [10, 11, 12]), (50, list(range(1, 13)))])
def test_newest(api: Api, anna: Session, last: int, expected: list[int]) -> None:
    assert seen(api, anna, f"?last={last}") == expected


def test_types(api: Api, anna: Session, world: World) -> None:
    for number, kind in enumerate([EventType.FILE_CREATED, EventType.FILE_FAILED, EventType.FILE_DOWNLOADED] * 2):
        write(world, number, kind)
    world.publish()
    assert seen(api, anna) == [1, 2, 4, 5], "downloads are for the audit trail"
    assert seen(api, anna, "?types=file.failed") == [2, 5]
    assert seen(api, anna, "?types=file.failed,file.created&after=2") == [4, 5]
    assert seen(api, anna, "?types=file.failed&last=1") == [5]
    answer = api.get("/events?types=file.renamed", anna).json
    assert answer == {"events": [], "next_after": 6}, "what was passed over is not looked at again"


@pytest.mark.parametrize(
    "query",
    [
        *("?after=-1", "?after=x", "?limit=0", "?types=", "?types=,", "?types=file.downloaded", "?types=file.%00"),
        *("?last=0", "?last=1&after=1", "?last=1&wait=1", "?wait=-1", "?after=1&after=2", "?types=nothing.happened"),
    ],
)
def test_odd_questions(api: Api, anna: Session, query: str) -> None:
    check_error(api.get(f"/events{query}", anna), 400)


def test_key_that_may_not_read_files(api: Api, anna: Session) -> None:
    check_error(api.get("/events", make_key(api, anna, [Scope.FILES_WRITE])), 403)


def test_empty_feed(api: Api, anna: Session) -> None:
    assert api.get("/events", anna).json == {"events": [], "next_after": 0}
    assert api.get("/events?last=5", anna).json == {"events": [], "next_after": 0}


def test_waiting_asks_once_a_second_and_ends(api: Api, anna: Session, unhurried: list[float]) -> None:
    with aws_calls.aws_calls() as made:
        assert api.get("/events?wait=20", anna).json == {"events": [], "next_after": 0}
    assert made == ["dynamodb.GetItem"] + ["dynamodb.Query"] * 21
    assert unhurried == [1.0] * 20


def test_waiting_longer_than_the_gateway_is_cut(api: Api, anna: Session, unhurried: list[float]) -> None:
    check_success(api.get("/events?wait=3600", anna))
    assert len(unhurried) == 20


def test_waiting_ends_with_the_event(api: Api, anna: Session, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            write(world, 1)
            world.publish()

    monkeypatch.setattr("time.sleep", sleep)
    assert seen(api, anna, "?wait=20") == [1]
    assert len(waits) == 3


def test_long_feed_is_read_by_pages_of_bounded_cost(api: Api, anna: Session, world: World) -> None:
    for number in range(250):
        write(world, number)
    world.publish()
    with aws_calls.aws_calls() as made:
        assert len(seen(api, anna, "?limit=1000")) == 250
    assert len(made) <= 3


def test_numbers_go_on_when_every_event_has_expired(api: Api, anna: Session, world: World) -> None:
    """DynamoDB deletes old rows; the row of the state stays."""
    write(world, 1)
    write(world, 2)
    world.publish()
    organization_id = anna.caller.organization_id
    from dataclasses import replace

    state = world.stores.feed.state(organization_id)
    world.stores.feed.set_state(organization_id, state, replace(state, sealed_sequence=2))
    table: Any = world.cloud.backend_of_tables().tables["strongroom-test-events"]
    for key, rows in list(table.items.items()):
        table.items[key] = {sort: row for sort, row in rows.items() if sort.value == "0"}
    world.restart()
    write(world, 3)
    world.stores.feed.publish(organization_id, list(pending_of(world)))
    assert seen(api, anna) == [3]


def pending_of(world: World) -> Any:
    from chalicelib.events.outbox_store import read_records

    return read_records(world.stream_records()[-1:])
