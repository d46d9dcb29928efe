"""Sealing: what is older than an hour is copied to where nobody changes it; each file names the hash of the last.

Whoever changes, removes, adds or reorders an event afterwards, in the feed or in a file, changes a hash that stands in
the next file; ``verify`` recomputes them all. It proves nothing of the last hour, and nothing against somebody who can
rewrite every file: that is what S3 Object Lock is for.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from chalicelib.events.feed_store import FeedState
from chalicelib.events.records import PublishedEvent
from chalicelib.kernel.clock import timestamp
from chalicelib.wiring import Stores

SEALED_AFTER = timedelta(hours=1)
MAX_FILE_EVENTS = 10_000
MAX_FILE_BYTES = 8_000_000
READ_AT_ONCE = 1000
FORM_VERSION = 1

_log = logging.getLogger(__name__)


class SealDiffersError(Exception):
    """The file that stands where events are to be sealed is not what a run of ours would have written."""


@dataclass(frozen=True)
class Seal:
    """The first line of a sealed file."""

    organization_id: str
    first: int
    last: int
    previous_sha256: str | None

    @property
    def line(self) -> str:
        return canonical({"seal": FORM_VERSION, **vars(self)})


def canonical(value: Any) -> str:
    """One form of JSON for one content."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def read_seal(body: bytes) -> Seal:
    """:raises ValueError: it does not begin with a line of ours."""
    told = json.loads(body.split(b"\n", 1)[0])
    if not isinstance(told, dict) or told.pop("seal", None) != FORM_VERSION:
        raise ValueError("no seal of this form")
    try:
        return Seal(**told)
    except TypeError as error:
        raise ValueError(str(error)) from error


def seal_feed(stores: Stores, organization_id: str, state: FeedState) -> FeedState:
    """Seal what is due. Repeatable: a file that is there already, from a run that died, is taken up.

    :param state: of the feed, as read.
    :returns: the state as it is to be written.
    :raises SealDiffersError: the file that is there does not hold the events of the feed.
    """
    due = timestamp(datetime.now(UTC) - SEALED_AFTER)
    while events := _due_events(stores, organization_id, state.sealed_sequence, due):
        seal = Seal(organization_id, events[0].sequence, events[-1].sequence, state.sealed_sha256)
        body = _file(seal, events)
        if not stores.archive.seal(organization_id, seal.first, body):
            seal, body = _sealed_before(stores, state, seal)
            _log.warning("The events from %d on were sealed before", seal.first)
        before = state
        state = replace(state, sealed_sequence=seal.last, sealed_sha256=hashlib.sha256(body).hexdigest())
        stores.feed.set_state(organization_id, before, state)
    return state


def _file(seal: Seal, events: list[PublishedEvent]) -> bytes:
    return "\n".join([seal.line, *(canonical(event.to_json()) for event in events), ""]).encode()


def _sealed_before(stores: Stores, state: FeedState, wanted: Seal) -> tuple[Seal, bytes]:
    """The file of another run, which may have found fewer events due, or more, and nothing else.

    :raises SealDiffersError: it is not.
    """
    body = stores.archive.sealed(wanted.organization_id, wanted.first)
    events = stores.feed.after(wanted.organization_id, state.sealed_sequence, max(body.count(b"\n") - 1, 0))
    seal = replace(wanted, last=events[-1].sequence) if events else wanted
    if not events or body != _file(seal, events):
        raise SealDiffersError(f"the sealed file from event {wanted.first} on is not what the feed says")
    return seal, body


def _due_events(stores: Stores, organization_id: str, after: int, due: str) -> list[PublishedEvent]:
    """What goes into the next file."""
    found: list[PublishedEvent] = []
    size_bytes = 0
    while len(found) < MAX_FILE_EVENTS and size_bytes < MAX_FILE_BYTES:
        read = stores.feed.after(organization_id, after, READ_AT_ONCE)
        # The clocks of publishers differ: a later event may be due before an earlier one, and waits for it.
        events = list(takewhile(lambda event: event.published_at < due, read))
        if not events:
            break
        found += events
        size_bytes += sum(len(event.line) for event in events)
        after = events[-1].sequence
    return found
