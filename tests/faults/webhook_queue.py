"""The webhooks queue as Lambda polls it, and all that happens by itself until webhooks are at rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

import app as application
from chalicelib import keys
from chalicelib.events.feed_rows import STATE, SegmentRow
from chalicelib.events.feed_store import events_of
from chalicelib.webhooks.rows import DeliveryRow, WebhookRow
from infra.local.lambda_events import LambdaContext, lambda_event
from tests.faults import cloud as aws
from tests.faults.wire import SimulatedCrash

if TYPE_CHECKING:
    from tests.faults.lab import Lab

QUEUE = aws.NAMES.webhooks_queue
QUEUE_URL = aws.NAMES.queue_url(QUEUE)
SWEEP_SECONDS = 300
#: Sweeps after which every webhook must be at rest: an hour, which is more than the lease (150 s) and the queue's
#: visibility (12 minutes) take together.
MAX_SWEEPS = 12
MAX_VISITS = 50


def receive(lab: Lab) -> list[dict[str, Any]]:
    found = lab.cloud.sqs.receive_message(
        QueueUrl=QUEUE_URL, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
    )
    messages: list[dict[str, Any]] = found.get("Messages", [])
    return messages


def handle(lab: Lab, messages: list[dict[str, Any]]) -> bool:
    """Pass a batch to the function and delete what it is done with. False: the function died."""
    event = lambda_event(aws.NAMES.queue_arn(QUEUE), aws.REGION, messages)
    try:
        answer = application.deliver_webhooks(event, LambdaContext("deliver"))
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in kept:
                with suppress(ClientError, BotoCoreError):
                    lab.cloud.sqs.delete_message(QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
    except SimulatedCrash:
        lab.new_process()
        return False
    return True


def lose_messages(lab: Lab) -> None:
    lab.cloud.messages(QUEUE).clear()


def settle(lab: Lab) -> None:
    """Messages show up again, tries become due, and the sweep comes round, until all webhooks are at rest.

    :raises AssertionError: it took too long.
    """
    for _ in range(MAX_SWEEPS):
        _deliver(lab)
        if at_rest(lab):
            return
        lab.clock.forward(SWEEP_SECONDS)
        lab.sweep()
    raise AssertionError(f"webhooks are not at rest: {[row.attribute_values for row in webhooks(lab)]}")


def _deliver(lab: Lab) -> None:
    """Deliver, and wait for messages that were sent for later or are hidden by a dead worker."""
    for _ in range(MAX_VISITS):
        if messages := receive(lab):
            handle(lab, messages)
            continue
        waiting = lab.cloud.messages(QUEUE)
        if not waiting or at_rest(lab):
            return
        seen_at = min(max(message.visible_at, message.delayed_until) for message in waiting) / 1000
        lab.clock.forward(max(0.0, seen_at - time.time()) + 0.01)
    raise AssertionError("the webhooks queue never got empty")


def at_rest(lab: Lab) -> bool:
    """Nothing is left to do for any webhook."""
    return not any(_has_work(lab, row) for row in webhooks(lab) if row.enabled)


def _has_work(lab: Lab, row: WebhookRow) -> bool:
    if row.lease is not None or row.replay_id is not None or row.failing_since is not None:
        return True
    wanted = [event["sequence"] for event in wanted_events(lab, row)]
    return bool(wanted and wanted[-1] > row.position) or bool(due_rows(lab, row))


# ---- what is stored ----------------------------------------------------------------------------------------------
def webhooks(lab: Lab) -> list[WebhookRow]:
    # The organisation's count of them is no webhook.
    return [row for row in lab.cloud.rows(WebhookRow) if keys.is_webhook_id(row.webhook_id)]


def due_rows(lab: Lab, row: WebhookRow) -> list[str]:
    partition = keys.due_partition(row.organization_id, row.webhook_id)
    table = lab.cloud.backend_of_tables().tables[f"{aws.STACK}-webhook-deliveries"]
    return [item.range_key.value for item in table.all_items() if item.hash_key.value == partition]


def delivery_rows(lab: Lab, row: WebhookRow) -> list[DeliveryRow]:
    partition = keys.deliveries_partition(row.organization_id, row.webhook_id)
    table = lab.cloud.backend_of_tables().tables[f"{aws.STACK}-webhook-deliveries"]
    bound = lab.cloud.tables.bind(DeliveryRow)
    raw = [item.to_json()["Attributes"] for item in table.all_items() if item.hash_key.value == partition]
    return [bound.from_raw_data(attributes) for attributes in raw]


def wanted_events(lab: Lab, row: WebhookRow) -> list[dict[str, Any]]:
    """What was published since the webhook was made and is for it, in the order of the feed."""
    told = [event for event in _feed(lab, row.organization_id) if is_for(event, row)]
    made = [event["sequence"] for event in _feed(lab, row.organization_id) if _tells_of_its_creation(event, row)]
    return [event for event in told if made and event["sequence"] > made[0]]


def is_for(event: dict[str, Any], row: WebhookRow) -> bool:
    if event["type"] == "webhook.test":
        return bool(event["target"]["id"] == row.webhook_id)
    return event["type"] in row.types


def _tells_of_its_creation(event: dict[str, Any], row: WebhookRow) -> bool:
    return bool(event["type"] == "webhook.created" and event["target"]["id"] == row.webhook_id)


def _feed(lab: Lab, organization_id: str) -> Iterator[dict[str, Any]]:
    rows = [row for row in lab.cloud.rows(SegmentRow) if row.organization_id == organization_id]
    for row in sorted(rows, key=lambda row: row.first_sequence):
        if row.first_sequence != STATE:
            yield from (event.to_json() for event in events_of(row))
