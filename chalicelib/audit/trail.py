"""The audit trail: the events of an organisation, all of them, newest first, as an auditor asks for them."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from chalicelib import keys
from chalicelib.events.records import EventType, PublishedEvent
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import BadInput
from chalicelib.wiring import Stores

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
#: What one request reads at most, whatever its filters leave of it. The page is short then, and its cursor goes on.
MAX_EVENTS_READ = 3000
#: Where filters leave out what is read; else as many as are asked for.
READ_AT_ONCE = 1000
#: An event is published within moments, or by the upkeep within some hours.
LATEST_PUBLICATION = timedelta(days=8)
#: The clock of a publisher may be a minute behind that of who wrote the event, and of the publisher before it.
CLOCK_SKEW = timedelta(minutes=2)
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")


@dataclass(frozen=True)
class Filters:
    """What an auditor looks for; None leaves out nothing. Times are of the contract's form, both included."""

    actor: str | None = None
    target: str | None = None
    types: tuple[str, ...] = ()
    earliest: str | None = None
    latest: str | None = None

    @property
    def published_from(self) -> str | None:
        """What was published before this moment does not match; None when that is not known."""
        moments = [moment for moment in (self.earliest, _created(self.target)) if moment is not None]
        return _shifted(max(moments), -CLOCK_SKEW) if moments else None

    @property
    def published_until(self) -> str | None:
        """As :attr:`published_from`, of what was published after this moment."""
        return _shifted(self.latest, LATEST_PUBLICATION) if self.latest is not None else None

    @property
    def leave_out(self) -> bool:
        """Whether anything between the first and the last event that is to be read may not match."""
        return bool(self.actor or self.target or self.types or self.latest)

    def match(self, event: dict[str, Any]) -> bool:
        return (
            self.actor in (None, event["actor"].get("id"))
            and self.target in (None, event["target"]["id"])
            and (not self.types or any(fnmatch.fnmatchcase(event["type"], wanted) for wanted in self.types))
            and (self.earliest or "") <= event["time"]
            and (self.latest is None or event["time"] <= self.latest)
        )

    def to_json(self) -> dict[str, Any]:
        told = {"actor": self.actor, "target": self.target, "from": self.earliest, "to": self.latest}
        return {name: value for name, value in told.items() if value} | ({"type": self.types} if self.types else {})


@dataclass(frozen=True)
class Page:
    events: list[dict[str, Any]]
    next_cursor: str | None


def read_filters(
    actor: str | None, target: str | None, types: list[str] | None, earliest: str | None, latest: str | None
) -> Filters:
    """:raises BadInput: no such type, or no time."""
    for kind in types or ():
        if not fnmatch.filter(list(EventType), kind):
            sentence = "Name one such as file.deleted, or several with a star such as file.*"
            raise BadInput(f"There is no type of event '{kind[:50]}'. {sentence}.")
    return Filters(actor, target, tuple(types or ()), _moment("from", earliest), _moment("to", latest))


def list_trail(
    stores: Stores, caller: Caller, filters: Filters, *, limit: int, cursor: str | None, with_origin: bool = True
) -> Page:
    """Newest first. A page can be short, or empty, and have a next one: so much was read without a match.

    One call for each doubling of the feed where ``to`` is to be found, and one for each 1,000 events, or 1 MB, read.

    :param with_origin: as :meth:`PublishedEvent.to_json`.
    :raises BadInput: a cursor that is none of ours.
    """
    if cursor is not None and not re.fullmatch(r"[1-9][0-9]{0,17}", cursor):
        raise BadInput("cursor is not one of this list.")
    limit = min(limit, MAX_LIMIT)
    found: list[dict[str, Any]] = []
    start = int(cursor) if cursor is not None else newest_to_read(stores, caller.organization_id, filters)
    read_at_once = READ_AT_ONCE if filters.leave_out else limit
    for read, event in enumerate(back_to(stores, caller.organization_id, filters, start, read_at_once), start=1):
        told = event.to_json(with_origin=with_origin)
        if filters.match(told):
            found.append(told)
        if len(found) >= limit or read >= MAX_EVENTS_READ:
            return Page(found, str(event.sequence - 1) if event.sequence > 1 else None)
    return Page(found, None)


def back_to(
    stores: Stores, organization_id: str, filters: Filters, start: int | None, read_at_once: int = READ_AT_ONCE
) -> Iterator[PublishedEvent]:
    """From this number back to where no event can match any more."""
    since = filters.published_from or ""
    for event in stores.feed.before(organization_id, start, read_at_once):
        if event.published_at < since:
            return
        yield event


def newest_to_read(stores: Stores, organization_id: str, filters: Filters) -> int | None:
    """The number after which no event can match, found by halving; None for the newest."""
    until = filters.published_until
    return _last_published_before(stores, organization_id, until) if until is not None else None


def first_to_read(stores: Stores, organization_id: str, filters: Filters) -> int:
    """The number from which on events can match."""
    since = filters.published_from
    return _last_published_before(stores, organization_id, since) + 1 if since is not None else 1


def _last_published_before(stores: Stores, organization_id: str, moment: str) -> int:
    """0 when there is none."""
    low, high = 0, stores.feed.last_sequence(organization_id)
    while low < high:
        middle = (low + high + 1) // 2
        event = stores.feed.find(organization_id, middle)
        # Expired ones are older than anything.
        if event is None or event.published_at < moment:
            low = middle
        else:
            high = middle - 1
    return low


def _created(target: str | None) -> str | None:
    """When a file was created, by its id (UUIDv7, RFC 9562); None for what is no such id."""
    if target is None or not keys.is_file_id(target) or UUID(target).version != 7:
        return None
    try:
        return timestamp(datetime.fromtimestamp((UUID(target).int >> 80) / 1000, UTC))
    except (ValueError, OverflowError):
        # An id has room for years after 9999, which a datetime has not. Nothing has such an id.
        return None


def _shifted(moment: str, by: timedelta) -> str:
    """Where the calendar ends, the moment itself: there is nothing beyond it."""
    try:
        return timestamp(datetime.fromisoformat(moment) + by)
    except OverflowError:
        return moment


def _moment(name: str, raw: str | None) -> str | None:
    """:raises BadInput: not a time of ISO 8601."""
    if raw is None:
        return None
    try:
        if not _TIME.fullmatch(raw):
            raise ValueError
        moment = datetime.fromisoformat(raw)
        return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise BadInput(f"{name} must be a time such as 2026-11-25 or 2026-11-25T10:00:00Z.") from None
