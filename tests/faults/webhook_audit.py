"""What must not be so of webhooks once all is at rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chalicelib.webhooks.rows import WebhookRow
from tests.faults.webhook_queue import delivery_rows, due_rows, wanted_events, webhooks

if TYPE_CHECKING:
    from tests.faults.lab import Lab


def wrong_webhooks(lab: Lab) -> Iterator[str]:
    """Each endpoint has taken each event that is for it and nothing else, and nothing is left to do."""
    known: set[str] = set()
    for row in webhooks(lab):
        wanted = [event["id"] for event in wanted_events(lab, row)]
        known |= set(wanted)
        yield from _wrong_progress(lab, row)
        if row.enabled:
            yield from (f"event {event_id} has reached no endpoint" for event_id in wanted if _is_lost(lab, event_id))
    # A webhook that was deleted meanwhile may have been told before.
    invented = {post.event_id for post in lab.endpoint.posts} - known
    if webhooks(lab) and invented:
        yield f"the endpoint was told {len(invented)} events that are none of its own"


def _is_lost(lab: Lab, event_id: str) -> bool:
    return event_id not in lab.endpoint.taken


def _wrong_progress(lab: Lab, row: WebhookRow) -> Iterator[str]:
    where = f"webhook {row.webhook_id}"
    if row.lease is not None:
        yield f"{where}: a lease was left"
    if not row.enabled:
        if row.wake_at is not None or row.wake_shard is not None or not row.disabled_reason:
            yield f"{where}: disabled, but not entirely"
        return
    if lab.endpoint.is_gone:
        yield f"{where}: still enabled, though its endpoint is gone"
    if row.wake_at is None or row.wake_shard is None:
        yield f"{where}: the sweep will never look at it"
    if row.failing_since is not None:
        yield f"{where}: failing, though its endpoint has taken everything"
    if due_rows(lab, row):
        yield f"{where}: a try that nobody will make"
    for delivery in delivery_rows(lab, row):
        if delivery.status != "delivered" or delivery.next_try_at is not None:
            yield f"{where}: the delivery {delivery.place} is {delivery.status}"
