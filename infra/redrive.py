"""Moves dead letters back into the queues that they come from, one by one, so that each is seen and none is lost.

Send first, delete then: a crash in between leaves a message in both queues, and processing a file twice is harmless.
(StartMessageMoveTask would do it inside SQS, but tells nothing of single messages and is not known to every emulator.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import keys
from chalicelib.events.records import Target
from infra.environment import NotReachable
from infra.functions import QUEUES
from infra.operator_events import tell

if TYPE_CHECKING:
    from chalicelib.wiring import Stores

BATCH_MESSAGES = 10
WAIT_SECONDS = 2
#: While one redrive works on a message, another must not see it.
VISIBILITY_SECONDS = 60


def redrive(stores: Stores, report: Callable[[str], None], limit: int | None = None) -> int:
    """Move what is there now, at most `limit` in all. Returns how many were moved.

    :raises NotReachable: it is not known where the dead letters of a queue are. Nothing is moved then.
    """
    moved = 0
    for source, target in _queues(stores):
        moved += _move(stores, source, target, report, None if limit is None else limit - moved)
    return moved


def count_dead_letters(stores: Stores) -> int:
    """How many there are now, about (AWS: the number is approximate).

    :raises NotReachable: it is not known where the dead letters of a queue are.
    """
    sqs: Any = boto3.client("sqs")
    return sum(_count(sqs, source) for source, _ in _queues(stores))


def _queues(stores: Stores) -> list[tuple[str, str]]:
    """``(dead letters, where they come from)`` of each queue."""
    pairs = []
    for queue in QUEUES:
        dead_letters = getattr(stores.settings, queue.dead_letters)
        if dead_letters is None:
            variable = queue.dead_letters.upper()
            raise NotReachable(f"{variable} is not set, so it is not known where the dead letters are.")
        pairs.append((dead_letters, getattr(stores.settings, queue.setting)))
    return pairs


def _count(sqs: Any, queue_url: str) -> int:
    attribute = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[attribute])["Attributes"][attribute])


def _move(stores: Stores, source_url: str, target_url: str, report: Callable[[str], None], limit: int | None) -> int:
    sqs: Any = boto3.client("sqs")
    there = _count(sqs, source_url)
    target = there if limit is None else min(limit, there)
    moved = 0
    while moved < target:
        messages = sqs.receive_message(
            QueueUrl=source_url,
            MaxNumberOfMessages=min(BATCH_MESSAGES, target - moved),
            WaitTimeSeconds=WAIT_SECONDS,
            VisibilityTimeout=VISIBILITY_SECONDS,
        ).get("Messages", [])
        if not messages:
            break
        try:
            while messages:
                body, handle = messages[0]["Body"], messages[0]["ReceiptHandle"]
                sqs.send_message(QueueUrl=target_url, MessageBody=body)
                # Before the deletion: after a crash in between it is moved, and told, once more, as the same event.
                _tell_moved(stores, body, messages[0]["MessageId"])
                sqs.delete_message(QueueUrl=source_url, ReceiptHandle=handle)
                messages.pop(0)
                moved += 1
                report(f"  {moved}/{target} {_what(body)}")
        finally:
            _show_again(sqs, source_url, messages)
    return moved


def _show_again(sqs: Any, queue_url: str, messages: list[dict[str, Any]]) -> None:
    """After a failure, or Ctrl-C: else the next redrive, and the alarm, would take the queue for empty for a while."""
    for message in messages:
        with suppress(ClientError, BotoCoreError):
            sqs.change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )


def _tell_moved(stores: Stores, body: str, message_id: str) -> None:
    named = [keys.parse_temp_key(key) for key in _object_keys(body) or ()]
    for number, (organization_id, file_id) in enumerate(key for key in named if key is not None):
        occasion = f"{message_id} {number}"
        tell(stores, "redrive", organization_id=organization_id, target=Target("file", file_id), occasion=occasion)
    if not any(named):
        tell(stores, "redrive", occasion=message_id, message_id=message_id)


def _what(body: str) -> str:
    """Which uploads a message is about, as far as it can be read."""
    found = _object_keys(body)
    if found is None:
        return "a message that is no S3 notification; it will come back as a dead letter"
    return ", ".join(found)


def _object_keys(body: str) -> list[str] | None:
    """None: it is no S3 notification."""
    try:
        return [unquote_plus(record["s3"]["object"]["key"]) for record in json.loads(body)["Records"]]
    except (ValueError, KeyError, TypeError):
        return None
