"""What people do with deliveries: look at them, have one made again, send old events again, send a test."""

import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib import keys
from chalicelib.events.records import EventType
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import BadInput, DeliveryNotFound, VersionConflict, WebhookDisabled
from chalicelib.webhooks.event_records import event_of
from chalicelib.webhooks.logic import get_own_webhook, get_webhook
from chalicelib.webhooks.records import Delivery, Webhook
from chalicelib.webhooks.tries import anew
from chalicelib.webhooks.wakeups import wake_now
from chalicelib.wiring import Stores

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
#: An event is dated by whoever changed the thing, and published by another: by so much their clocks may differ.
CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True)
class Page:
    """:param next_before: where to go on; None at the end."""

    deliveries: list[Delivery]
    next_before: int | None


def list_deliveries(stores: Stores, caller: Caller, webhook_id: str, before: int | None, limit: int) -> Page:
    """The newest events first.

    :raises WebhookNotFound: absent, or another organisation's.
    """
    webhook = get_webhook(stores, caller, webhook_id)
    limit = min(limit, MAX_LIMIT)
    found = stores.deliveries.page(webhook, before, limit)
    return Page(found, found[-1].sequence if len(found) == limit else None)


def redeliver(stores: Stores, caller: Caller, webhook_id: str, delivery_id: str) -> Delivery:
    """Send an event to this endpoint again, whether it has taken it or not; if it fails, as often as a new one.

    :raises WebhookNotFound: absent, or another organisation's.
    :raises DeliveryNotFound: it was not sent there, or is forgotten.
    :raises MissingPermission: the webhook is told what the caller may not see.
    :raises WebhookDisabled: nothing is sent.
    """
    webhook = get_own_webhook(stores, caller, webhook_id)
    sequence = keys.parse_delivery_id(delivery_id)
    found = stores.deliveries.find(webhook, sequence) if sequence is not None else None
    if found is None:
        raise DeliveryNotFound
    _check_enabled(webhook)
    now = int(time.time())
    again = replace(anew(found), next_try_at=now)
    stores.deliveries.save(again)
    with _still_enabled():
        stores.webhooks.look_now(webhook, now)
    wake_now(stores, webhook)
    return again


def replay_after(stores: Stores, caller: Caller, webhook_id: str, sequence: int) -> Webhook:
    """Send all events after this one to the endpoint again that it is told and that are kept; new ones go first.

    Takes the place of a replay that is under way.

    :raises WebhookNotFound: absent, or another organisation's.
    :raises MissingPermission: the webhook is told what the caller may not see.
    :raises WebhookDisabled: nothing is sent.
    """
    webhook = get_own_webhook(stores, caller, webhook_id)
    _check_enabled(webhook)
    with _still_enabled():
        stores.webhooks.start_replay(webhook, uuid.uuid4().hex, sequence, int(time.time()))
    wake_now(stores, webhook)
    return webhook


def replay_since(stores: Stores, caller: Caller, webhook_id: str, moment: str) -> Webhook:
    """As :func:`replay_after`, of events from a moment on, and perhaps some of the minute before.

    :raises BadInput: no time with a time zone.
    :raises WebhookNotFound: as :func:`replay_after`, and so on.
    """
    webhook = get_own_webhook(stores, caller, webhook_id)
    try:
        parsed = datetime.fromisoformat(moment)
        since = timestamp(parsed - timedelta(seconds=CLOCK_SKEW_SECONDS)) if parsed.tzinfo is not None else None
    except (ValueError, OverflowError):
        since = None
    if since is None:
        raise BadInput("since must be a time with a time zone, such as 2026-05-04T12:00:00Z.")
    return replay_after(stores, caller, webhook_id, _last_before(stores, webhook.organization_id, since))


def send_test(stores: Stores, caller: Caller, webhook_id: str) -> str:
    """Have an event sent to this endpoint only, on the way of all events.

    :returns: the event's id.
    :raises WebhookNotFound: absent, or another organisation's.
    :raises MissingPermission: the webhook is told what the caller may not see.
    :raises WebhookDisabled: nothing is sent.
    """
    webhook = get_own_webhook(stores, caller, webhook_id)
    _check_enabled(webhook)
    event = event_of(EventType.WEBHOOK_TEST, webhook, occasion=secrets.token_hex(16))
    # An endpoint that is left alone because it fails is what people test.
    with _still_enabled():
        stores.webhooks.look_now(webhook, int(time.time()))
    stores.outbox.put(event)
    return event.event_id


def _check_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise WebhookDisabled


@contextmanager
def _still_enabled() -> Iterator[None]:
    """:raises WebhookDisabled: it was disabled, or deleted, at this moment."""
    try:
        yield
    except VersionConflict:
        raise WebhookDisabled from None


def _last_before(stores: Stores, organization_id: str, moment: str) -> int:
    """The sequence of the last event that was published before this moment; 0 when there is none.

    Events are published in their order, so halving finds it: some 20 reads for a million events.
    """
    low, high = 0, stores.feed.last_sequence(organization_id)
    while low < high:
        middle = (low + high) // 2
        found = stores.feed.after(organization_id, middle, 1)
        # What has expired is passed over: the event found is perhaps far behind the middle.
        if found and found[0].published_at < moment:
            low = found[0].sequence
        else:
            high = middle
    return low
