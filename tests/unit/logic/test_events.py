"""Batches of the uploads queue, as Lambda hands them over: each message on its own, retries, dead letters."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from chalicelib.processing import announcements as events
from chalicelib.processing.processing import MAX_STARTS
from chalicelib.sweep.sweeping import sweep
from infra import template
from infra.local.queue_reader import HOLD_SECONDS, QueueReader
from tests.aws_calls import refused, unreachable
from tests.moto_aws import s3_notification
from tests.unit.api import Api, Session
from tests.unit.cloud import PERMANENT_BUCKET, QUEUE, TEMP_BUCKET
from tests.unit.logbook import Logbook
from tests.unit.world import World


def status(world: World, file_id: str) -> str:
    file = world.file(file_id)
    assert file is not None
    return file.status


def test_upload_announces_itself_and_is_processed(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    assert world.work() == [[]]
    assert status(world, file_id) == "completed"
    assert world.queued() == 0


def test_failed_attempts_wait_2_and_4_seconds_and_then_it_is_over(
    api: Api, anna: Session, world: World, unhurried: None
) -> None:
    file_id = api.upload(anna).json["id"]
    waits = []
    with refused("s3.GetObject"):
        for attempt in range(1, 4):
            (failed,) = world.work(batch=1)
            assert len(failed) == 1
            waits += world.hidden_for_seconds()
            # The first try of a small file takes no lease; the second counts both.
            assert world.file(file_id).attempts >= (attempt if attempt > 1 else 0)  # type: ignore[union-attr]
            assert status(world, file_id) == {1: "pending", 2: "processing", 3: "failed"}[attempt]
            world.forward()
    assert waits == [2, 4]
    assert world.work() == []
    file = world.file(file_id)
    assert file is not None
    assert "could not be processed" in (file.error_message or "")
    assert not file.unrecoverable
    assert list(world.temp()) == [world.temp_key(file_id)], "the bytes stay, so that it can be processed again"
    (letter,) = world.dead_letters()
    assert world.temp_key(file_id) in letter.replace("%2F", "/"), "the dead letter is all that a redrive needs"
    usage = world.organization().usage
    assert (usage.bytes_used, usage.files_used) == (0, 0)


def test_dead_letter_sent_again_completes_the_file(api: Api, anna: Session, world: World, unhurried: None) -> None:
    file_id = api.upload(anna, b"hello").json["id"]
    with refused("s3.GetObject"):
        world.drain()
    assert status(world, file_id) == "failed"
    world.send(world.dead_letters()[0])
    world.drain()
    assert status(world, file_id) == "completed"
    usage = world.organization().usage
    assert (usage.bytes_used, usage.files_used) == (5, 1)
    assert world.file(file_id).error_message is None  # type: ignore[union-attr]


def test_outage_is_waited_for(api: Api, anna: Session, world: World, unhurried: None) -> None:
    """Three tries, a minute, three tries, five minutes; and nobody is told that the file is to blame."""
    file_id = api.upload(anna, b"hello").json["id"]
    waits = []
    with unreachable("s3.GetObject"):
        for number in range(6):
            world.work(batch=1)
            waits += world.hidden_for_seconds()
            assert status(world, file_id) == ("processing" if number else "pending")
            world.forward()
    assert waits == [2, 4, 60, 2, 4, 300]
    assert world.work() == [[]]
    assert status(world, file_id) == "completed"
    assert world.dead_letters() == []


def test_outage_is_not_waited_for_without_end(api: Api, anna: Session, world: World, unhurried: None) -> None:
    file_id = api.upload(anna, b"hello").json["id"]
    with unreachable("s3.GetObject"):
        world.drain()
    file = world.file(file_id)
    assert file is not None
    # Ending it takes the lease once more.
    assert (file.status, file.attempts, file.unrecoverable) == ("failed", MAX_STARTS + 1, False)
    assert len(world.dead_letters()) == 1
    assert world.organization().usage.bytes_used == 0


def test_outage_that_takes_the_queue_along_is_left_to_the_sweep(
    api: Api, anna: Session, world: World, unhurried: None
) -> None:
    file_id = api.upload(anna, b"hello").json["id"]
    with unreachable("s3.GetObject", "sqs.SendMessage"):
        world.drain()
    assert status(world, file_id) == "processing"
    assert sweep(world.stores, stale_seconds=-1)["requeued"] == 1
    world.drain()
    assert status(world, file_id) == "completed"


def test_success_after_a_failure_is_a_success(api: Api, anna: Session, world: World, unhurried: None) -> None:
    file_id = api.upload(anna).json["id"]
    with unreachable("s3.CopyObject"):
        world.work()
    world.forward()
    assert world.work() == [[]]
    assert status(world, file_id) == "completed"
    assert world.dead_letters() == []


def test_permanent_fault_is_not_tried_again(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.s3.delete_object(Bucket=world.stores.settings.temp_bucket, Key=world.temp_key(file_id))
    assert world.work() == [[]]
    assert status(world, file_id) == "failed"
    assert (world.queued(), world.dead_letters()) == (0, [])


def test_one_bad_message_of_a_batch_holds_up_no_other(api: Api, anna: Session, world: World) -> None:
    first = api.upload(anna).json["id"]
    world.send("not JSON")
    second = api.upload(anna).json["id"]
    event = world.receive()
    assert event
    assert len(event["Records"]) == 3
    kept = world.handle(event)
    assert kept == [event["Records"][1]["messageId"]]
    assert (status(world, first), status(world, second)) == ("completed", "completed")
    assert world.queued() == 1


def test_message_of_several_objects_is_done_when_all_are(
    api: Api, anna: Session, world: World, unhurried: None
) -> None:
    ids = [api.upload(anna).json["id"] for _ in range(2)]
    world.forget_messages()
    world.announce(*(world.temp_key(file_id) for file_id in ids))
    with unreachable("s3.CopyObject"):
        world.work()
    world.forward()
    assert world.work() == [[]]
    assert [status(world, file_id) for file_id in ids] == ["completed", "completed"]


@pytest.mark.parametrize("repeats", [2, 7])
def test_repeated_announcements_complete_once(api: Api, anna: Session, world: World, repeats: int) -> None:
    file_id = api.upload(anna).json["id"]
    for _ in range(repeats):
        world.announce(world.temp_key(file_id))
    event = world.receive()
    assert event
    assert world.handle(event) == []
    world.drain()
    assert status(world, file_id) == "completed"
    assert len(world.permanent()) == 1
    versions = world.s3.list_object_versions(Bucket=PERMANENT_BUCKET)
    assert len(versions["Versions"]) == 1, "it was copied once"


NOT_OURS: dict[str, Any] = {
    "S3's test": {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "Time": "2026-01-01T00:00:00Z"},
    "another bucket": s3_notification("a/b", bucket="somebody-elses"),
    "a deletion": s3_notification("a/b", bucket=TEMP_BUCKET, event="ObjectRemoved:Delete"),
    "no records": {"Records": []},
}


@pytest.mark.parametrize("body", NOT_OURS.values(), ids=NOT_OURS)
def test_what_is_not_about_an_upload_is_passed_over(world: World, body: Any) -> None:
    before = world.snapshot()
    world.send(body)
    assert world.work() == [[]]
    assert world.queued() == 0
    assert world.snapshot() == before


MALFORMED = {
    "empty text": " ",
    "text": "hello",
    "cut": '{"Records": [',
    "number": "7",
    "null": "null",
    "list": "[]",
    "no records": "{}",
    "records are no list": '{"Records": 7}',
    "record is no object": '{"Records": ["x"]}',
    "record without bucket": '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "a"}}}]}',
    "key is no text": json.dumps(s3_notification("k", bucket=TEMP_BUCKET)).replace('"k"', "{}"),
    "very deep": "[" * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_message_goes_to_the_dead_letters_soon(world: World, body: str, logbook: Logbook) -> None:
    before = world.snapshot()
    world.send(body)
    for _ in range(3):
        (failed,) = world.work()
        assert len(failed) == 1
        assert all(seconds <= 8 for seconds in world.hidden_for_seconds()), "it waits for hours"
        world.forward()
    assert world.work() == []
    assert world.dead_letters() == [body]
    assert world.snapshot() == before
    assert any(line["level"] == "ERROR" for line in logbook.lines)


ODD_KEYS = ["a b+c%d.txt", "ünï/cødé", "😀", "%2B+ +%20", "a/b\nc", "+", "../x", "key with 'quotes\" & <tags>"]


@pytest.mark.parametrize("encode", [quote, quote_plus])
@pytest.mark.parametrize("key", ODD_KEYS)
def test_key_is_read_as_storage_writes_it(world: World, key: str, encode: Any) -> None:
    """Storage encodes keys in its events; whichever way it does, the object meant is the one dealt with."""
    world.put_temp(key, b"stray")
    world.put_temp("other", b"stray")
    world.forget_messages()
    world.announce(encode(key, safe="/"))
    assert world.work() == [[]]
    assert list(world.temp()) == ["other"]


def test_three_attempts_are_what_the_queue_grants() -> None:
    queue = template.data_plane("test")["Resources"]["UploadsQueue"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == events.MAX_RECEIVES


def test_queue_away_while_arranging_a_retry_is_no_new_error(
    api: Api, anna: Session, world: World, unhurried: None, logbook: Logbook
) -> None:
    file_id = api.upload(anna).json["id"]
    with unreachable("s3.GetObject", "sqs.ChangeMessageVisibility"):
        event = world.receive()
        assert event
        assert len(world.handle(event)) == 1
    assert any(line["level"] == "WARNING" for line in logbook.lines)
    world.forward()
    world.drain()
    assert status(world, file_id) == "completed"


def test_local_consumer_deletes_only_what_was_handled(api: Api, anna: Session, world: World, unhurried: None) -> None:
    file_id = api.upload(anna).json["id"]
    functions = world.cloud.chalice.lambda_
    consumer = QueueReader(world.queue_url, lambda event, _: functions.invoke("process_uploads", event).payload)
    with unreachable("s3.GetObject"):
        assert consumer.poll_once(0) == 1
    assert (status(world, file_id), world.queued()) == ("pending", 1)
    world.forward()
    assert consumer.poll_once(0) == 1
    assert (status(world, file_id), world.queued()) == ("completed", 0)


def test_message_of_a_local_consumer_that_was_killed_comes_again_soon(api: Api, anna: Session, world: World) -> None:
    """By the queue's own time it would stay hidden for an hour and a half."""
    api.upload(anna)
    meanwhile: list[float] = []
    QueueReader(world.queue_url, lambda event, _: meanwhile.append(world.hidden_seconds())).poll_once(0)
    assert 0 < meanwhile[0] <= HOLD_SECONDS


def test_message_is_held_for_as_long_as_it_is_handled(api: Api, anna: Session, world: World) -> None:
    api.upload(anna)
    meanwhile: list[float] = []

    def handle(event: object, context: object) -> None:
        (message,) = world.cloud.messages(QUEUE)
        message.visible_at -= (HOLD_SECONDS - 5) * 1000
        reader.renew_holds(before_seconds=0)
        meanwhile.append(world.hidden_seconds())

    reader = QueueReader(world.queue_url, handle)
    reader.poll_once(0)
    assert HOLD_SECONDS - 5 < meanwhile[0] <= HOLD_SECONDS
    reader.renew_holds(before_seconds=0)
    assert world.queued() == 0


def test_message_of_a_call_that_raises_is_hidden_for_as_long_as_the_queue_says(
    api: Api, anna: Session, world: World
) -> None:
    api.upload(anna)
    queue = template.data_plane("test")["Resources"]["UploadsQueue"]["Properties"]

    def crash(event: object, context: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        QueueReader(world.queue_url, crash).poll_once(0)
    assert queue["VisibilityTimeout"] - 60 < world.hidden_seconds() <= queue["VisibilityTimeout"]


def test_event_of_the_wrong_shape_is_an_error_of_the_function(world: World) -> None:
    """Lambda would never send it; then the whole batch must stay in the queue."""
    with pytest.raises(KeyError):
        events.read_batch({"Records": [{"messageId": "x"}]})
