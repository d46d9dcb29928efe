"""Messages of things that are gone, unknown, foreign or no announcement at all."""

from __future__ import annotations

import pytest

from chalicelib import keys
from chalicelib.processing import processing
from tests.faults import cloud as aws
from tests.faults.announcements import NOWHERE, announce, send, status, upload
from tests.faults.audit import audit
from tests.faults.lab import Lab


def test_an_announcement_of_an_object_that_is_gone_fails_with_a_reason(lab: Lab) -> None:
    file_id, key = upload(lab)
    lab.accepted.clear()
    lab.cloud.s3.delete_object(Bucket=aws.TEMP_BUCKET, Key=key)
    lab.deliver()
    answer = lab.people["anna"].details(file_id)
    assert answer.body["status"] == "failed"
    assert answer.body["error_message"] == processing.BYTES_GONE
    assert not lab.dead_letters(), "trying again would have changed nothing"
    assert not audit(lab)


def test_an_announcement_of_an_unknown_file_deletes_its_bytes(lab: Lab) -> None:
    organization_id = lab.people["anna"].organization.organization_id
    key = keys.temp_key(organization_id, NOWHERE)
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=b"whose?")
    lab.deliver()
    assert lab.temp() == {}
    assert not audit(lab)


def test_an_announcement_of_anothers_file_id_under_my_prefix_touches_nothing_of_theirs(lab: Lab) -> None:
    theirs, _ = upload(lab, b"theirs", "berta")
    lab.deliver()
    mine = keys.temp_key(lab.people["anna"].organization.organization_id, theirs)
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=mine, Body=b"mine")
    lab.deliver()
    assert status(lab, theirs) == "completed"
    assert list(lab.permanent().values()) == [b"theirs"]
    assert not audit(lab)


FOREIGN_KEYS = [
    "elsewhere/file",
    "a b/c+d",
    "100%/%2F",
    "Grüße/Größe 世界 🎉.txt",
    "../../etc/passwd",
    "x" * 900,
    f"{NOWHERE}/{NOWHERE}/more",
    f"{NOWHERE}/{NOWHERE}\n",
    f"{NOWHERE.upper()}/{NOWHERE}",
]


@pytest.mark.parametrize("key", FOREIGN_KEYS)
def test_an_object_under_a_foreign_key_is_removed_whatever_is_in_the_key(lab: Lab, key: str) -> None:
    """S3 writes the key into the announcement URL-encoded, with + for a space; the object has it as it is."""
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=b"stray")
    lab.deliver()
    assert lab.temp() == {}
    assert not lab.queued()
    assert not lab.dead_letters()


def test_the_test_event_of_s3_is_taken_note_of_and_dropped(lab: Lab) -> None:
    send(lab, {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": aws.TEMP_BUCKET})
    with lab.wire.watched() as calls:
        lab.deliver()
    assert [call.name for call in calls if not call.name.startswith("SQS")] == []
    assert not lab.queued()
    assert not lab.dead_letters()


@pytest.mark.parametrize("event", ["ObjectRemoved:Delete", "ObjectRestore:Completed", ""])
def test_other_events_of_s3_are_dropped(lab: Lab, event: str) -> None:
    _, key = upload(lab)
    messages = lab.receive()
    announce(lab, key, event=event)
    lab.deliver()
    assert list(lab.temp()) == [key]
    lab.handle(messages)
    assert not audit(lab)


def test_an_announcement_of_another_bucket_touches_nothing(lab: Lab) -> None:
    file_id, key = upload(lab)
    messages = lab.receive()
    announce(lab, key, bucket="somebody-elses")
    lab.deliver()
    assert status(lab, file_id) == "pending"
    lab.handle(messages)
    assert not audit(lab)


MALFORMED = ["", " ", "not JSON", "[]", "null", "7", '"text"', "{}", '{"Records": 5}', '{"Records": [{}]}',
             '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": 7}}]}',
             '{"Records": [{"eventName": "ObjectCreated:Put", "s3": null}]}', "\x00", "{" * 2000]  # fmt: skip


@pytest.mark.parametrize("body", [body for body in MALFORMED if body.strip() and body != "\x00"])
def test_a_malformed_message_becomes_a_dead_letter_as_it_was(lab: Lab, body: str) -> None:
    send(lab, body)
    for _ in range(4):
        lab.deliver()
        lab.clock.forward(6000)
    assert not lab.queued()
    assert lab.dead_letters() == [body]


@pytest.mark.parametrize("body", MALFORMED)
def test_a_malformed_message_does_not_take_the_rest_of_its_batch_along(lab: Lab, body: str) -> None:
    first, _ = upload(lab, b"first")
    second, _ = upload(lab, b"second")
    batch = [*lab.receive(), *lab.receive()]
    bad = {**batch[0], "MessageId": "bad", "ReceiptHandle": "bad", "Body": body}
    lab.handle([batch[0], bad, batch[1]])
    assert [status(lab, first), status(lab, second)] == ["completed", "completed"]
    assert not lab.queued()
