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
    """Seal what is due. Repeatable: a file that is there already, from a run that died, is taken as it is.

    :param state: of the feed, as read.
    :returns: the state as it is to be written.
    """
    due = timestamp(datetime.now(UTC) - SEALED_AFTER)
    while events := _due_events(stores, organization_id, state.sealed_sequence, due):
        seal = Seal(organization_id, events[0].sequence, events[-1].sequence, state.sealed_sha256)
        body = "\n".join([seal.line, *(canonical(event.to_json()) for event in events), ""]).encode()
        if not stores.archive.seal(organization_id, seal.first, body):
            body = stores.archive.sealed(organization_id, seal.first)
            seal = read_seal(body)
            _log.warning("The events from %d on were sealed before", seal.first)
        before = state
        state = replace(state, sealed_sequence=seal.last, sealed_sha256=hashlib.sha256(body).hexdigest())
        stores.feed.set_state(organization_id, before, state)
    return state


def _due_events(stores: Stores, organization_id: str, after: int, due: str) -> list[PublishedEvent]:
    """What goes into the next file."""
    found: list[PublishedEvent] = []
    size_bytes = 0
    while len(found) < MAX_FILE_EVENTS and size_bytes < MAX_FILE_BYTES:
        events = [e for e in stores.feed.after(organization_id, after, READ_AT_ONCE) if e.published_at < due]
        if not events:
            break
        found += events
        size_bytes += sum(len(event.line) for event in events)
        after = events[-1].sequence
    return found
