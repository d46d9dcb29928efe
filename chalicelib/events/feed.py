"""Reading the events: after a number, the newest, or whatever comes within some seconds."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from chalicelib.events.records import AUDIT_ONLY, EventType, PublishedEvent, scope_of
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput, MissingPermission
from chalicelib.wiring import Stores

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
#: The gateway gives up after 29 s (AWS limit).
MAX_WAIT_SECONDS = 20
#: A waiting request asks the feed no more often.
POLL_INTERVAL_SECONDS = 1.0
#: As texts.
_TYPES = frozenset(kind.value for kind in EventType if kind not in AUDIT_ONLY)


@dataclass(frozen=True)
class Page:
    """:param next_after: the last number that was looked at, to go on from, whether it was shown or not."""

    events: list[PublishedEvent]
    next_after: int


def events_after(
    stores: Stores, caller: Caller, after: int, *, limit: int, types: Collection[str] | None, wait_seconds: int = 0
) -> Page:
    """The events after a number, in their order, that the caller may see; no later one can come before them.

    :param types: only these; None for all that the caller may see.
    :param wait_seconds: how long to wait for one when there is none.
    :raises MissingPermission: the caller may not see one of the types.
    :raises BadInput: no such type.
    """
    shown = visible_types(caller, types)
    page = Page([], after)
    for waited in range(min(wait_seconds, MAX_WAIT_SECONDS) + 1):
        if waited:
            time.sleep(POLL_INTERVAL_SECONDS)
        page = _page_after(stores, caller.organization_id, page.next_after, min(limit, MAX_LIMIT), shown)
        if page.events:
            break
    return page


def newest_events(stores: Stores, caller: Caller, count: int, types: Collection[str] | None) -> Page:
    """The newest ones that the caller may see, in their order, of the last thousand.

    :raises MissingPermission: the caller may not see one of the types.
    :raises BadInput: no such type.
    """
    shown = visible_types(caller, types)
    found: list[PublishedEvent] = []
    newest = 0
    for looked_at, event in enumerate(stores.feed.before(caller.organization_id, None), start=1):
        newest = max(newest, event.sequence)
        if _type_of(event) in shown:
            found.append(event)
        if len(found) >= min(count, MAX_LIMIT) or looked_at >= MAX_LIMIT:
            break
    return Page(found[::-1], newest)


def visible_types(caller: Caller, types: Collection[str] | None) -> frozenset[str]:
    """
    :raises MissingPermission: the caller may not see one of the types.
    :raises BadInput: no such type.
    """
    if types is None:
        return frozenset(kind for kind in _TYPES if caller.may(scope_of(kind)))
    for kind in types:
        if kind not in _TYPES:
            raise BadInput(f"There is no type of event '{kind[:50]}' in this feed.")
        if not caller.may(scope_of(kind)):
            raise MissingPermission.of(scope_of(kind))
    return frozenset(types)


def _page_after(stores: Stores, organization_id: str, after: int, limit: int, shown: frozenset[str]) -> Page:
    found: list[PublishedEvent] = []
    for _ in range(MAX_LIMIT // 100):
        events = stores.feed.after(organization_id, after, limit)
        for event in events:
            after = event.sequence
            if _type_of(event) in shown:
                found.append(event)
                if len(found) >= limit:
                    return Page(found, after)
        if len(events) < limit:
            break
    return Page(found, after)


def _type_of(event: PublishedEvent) -> str:
    kind: str = event.to_json()["type"]
    return kind
