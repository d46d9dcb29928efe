"""A batch of announcements from the uploads queue: each message independently, failures reported one by one.

The queue gives each message MAX_RECEIVES tries and then moves it to the dead-letter queue. We set the wait before the
next try ourselves, by the message's visibility, and write ``failed`` into the row when there will be none. An outage is
not the file's fault: after such a round of tries it is announced anew, for later, until it has had MAX_STARTS.
"""

import json
import logging
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from chalicelib import keys
from chalicelib.kernel import logs
from chalicelib.kernel.metrics import put_milliseconds
from chalicelib.processing.processing import Outcome, give_up, postpone, process_upload
from chalicelib.wiring import Stores

#: As in the queue's redrive policy (maxReceiveCount in infra's template; a test holds the two together).
MAX_RECEIVES = 3
BACKOFF_BASE_SECONDS = 2
#: A message that has waited for longer tells that others wait for workers, too.
SHORT_WAIT_SECONDS = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """One message of the queue.

    :param receives: how often it was received, this time included.
    :param sent_at: when the queue has got it, in seconds since the epoch, which is when the bytes were there; None
        where a queue does not tell.
    """

    message_id: str
    receipt_handle: str
    body: str
    receives: int
    sent_at: float | None = None


def read_batch(event: dict[str, Any]) -> list[Message]:
    return [
        Message(
            message_id=record["messageId"],
            receipt_handle=record["receiptHandle"],
            body=record["body"],
            receives=int(record["attributes"]["ApproximateReceiveCount"]),
            sent_at=_seconds(record["attributes"].get("SentTimestamp")),
        )
        for record in event["Records"]
    ]


def _seconds(milliseconds: str | None) -> float | None:
    return None if milliseconds is None else int(milliseconds) / 1000


def process_batch(stores: Stores, messages: list[Message]) -> dict[str, list[dict[str, str]]]:
    """Process each message; the answer names those that the queue has to keep (Lambda's partial batch response)."""
    failed = [message for message in messages if not _process_message(stores, message)]
    return {"batchItemFailures": [{"itemIdentifier": message.message_id} for message in failed]}


def uploaded_keys(stores: Stores, body: str) -> list[str]:
    """Keys of our temp bucket that an S3 notification tells of.

    S3's keys are URL-encoded with ``+`` for a space. Its test event, other buckets and other events give none.

    :raises ValueError: the body is not a notification at all.
    """
    try:
        notification = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(notification, dict):
        raise ValueError("not an object")
    if notification.get("Event") == "s3:TestEvent":
        return []
    try:
        records = notification["Records"]
        return [
            unquote_plus(record["s3"]["object"]["key"])
            for record in records
            if str(record["eventName"]).startswith("ObjectCreated:")
            and stores.objects.is_temp_bucket(record["s3"]["bucket"]["name"])
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no S3 records: {error!r}") from error


def _process_message(stores: Stores, message: Message) -> bool:
    """Whether the queue may delete the message."""
    try:
        uploaded = uploaded_keys(stores, message.body)
    except ValueError as error:
        # No repetition can help: it goes to the dead-letter queue unchanged, for the operator.
        _log.error("Message %s is not an S3 notification: %s", message.message_id, error)
        _show_again(stores, message)
        return False
    done = []
    for key in uploaded:
        with logs.log_context(attempt=message.receives, **keys.named_by(key)):
            done.append(_process_key(stores, message, key))
    return all(done)


def _process_key(stores: Stores, message: Message, key: str) -> bool:
    started = time.perf_counter()
    try:
        outcome = process_upload(
            stores,
            key,
            worker=message.message_id,
            at_once=_is_first_and_fresh(message),
            tries_before=message.receives - 1,
        )
        milliseconds = round((time.perf_counter() - started) * 1000)
        _log.info("Processed upload: %s", outcome, extra={"outcome": str(outcome), "milliseconds": milliseconds})
        if outcome is Outcome.COMPLETED and message.sent_at is not None:
            taken_seconds = max(0.0, time.time() - message.sent_at)
            put_milliseconds(stores.settings, "AcceptedToCompleted", [taken_seconds * 1000])
        return True
    except Exception as error:
        _log.exception("Attempt %d of %d at processing an upload failed", message.receives, MAX_RECEIVES)
        if _is_last(message) and _end_tries(stores, message, key, error):
            return True
    _show_again(stores, message)
    return False


def _is_first_and_fresh(message: Message) -> bool:
    return message.receives == 1 and message.sent_at is not None and time.time() - message.sent_at <= SHORT_WAIT_SECONDS


def _is_last(message: Message) -> bool:
    return message.receives >= MAX_RECEIVES


def _end_tries(stores: Stores, message: Message, key: str, error: Exception) -> bool:
    """Announce the upload again when the fault was an outage, else end it as failed.

    Best effort: what comes to nothing is left to the sweep.

    :returns: whether the message is done with; if not, it goes to the dead-letter queue.
    """
    try:
        if stores.is_outage(error) and postpone(stores, key, worker=message.message_id):
            return True
        give_up(stores, key, worker=message.message_id)
    except Exception as next_error:
        _log.warning("Upload %s is left to the sweep: %s", key, type(next_error).__name__)
    return False


def _show_again(stores: Stores, message: Message) -> None:
    """Best effort: without it the message waits for the queue's visibility time-out of hours."""
    seconds = 0 if _is_last(message) else BACKOFF_BASE_SECONDS**message.receives
    try:
        stores.queue.delay(message.receipt_handle, seconds)
    except Exception as error:
        _log.warning("Message %s is shown again late: %s", message.message_id, type(error).__name__)
