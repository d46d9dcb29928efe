"""Announcements that come twice, at once, late or in the wrong order; bytes that change in between."""

from __future__ import annotations

import hashlib
import threading

import pytest
from botocore.exceptions import ClientError

from chalicelib import keys
from chalicelib.kernel.errors import ObjectChanged
from chalicelib.processing import processing
from chalicelib.processing.announcements import SHORT_WAIT_SECONDS
from chalicelib.processing.ports import CheckedBytes
from tests.faults import cloud as aws
from tests.faults.announcements import NOWHERE, announce, status, upload
from tests.faults.audit import audit
from tests.faults.lab import Lab
from tests.faults.steps import BIG, LONG, put_directly
from tests.faults.wire import Call, Mode


def test_the_same_announcement_many_times_is_one_completion(lab: Lab) -> None:
    file_id, key = upload(lab)
    for _ in range(5):
        announce(lab, key)
    with lab.wire.watched() as calls:
        lab.deliver()
    assert status(lab, file_id) == "completed"
    assert sum("CopyObject" in call.name for call in calls) == 1
    assert not audit(lab)


@pytest.mark.parametrize("waited_seconds", [0, SHORT_WAIT_SECONDS + 1])
@pytest.mark.parametrize("consumers", [2, 5])
def test_several_consumers_at_once_complete_a_file_once(lab: Lab, consumers: int, waited_seconds: int) -> None:
    """All have read the row as pending before the first of them goes on. Without a lease each makes a copy."""
    file_id, key = upload(lab, LONG)
    for _ in range(consumers - 1):
        announce(lab, key)
    lab.clock.forward(waited_seconds)
    batches = [lab.receive() for _ in range(consumers)]
    together = threading.Barrier(consumers)

    def meet(call: Call) -> Mode | None:
        if call.name.startswith("DynamoDB TransactWriteItems") and not getattr(
            threading.current_thread(), "met", False
        ):
            threading.current_thread().met = True  # type: ignore[attr-defined]
            together.wait(20)
        return None

    with lab.wire.watched(meet) as calls:
        threads = [threading.Thread(target=lab.handle, args=(batch,)) for batch in batches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sum("CopyObject" in call.name for call in calls) == (1 if waited_seconds else consumers)
    lab.recover()
    assert status(lab, file_id) == "completed"
    assert not lab.dead_letters()
    assert not audit(lab)


def test_a_worker_leaves_alone_what_another_holds(lab: Lab) -> None:
    file_id, key = upload(lab)
    # So that a lease is taken.
    lab.clock.forward(SHORT_WAIT_SECONDS + 1)
    with lab.wire.watched(lambda call: Mode.DIES_AFTER if "TransactWriteItems" in call.name else None):
        lab.handle(lab.receive())
    announce(lab, key)
    with lab.wire.watched() as calls:
        lab.handle(lab.receive())
    assert not any("GetObject" in call.name for call in calls)
    assert status(lab, file_id) == "processing"
    lab.recover()
    assert status(lab, file_id) == "completed"
    assert not audit(lab)


def test_a_worker_on_its_last_attempt_does_not_fail_what_another_holds(lab: Lab) -> None:
    """It never got as far as seeing that the file is in other hands."""
    file_id, key = upload(lab)
    announce(lab, key)
    first, second = lab.receive(), lab.receive()
    for _ in range(2):
        with lab.wire.watched(lambda call: Mode.REFUSED if "Get" in call.name else None):
            lab.handle(second)
        lab.clock.forward(10)
        second = lab.receive()
    with lab.wire.watched(lambda call: Mode.DIES_AFTER if "CopyObject" in call.name else None):
        lab.handle(first)

    def fails_once(call: Call) -> Mode | None:
        return Mode.REFUSED if call.name.startswith("DynamoDB TransactGetItems") or call.position == 1 else None

    with lab.wire.watched(fails_once):
        lab.handle(second)
    assert status(lab, file_id) == "processing"
    assert lab.permanent(), "the copy of the worker that holds the file was deleted"
    lab.recover()
    assert status(lab, file_id) == "completed"
    assert not audit(lab)


def test_announcements_in_any_order_each_bring_their_own_file_to_its_end(lab: Lab) -> None:
    files = [upload(lab, f"file {number}".encode(), username) for number in range(3) for username in ("anna", "berta")]
    batches = [lab.receive() for _ in files]
    for batch in reversed(batches):
        lab.handle(batch)
    assert [status(lab, file_id) for file_id, _ in files] == ["completed"] * 6
    assert not audit(lab)


def test_of_a_batch_only_what_failed_is_shown_again(lab: Lab) -> None:
    files = [upload(lab, f"file {number}".encode()) for number in range(4)]
    batch = [message for _ in files for message in lab.receive()]
    copies = []

    def second_copy_fails(call: Call) -> Mode | None:
        if "CopyObject" in call.name:
            copies.append(call)
        return Mode.SERVER_ERROR if "CopyObject" in call.name and len(copies) == 2 else None

    with lab.wire.watched(second_copy_fails):
        lab.handle(batch)
    assert [status(lab, file_id) for file_id, _ in files] == ["completed", "pending", "completed", "completed"]
    assert lab.queued() == 1
    lab.recover()
    assert not audit(lab)


def test_a_failed_attempt_is_shown_again_after_two_to_the_power_of_its_number_of_seconds(lab: Lab) -> None:
    upload(lab)
    waits = []
    for _ in range(3):
        messages = lab.receive()
        with lab.wire.watched(lambda call: Mode.REFUSED if "CopyObject" in call.name else None):
            lab.handle(messages)
        (message,) = lab.cloud.messages(aws.QUEUE)
        waits.append(round(message.visible_at / 1000 - lab.clock.now()))
        lab.clock.forward(waits[-1] + 0.01)
    assert waits == [2, 4, 0]


def test_a_file_that_failed_three_times_is_a_dead_letter_that_can_be_redriven(lab: Lab) -> None:
    file_id, key = upload(lab)
    for _ in range(3):
        with lab.wire.watched(lambda call: Mode.REFUSED if "CopyObject" in call.name else None):
            lab.handle(lab.receive())
        lab.clock.forward(10)
    lab.deliver()
    details = lab.people["anna"].details(file_id).body
    assert details["status"] == "failed"
    assert details["error_message"] == processing.GAVE_UP
    assert list(lab.temp()) == [key]
    assert len(lab.dead_letters()) == 1
    assert lab.redrive() == 1
    lab.recover()
    assert status(lab, file_id) == "completed"
    assert not audit(lab)


@pytest.mark.parametrize("parts", [False, True], ids=["one call", "in parts"])
def test_an_object_overwritten_between_hashing_and_copying_is_hashed_again(lab: Lab, parts: bool) -> None:
    """What is kept is what was hashed: the copy is refused, and the next attempt reads the new bytes."""
    if parts:
        lab.copy_in_parts_above(1)
    file_id = put_directly(lab, b"A" * 1000)
    key = keys.temp_key(lab.people["anna"].organization.organization_id, file_id)

    def overwrite(call: Call) -> Mode | None:
        if ("CopyObject" in call.name or "CreateMultipartUpload" in call.name) and lab.deliveries == 1:
            with lab.wire.by_somebody_else():
                lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=b"B" * 1000)
        return None

    with lab.wire.watched(overwrite):
        lab.handle(lab.receive())
    assert lab.permanent() == {}, "bytes were kept that nobody had looked at"
    lab.recover()
    assert status(lab, file_id) == "completed"
    assert list(lab.permanent().values()) == [b"B" * 1000]
    assert not audit(lab)


def test_an_object_deleted_between_hashing_and_copying_fails_with_a_reason(lab: Lab) -> None:
    file_id = put_directly(lab, b"A" * 1000)
    key = keys.temp_key(lab.people["anna"].organization.organization_id, file_id)

    def remove(call: Call) -> Mode | None:
        if "CopyObject" in call.name:
            with lab.wire.by_somebody_else():
                lab.cloud.s3.delete_object(Bucket=aws.TEMP_BUCKET, Key=key)
        return None

    with lab.wire.watched(remove):
        lab.handle(lab.receive())
    lab.recover()
    row = lab.row(file_id)
    assert row is not None
    assert (row.status, row.error_message) == ("failed", processing.BYTES_GONE)
    assert not audit(lab)


def test_a_presigned_upload_used_again_after_completion_changes_nothing(lab: Lab) -> None:
    anna = lab.people["anna"]
    started = anna.start_direct(len(b"the bytes"))
    anna.send_bytes(started, b"the bytes")
    lab.deliver()
    before = lab.permanent()
    organization_id, file_id = anna.organization.organization_id, started.body["id"]
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=keys.temp_key(organization_id, file_id), Body=b"other byt")
    lab.deliver()
    assert lab.permanent() == before
    assert status(lab, file_id) == "completed"
    assert not audit(lab)


def test_a_presigned_upload_used_again_while_it_is_processed_ends_with_bytes_that_were_hashed(lab: Lab) -> None:
    """The second object arrives between the copy and the completion; it goes with the upload."""
    file_id = put_directly(lab, b"A" * 1000)
    key = keys.temp_key(lab.people["anna"].organization.organization_id, file_id)
    copied = []

    def overwrite(call: Call) -> Mode | None:
        if "CopyObject" in call.name:
            copied.append(call)
        elif copied and "TransactWriteItems" in call.name:
            with lab.wire.by_somebody_else():
                lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=b"B" * 1000)
            copied.clear()
        return None

    with lab.wire.watched(overwrite):
        lab.handle(lab.receive())
    lab.recover()
    assert status(lab, file_id) == "completed"
    assert list(lab.permanent().values()) == [b"A" * 1000]
    assert not audit(lab)


def test_parts_are_put_together_once_however_often_it_is_asked(lab: Lab) -> None:
    anna = lab.people["anna"]
    started = anna.start_direct(len(BIG))
    anna.send_bytes(started, BIG)
    for _ in range(3):
        assert anna.complete(started.body["id"], BIG).status == 200
    lab.deliver()
    for _ in range(2):
        assert anna.complete(started.body["id"], BIG).status == 200
    lab.recover()
    assert status(lab, started.body["id"]) == "completed"
    assert not audit(lab)


def test_the_copy_is_refused_when_the_object_has_changed(lab: Lab) -> None:
    """The stand-in for S3 does what S3 does here, or the tests above would prove nothing."""
    organization_id = lab.people["anna"].organization.organization_id
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=keys.temp_key(organization_id, NOWHERE), Body=b"A")
    with lab.stores.objects.open_temp(organization_id, NOWHERE) as source:
        lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=keys.temp_key(organization_id, NOWHERE), Body=b"B")
        with pytest.raises(ObjectChanged):
            lab.stores.objects.copy_to_permanent(
                organization_id,
                NOWHERE,
                "name",
                source,
                CheckedBytes(hashlib.sha256(b"A").hexdigest()),
                content_type="text/plain",
                disposition="attachment",
            )
    with pytest.raises(ClientError):
        lab.cloud.s3.head_object(Bucket=aws.PERMANENT_BUCKET, Key=keys.permanent_key(organization_id, NOWHERE, "name"))
