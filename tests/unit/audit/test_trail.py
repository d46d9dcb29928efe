"""GET /audit and its export: what an auditor finds."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib.audit import export, trail
from chalicelib.events.records import Event, EventType, Target
from chalicelib.kernel.clock import timestamp
from tests import aws_calls
from tests.unit.api import Api, Session
from tests.unit.cloud import NAMES, STACK
from tests.unit.conftest import START, SignIn
from tests.unit.contract import check_error, check_success
from tests.unit.world import World


def write(world: World, count: int, kind: EventType = EventType.FILE_CREATED, target: str = "thing") -> None:
    for _ in range(count):
        number = len(world.stream_records())
        world.stores.outbox.put(
            Event(
                organization_id=world.organizations["Acme"].organization_id,
                type=kind,
                target=Target("file", target),
                occasion=str(number),
                data={"number": number},
            )
        )
    world.publish()


def date_segment(world: World, first: int, published_at: datetime) -> None:
    """As if it had been published by the clock of another process."""
    table: Any = world.cloud.backend_of_tables().tables[f"{STACK}-events"]
    [item] = [row for row in table.all_items() if row.range_key.value == str(first)]
    item.attrs["published_at"].value = timestamp(published_at)


def found(api: Api, session: Session, query: str = "") -> list[int]:
    answer = api.get(f"/audit{query}", session)
    check_success(answer)
    return [event["sequence"] for event in answer.json["events"]]


def exported(body: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events, and what the last line says of them."""
    *events, last = [json.loads(line) for line in body.splitlines()]
    return events, last["export"]


def test_who_deleted_a_file_from_where_and_when(api: Api, anna: Session, world: World) -> None:
    api.upload(anna)
    file_id = api.upload(anna).json["id"]
    check_success(api.delete(f"/files/{file_id}", anna, headers={"User-Agent": "curl/8"}), 204)
    world.publish()
    [event] = api.get(f"/audit?target={file_id}&type=file.deleted", anna).json["events"]
    assert event["actor"] == {
        **{"type": "user", "id": anna.caller.user_id, "name": "anna"},
        **{"address": "127.0.0.1", "program": "curl/8"},
    }
    assert event["time"]
    assert event["data"]["id"] == file_id


def test_downloads_are_in_the_trail(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.drain()
    check_success(api.get(f"/files/{file_id}/content", anna), 302)
    world.publish()
    assert api.get("/audit?type=file.downloaded", anna).json["events"][0]["target"]["id"] == file_id


def test_others_organisation_has_its_own(api: Api, anna: Session, berta: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.publish()
    assert api.get(f"/audit?target={file_id}", berta).json == {"events": [], "next_cursor": None}
    assert exported(api.get(f"/audit/export?target={file_id}", berta).body)[0] == []


def test_members_may_not_read_it(api: Api, signed_in: SignIn) -> None:
    check_error(api.get("/audit", signed_in("albert")), 403)
    check_error(api.get("/audit/export", signed_in("albert")), 403)


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_pages_make_the_whole(api: Api, anna: Session, world: World, clock: Any, limit: int) -> None:
    for _ in range(3):
        write(world, 4)
    cursor, seen = "", []
    while True:
        page = api.get(f"/audit?limit={limit}{cursor}", anna).json
        seen += [event["sequence"] for event in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == list(range(12, 0, -1))


def test_times(api: Api, anna: Session, world: World, clock: Any) -> None:
    for _ in range(4):
        write(world, 2)
        clock.shift(3600)
    assert found(api, anna, "?from=2026-03-01T13:00:00Z") == [8, 7, 6, 5, 4, 3]
    assert found(api, anna, "?to=2026-03-01T13:00:00Z") == [4, 3, 2, 1]
    assert found(api, anna, "?from=2026-03-01T14:00&to=2026-03-01T15:00:00%2B01:00") == [6, 5]
    assert found(api, anna, "?from=2026-03-02") == []
    assert found(api, anna, "?to=2026-03-01") == []


def test_nothing_before_the_time_is_read(api: Api, anna: Session, world: World, clock: Any) -> None:
    for _ in range(30):
        write(world, 1)
        clock.shift(3600 * 24)
    with aws_calls.aws_calls() as made:
        assert len(found(api, anna, "?from=2026-03-30")) == 1
    assert made.count("dynamodb.Query") <= 2
    with aws_calls.aws_calls() as made:
        assert found(api, anna, "?to=2026-03-02T12:00:00Z") == [2, 1]
    assert made.count("dynamodb.Query") <= 5 + 3, "found by halving"


def test_event_is_found_whose_publisher_has_a_clock_that_is_behind(
    api: Api, anna: Session, world: World, clock: Any
) -> None:
    write(world, 1)
    date_segment(world, 1, START - timedelta(milliseconds=50))
    assert found(api, anna, f"?from={timestamp(START)}") == [1]
    assert len(exported(api.get(f"/audit/export?from={timestamp(START)}", anna).body)[0]) == 1


@pytest.mark.parametrize(
    "query",
    [
        *("?from=0001-01-01", "?from=9999-12-31T23:59:59Z", "?to=0001-01-01", "?to=9999-12-31"),
        # UUIDv7 of the year 10889, and of 1970.
        *("?target=ffffffff-ffff-7fff-bfff-ffffffffffff", "?target=00000000-0000-7000-8000-000000000000"),
    ],
)
def test_times_at_the_end_of_the_calendar(api: Api, anna: Session, world: World, query: str) -> None:
    write(world, 1)
    assert found(api, anna, query) == ([1] if query in ("?from=0001-01-01", "?to=9999-12-31") else [])
    assert api.get(f"/audit/export{query}", anna).status == 200


def test_filters_that_leave_little_read_no_more_than_others(
    api: Api, anna: Session, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MAX_EVENTS_READ", 5)
    write(world, 12)
    page = api.get("/audit?target=another", anna).json
    assert (page["events"], page["next_cursor"]) == ([], "7")
    assert api.get("/audit?target=another&cursor=2", anna).json == {"events": [], "next_cursor": None}


def test_pages_of_a_past_time_go_on_to_the_first_event(
    api: Api, anna: Session, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to eight days of events that come after the time are read, and no page reads more than others."""
    monkeypatch.setattr(trail, "MAX_EVENTS_READ", 5)
    monkeypatch.setattr(trail, "READ_AT_ONCE", 5)
    for _ in range(20):
        write(world, 2)
        clock.shift(3600 * 24)
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        with aws_calls.aws_calls() as made:
            page = api.get(
                f"/audit?to=2026-03-05T13:00:00Z&type=file.*&limit=3{cursor and f'&cursor={cursor}'}", anna
            ).json
        assert made.count("dynamodb.Query") <= (8 if not cursor else 2)
        assert page["events"] == [] or pages >= 3, "sixteen events come after the time, five are read at once"
        seen += [event["sequence"] for event in page["events"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert seen == list(range(10, 0, -1))
    assert pages <= (16 + 10) / 3 + 1, "two events a day, eight days later ones"


@pytest.mark.parametrize(
    "query",
    [
        *("?type=nothing.*", "?type=", "?from=yesterday", "?to=2026-13-01", "?from=2026-11-25T25:00Z", "?cursor=x"),
        *("?cursor=0", "?limit=0", "?actor=a&actor=b", "?from=0000-01-01", "?cursor=9999999999999999999"),
    ],
)
def test_odd_questions(api: Api, anna: Session, query: str) -> None:
    check_error(api.get(f"/audit{query}", anna), 400)


def test_small_export_is_in_the_answer(api: Api, anna: Session, world: World, clock: Any) -> None:
    write(world, 3)
    answer = api.get("/audit/export", anna)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    events, summary = exported(answer.body)
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert events == api.get("/audit", anna).json["events"][::-1]
    assert summary == {
        **{"version": 1, "export_id": summary["export_id"], "organization_id": anna.caller.organization_id},
        **{"filters": {}, "after": 0, "next_after": 3, "complete": True, "events": 3},
        "sha256": hashlib.sha256(b"".join(answer.body.splitlines(keepends=True)[:-1])).hexdigest(),
    }


def test_export_is_part_of_the_trail(api: Api, anna: Session, world: World) -> None:
    api.upload(anna)
    world.publish()
    _, summary = exported(api.get("/audit/export?type=file.*&from=2026-01-01", anna).body)
    world.publish()
    [event] = api.get("/audit?type=audit.exported", anna).json["events"]
    assert event["actor"]["name"] == "anna"
    assert event["target"]["id"] == summary["export_id"]
    assert event["data"]["filters"] == {"from": "2026-01-01T00:00:00.000Z", "type": ["file.*"]}
    assert event["data"]["events"] == 1
    whose = {name: summary[name] for name in ("version", "export_id", "organization_id")}
    assert {**event["data"], **whose} == summary, "what was exported can be proved"


def test_large_export_is_a_file(
    api: Api, anna: Session, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_ANSWER_EVENTS", 2)
    write(world, 3)
    answer = api.get("/audit/export", anna)
    check_success(answer, 302)
    [(key, body)] = world.objects(NAMES.audit_bucket).items()
    assert key.startswith(f"exports/{anna.caller.organization_id}/")
    assert urlsplit(answer.headers["Location"]).path.endswith(key)
    events, summary = exported(body)
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert summary["complete"]


def test_export_that_is_cut_says_where_it_goes_on(
    api: Api, anna: Session, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_FILE_EVENTS", 4)
    monkeypatch.setattr(export, "READ_AT_ONCE", 2)
    write(world, 9)
    seen, after = [], "0"
    while True:
        answer = api.get(f"/audit/export?after={after}", anna)
        events, summary = exported(answer.body)
        seen += [event["sequence"] for event in events]
        assert summary["after"] == int(after)
        assert summary["complete"] == ("X-Next-After" not in answer.headers)
        if summary["complete"]:
            break
        after = answer.headers["X-Next-After"]
        assert summary["next_after"] == int(after), "a saved file says it too"
    assert seen == list(range(1, 10))


def test_export_whose_filters_leave_little_reads_no_more_than_others(
    api: Api, anna: Session, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_EVENTS_READ", 4)
    monkeypatch.setattr(export, "READ_AT_ONCE", 2)
    write(world, 9)
    events, summary = exported(api.get("/audit/export?target=another", anna).body)
    assert (events, summary["complete"], summary["next_after"]) == ([], False, 4)


def test_new_events_are_exported_from_where_a_complete_export_ended(
    api: Api, anna: Session, world: World, clock: Any
) -> None:
    write(world, 3)
    _, first = exported(api.get("/audit/export?type=file.created", anna).body)
    write(world, 2)
    events, second = exported(api.get(f"/audit/export?type=file.created&after={first['next_after']}", anna).body)
    assert [event["type"] for event in events] == ["file.created"] * 2
    assert (first["complete"], second["complete"]) == (True, True)


def test_export_of_a_past_time_reads_nothing_that_came_long_after(
    api: Api, anna: Session, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        write(world, 2)
        clock.shift(3600 * 24)
    monkeypatch.setattr(export, "READ_AT_ONCE", 20)
    # Time for one page.
    monkeypatch.setattr(export, "MAX_READING_SECONDS", -1.0)
    answer = api.get("/audit/export?to=2026-03-02", anna)
    assert len(exported(answer.body)[0]) == 2
    assert "X-Next-After" not in answer.headers, "all that can match was read"


def test_export_that_cannot_be_told_is_refused(api: Api, anna: Session, world: World) -> None:
    with aws_calls.unreachable("dynamodb.PutItem"):
        check_error(api.get("/audit/export", anna), 503)
