"""The feeds: each organisation's events in one gapless order, which is fixed here and never changes.

A segment is written on the condition that there is none that begins where it does. Whoever writes has read the end of
the feed, so two publishers can't both go on from there, and what one of them has written the other reads before it
tries again: an event is in the feed once, whatever crashes, is repeated or overtaken.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from chalicelib.events.feed_rows import STATE, SegmentRow
from chalicelib.events.records import PendingEvent, PublishedEvent
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Unavailable, VersionConflict
from chalicelib.platform.tables import Tables, contention_on_condition

#: An item has at most 400 KB (AWS limit).
MAX_SEGMENT_EVENTS = 100
MAX_SEGMENT_BYTES = 200_000
#: By so much the clocks of two functions may differ. An event that is older than this before the part of the feed that
#: was read could be published a second time.
CLOCK_SKEW_SECONDS = 60
MAX_ATTEMPTS = 20
#: What one process remembers: feeds, and events of each.
REMEMBERED_FEEDS = 500
REMEMBERED_EVENTS = 2000


@dataclass
class _End:
    """What this process knows of the end of one feed."""

    last_sequence: int
    #: Every event that was published from this moment on is known.
    known_since: str
    #: Event id -> sequence and time of publication.
    places: "OrderedDict[str, tuple[int, str]]" = field(default_factory=OrderedDict)

    def add(self, events: list[PublishedEvent]) -> None:
        for event in events:
            self.places[_id_of(event.line)] = event.sequence, event.published_at
            self.last_sequence = max(self.last_sequence, event.sequence)

    def forget(self) -> None:
        """Forget the oldest; not while events are being published, who may be looked for among them."""
        while len(self.places) > REMEMBERED_EVENTS:
            _, (_, published_at) = self.places.popitem(last=False)
            # Others of the same millisecond may be among the forgotten: from the next one on.
            self.known_since = max(self.known_since, f"{published_at}~")


@dataclass(frozen=True)
class FeedState:
    """What has been done with a feed: sealed up to an event, and the outbox searched for missed ones up to a moment."""

    sealed_sequence: int = 0
    sealed_sha256: str | None = None
    outbox_read_until: str | None = None


class FeedStore:
    def __init__(self, tables: Tables, retention_days: int) -> None:
        self._rows = tables.bind(SegmentRow)
        self._retention_seconds = retention_days * 24 * 3600
        self._ends: OrderedDict[str, _End] = OrderedDict()
        self._remembering = threading.Lock()
        #: One publisher of a feed at a time in this process; others are kept apart by the feed.
        self._publishing: dict[str, threading.Lock] = {}

    def publish(self, organization_id: str, pending: list[PendingEvent]) -> list[PublishedEvent]:
        """Give each event its place, in this order, unless it has one already. Repeatable.

        :returns: all of them with their places.
        :raises Unavailable: other publishers were always faster.
        """
        since = _earlier(min(event.time for event in pending), CLOCK_SKEW_SECONDS)
        with self._publishing.setdefault(organization_id, threading.Lock()):
            end = self._end(organization_id, since)
            for _ in range(MAX_ATTEMPTS):
                missing = {event.event_id: event for event in pending if event.event_id not in end.places}
                if not missing:
                    break
                try:
                    self._append(organization_id, end, _segment(list(missing.values())))
                except VersionConflict:
                    self._read_on(organization_id, end)
            else:
                sentence = "The events of the organisation are being published too often at the moment; try again."
                raise Unavailable(sentence)
            published = [PublishedEvent(organization_id, *end.places[event.event_id], event.line) for event in pending]
            end.forget()
            return published

    def after(self, organization_id: str, sequence: int, limit: int) -> list[PublishedEvent]:
        """At most ``limit`` events, from the one after ``sequence`` on. Strongly consistent: without a gap."""
        events = self._tail_of_segment(organization_id, sequence) if sequence > 0 else []
        start = events[-1].sequence if events else sequence
        if len(events) < limit:
            rows = self._rows.query(
                organization_id, SegmentRow.first_sequence > start, consistent_read=True, limit=limit - len(events)
            )
            for row in rows:
                events += events_of(row)
                # A row can hold a hundred events: the limit of rows alone would read a hundred times too many.
                if len(events) >= limit:
                    break
        return events[:limit]

    def before(self, organization_id: str, sequence: int | None, read_at_once: int = 100) -> Iterator[PublishedEvent]:
        """Every event up to ``sequence``, that one included, newest first; None begins with the newest.

        :param read_at_once: rows of one call, each of one event at least. What is read and not looked at costs as much.
        """
        bound = SegmentRow.first_sequence.between(STATE + 1, sequence if sequence is not None else 10**18)
        rows = self._rows.query(
            organization_id, bound, consistent_read=True, scan_index_forward=False, page_size=read_at_once
        )
        for row in rows:
            yield from (e for e in reversed(events_of(row)) if sequence is None or e.sequence <= sequence)

    def find(self, organization_id: str, sequence: int) -> PublishedEvent | None:
        """One call. None for what has expired."""
        event = next(self.before(organization_id, sequence, 1), None)
        return event if event is not None and event.sequence == sequence else None

    def last_sequence(self, organization_id: str) -> int:
        """0 when there is no event yet."""
        return next((int(row.last_sequence) for row in self._newest_first(organization_id)), 0)

    def state(self, organization_id: str) -> FeedState:
        try:
            row = self._rows.get(organization_id, STATE, consistent_read=True)
        except DoesNotExist:
            return FeedState()
        return FeedState(int(row.last_sequence), row.sealed_sha256, row.outbox_read_until)

    def set_state(self, organization_id: str, before: FeedState, after: FeedState) -> None:
        """:raises VersionConflict: the state is not as read."""
        same = SegmentRow.last_sequence == before.sealed_sequence
        if before == FeedState():
            same |= SegmentRow.last_sequence.does_not_exist()
        actions: list[Action] = [SegmentRow.last_sequence.set(after.sealed_sequence)]
        for column, value in (
            (SegmentRow.sealed_sha256, after.sealed_sha256),
            (SegmentRow.outbox_read_until, after.outbox_read_until),
        ):
            actions.append(column.set(value) if value is not None else column.remove())
        with contention_on_condition():
            self._rows(organization_id, STATE).update(actions=actions, condition=same, add_version_condition=False)

    def _append(self, organization_id: str, end: _End, pending: list[PendingEvent]) -> None:
        """:raises VersionConflict: the feed goes on already."""
        published_at = timestamp()
        first = end.last_sequence + 1
        events = [
            PublishedEvent(organization_id, first + place, published_at, event.line)
            for place, event in enumerate(pending)
        ]
        row = self._rows(
            organization_id,
            first,
            last_sequence=events[-1].sequence,
            lines=[event.line for event in events],
            published_at=published_at,
            expires_at=int(time.time()) + self._retention_seconds,
        )
        with contention_on_condition():
            row.save(condition=SegmentRow.first_sequence.does_not_exist(), add_version_condition=False)
        end.add(events)

    def _end(self, organization_id: str, since: str) -> _End:
        """What is known of the end of the feed, reaching back to this moment at least."""
        with self._remembering:
            end = self._ends.get(organization_id)
        if end is None or end.known_since > since:
            end = self._read_back(organization_id, since)
        with self._remembering:
            self._ends[organization_id] = end
            self._ends.move_to_end(organization_id)
            while len(self._ends) > REMEMBERED_FEEDS:
                self._ends.popitem(last=False)
        return end

    def _read_back(self, organization_id: str, since: str) -> _End:
        end = _End(0, since)
        found: list[list[PublishedEvent]] = []
        for row in self._newest_first(organization_id):
            end.last_sequence = max(end.last_sequence, int(row.last_sequence))
            found.append(events_of(row))
            if row.first_sequence == STATE or row.published_at < since:
                break
        for events in reversed(found):
            end.add(events)
        return end

    def _read_on(self, organization_id: str, end: _End) -> None:
        """Read what others have published since."""
        later = SegmentRow.first_sequence > end.last_sequence
        for row in self._rows.query(organization_id, later, consistent_read=True):
            end.add(events_of(row))

    def _newest_first(self, organization_id: str) -> Iterator[SegmentRow]:
        rows: Iterator[SegmentRow] = self._rows.query(
            organization_id, consistent_read=True, scan_index_forward=False, page_size=25
        )
        return rows

    def _tail_of_segment(self, organization_id: str, sequence: int) -> list[PublishedEvent]:
        """The events after this one that were published at once with it, or with the next."""
        bound = SegmentRow.first_sequence <= sequence
        rows = self._rows.query(organization_id, bound, consistent_read=True, scan_index_forward=False, limit=1)
        return [event for row in rows for event in events_of(row) if event.sequence > sequence]


def events_of(row: SegmentRow) -> list[PublishedEvent]:
    """None of the row of the state."""
    if row.first_sequence == STATE:
        return []
    return [
        PublishedEvent(row.organization_id, int(row.first_sequence) + place, row.published_at or "", line)
        for place, line in enumerate(row.lines)
    ]


def _segment(pending: list[PendingEvent]) -> list[PendingEvent]:
    """As many as fit one item, at least one."""
    chosen: list[PendingEvent] = []
    size_bytes = 0
    for event in pending[:MAX_SEGMENT_EVENTS]:
        size_bytes += len(event.line.encode())
        if chosen and size_bytes > MAX_SEGMENT_BYTES:
            break
        chosen.append(event)
    return chosen


def _id_of(line: str) -> str:
    event_id: str = json.loads(line)["id"]
    return event_id


def _earlier(moment: str, seconds: int) -> str:
    return timestamp(datetime.fromisoformat(moment) - timedelta(seconds=seconds))
