"""The publisher: puts what the outbox's stream tells of into the feeds, and finds what a stream has lost.

Idempotent and safe to run many times at once: the feed decides. A stream hands out its records again until a call of
the function succeeds, so a crash anywhere means only that the same records come again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from chalicelib import keys
from chalicelib.events.feed_store import FeedState
from chalicelib.events.outbox_store import KEPT_SECONDS, read_records
from chalicelib.events.records import PendingEvent, PublishedEvent
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.metrics import milliseconds_since, put_milliseconds
from chalicelib.wiring import Stores

#: Organisations whose events of one batch are published at the same time.
PARALLEL_FEEDS = 8
#: An event is dated before its transaction is sent, and a transaction may be tried again for a while. What was written
#: later than this after its date is not found by the search for missed ones.
LATE_WRITE_SECONDS = 15 * 60
#: The stream has had this time already.
MISSED_AFTER_SECONDS = 60
PENDING_AT_ONCE = 500

_log = logging.getLogger(__name__)


def publish_records(stores: Stores, records: list[dict[str, Any]]) -> int:
    """Publish a batch of the stream's records.

    :returns: how many events there were.
    :raises Exception: those of one organisation could not be published; the others are.
    """
    pending = read_records(records)
    publish(stores, pending)
    readable_after = [milliseconds_since(event.time) for event in pending]
    put_milliseconds(stores.settings, "ChangeToReadable", readable_after)
    return len(pending)


def publish(stores: Stores, pending: Iterable[PendingEvent]) -> list[PublishedEvent]:
    """Each organisation's in their order. Repeatable.

    :raises Exception: the first error, after all organisations were tried.
    """
    by_organization: dict[str, list[PendingEvent]] = {}
    for event in pending:
        by_organization.setdefault(event.organization_id, []).append(event)
    feeds = [_publisher(stores, organization_id, events) for organization_id, events in by_organization.items()]
    if len(feeds) == 1:
        return feeds[0]()
    with ThreadPoolExecutor(PARALLEL_FEEDS) as pool:
        running = [pool.submit(feed) for feed in feeds]
    return [event for result in running for event in result.result()]


def _publisher(stores: Stores, organization_id: str, events: list[PendingEvent]) -> Callable[[], list[PublishedEvent]]:
    def run() -> list[PublishedEvent]:
        return stores.feed.publish(organization_id, events)

    return run


def publish_missed(stores: Stores, organization_id: str, state: FeedState) -> FeedState:
    """Search the outbox for events that the stream has not brought, and publish them.

    :param state: of the feed, as read.
    :returns: the state as it is to be written.
    """
    now = datetime.now(UTC)
    earliest = timestamp(now - timedelta(seconds=KEPT_SECONDS))
    until = timestamp(now - timedelta(seconds=MISSED_AFTER_SECONDS))
    found = 0
    for partition in keys.outbox_partitions(organization_id):
        pending = stores.outbox.since(partition, state.outbox_read_until or earliest)
        for some in _chunks((event for event in pending if event.time <= until), PENDING_AT_ONCE):
            stores.feed.publish(organization_id, list(some))
            found += len(some)
    if not found:
        return state
    read_until = timestamp(now - timedelta(seconds=MISSED_AFTER_SECONDS + LATE_WRITE_SECONDS))
    return replace(state, outbox_read_until=read_until)


def _chunks(events: Iterable[PendingEvent], size: int) -> Iterator[list[PendingEvent]]:
    remaining = iter(events)
    while chunk := list(islice(remaining, size)):
        yield chunk
