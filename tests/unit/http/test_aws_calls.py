"""What each operation costs: a fixed, small number of AWS calls, whatever the size of the file or the organisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.events.records import PendingEvent
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.permissions import Scope
from chalicelib.platform.tables import MAX_SKIPPED_IN_PAGE
from chalicelib.processing.announcements import SHORT_WAIT_SECONDS
from chalicelib.processing.processing import MOST_BYTES_AT_ONCE
from chalicelib.uploads.parts import MIN_PART_BYTES
from tests.aws_calls import aws_calls, unreachable
from tests.unit import samples
from tests.unit.api import Api, Session
from tests.unit.authenticator import STEP_SECONDS, challenge, complete, set_up, stopped_clock
from tests.unit.contract import check_error, check_success
from tests.unit.http.test_listing import add, add_rows
from tests.unit.keys import make_key
from tests.unit.webhooks.lab import lab_of
from tests.unit.world import World

SIZES = [0, 10, 5_000_000]
#: What an event tells, the least of it.
TOLD = '{"type":"file.created","actor":{"type":"system"},"target":{"type":"file","id":"x"},"data":{}}'


def calls_of(act: Callable[[], object]) -> list[str]:
    with aws_calls() as made:
        act()
    return made


def test_session_costs_one_read(api: Api, anna: Session) -> None:
    assert calls_of(lambda: api.get("/auth/me", anna)) == ["dynamodb.GetItem"]


def test_key_costs_one_read_and_once_an_hour_a_write(api: Api, anna: Session) -> None:
    key = make_key(api, anna, [Scope.FILES_READ, Scope.FILES_WRITE])
    assert calls_of(lambda: check_success(api.get("/auth/me", key))) == ["dynamodb.GetItem", "dynamodb.UpdateItem"]
    assert calls_of(lambda: check_success(api.get("/auth/me", key))) == ["dynamodb.GetItem"]
    file_id = api.upload(anna).json["id"]
    assert calls_of(lambda: check_success(api.get(f"/files/{file_id}", key))) == ["dynamodb.GetItem"] * 2
    made = calls_of(lambda: check_success(api.upload(key), 201))
    assert made == ["dynamodb.GetItem", "dynamodb.TransactWriteItems", "s3.PutObject"]


def test_ticket_costs_the_same_with_a_key_as_with_a_session(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    check_success(api.get("/auth/me", key))
    costs = []
    for session in (anna, key):
        path = api.post("/auth/ticket", session).json["base_path"]
        costs.append(calls_of(partial(api.get, f"{path}/s3/params?filename=a.txt")))
    assert costs[0] == costs[1] == ["dynamodb.GetItem"] * 2 + ["dynamodb.TransactWriteItems"]


@pytest.mark.parametrize("keys", [1, 20])
def test_keys_cost_the_same_however_many_there_are(api: Api, anna: Session, keys: int) -> None:
    for _ in range(keys):
        key = make_key(api, anna)
    path = f"/api-keys/{key.caller.user_id}"
    session, query, write = "dynamodb.GetItem", "dynamodb.Query", "dynamodb.TransactWriteItems"
    assert calls_of(lambda: check_success(api.get("/api-keys", anna))) == [session, query]
    assert calls_of(lambda: make_key(api, anna)) == [session, query, write]
    body = {"old_secret_seconds": 60}
    made = calls_of(lambda: check_success(api.post(f"{path}/rotate", anna, json_body=body)))
    assert made == [session, READ, READ, write]
    made = calls_of(lambda: check_success(api.post("/api-keys/revoke", json_body={"key": key.token}), 204))
    # The key, and once more to change it; then its list of open uploads is closed and read.
    assert made == [READ, READ, write, "dynamodb.UpdateItem", READ]
    made = calls_of(lambda: check_success(api.delete(path, anna), 204))
    assert made == [session, READ, "dynamodb.UpdateItem", READ, write]


@pytest.mark.parametrize("webhooks", [1, 15])
def test_webhooks_cost_the_same_however_many_there_are(api: Api, anna: Session, webhooks: int) -> None:
    session, query, write = "dynamodb.GetItem", "dynamodb.Query", "dynamodb.TransactWriteItems"
    body = {"url": "https://hooks.example.com/", "types": ["file.completed"]}
    for _ in range(webhooks):
        made = api.post("/webhooks", anna, json_body=body).json
    path = f"/webhooks/{made['id']}"
    assert calls_of(lambda: check_success(api.get("/webhooks", anna))) == [session, query]
    # The end of the feed, and the list.
    assert calls_of(lambda: check_success(api.post("/webhooks", anna, json_body=body), 201)) == [
        session, query, query, write,
    ]  # fmt: skip
    assert calls_of(lambda: check_success(api.get(path, anna))) == [session, READ]
    assert calls_of(lambda: check_success(api.get(f"{path}/deliveries?limit=100", anna))) == [
        session, READ, READ, query,
    ]  # fmt: skip
    change = {"description": "changed"}
    made_calls = calls_of(lambda: check_success(api.request("PATCH", path, session=anna, json_body=change)))
    assert made_calls == [session, READ, READ, write]
    replay = {"after": 0}
    made_calls = calls_of(lambda: check_success(api.post(f"{path}/replay", anna, json_body=replay), 202))
    assert made_calls == [session, READ, READ, "dynamodb.UpdateItem", "sqs.SendMessageBatch"]


@pytest.mark.parametrize("events", [1, 5, 50])
def test_delivering_costs_one_write_an_event_and_the_rest_once(
    api: Api, anna: Session, world: World, events: int
) -> None:
    api.post("/webhooks", anna, json_body={"url": "https://hooks.example.com/", "types": ["file.completed"]})
    with lab_of(world) as lab:
        lab.happen(events)
        made = sorted(calls_of(lab.work))
    puts = [call for call in made if call == "dynamodb.PutItem"]
    assert len(puts) == events
    # The lease, the position, the end; the feed and what is due.
    assert sorted(set(made)) == ["dynamodb.PutItem", "dynamodb.Query", "dynamodb.UpdateItem"]
    assert made.count("dynamodb.UpdateItem") == 3
    assert made.count("dynamodb.Query") <= 4


@pytest.mark.parametrize("events", [1, 300])
def test_audit_trail_costs_a_query_and_few_to_find_a_time(api: Api, anna: Session, world: World, events: int) -> None:
    organization_id = anna.caller.organization_id
    for number in range(events):
        pending = PendingEvent(organization_id, f"evt_{number}", timestamp(), TOLD)
        world.stores.feed.publish(organization_id, [pending])
    session, query, write = "dynamodb.GetItem", "dynamodb.Query", "dynamodb.PutItem"
    for asked in ("", "?limit=100", "?type=file.*&actor=somebody", "?from=2020-01-01"):
        assert calls_of(partial(api.get, f"/audit{asked}", anna)) == [session, query]
    made = calls_of(partial(api.get, "/audit?to=2999-01-01", anna))
    # How long the feed is; halving it; the page.
    assert made == [session, query] + [query] * math.ceil(math.log2(events + 1)) + [query]
    assert calls_of(partial(api.get, "/audit/export?type=file.*", anna)) == [session, query, write]


def test_feed_reads_no_more_than_it_shows(api: Api, anna: Session, world: World) -> None:
    """Events that were published at once are in one row, of 200 KB here; one call gets a megabyte."""
    organization_id = anna.caller.organization_id
    told = TOLD.replace('"data":{}', f'"data":{{"more":"{"x" * 1800}"}}')
    for burst in range(12):
        burst_of = [PendingEvent(organization_id, f"evt_{burst}_{n}", timestamp(), told) for n in range(100)]
        world.stores.feed.publish(organization_id, burst_of)
    session, query = "dynamodb.GetItem", "dynamodb.Query"
    assert calls_of(partial(api.get, "/events?last=1", anna)) == [session, query]
    assert calls_of(partial(api.get, "/events?limit=100", anna)) == [session, query]
    assert calls_of(partial(api.get, "/events?after=50&limit=100", anna)) == [session, query, query]


def test_download_costs_details_and_its_event(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.drain()
    made = calls_of(lambda: api.get(f"/files/{file_id}/content", anna))
    assert made == ["dynamodb.GetItem"] * 2 + ["dynamodb.PutItem"]


QUERIES = ["", "?limit=100", "?limit=1&offset=12", "?status=completed&mime_type=image%2Fpng"]
READ = "dynamodb.GetItem"
READ_BOTH, WRITE = "dynamodb.TransactGetItems", "dynamodb.TransactWriteItems"


@pytest.mark.parametrize("files", [0, 25])
def test_reading_and_login_cost_the_same_however_many_files_there_are(
    api: Api, anna: Session, world: World, files: int
) -> None:
    if files:
        world.cloud.remember("25 files", lambda: add(world, anna.caller, 25), ("files", "organizations"))
    file_id = api.upload(anna).json["id"]
    assert calls_of(lambda: check_success(api.get(f"/files/{file_id}", anna))) == [READ, READ]
    for query in QUERIES:
        made = calls_of(partial(api.get, f"/files{query}", anna))
        assert made == [READ, READ, "dynamodb.Query"]
    for _ in range(3):
        made = calls_of(lambda: check_success(api.login("anna", "correct-horse-anna")))
        assert made == [READ, READ, "dynamodb.TransactWriteItems"]
    assert len(calls_of(lambda: check_success(api.delete(f"/files/{file_id}", anna), 204))) <= 6


@pytest.mark.parametrize("username", ["anna", "ghost", "no such name"])
def test_failed_login_costs_its_event_whoever_it_was(api: Api, username: str) -> None:
    made = calls_of(lambda: check_error(api.login(username, "not-the-password"), 401))
    assert made == [READ, READ, "dynamodb.PutItem"]


def test_wrong_code_costs_its_event(api: Api, anna: Session) -> None:
    with stopped_clock() as clock:
        made = set_up(api, anna)
        clock.shift(STEP_SECONDS)
        waiting = challenge(api, anna)
        calls = calls_of(lambda: check_error(complete(api, waiting, made.code(-600)), 401))
    assert calls == [READ, READ, "dynamodb.PutItem"]


def test_far_offset_costs_one_query_more(api: Api, anna: Session, world: World) -> None:
    far = MAX_SKIPPED_IN_PAGE + 1
    assert calls_of(lambda: api.get(f"/files?offset={far - 1}", anna)) == [READ, READ, "dynamodb.Query"]
    assert calls_of(lambda: api.get(f"/files?offset={far}", anna)) == [READ, READ, "dynamodb.Query"], "nothing is left"
    add_rows(world, anna.caller, far + 1)
    assert calls_of(lambda: api.get(f"/files?offset={far}", anna)) == [READ, READ, "dynamodb.Query", "dynamodb.Query"]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_upload_and_processing(api: Api, anna: Session, world: World, size_bytes: int) -> None:
    body = samples.random_bytes(size_bytes)
    made = calls_of(lambda: check_success(api.upload(anna, body), 201))
    assert made == ["dynamodb.GetItem", "dynamodb.TransactWriteItems", "s3.PutObject"]
    event = world.receive()
    assert event
    made = calls_of(lambda: world.cloud.chalice.lambda_.invoke("process_uploads", event))
    assert made == [READ_BOTH, "s3.GetObject", "s3.CopyObject", WRITE, "s3.DeleteObject"]
    assert list(world.permanent().values()) == [body]


@pytest.mark.parametrize("case", ["large", "waited", "second try"])
def test_processing_takes_a_lease_where_it_may_last_or_others_wait(
    api: Api, anna: Session, world: World, clock: Any, case: str
) -> None:
    body = samples.random_bytes(10)
    if case == "large":
        size = MOST_BYTES_AT_ONCE + 1
        file_id = api.post("/files", anna, json_body={"filename": "a.bin", "size": size}).json["id"]
        world.put_temp(world.temp_key(file_id), bytes(size))
    else:
        api.upload(anna, body)
    if case == "second try":
        with unreachable("s3.GetObject"):
            world.work()
        world.forward()
    if case == "waited":
        clock.shift(SHORT_WAIT_SECONDS + 1)
    event = world.receive()
    assert event
    made = calls_of(lambda: world.cloud.chalice.lambda_.invoke("process_uploads", event))
    assert made == [READ_BOTH, WRITE, "s3.GetObject", "s3.CopyObject", WRITE, "s3.DeleteObject"]


def test_repeated_event_costs_less(api: Api, anna: Session, world: World) -> None:
    api.upload(anna)
    event = world.receive()
    assert event
    world.cloud.chalice.lambda_.invoke("process_uploads", event)
    made = calls_of(lambda: world.cloud.chalice.lambda_.invoke("process_uploads", event))
    assert made == ["dynamodb.TransactGetItems", "s3.DeleteObject"]


@pytest.mark.parametrize("parts", [0, 3])
def test_signing_a_part(api: Api, anna: Session, world: World, parts: int) -> None:
    """Of a known size: two reads. Of an unknown one: what has arrived besides, one list for each thousand parts."""
    session_and_file = ["dynamodb.GetItem"] * 2
    for metadata, counting in (({"size": 4 * MIN_PART_BYTES}, []), ({}, ["s3.ListParts"])):
        body = {"filename": "a.bin", "type": "x/y", "metadata": metadata}
        created = api.post("/s3/multipart", anna, json_body=body).json
        for number in range(1, parts + 1):
            world.s3.upload_part(
                Bucket=created["bucket"],
                Key=created["key"],
                UploadId=created["uploadId"],
                PartNumber=number,
                Body=bytes(MIN_PART_BYTES),
            )
        for asked in ("1", "2", "batch"):
            path = f"/s3/multipart/{created['uploadId']}/{asked}?key={created['key']}&partNumbers=1,2,3"
            with aws_calls() as made:
                check_success(api.get(path, anna))
            assert made == session_and_file + counting
    started = api.post("/files", anna, json_body={"filename": "a.bin", "size": 200_000_000}).json
    path = started["upload"]["parts"]
    made = calls_of(lambda: check_success(api.post(path, anna, json_body={"part_numbers": [1, 2]})))
    assert made == session_and_file


def test_delete(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.drain()
    made = calls_of(lambda: check_success(api.delete(f"/files/{file_id}", anna), 204))
    assert made == ["dynamodb.GetItem"] * 2 + [
        "dynamodb.TransactWriteItems",
        "s3.DeleteObject",
        "s3.DeleteObject",
        "dynamodb.DeleteItem",
    ]
