"""What happened to one thing, as an auditor asks for it: from the sealed files, and from the feed what is newer.

The sealed files have it also when the feed's retention has passed, and when somebody has changed the feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.sealed_events import READ_AT_ONCE, Checked, check_sealed_events

if TYPE_CHECKING:
    from chalicelib.audit.trail import Filters
    from chalicelib.wiring import Stores


@dataclass(frozen=True)
class Entry:
    """:param sealed_in: the key of the file that has it; None for one of the last hours."""

    event: dict[str, Any]
    sealed_in: str | None


@dataclass(frozen=True)
class History:
    """:param entries: in the order of the events.
    :param checked: of all sealed files of the organisation, whatever the filters.
    """

    entries: list[Entry]
    checked: Checked


def read_history(stores: Stores, organization_id: str, filters: Filters) -> History:
    entries: list[Entry] = []

    def note(key: str, event: dict[str, Any]) -> None:
        if filters.match(event):
            entries.append(Entry(event, key))

    checked = check_sealed_events(stores, organization_id, note)
    after = stores.feed.state(organization_id).sealed_sequence
    while events := stores.feed.after(organization_id, after, READ_AT_ONCE):
        after = events[-1].sequence
        told = [event.to_json() for event in events]
        entries += [Entry(event, None) for event in told if filters.match(event)]
    return History(sorted(entries, key=lambda entry: int(entry.event["sequence"])), checked)
