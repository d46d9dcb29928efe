"""The contract of ``chalicelib.webhooks.wakeup_ports.WakeupQueue``, on SQS as moto plays it and on the memory twin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
import time_machine
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.platform.outages import is_outage
from chalicelib.platform.wakeup_queue import SqsWakeupQueue
from chalicelib.webhooks.batches import Message
from chalicelib.webhooks.wakeup_ports import Wakeup, WakeupQueue
from tests.aws_calls import aws_calls, listening, unreachable
from tests.memory.wakeups import VISIBILITY_SECONDS, MemoryWakeups
from tests.memory.wire import Wire
from tests.moto_gaps import aws_answer
from tests.unit.cloud import NAMES
from tests.unit.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = NAMES.webhooks_queue


class Side(Protocol):
    """The port, the consumer of the queue, and what goes wrong."""

    queue: WakeupQueue

    def receive(self) -> list[Message]: ...
    def delete(self, receipt_handle: str) -> None: ...
    def away(self) -> AbstractContextManager[object]: ...


class InMemory:
    def __init__(self) -> None:
        self._wire = Wire()
        self._twin = MemoryWakeups(self._wire)
        self.queue: WakeupQueue = self._twin

    def receive(self) -> list[Message]:
        return self._twin.receive()

    def delete(self, receipt_handle: str) -> None:
        self._twin.delete(receipt_handle)

    def away(self) -> AbstractContextManager[object]:
        return self._wire.away()


class OnMoto:
    def __init__(self, world: World) -> None:
        self._sqs = world.sqs
        self._url = NAMES.queue_url(QUEUE)
        self.queue: WakeupQueue = SqsWakeupQueue(self._url)

    def receive(self) -> list[Message]:
        found = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        return [Message(m["MessageId"], m["ReceiptHandle"], m["Body"]) for m in found.get("Messages", [])]

    def delete(self, receipt_handle: str) -> None:
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=receipt_handle)

    def away(self) -> AbstractContextManager[object]:
        return unreachable("sqs")


@pytest.fixture(params=["moto", "memory"])
def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    # The client's waits between attempts.
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    # Before the journey: sessions of the world begin now.
    side = InMemory() if request.param == "memory" else OnMoto(request.getfixturevalue("world"))
    with time_machine.travel(NOW, tick=False):
        yield side


def received(side: Side, seconds: float) -> list[Message]:
    """What the consumer gets so long after NOW."""
    with time_machine.travel(NOW + timedelta(seconds=seconds), tick=False):
        return side.receive()


def wakeups(count: int) -> list[Wakeup]:
    return [Wakeup("organization", f"webhook-{number}") for number in range(count)]


def test_message_names_the_webhook_and_nothing_else(side: Side) -> None:
    side.queue.send(wakeups(1))
    (message,) = side.receive()
    assert json.loads(message.body) == {"organization_id": "organization", "webhook_id": "webhook-0"}


def test_nothing_is_sent_for_none(side: Side) -> None:
    with side.away():
        side.queue.send([])
    assert side.receive() == []


def test_each_of_many_gets_a_message_of_its_own(side: Side) -> None:
    side.queue.send(wakeups(23))
    told: list[str] = []
    while messages := side.receive():
        told += [json.loads(message.body)["webhook_id"] for message in messages]
        assert len({message.message_id for message in messages}) == len(messages)
    assert sorted(told) == sorted(wakeup.webhook_id for wakeup in wakeups(23))


@pytest.mark.parametrize("seconds", [1, 900])
def test_delayed_message_is_seen_later(side: Side, seconds: int) -> None:
    side.queue.send([Wakeup("organization", "webhook", seconds), Wakeup("organization", "another")])
    (other,) = received(side, 0)
    side.delete(other.receipt_handle)
    assert received(side, seconds - 0.5) == []
    assert len(received(side, seconds)) == 1


def test_delay_out_of_bounds_is_an_error_and_no_outage(side: Side) -> None:
    with pytest.raises(Exception, match=r".") as refused:
        side.queue.send([Wakeup("organization", "webhook", 901)])
    assert not is_outage(refused.value)
    assert side.receive() == []


def test_message_is_seen_once_until_it_is_to_be_shown_again(side: Side) -> None:
    side.queue.send(wakeups(1))
    (first,) = received(side, 0)
    assert received(side, 60) == []
    with time_machine.travel(NOW + timedelta(seconds=70), tick=False):
        side.queue.delay(first.receipt_handle, 60)
    assert received(side, 129.5) == []
    (second,) = received(side, 130.5)
    assert (second.message_id, second.body) == (first.message_id, first.body)
    side.delete(second.receipt_handle)
    assert received(side, 10_000) == []


def test_message_that_nobody_deletes_is_shown_again_after_the_queues_own_time(side: Side) -> None:
    side.queue.send(wakeups(1))
    (first,) = received(side, 0)
    assert received(side, VISIBILITY_SECONDS - 1) == []
    assert [message.message_id for message in received(side, VISIBILITY_SECONDS + 1)] == [first.message_id]


def test_message_that_is_never_deleted_dies(side: Side) -> None:
    side.queue.send(wakeups(1))
    seen = [len(received(side, number * (VISIBILITY_SECONDS + 1))) for number in range(7)]
    assert seen == [1, 1, 1, 1, 1, 0, 0]


def test_outage_is_told_from_a_bug(side: Side) -> None:
    side.queue.send(wakeups(1))
    (message,) = side.receive()
    with side.away():
        with pytest.raises(EndpointConnectionError) as outage:
            side.queue.send(wakeups(1))
        assert is_outage(outage.value)
        with pytest.raises(EndpointConnectionError):
            side.queue.delay(message.receipt_handle, 1)
    assert side.receive() == []


# ---- SQS only --------------------------------------------------------------------------------------------------------
def test_ten_messages_are_one_call(world: World) -> None:
    queue = SqsWakeupQueue(NAMES.queue_url(QUEUE))
    with aws_calls() as made:
        queue.send(wakeups(21))
    assert made == ["sqs.SendMessageBatch"] * 3


@pytest.mark.parametrize(("code", "is_ours"), [("InternalError", False), ("InvalidMessageContents", True)])
def test_message_that_a_batch_failed_at_is_an_error(world: World, code: str, is_ours: bool) -> None:
    failed = {"Id": "1", "Code": code, "Message": "no", "SenderFault": is_ours}

    def answer(operation: str, _: AWSPreparedRequest) -> AWSResponse | None:
        if operation != "sqs.SendMessageBatch":
            return None
        return aws_answer(200, json.dumps({"Successful": [], "Failed": [failed]}).encode())

    with listening(answer), pytest.raises(ClientError) as refused:
        SqsWakeupQueue(NAMES.queue_url(QUEUE)).send(wakeups(2))
    assert is_outage(refused.value) != is_ours


def test_throttled_queue_is_an_outage(world: World) -> None:
    def answer(operation: str, _: AWSPreparedRequest) -> AWSResponse | None:
        body = {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"}
        return aws_answer(403, json.dumps(body).encode()) if operation == "sqs.SendMessageBatch" else None

    with listening(answer), pytest.raises(ClientError) as refused:
        SqsWakeupQueue(NAMES.queue_url(QUEUE)).send(wakeups(1))
    assert is_outage(refused.value)
