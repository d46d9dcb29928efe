"""Lambda's side of a queue: polls it, calls the same handler with the same events, and does the same with the answers.

Several batches are handled at once, and one poll is open at a time, for as many messages as there is room for. What has
been handled meanwhile is deleted together. A message is ours for seconds, and for further ones while it is being
handled: after a kill it is shown again soon, and not after the queue's time-out of more than an hour.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.functions import PROCESS, Function
from infra.local.lambda_events import LambdaContext, lambda_event

#: As the event source's maximum concurrency in the stack, scaled to a laptop.
WORKERS = 4
#: Batches that were received, running or not. The next poll is due when half of them are handled, so that under load
#: it brings several at once; more would wait here while they could wait in the queue.
MAX_BATCHES = 2 * WORKERS
#: SQS hands out and deletes at most so many in a call.
MAX_MESSAGES = 10
LONG_POLL_SECONDS = 5
#: The emulator does one thing at a time, and putting two gigabytes together is one thing.
READ_TIMEOUT_SECONDS = 60
#: For so long a message is ours. One whose delivery got lost on its way, or whose handler was killed, comes again then.
HOLD_SECONDS = 30
#: How often the hold of what is being handled is renewed.
RENEWAL_SECONDS = 10.0
OUTAGE_PAUSE_SECONDS = 2.0

_log = logging.getLogger("consumer")

Messages = list[dict[str, Any]]


class QueueReader:
    def __init__(self, queue_url: str, handler: Any, function: Function = PROCESS, batch_size: int = 1) -> None:
        self._queue_url = queue_url
        self._handler = handler
        self._function = function
        self._batch_size = batch_size
        self._sqs: Any = boto3.client(
            "sqs",
            config=Config(connect_timeout=2, read_timeout=READ_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}),
        )
        self._region = self._sqs.meta.region_name
        self._queue_arn = ""
        self._visibility_seconds = 0
        self._stopping = threading.Event()
        self._room = _Room(MAX_BATCHES, WORKERS)
        #: None: no more will come.
        self._handled: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        #: Receipt handle -> since when it is held, by the monotonic clock.
        self._held: dict[str, float] = {}

    def stop(self) -> None:
        self._stopping.set()
        self._room.close()

    def run(self) -> None:
        """Poll until stopped. An outage of the queue is waited out."""
        helpers = [threading.Thread(target=work) for work in (self._delete_until_stopped, self._renew_until_stopped)]
        for helper in helpers:
            helper.start()
        pool = ThreadPoolExecutor(WORKERS)
        self._poll_until_stopped(pool)
        # What has not begun comes again.
        pool.shutdown(cancel_futures=True)
        self._handled.put(None)
        for helper in helpers:
            helper.join()

    def poll_once(self, wait_seconds: int) -> int:
        """Take one batch, have it handled, delete what was done. Returns how many messages there were.

        What the handler reports, or all of the batch when it raises, stays and shows up again.
        """
        messages = self._receive(self._batch_size, wait_seconds)
        if messages:
            self._delete(self._handle(messages))
        return len(messages)

    def _poll_until_stopped(self, pool: ThreadPoolExecutor) -> None:
        away = False
        while not self._stopping.is_set():
            room = self._room.wait()
            try:
                messages = self._receive(room * self._batch_size, LONG_POLL_SECONDS)
                away = False
            except (ClientError, BotoCoreError) as error:
                if not away:
                    name = type(error).__name__
                    _log.warning("The queue is away (%s); trying again every %s s", name, OUTAGE_PAUSE_SECONDS)
                away = True
                self._stopping.wait(OUTAGE_PAUSE_SECONDS)
                continue
            for start in range(0, len(messages), self._batch_size):
                self._room.take()
                pool.submit(self._handle_batch, messages[start : start + self._batch_size])

    def _receive(self, most: int, wait_seconds: int) -> Messages:
        if not self._queue_arn:
            names = ["QueueArn", "VisibilityTimeout"]
            found = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=names)["Attributes"]
            self._queue_arn, self._visibility_seconds = found["QueueArn"], int(found["VisibilityTimeout"])
        messages: Messages = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=max(1, min(most, MAX_MESSAGES)),
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=HOLD_SECONDS,
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        now = time.monotonic()
        self._held.update((message["ReceiptHandle"], now) for message in messages)
        return messages

    def _handle_batch(self, messages: Messages) -> None:
        try:
            for receipt in self._handle(messages):
                self._handled.put(receipt)
        except Exception:
            _log.exception("A batch failed")
        finally:
            self._room.give()

    def _handle(self, messages: Messages) -> list[str]:
        """The receipts of what the queue may delete. What the handler wants to keep, it has delayed by itself."""
        receipts = [message["ReceiptHandle"] for message in messages]
        try:
            context = LambdaContext(messages[0]["MessageId"], self._function)
            answer = self._handler(lambda_event(self._queue_arn, self._region, messages), context) or {}
        except Exception:
            # As after an invocation that ends with an error.
            self._hold(receipts, self._visibility_seconds)
            raise
        finally:
            for receipt in receipts:
                self._held.pop(receipt, None)
        kept = {failure["itemIdentifier"] for failure in answer.get("batchItemFailures", [])}
        return [message["ReceiptHandle"] for message in messages if message["MessageId"] not in kept]

    def _delete_until_stopped(self) -> None:
        while (receipt := self._handled.get()) is not None:
            receipts = [receipt]
            while len(receipts) < MAX_MESSAGES and not self._handled.empty():
                another = self._handled.get()
                if another is None:
                    self._handled.put(None)
                    break
                receipts.append(another)
            _attempt("deleted", self._delete, receipts)

    def renew_holds(self, before_seconds: float) -> None:
        """Of what is being handled and was received, or held again, that long ago."""
        now = time.monotonic()
        due = [receipt for receipt, since in list(self._held.items()) if now - since >= before_seconds]
        for start in range(0, len(due), MAX_MESSAGES):
            _attempt("held", self._hold, due[start : start + MAX_MESSAGES], HOLD_SECONDS)
        for receipt in due:
            if receipt in self._held:
                self._held[receipt] = now

    def _renew_until_stopped(self) -> None:
        while not self._stopping.wait(1.0):
            self.renew_holds(RENEWAL_SECONDS)

    def _delete(self, receipts: Sequence[str]) -> None:
        if len(receipts) == 1:
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=receipts[0])
        elif receipts:
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
            self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)

    def _hold(self, receipts: Sequence[str], seconds: int) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for number, receipt in enumerate(receipts)
        ]
        self._sqs.change_message_visibility_batch(QueueUrl=self._queue_url, Entries=entries)


class _Room:
    """How many more batches may be received.

    :param enough: the next poll waits until there is so much.
    """

    def __init__(self, total: int, enough: int) -> None:
        self._free = total
        self._enough = enough
        self._changed = threading.Condition()

    def wait(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= self._enough)
            return self._free

    def take(self) -> None:
        with self._changed:
            self._free -= 1

    def give(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._enough = 0
            self._changed.notify_all()


def _attempt(what: str, call: Callable[..., None], *values: Any) -> None:
    """Best effort: a message that is not, is shown again, and handled again comes to nothing."""
    try:
        call(*values)
    except (ClientError, BotoCoreError) as error:
        _log.warning("Messages were not %s (%s)", what, type(error).__name__)
