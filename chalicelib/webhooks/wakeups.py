"""Waking: a message says only that there may be something to do for a webhook; what there is, is in the tables.

So a message may be lost, doubled or overtaken. What is lost the sweep finds: each enabled webhook names the moment at
which somebody has to look at it.
"""

import json
import logging
import time
from typing import Any

from chalicelib import keys
from chalicelib.kernel.errors import VersionConflict
from chalicelib.webhooks.records import Progress, Webhook
from chalicelib.webhooks.wakeup_ports import Wakeup
from chalicelib.wiring import Stores

#: Whatever has gone wrong with messages, each enabled webhook is looked at again after this time.
LOOK_AGAIN_SECONDS = 3600
#: A queue delays a message by no more (AWS limit of SQS). What is later is left to the sweep.
MAX_DELAY_SECONDS = 900
#: How long a failing endpoint is left alone: at first this, ...
FIRST_PAUSE_SECONDS = 5
#: ... after so long without a success as long again, ...
FAILING_SECONDS = 30
#: ... and then a tenth of that time, to the period of the sweep at most.
MAX_PAUSE_SECONDS = 300

_log = logging.getLogger(__name__)


def pause_seconds(failing_since: int | None, now: int) -> int:
    """How long to leave an endpoint alone, so that those that fail take little of what the others need."""
    if failing_since is None:
        return 0
    failing_seconds = now - failing_since
    if failing_seconds < FAILING_SECONDS:
        return FIRST_PAUSE_SECONDS
    return min(max(FAILING_SECONDS, failing_seconds // 10), MAX_PAUSE_SECONDS)


def wake_for_records(stores: Stores, records: list[dict[str, Any]]) -> int:
    """Wake the webhooks that events go to which were just published. Repeatable.

    :param records: of the outbox's stream.
    :returns: how many.
    :raises Exception: an outage; the same records have to come again.
    """
    from chalicelib.events.outbox_store import read_records

    happened: dict[str, set[tuple[str, str]]] = {}
    for event in read_records(records):
        told = json.loads(event.told)
        happened.setdefault(event.organization_id, set()).add((told["type"], told["target"]["id"]))
    now = int(time.time())
    wakeups: list[Wakeup] = []
    for organization_id, events in happened.items():
        for webhook in stores.webhooks.of_organization(organization_id).webhooks:
            if webhook.enabled and any(webhook.wants(*event) for event in events):
                wakeups += wakeup_of(stores, webhook, now)
    stores.wakeups.send(wakeups)
    return len(wakeups)


def wakeup_of(stores: Stores, webhook: Webhook, now: int) -> list[Wakeup]:
    """The message that wakes a webhook; none if it is woken soon enough anyway."""
    progress = webhook.progress
    if not progress.is_quiet(now):
        return [_wakeup(webhook, 0)]
    if progress.lease is None and progress.wake_at is not None and progress.wake_at <= progress.quiet_until:
        return []
    try:
        stores.webhooks.look_at(webhook, progress.quiet_until)
    except VersionConflict:
        # Disabled or deleted.
        return []
    return [_wakeup(webhook, progress.quiet_until - now)]


def wake_now(stores: Stores, webhook: Webhook) -> None:
    """After a row was written that asks for it. Best effort: if the message is lost, the sweep sends another, and
    whoever asked would only ask again for what is written.
    """
    try:
        stores.wakeups.send([_wakeup(webhook, 0)])
    except Exception as error:
        if not stores.is_outage(error):
            raise
        _log.warning("A webhook is left to the sweep to wake (%s)", type(error).__name__)


def wake_after(stores: Stores, webhook: Webhook, progress: Progress, now: int) -> None:
    """Send the message for the next moment at which there is something to do, if it is near enough."""
    if progress.wake_at is not None and progress.wake_at - now <= MAX_DELAY_SECONDS:
        stores.wakeups.send([_wakeup(webhook, max(0, progress.wake_at - now))])


def wake_overdue(stores: Stores, now: int) -> int:
    """The sweep's part: wake those whose moment has come.

    :returns: how many.
    """
    found = 0
    for shard in keys.webhook_shards():
        overdue = [Wakeup(*names) for names in stores.webhooks.to_wake(shard, now)]
        stores.wakeups.send(overdue)
        found += len(overdue)
    return found


def _wakeup(webhook: Webhook, delay_seconds: int) -> Wakeup:
    return Wakeup(webhook.organization_id, webhook.webhook_id, min(delay_seconds, MAX_DELAY_SECONDS))
