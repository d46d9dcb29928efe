"""The local consumer does with the queue what Lambda does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.consumer import Consumer
from tests.integration.conftest import Machine


@pytest.fixture
def queue_url(machine: Machine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    sqs = machine.client("sqs")
    url = sqs.create_queue(QueueName=f"consumer-{abs(hash(request.node.name)) % 10**8}")["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def messages_left(machine: Machine, queue_url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = machine.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def test_handled_message_is_deleted_and_had_lambdas_form(machine: Machine, queue_url: str) -> None:
    machine.client("sqs").send_message(QueueUrl=queue_url, MessageBody="hello")
    events: list[dict[str, Any]] = []

    def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
        events.append(event)
        return {"batchItemFailures": []}

    consumer = Consumer(queue_url, handle)
    assert consumer.poll_once(1) == 1
    record = events[0]["Records"][0]
    assert record["body"] == "hello"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].startswith("arn:aws:sqs:")
    assert set(record) == {
        "messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody", "eventSource",
        "eventSourceARN", "awsRegion",
    }  # fmt: skip
    assert messages_left(machine, queue_url) == 0


def test_message_named_as_failed_stays(machine: Machine, queue_url: str) -> None:
    machine.client("sqs").send_message(QueueUrl=queue_url, MessageBody="hello")

    def fail(event: dict[str, Any], context: object) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}

    Consumer(queue_url, fail).poll_once(1)
    assert messages_left(machine, queue_url) == 1


def test_message_stays_when_the_handler_raises(machine: Machine, queue_url: str) -> None:
    machine.client("sqs").send_message(QueueUrl=queue_url, MessageBody="hello")

    def crash(event: dict[str, Any], context: object) -> dict[str, Any]:
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError):
        Consumer(queue_url, crash).poll_once(1)
    assert messages_left(machine, queue_url) == 1
