"""The local consumer does with the queue what Lambda does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.functions import PUBLISH
from infra.local.checkpoints import Checkpoints
from infra.local.consumer import StreamReader
from infra.local.queue_reader import QueueReader
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

    consumer = QueueReader(queue_url, handle)
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

    QueueReader(queue_url, fail).poll_once(1)
    assert messages_left(machine, queue_url) == 1


def test_message_stays_when_the_handler_raises(machine: Machine, queue_url: str) -> None:
    machine.client("sqs").send_message(QueueUrl=queue_url, MessageBody="hello")

    def crash(event: dict[str, Any], context: object) -> dict[str, Any]:
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError):
        QueueReader(queue_url, crash).poll_once(1)
    assert messages_left(machine, queue_url) == 1


@pytest.fixture
def table(machine: Machine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    dynamodb, name = machine.client("dynamodb"), f"streamed-{abs(hash(request.node.name)) % 10**8}"
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    yield name
    dynamodb.delete_table(TableName=name)


class Reading:
    """A stream's reader whose handler notes what it gets, and may fail."""

    def __init__(self, machine: Machine, table: str, file: Path) -> None:
        self._machine, self._table, self._file = machine, table, file
        self.got: list[str] = []
        self.is_broken = False
        self.start()

    def start(self) -> None:
        self._reader = StreamReader(self._table, self._handle, PUBLISH, 2, Checkpoints(self._file))

    def put(self, *names: str) -> None:
        for name in names:
            self._machine.client("dynamodb").put_item(TableName=self._table, Item={"id": {"S": name}})

    def read(self) -> list[str]:
        """What was handled until there was nothing more."""
        self.got.clear()
        while self._reader.read_once():
            pass
        return list(self.got)

    def _handle(self, event: dict[str, Any], context: object) -> None:
        if self.is_broken:
            raise RuntimeError("broken")
        self.got += [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]


def test_stream_goes_on_after_the_last_batch_that_was_handled(machine: Machine, table: str, tmp_path: Path) -> None:
    reading = Reading(machine, table, tmp_path / "checkpoints.json")
    reading.put("a", "b", "c")
    assert reading.read() == ["a", "b", "c"]
    reading.put("d", "e")
    reading.is_broken = True
    with pytest.raises(RuntimeError):
        reading.read()
    reading.is_broken = False
    reading.start()
    assert reading.read() == ["d", "e"]
    reading.start()
    assert reading.read() == []


def test_stream_is_read_from_the_start_where_the_last_record_is_not_known(
    machine: Machine, table: str, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoints.json"
    reading = Reading(machine, table, file)
    reading.put("a")
    assert reading.read() == ["a"]
    shards = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(dict.fromkeys(shards, "9" * 30)), encoding="utf-8")
    reading.start()
    assert reading.read() == ["a"]
