"""Lambda's side of the queue on one machine: polls it, calls the same handler with the same event, and does the same
with the answer. Also plays EventBridge for the sweep.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
#: As the event source's maximum concurrency in the stack, scaled to a laptop.
WORKERS = 4
LONG_POLL_SECONDS = 5
#: The emulator does one thing at a time, and putting two gigabytes together is one thing.
READ_TIMEOUT_SECONDS = 60
#: A message whose delivery got lost on the way to us shows up again after this, not after the queue's hour and more.
DELIVERY_SECONDS = 30
OUTAGE_PAUSE_SECONDS = 2.0
SWEEP_INTERVAL_SECONDS = float(os.environ.get("SWEEP_INTERVAL_SECONDS", "300"))

_log = logging.getLogger("consumer")


def lambda_event(queue_arn: str, region: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The event that Lambda makes of a batch of messages (AWS: "Using Lambda with Amazon SQS", example event)."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": region,
            }
            for message in messages
        ]
    }


class LambdaContext:
    """The little of Lambda's context that Chalice passes on."""

    function_name = "process_uploads"
    memory_limit_in_mb = 1769

    def __init__(self, request_id: str) -> None:
        self.aws_request_id = request_id

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


class Consumer:
    def __init__(self, queue_url: str, handler: Any) -> None:
        self._queue_url = queue_url
        self._handler = handler
        self._sqs: Any = boto3.client(
            "sqs",
            config=Config(connect_timeout=2, read_timeout=READ_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}),
        )
        self._region = self._sqs.meta.region_name
        self._queue_arn = ""
        self._visibility_seconds = 0
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Poll until stopped. An outage of the queue is waited out."""
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in range(WORKERS):
                pool.submit(self._poll_until_stopped)

    def _poll_until_stopped(self) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                self.poll_once(LONG_POLL_SECONDS)
                away = False
            except (ClientError, BotoCoreError) as error:
                if not away:
                    _log.warning(
                        "The queue is away (%s); trying again every %s s", type(error).__name__, OUTAGE_PAUSE_SECONDS
                    )
                away = True
                self._stopping.wait(OUTAGE_PAUSE_SECONDS)
            except Exception:
                _log.exception("A batch failed")

    def poll_once(self, wait_seconds: int) -> int:
        """Take one batch, have it handled, delete what was done. Returns how many messages there were.

        What the handler reports, or all of the batch when it raises, stays and shows up again.
        """
        if not self._queue_arn:
            names = ["QueueArn", "VisibilityTimeout"]
            found = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=names)["Attributes"]
            self._queue_arn, self._visibility_seconds = found["QueueArn"], int(found["VisibilityTimeout"])
        messages = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=DELIVERY_SECONDS,
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return 0
        for message in messages:
            self._sqs.change_message_visibility(
                QueueUrl=self._queue_url,
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=self._visibility_seconds,
            )
        event = lambda_event(self._queue_arn, self._region, messages)
        answer = self._handler(event, LambdaContext(messages[0]["MessageId"])) or {}
        kept = {failure["itemIdentifier"] for failure in answer.get("batchItemFailures", [])}
        for message in messages:
            if message["MessageId"] not in kept:
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return len(messages)


def sweep_until(stopping: threading.Event, handler: Any) -> None:
    """Call the scheduled function as EventBridge does."""
    while not stopping.wait(SWEEP_INTERVAL_SECONDS):
        event = {
            "version": "0", "id": str(time.time_ns()), "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "000000000000", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "region": "us-east-1", "resources": ["arn:aws:events:us-east-1:000000000000:rule/sweep"], "detail": {},
        }  # fmt: skip
        try:
            handler(event, LambdaContext("sweep"))
        except Exception:
            _log.exception("The sweep failed; the next run repeats it")


def main() -> None:
    sys.path.insert(0, str(ROOT))
    import app
    from chalicelib.kernel import logs
    from chalicelib.kernel.config import settings

    logs.configure(settings())
    consumer = Consumer(settings().uploads_queue_url, app.process_uploads)
    stopping = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()
        consumer.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threading.Thread(target=sweep_until, args=(stopping, app.sweep), daemon=True).start()
    consumer.run()


if __name__ == "__main__":
    main()
