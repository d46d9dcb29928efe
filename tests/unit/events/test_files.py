"""Each change of a file leaves its event, with the change or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import aws_calls
from tests.item_size import write_units
from tests.unit.api import Answer, Api, Session
from tests.unit.conftest import SignIn
from tests.unit.contract import check_error, check_success
from tests.unit.keys import make_key
from tests.unit.world import World


def told(world: World) -> list[tuple[str, str]]:
    """Type and status of each event of Acme's files."""
    return [(event["type"], event["data"]["status"]) for event in world.events() if event["type"].startswith("file.")]


def patch(api: Api, path: str, session: Session, **options: Any) -> Answer:
    return api.request("PATCH", path, session=session, **options)


def completed(api: Api, world: World, session: Session) -> str:
    file_id: str = api.upload(session).json["id"]
    world.drain()
    return file_id


def test_life_of_a_file(api: Api, anna: Session, world: World) -> None:
    file_id = completed(api, world, anna)
    details = api.get(f"/files/{file_id}", anna).json
    # Nothing that `sha256_hash` does not say, and an event is billed by its length.
    assert details.pop("checksums") == {"sha256": details["sha256_hash"], "crc64nvme": None}
    assert details.pop("sha256") is None
    check_success(patch(api, f"/files/{file_id}", anna, json_body={"filename": "b.txt"}))
    check_success(api.get(f"/files/{file_id}/content", anna), 302)
    check_success(api.delete(f"/files/{file_id}", anna), 204)
    events = world.events()
    assert [event["type"] for event in events] == [
        *("file.created", "file.completed", "file.renamed", "file.downloaded", "file.deleted"),
    ]
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5]
    assert all(event["target"] == {"type": "file", "id": file_id} for event in events)
    assert events[1]["data"] == details
    assert events[2]["changes"] == {"filename": {"from": "hello.txt", "to": "b.txt"}}
    assert events[4]["data"] == {**details, "filename": "b.txt"}


def test_failure_and_another_try(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    check_success(patch(api, "/organization", anna, json_body={"policy": {"max_file_bytes": 1}}))
    world.drain()
    assert told(world)[-1] == ("file.failed", "failed")
    assert world.events()[-1]["data"]["error_message"]
    assert world.events()[-1]["actor"] == {"type": "system"}
    assert api.post(f"/files/{file_id}/retry", anna).status == 409, "its bytes are gone"
    assert told(world)[-1] == ("file.failed", "failed"), "what was refused leaves no event"


def test_retry_is_told(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    with aws_calls.refused("s3.CopyObject"):
        world.drain()
    assert told(world)[-1] == ("file.failed", "failed")
    check_success(api.post(f"/files/{file_id}/retry", anna), 202)
    assert told(world)[-1] == ("file.retried", "pending")
    world.drain()
    assert told(world)[-1] == ("file.completed", "completed")


def by_session(api: Api, anna: Session) -> tuple[Session, dict[str, Any]]:
    return anna, {"type": "user", "id": anna.caller.user_id, "name": "anna", "address": "127.0.0.1"}


def by_key(api: Api, anna: Session) -> tuple[Session, dict[str, Any]]:
    key = make_key(api, anna)
    return key, {"type": "api_key", "id": key.caller.user_id, "name": key.caller.username, "address": "127.0.0.1"}


@pytest.mark.parametrize("who", [by_session, by_key])
def test_actor_is_whoever_asked(
    api: Api, anna: Session, world: World, who: Callable[[Api, Session], tuple[Session, dict[str, Any]]]
) -> None:
    session, actor = who(api, anna)
    answer = api.upload(session, headers={"User-Agent": "x/1"})
    event = next(event for event in world.events() if event["type"] == "file.created")
    assert event["actor"] == {**actor, "program": "x/1"}
    assert event["target"]["id"] == answer.json["id"]
    assert event["request_id"]


def test_ticket_is_told_as_such(api: Api, anna: Session, world: World) -> None:
    path = api.post("/auth/ticket", anna).json["base_path"]
    check_success(api.get(f"{path}/s3/params?filename=a.txt"))
    assert world.events()[-1]["actor"]["type"] == "ticket"
    assert world.events()[-1]["actor"]["name"] == "anna"


def test_bulk_deletion_names_its_actor_in_every_event(api: Api, anna: Session, world: World) -> None:
    ids = [api.upload(anna).json["id"] for _ in range(3)]
    check_success(api.post("/files/bulk-delete", anna, json_body={"ids": ids}))
    deleted = [event for event in world.events() if event["type"] == "file.deleted"]
    assert {event["target"]["id"] for event in deleted} == set(ids)
    assert {event["actor"]["name"] for event in deleted} == {"anna"}


def test_change_that_fails_leaves_no_event(api: Api, anna: Session, world: World) -> None:
    file_id = completed(api, world, anna)
    before = world.rows("event-outbox")
    with aws_calls.unreachable("dynamodb.TransactWriteItems"):
        check_error(patch(api, f"/files/{file_id}", anna, json_body={"filename": "b.txt"}), 503)
        check_error(api.delete(f"/files/{file_id}", anna), 503)
    check_error(patch(api, f"/files/{file_id}", anna, json_body={"filename": " "}), 400)
    assert world.rows("event-outbox") == before


def test_download_that_cannot_be_told_is_refused(api: Api, anna: Session, world: World) -> None:
    file_id = completed(api, world, anna)
    with aws_calls.unreachable("dynamodb.PutItem"):
        check_error(api.get(f"/files/{file_id}/content", anna), 503)


def test_events_of_one_organisation_are_not_in_the_feed_of_another(
    api: Api, anna: Session, berta: Session, world: World
) -> None:
    mine, theirs = completed(api, world, anna), completed(api, world, berta)
    assert {event["target"]["id"] for event in world.events("Acme")} == {mine}
    assert {event["target"]["id"] for event in world.events("Bolt")} == {theirs}
    assert {event["target"]["id"] for event in api.get("/events", berta).json["events"]} == {theirs}


def test_events_of_an_upload_cost_six_write_units_at_most(api: Api, anna: Session, world: World) -> None:
    """Published one by one, which is the dearest way."""
    browser = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
    name = "Quarterly report 2026, third quarter, final version.pdf"
    check_success(api.upload(anna, b"%PDF-1.7 x", name, headers={"User-Agent": browser}), 201)
    world.publish()
    world.drain()
    world.publish()
    outbox, feed = world.rows("event-outbox"), world.rows("events")
    assert (len(outbox), len(feed)) == (2, 2)
    assert write_units(outbox, in_transaction=True) + write_units(feed, in_transaction=False) <= 6


def test_address_is_told_to_auditors_only(api: Api, anna: Session, world: World, signed_in: SignIn) -> None:
    completed(api, world, anna)
    world.publish()
    shown = [api.get("/events", session).json["events"][0]["actor"] for session in (anna, signed_in("albert"))]
    assert shown[0] == {**shown[1], "address": "127.0.0.1"}
    assert "address" not in shown[1]
