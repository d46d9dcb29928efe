"""A batch of wake-ups from the queue: each in a thread of its own, so that none waits for another's endpoint."""

import contextvars
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from chalicelib.kernel import logs
from chalicelib.webhooks.delivering import RETRY_SECONDS, deliver
from chalicelib.webhooks.wakeup_ports import WakeupQueue
from chalicelib.wiring import Stores

#: As the function's batch size (app.py; a test holds the two together).
BATCH = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    message_id: str
    receipt_handle: str
    body: str


def read_batch(event: dict[str, Any]) -> list[Message]:
    return [Message(record["messageId"], record["receiptHandle"], record["body"]) for record in event["Records"]]


def deliver_batch(stores: Stores, messages: list[Message]) -> dict[str, list[dict[str, str]]]:
    """Do what each message wakes us for; the answer names those that the queue has to keep (Lambda's partial batch
    response).
    """
    # Made here: the threads would each build their own.
    queue = _build(stores)
    with ThreadPoolExecutor(BATCH) as pool:
        running = [pool.submit(contextvars.copy_context().run, _handle, stores, queue, m) for m in messages]
    failed = [message for message, done in zip(messages, running, strict=True) if not done.result()]
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}


def _build(stores: Stores) -> WakeupQueue:
    _ = stores.webhooks, stores.deliveries, stores.feed, stores.sender
    return stores.wakeups


def _handle(stores: Stores, queue: WakeupQueue, message: Message) -> bool:
    """Whether the queue may delete the message."""
    try:
        told = json.loads(message.body)
        organization_id, webhook_id = str(told["organization_id"]), str(told["webhook_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        # No repetition can help: it goes to the dead-letter queue unchanged, for the operator.
        _log.error("Message %s is no wake-up", message.message_id)
        return _kept(queue, message, 0)
    with logs.log_context(organization_id=organization_id, webhook_id=webhook_id):
        try:
            _log.info("Looked at a webhook: %s", deliver(stores, organization_id, webhook_id))
        except Exception:
            _log.exception("Delivering to a webhook failed")
            return _kept(queue, message, RETRY_SECONDS)
    return True


def _kept(queue: WakeupQueue, message: Message, seconds: int) -> bool:
    """Best effort: without it the message waits for the queue's own time-out."""
    try:
        queue.delay(message.receipt_handle, seconds)
    except Exception as error:
        _log.warning("Message %s is shown again late: %s", message.message_id, type(error).__name__)
    return False
