"""One try at a delivery: the event signed, posted, and the outcome written down with the moment of the next try."""

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from chalicelib.events.records import EventType, PublishedEvent
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.metrics import milliseconds_since
from chalicelib.webhooks.payload import payload_of
from chalicelib.webhooks.ports import Answer
from chalicelib.webhooks.records import MAX_KEPT_TRIES, Delivery, DeliveryStatus, Due, Try, Webhook
from chalicelib.webhooks.signatures import sign
from chalicelib.wiring import Stores

_MINUTE, _HOUR = 60, 3600
#: Before the second try, the third and so on: three days in all, as the specification of Standard Webhooks advises.
WAITS_SECONDS = (5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, *[10 * _HOUR] * 7)
#: By so much each wait is longer or shorter, so that what has failed together is not tried together again.
JITTER = 0.2
#: An endpoint that says when to come again (``Retry-After``) is believed up to this.
MAX_RETRY_AFTER_SECONDS = 4 * _HOUR
_EXPIRED = "The event is not kept any more."
#: HTTP: the endpoint wants nothing any more (Standard Webhooks, "Disabling endpoints").
GONE = 410


@dataclass(frozen=True)
class Happened:
    """What an event says of itself, as far as delivering has to know.

    :param time: ISO 8601, of the change.
    """

    event_id: str
    event_type: str
    target_id: str
    time: str


@dataclass(frozen=True)
class Outcome:
    """What came of a try.

    :param accepted: whether the endpoint took it; None when nothing was posted.
    :param not_before: the endpoint wants to be sent nothing before this moment; None when it does not say.
    :param completed_to_delivered: milliseconds, of an event that a file is completed and that was taken at first.
    """

    accepted: bool | None
    status: int | None = None
    next_try_at: int | None = None
    not_before: int | None = None
    completed_to_delivered: float | None = None


NOTHING = Outcome(None)


def read_event(event: PublishedEvent) -> Happened:
    told = json.loads(event.line)
    return Happened(told["id"], told["type"], told["target"]["id"], told["time"])


def first_try(stores: Stores, webhook: Webhook, event: PublishedEvent) -> Outcome:
    """Repeatable: the endpoint knows the event again by its id."""
    outcome = _try(stores, webhook, event, _new_delivery(webhook, event))
    happened = read_event(event)
    if not outcome.accepted or happened.event_type != EventType.FILE_COMPLETED:
        return outcome
    return replace(outcome, completed_to_delivered=milliseconds_since(happened.time))


def try_again(stores: Stores, webhook: Webhook, due: Due, accepted: Callable[[], None]) -> Outcome:
    """The try that was noted for this moment.

    :param accepted: is called when the endpoint has taken it, before that is written down: what it raises, or a crash
        in it, leaves the try to come.
    """
    delivery = stores.deliveries.find(webhook, due.sequence)
    if delivery is None or delivery.next_try_at != due.at:
        # It was sent again for another reason, and this note stayed.
        stores.deliveries.forget(due)
        return NOTHING
    event = stores.feed.find(webhook.organization_id, due.sequence)
    if event is None:
        _end(stores, delivery, due)
        return NOTHING
    return _try(stores, webhook, event, delivery, due, accepted)


def replay_event(stores: Stores, webhook: Webhook, event: PublishedEvent) -> Outcome:
    """As if it had just happened; what was tried before stays listed."""
    before = stores.deliveries.find(webhook, event.sequence)
    return _try(stores, webhook, event, anew(before) if before is not None else _new_delivery(webhook, event))


def anew(delivery: Delivery) -> Delivery:
    """The delivery before the first of a new row of tries."""
    return replace(delivery, status=DeliveryStatus.PENDING, attempts=0, next_try_at=None)


def _try(
    stores: Stores,
    webhook: Webhook,
    event: PublishedEvent,
    delivery: Delivery,
    due: Due | None = None,
    accepted: Callable[[], None] | None = None,
) -> Outcome:
    now = time.time()
    body = payload_of(event)
    signed = sign(webhook.secrets_at(now), delivery.event_id, int(now), body)
    answer = stores.sender.send(webhook.url, {"Content-Type": "application/json", **signed}, body)
    tried = Try(timestamp(), answer.status, answer.milliseconds, answer.body_start, answer.error)
    not_before = _not_before(answer, math.ceil(time.time()))
    if answer.is_accepted and accepted is not None:
        accepted()
    after = _after(delivery, tried, answer.is_accepted, not_before)
    stores.deliveries.save(after, due)
    return Outcome(answer.is_accepted, answer.status, after.next_try_at, not_before)


def _not_before(answer: Answer, now: int) -> int | None:
    if answer.retry_after_seconds is None:
        return None
    return now + min(answer.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)


def _after(delivery: Delivery, tried: Try, accepted: bool, not_before: int | None) -> Delivery:
    waits = WAITS_SECONDS[delivery.attempts :]
    status, next_try_at = DeliveryStatus.DELIVERED, None
    if not accepted:
        status = DeliveryStatus.PENDING if waits else DeliveryStatus.FAILED
        if waits:
            scheduled = int(time.time()) + round(waits[0] * random.uniform(1 - JITTER, 1 + JITTER))
            next_try_at = max(scheduled, not_before or 0)
    return replace(
        delivery,
        status=status,
        attempts=delivery.attempts + 1,
        tries=(*delivery.tries, tried)[-MAX_KEPT_TRIES:],
        next_try_at=next_try_at,
    )


def _end(stores: Stores, delivery: Delivery, due: Due) -> None:
    tried = Try(timestamp(), None, 0, "", _EXPIRED)
    tries = (*delivery.tries, tried)[-MAX_KEPT_TRIES:]
    stores.deliveries.save(replace(delivery, status=DeliveryStatus.FAILED, tries=tries, next_try_at=None), due)


def _new_delivery(webhook: Webhook, event: PublishedEvent) -> Delivery:
    happened = read_event(event)
    return Delivery(
        organization_id=webhook.organization_id,
        webhook_id=webhook.webhook_id,
        sequence=event.sequence,
        event_id=happened.event_id,
        event_type=happened.event_type,
        created_at=timestamp(),
    )
