"""Sealed events: written once, chained by their hashes, and every change of them is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import EndpointConnectionError

from chalicelib import keys
from chalicelib.audit import sealing, upkeep
from chalicelib.audit.sealing import Seal, canonical, seal_feed
from chalicelib.events.outbox_store import read_records
from infra.sealed_events import check_sealed_events
from tests import aws_calls
from tests.unit.audit.test_trail import date_segment, write
from tests.unit.cloud import NAMES, STACK
from tests.unit.conftest import START, Configure
from tests.unit.world import World


@pytest.fixture
def sealed(world: World, clock: Any, acme: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nine events in three files; their keys."""
    monkeypatch.setattr(sealing, "READ_AT_ONCE", 3)
    monkeypatch.setattr(sealing, "MAX_FILE_EVENTS", 3)
    write(world, 9)
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    assert faults(world, acme) == []
    return sorted(world.objects(NAMES.audit_bucket))


def faults(world: World, acme: str) -> list[str]:
    return check_sealed_events(world.stores, acme).faults


def lines(world: World, key: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.objects(NAMES.audit_bucket)[key].splitlines()]


def test_files_follow_each_other(world: World, acme: str, sealed: list[str]) -> None:
    assert sealed == [keys.seal_key(acme, first) for first in (1, 4, 7)]
    heads = [lines(world, key)[0] for key in sealed]
    assert [(head["first"], head["last"]) for head in heads] == [(1, 3), (4, 6), (7, 9)]
    assert heads[0]["previous_sha256"] is None
    assert [event["sequence"] for event in lines(world, sealed[1])[1:]] == [4, 5, 6]
    assert world.stores.feed.state(acme).sealed_sequence == 9


def test_last_hour_is_not_sealed(world: World, clock: Any, acme: str) -> None:
    write(world, 2)
    clock.shift(3599)
    upkeep.keep_up(world.stores)
    assert world.objects(NAMES.audit_bucket) == {}
    clock.shift(2)
    write(world, 1)
    upkeep.keep_up(world.stores)
    [key] = world.objects(NAMES.audit_bucket)
    assert [event["sequence"] for event in lines(world, key)[1:]] == [1, 2]


def test_run_that_died_after_writing_is_taken_up(world: World, clock: Any, acme: str) -> None:
    write(world, 2)
    clock.shift(3601)
    written: list[str] = []

    def break_after_writing(operation: str, _: AWSPreparedRequest) -> None:
        if operation == "s3.PutObject":
            written.append(operation)
        if written and operation == "dynamodb.UpdateItem":
            raise EndpointConnectionError(endpoint_url="https://away.example")

    with aws_calls.listening(break_after_writing):
        assert upkeep.keep_up(world.stores)["errors"] == 1
    before = world.objects(NAMES.audit_bucket)
    assert len(before) == 1
    write(world, 1)
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    after = world.objects(NAMES.audit_bucket)
    assert {key: after[key] for key in before} == before, "written once"
    assert world.stores.feed.state(acme).sealed_sequence == 3
    assert faults(world, acme) == []


def test_two_runs_at_once_make_one_chain(world: World, clock: Any, acme: str) -> None:
    write(world, 2)
    clock.shift(3601)
    with aws_calls.just_before("s3.PutObject", lambda: upkeep.keep_up(world.stores)):
        upkeep.keep_up(world.stores)
    assert len(world.objects(NAMES.audit_bucket)) == 1
    assert faults(world, acme) == []


def test_event_that_is_due_before_an_earlier_one_waits_for_it(world: World, clock: Any, acme: str) -> None:
    for _ in range(3):
        write(world, 1)
    date_segment(world, 2, START + timedelta(seconds=2))
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    assert world.stores.feed.state(acme).sealed_sequence == 1
    clock.shift(2)
    upkeep.keep_up(world.stores)
    assert world.stores.feed.state(acme).sealed_sequence == 3
    assert faults(world, acme) == []


OTHER_FILES: dict[str, Callable[[list[str]], list[str]]] = {
    "another event": lambda text: [text[0], text[1].replace('"thing"', '"other"'), *text[2:]],
    "more events": lambda text: [text[0].replace('"last":3', '"last":4'), *text[1:], text[3].replace(":3", ":4")],
    "an end before its beginning": lambda text: [text[0].replace('"last":3', '"last":0')],
    "another chain": lambda text: [text[0].replace("null", '"0"'), *text[1:]],
    "nothing": lambda text: [],
}


@pytest.mark.parametrize("other", OTHER_FILES)
def test_file_of_somebody_else_is_not_taken_for_a_seal(world: World, clock: Any, acme: str, other: str) -> None:
    write(world, 3)
    events = world.stores.feed.after(acme, 0, 3)
    text = [Seal(acme, 1, 3, None).line, *(canonical(event.to_json()) for event in events)]
    world.put_audit(keys.seal_key(acme, 1), "\n".join([*OTHER_FILES[other](text), ""]).encode())
    clock.shift(3601)
    assert upkeep.keep_up(world.stores)["errors"] == 1
    assert world.stores.feed.state(acme).sealed_sequence == 0


def test_numbering_goes_on_after_all_has_expired(world: World, clock: Any, acme: str) -> None:
    write(world, 3)
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    expire(world)
    [late] = world.stores.feed.publish(acme, [read_records(world.stream_records())[-1]])
    assert late.sequence == 4
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    assert world.stores.feed.state(acme).sealed_sequence == 4
    assert faults(world, acme) == []


def test_signs_that_end_lines_elsewhere_end_none(world: World, clock: Any, acme: str) -> None:
    write(world, 1, target="a\u2028b\x85c")
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    assert faults(world, acme) == []


def test_locked_where_it_is_asked_for(world: World, clock: Any, acme: str, configure: Configure) -> None:
    configure(AUDIT_LOCK_DAYS=30)
    write(world, 1)
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    [key] = world.objects(NAMES.audit_bucket)
    head = world.s3.head_object(Bucket=NAMES.audit_bucket, Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] >= START + timedelta(days=30)


def rewrite(world: World, key: str, change: Callable[[list[str]], list[str]]) -> None:
    """As somebody who can write into the bucket and delete what was there."""
    text = world.objects(NAMES.audit_bucket)[key].decode().splitlines()
    for version in world.s3.list_object_versions(Bucket=NAMES.audit_bucket, Prefix=key)["Versions"]:
        world.s3.delete_object(Bucket=NAMES.audit_bucket, Key=key, VersionId=version["VersionId"])
    world.put_audit(key, "\n".join([*change(text), ""]).encode())


def expire(world: World) -> None:
    """All events, by DynamoDB's TTL. The state of a feed never does."""
    table: Any = world.cloud.backend_of_tables().tables[f"{STACK}-events"]
    for item in table.all_items():
        if item.range_key.value != "0":
            del table.items[item.hash_key][item.range_key]
    world.restart()


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "changed": lambda text: [text[0], text[1].replace('"thing"', '"other"'), *text[2:]],
    "missing": lambda text: [text[0], *text[2:]],
    "last missing": lambda text: text[:-1],
    "reordered": lambda text: [text[0], text[2], text[1], text[3]],
    "added": lambda text: [*text, text[-1]],
    "not JSON": lambda text: [text[0], "?", *text[2:]],
    "another form": lambda text: [text[0], text[1].replace(":", ": ", 1), *text[2:]],
    "no seal": lambda text: text[1:],
}


@pytest.mark.parametrize("file", [0, 1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_file_is_found(world: World, acme: str, sealed: list[str], change: str, file: int) -> None:
    rewrite(world, sealed[file], CHANGES[change])
    assert faults(world, acme)


@pytest.mark.parametrize(("file", "found_by"), [(0, "names the hash"), (1, "names the hash"), (2, "state")])
def test_changed_file_is_found_when_its_events_have_expired(
    world: World, acme: str, sealed: list[str], file: int, found_by: str
) -> None:
    expire(world)
    assert faults(world, acme) == []
    rewrite(world, sealed[file], CHANGES["changed"])
    [fault] = faults(world, acme)
    assert found_by in fault


def test_missing_file_is_found(world: World, acme: str, sealed: list[str]) -> None:
    for key in sealed:
        [version] = world.s3.list_object_versions(Bucket=NAMES.audit_bucket, Prefix=key)["Versions"]
        body = world.objects(NAMES.audit_bucket)[key]
        world.s3.delete_object(Bucket=NAMES.audit_bucket, Key=key, VersionId=version["VersionId"])
        assert faults(world, acme), key
        world.put_audit(key, body)
        assert faults(world, acme) == []


def test_file_that_was_written_over_or_deleted_is_found(world: World, acme: str, sealed: list[str]) -> None:
    world.put_audit(sealed[0], b"{}\n")
    assert any("2 versions" in fault for fault in faults(world, acme))
    world.s3.delete_object(Bucket=NAMES.audit_bucket, Key=sealed[1])
    assert any("was deleted" in fault for fault in faults(world, acme))


def test_changed_feed_is_found(world: World, acme: str, sealed: list[str]) -> None:
    table: Any = world.cloud.backend_of_tables().tables[f"{STACK}-events"]
    [item] = [row for row in table.all_items() if row.range_key.value == "1"]
    line = item.attrs["lines"].value[4]
    line.value = line.value.replace('"thing"', '"other"')
    world.restart()
    assert faults(world, acme) == ["event 5 of the feed is not the one that was sealed"]


def test_feed_that_is_not_even_json_is_found(world: World, acme: str, sealed: list[str]) -> None:
    table: Any = world.cloud.backend_of_tables().tables[f"{STACK}-events"]
    [item] = [row for row in table.all_items() if row.range_key.value == "1"]
    item.attrs["lines"].value[4].value = "?"
    world.restart()
    assert faults(world, acme) == ["event 5 of the feed is not the one that was sealed"]


def test_changed_state_is_found(world: World, acme: str, sealed: list[str]) -> None:
    state = world.stores.feed.state(acme)
    world.stores.feed.set_state(acme, state, replace(state, sealed_sha256="0" * 64))
    assert any("state" in fault for fault in faults(world, acme))


def test_whole_new_chain_differs_from_the_feed(world: World, acme: str, sealed: list[str]) -> None:
    """Who rewrites every file and the state, but not the feed."""
    for key in sealed:
        for version in world.s3.list_object_versions(Bucket=NAMES.audit_bucket, Prefix=key)["Versions"]:
            world.s3.delete_object(Bucket=NAMES.audit_bucket, Key=key, VersionId=version["VersionId"])
    state = world.stores.feed.state(acme)
    begun = replace(state, sealed_sequence=0, sealed_sha256=None)
    world.stores.feed.set_state(acme, state, begun)
    seal_feed(world.stores, acme, begun)
    assert faults(world, acme) == []
    rewrite(world, keys.seal_key(acme, 7), CHANGES["changed"])
    assert any("event 7 of the feed" in fault for fault in faults(world, acme))
