"""Verifies the sealed events of an organisation: file by file, hash by hash, and line by line against the feed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib import keys
from chalicelib.audit.sealing import Seal, canonical, read_seal

if TYPE_CHECKING:
    from chalicelib.events.records import PublishedEvent
    from chalicelib.wiring import Stores

READ_AT_ONCE = 1000
#: Gets the key of a sealed file, and an event of it.
Note = Callable[[str, dict[str, Any]], None]


@dataclass
class Checked:
    """:param faults: a sentence for each thing that is not as it was sealed; empty when all is."""

    organization_id: str
    files: int = 0
    events: int = 0
    faults: list[str] = field(default_factory=list)


def check_sealed_events(stores: Stores, organization_id: str, note: Note | None = None) -> Checked:
    """Reads every sealed file and every event of the feed that has not expired, one file at a time.

    :param note: is told of each event of a sealed file, as it stands there.
    """
    checked = Checked(organization_id)
    state = stores.feed.state(organization_id)
    feed = _Feed(stores, organization_id)
    next_sequence, sha256 = 1, None
    for key in _keys(stores, organization_id, checked):
        body = stores.archive.sealed(organization_id, _first_of(key))
        checked.files += 1
        try:
            seal = read_seal(body)
        except ValueError as error:
            checked.faults.append(f"{key} does not begin with a seal: {error}")
            sha256 = hashlib.sha256(body).hexdigest()
            continue
        checked.faults += _faults_of_seal(seal, key, organization_id, next_sequence, sha256)
        lines = _read_lines(key, seal, body, checked, note)
        checked.events += len(lines)
        checked.faults += feed.faults_up_to(min(seal.last, state.sealed_sequence), lines)
        next_sequence, sha256 = seal.last + 1, hashlib.sha256(body).hexdigest()
    if (state.sealed_sequence, state.sealed_sha256) != (next_sequence - 1, sha256):
        checked.faults.append(
            f"the feed's state says that it is sealed up to {state.sealed_sequence} with {state.sealed_sha256}, "
            f"the files end with {next_sequence - 1} and {sha256}"
        )
    checked.faults += feed.faults_up_to(state.sealed_sequence, {})
    if 0 < feed.last < state.sealed_sequence:
        checked.faults.append(f"event {feed.last + 1} is missing in the feed")
    return checked


class _Feed:
    """The events of the feed, each looked at once, in their order, beside the files."""

    def __init__(self, stores: Stores, organization_id: str) -> None:
        self._stores = stores
        self._organization_id = organization_id
        self._events = self._read()
        self._next = next(self._events, None)
        #: The last one that was looked at; 0 before the first.
        self.last = 0

    def faults_up_to(self, sequence: int, lines: dict[int, str]) -> Iterator[str]:
        """:param lines: number -> line of the file that ends with this event."""
        while self._next is not None and self._next.sequence <= sequence:
            event = self._next
            if self.last and event.sequence != self.last + 1:
                yield f"event {self.last + 1} is missing in the feed"
            if lines.get(event.sequence) != _line_of(event):
                yield f"event {event.sequence} of the feed is not the one that was sealed"
            self.last = event.sequence
            self._next = next(self._events, None)

    def _read(self) -> Iterator[PublishedEvent]:
        after = 0
        while events := self._stores.feed.after(self._organization_id, after, READ_AT_ONCE):
            yield from events
            after = events[-1].sequence


def _line_of(event: PublishedEvent) -> str | None:
    """None when it is no event any more."""
    try:
        return canonical(event.to_json())
    except (ValueError, KeyError):
        return None


def _keys(stores: Stores, organization_id: str, checked: Checked) -> Iterator[str]:
    """In order. More than one version of a key means that somebody has written over it, or deleted it."""
    versions: dict[str, int] = {}
    for version in stores.archive.versions(organization_id):
        versions[version.key] = versions.get(version.key, 0) + 1
        if version.is_deletion:
            checked.faults.append(f"{version.key} was deleted; its versions are still there")
    for key, count in sorted(versions.items()):
        if count > 1:
            checked.faults.append(f"{key} has {count} versions; it was written once")
        yield key


def _first_of(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".jsonl"))


def _faults_of_seal(
    seal: Seal, key: str, organization_id: str, next_sequence: int, sha256: str | None
) -> Iterator[str]:
    if seal.organization_id != organization_id or keys.seal_key(organization_id, seal.first) != key:
        yield f"{key} is the file of another place: {seal.organization_id}, from {seal.first} on"
    if seal.first != next_sequence:
        yield f"{key} begins with {seal.first}, and {next_sequence} was to come: a file is missing"
    if seal.previous_sha256 != sha256:
        yield f"{key} names the hash {seal.previous_sha256} for the file before, which has {sha256}"


def _read_lines(key: str, seal: Seal, body: bytes, checked: Checked, note: Note | None) -> dict[int, str]:
    """Number -> line."""
    lines: dict[int, str] = {}
    # Not splitlines, which also splits at characters that JSON leaves as they are, such as U+2028.
    told = body.decode(errors="replace").removesuffix("\n").split("\n")[1:]
    expected = list(range(seal.first, seal.last + 1))
    found = []
    for number, line in enumerate(told, start=2):
        try:
            event = json.loads(line)
            found.append(int(event["sequence"]))
            if canonical(event) != line:
                checked.faults.append(f"{key}, line {number}: not in the form in which it was sealed")
            lines[int(event["sequence"])] = line
            if note is not None:
                note(key, event)
        except (ValueError, KeyError, TypeError):
            checked.faults.append(f"{key}, line {number}: no event")
    if found != expected:
        wrong = next((f"{a} stands where {b} was sealed" for a, b in zip(found, expected, strict=False) if a != b), "")
        checked.faults.append(f"{key} has {len(found)} of {len(expected)} events; {wrong or 'the last are missing'}")
    return lines
