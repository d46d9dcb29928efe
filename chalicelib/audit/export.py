"""The audit trail as JSON lines, oldest first: in the answer while it is small, else as a file to download.

The last line says what the lines before it are: whose, by which filters, how many, with which hash, and whether more
was to be read. So a file shows by itself that it was cut or shortened. Who changes it can compute another hash; the
trail keeps the one that was exported.
"""

import hashlib
import json
import tempfile
import time
from dataclasses import dataclass, fields
from typing import IO, Any

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
#: So much is read at most, whatever the filters leave of it: about 200 MB of the table.
MAX_EVENTS_READ = 200_000
MAX_READING_SECONDS = 15.0
READ_AT_ONCE = 1000
FORM_VERSION = 1


@dataclass(frozen=True)
class Export:
    """:param text: the lines, when they fit an answer; else ``url`` is where they are.
    :param next_after: the last number that was looked at, when there may be more.
    """

    text: str | None
    url: str | None
    next_after: int | None


@dataclass(frozen=True)
class Summary:
    """The last line of an export, which is about the lines before it.

    :param after: the number after which it began.
    :param next_after: the last number that was looked at: where the next export goes on, after a complete one as well.
    :param complete: all that matched when it was read is there.
    :param sha256: of the lines, their line breaks included; in hexadecimal digits.
    """

    export_id: str
    organization_id: str
    filters: dict[str, Any]
    after: int
    next_after: int
    complete: bool
    events: int
    sha256: str

    @property
    def line(self) -> str:
        return _compact({"export": {"version": FORM_VERSION, **vars(self)}})

    def to_event(self) -> Event:
        """The same in the trail, so that the trail proves what was exported."""
        told = {name: value for name, value in vars(self).items() if name not in ("export_id", "organization_id")}
        return Event(
            organization_id=self.organization_id,
            type=EventType.AUDIT_EXPORTED,
            target=Target("audit", self.export_id),
            occasion=self.export_id,
            data=told,
        )


def read_summary(line: str) -> Summary:
    """:raises ValueError: it is not the last line of an export of ours."""
    told = json.loads(line)
    summary = told.get("export") if isinstance(told, dict) else None
    if not isinstance(summary, dict) or summary.get("version") != FORM_VERSION:
        raise ValueError("it is no summary of an export")
    try:
        # A later release may say more.
        return Summary(**{named.name: summary[named.name] for named in fields(Summary)})
    except KeyError as error:
        raise ValueError(f"it does not say {error}") from error


def export_trail(stores: Stores, caller: Caller, filters: Filters, *, after: int) -> Export:
    """The events that match, after a number. The export itself becomes part of the trail."""
    organization_id = caller.organization_id
    export_id = keys.new_file_id()
    with tempfile.SpooledTemporaryFile(MAX_ANSWER_BYTES * 2) as file:
        lines = _Lines(file)
        next_after, complete = _read_matching(stores, organization_id, filters, after, lines)
        summary = Summary(
            export_id=export_id,
            organization_id=organization_id,
            filters=filters.to_json(),
            after=after,
            next_after=next_after,
            complete=complete,
            events=lines.count,
            sha256=lines.sha256.hexdigest(),
        )
        stores.outbox.put(summary.to_event())
        file.write(summary.line.encode() + b"\n")
        goes_on = None if complete else next_after
        if lines.count <= MAX_ANSWER_EVENTS and file.tell() <= MAX_ANSWER_BYTES:
            file.seek(0)
            return Export(file.read().decode(), None, goes_on)
        stores.archive.put_export(organization_id, export_id, file)
    url = stores.archive.export_url(organization_id, export_id, f"audit-{export_id}.jsonl")
    return Export(None, url, goes_on)


class _Lines:
    """Writes one event a line, and counts and hashes what it writes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.count = 0

    def add(self, event: dict[str, Any]) -> None:
        line = _compact(event).encode() + b"\n"
        self._file.write(line)
        self.sha256.update(line)
        self.count += 1


def _read_matching(
    stores: Stores, organization_id: str, filters: Filters, after: int, lines: _Lines
) -> tuple[int, bool]:
    """The last number that was looked at, and whether there is no more."""
    after = max(after, first_to_read(stores, organization_id, filters) - 1)
    deadline, published_until, read = time.monotonic() + MAX_READING_SECONDS, filters.published_until, 0
    while events := stores.feed.after(organization_id, after, READ_AT_ONCE):
        for event in events:
            if published_until is not None and event.published_at > published_until:
                return after, True
            after = event.sequence
            told = event.to_json()
            if filters.match(told):
                lines.add(told)
        if len(events) < READ_AT_ONCE:
            return after, True
        read += len(events)
        if lines.count >= MAX_FILE_EVENTS or read >= MAX_EVENTS_READ or time.monotonic() > deadline:
            return after, False
    return after, True


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
