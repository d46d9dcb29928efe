"""Checks saved exports of the audit trail by their last lines alone: no account, no network.

An export that is cut goes on in another; files that are given together have to follow each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from chalicelib.audit.export import Summary, read_summary


@dataclass
class CheckedExport:
    """:param summary: the last line as read; None when there is none.
    :param faults: a sentence for each thing that is not as it was exported; empty when all is.
    """

    path: Path
    summary: Summary | None = None
    faults: list[str] = field(default_factory=list)


def check_exports(paths: Sequence[Path]) -> list[CheckedExport]:
    """In the order in which they were exported. The last one has to be complete.

    :raises OSError: a file can't be read.
    """
    checked = [_check_file(path) for path in paths]
    for before, after in pairwise(checked):
        if before.summary is not None and after.summary is not None:
            after.faults += _faults_between(before.summary, after.summary)
    last = checked[-1].summary if checked else None
    if last is not None and not last.complete:
        checked[-1].faults.append(f"more was to be read: export what comes after {last.next_after}")
    return checked


def _check_file(path: Path) -> CheckedExport:
    checked = CheckedExport(path)
    sha256, count, greatest, line = hashlib.sha256(), 0, 0, b""
    with path.open("rb") as file:
        # One line is held back: the last is about all others.
        for following in file:
            if line:
                sha256.update(line)
                count += 1
                greatest = _check_event(line, count, greatest, checked)
            line = following
    try:
        summary = checked.summary = read_summary(line.decode())
    except ValueError as error:
        checked.faults.append(f"the last line does not say what the export is: {error}")
        return checked
    if count != summary.events:
        checked.faults.append(f"{count} events are there, {summary.events} were exported")
    if sha256.hexdigest() != summary.sha256:
        checked.faults.append(f"the events have the hash {sha256.hexdigest()}, {summary.sha256} was exported")
    return checked


def _check_event(line: bytes, number: int, greatest: int, checked: CheckedExport) -> int:
    """The number of the event, or of the one before when there is none."""
    try:
        sequence = int(json.loads(line)["sequence"])
    except (ValueError, KeyError, TypeError):
        checked.faults.append(f"line {number}: no event")
        return greatest
    if sequence <= greatest:
        checked.faults.append(f"line {number}: event {sequence} comes after event {greatest}")
    return max(sequence, greatest)


def _faults_between(before: Summary, after: Summary) -> Iterator[str]:
    if after.organization_id != before.organization_id:
        yield "it is of another organisation than the one before"
    if after.filters != before.filters:
        yield "it has other filters than the one before"
    if after.after != before.next_after:
        yield f"it begins after {after.after}, and the one before ended with {before.next_after}"
