"""The audit trail as JSON lines, oldest first: in the answer while it is small, else as a file to download."""

import json
import tempfile
import time
from dataclasses import dataclass
from typing import IO

from chalicelib import keys
from chalicelib.audit.trail import Filters, first_to_read
from chalicelib.events.records import Event, EventType, Target
from chalicelib.kernel.caller import Caller
from chalicelib.wiring import Stores

#: An answer through the function has at most 6 MB (AWS limit, Lambda).
MAX_ANSWER_BYTES = 1_000_000
MAX_ANSWER_EVENTS = 1000
#: A file is cut here, and the next request goes on; or where the time of a request is nearly over.
MAX_FILE_EVENTS = 50_000
MAX_READING_SECONDS = 15.0
READ_AT_ONCE = 1000


@dataclass(frozen=True)
class Export:
    """:param text: the lines, when they fit an answer; else ``url`` is where they are.
    :param next_after: the last number that was looked at, when there may be more.
    """

    text: str | None
    url: str | None
    next_after: int | None


def export_trail(stores: Stores, caller: Caller, filters: Filters, *, after: int) -> Export:
    """The events that match, after a number. The export itself becomes part of the trail."""
    organization_id = caller.organization_id
    export_id = keys.new_file_id()
    with tempfile.SpooledTemporaryFile(MAX_ANSWER_BYTES * 2) as lines:
        events, next_after = _write(stores, organization_id, filters, after, lines)
        stores.outbox.put(
            Event(
                organization_id=organization_id,
                type=EventType.AUDIT_EXPORTED,
                target=Target("audit", export_id),
                occasion=export_id,
                data={"filters": filters.to_json(), "events": events},
            )
        )
        if events <= MAX_ANSWER_EVENTS and lines.tell() <= MAX_ANSWER_BYTES:
            lines.seek(0)
            return Export(lines.read().decode(), None, next_after)
        stores.archive.put_export(organization_id, export_id, lines)
    url = stores.archive.export_url(organization_id, export_id, f"audit-{export_id}.jsonl")
    return Export(None, url, next_after)


def _write(
    stores: Stores, organization_id: str, filters: Filters, after: int, lines: IO[bytes]
) -> tuple[int, int | None]:
    """How many events were written, and where to go on when it is not all."""
    after = max(after, first_to_read(stores, organization_id, filters) - 1)
    deadline, published_until, written = time.monotonic() + MAX_READING_SECONDS, filters.published_until, 0
    while events := stores.feed.after(organization_id, after, READ_AT_ONCE):
        for event in events:
            if published_until is not None and event.published_at > published_until:
                return written, None
            after = event.sequence
            told = event.to_json()
            if filters.match(told):
                lines.write(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
                written += 1
        if written >= MAX_FILE_EVENTS or time.monotonic() > deadline:
            return written, after
    return written, None
