"""Saved exports of the audit trail, checked by their last lines: what was changed, cut or left out is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.audit import export
from tests.unit.api import Api, Session
from tests.unit.audit.test_trail import write
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


@pytest.fixture
def saved(
    api: Api, anna: Session, world: World, clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """Nine events in three files, each but the last one cut."""
    monkeypatch.setattr(export, "MAX_FILE_EVENTS", 4)
    monkeypatch.setattr(export, "READ_AT_ONCE", 2)
    write(world, 9)
    paths = []
    for number, after in enumerate((0, 4, 8)):
        paths.append(tmp_path / f"{number}.jsonl")
        paths[-1].write_bytes(api.get(f"/audit/export?after={after}", anna).body)
    return paths


def text(line: str, **changes: Any) -> str:
    """A last line that says something else."""
    return json.dumps({"export": json.loads(line)["export"] | changes})


def test_whole_exports_are_verified(operator: Operator, saved: list[Path]) -> None:
    heading, *rows = operator.done("audit", "verify-export", *map(str, saved)).splitlines()
    assert heading.split() == ["File", "Events", "SHA-256", "Faults"]
    assert [(row.split()[1], row.split()[-1]) for row in rows] == [("4", "none"), ("4", "none"), ("1", "none")]
    found = json.loads(operator.done("audit", "verify-export", "--json", *map(str, saved)))
    assert [one["summary"]["next_after"] for one in found] == [4, 8, 9]


def test_what_a_later_release_says_besides_is_no_fault(operator: Operator, saved: list[Path]) -> None:
    *lines, last = saved[2].read_text().splitlines()
    saved[2].write_text("".join(f"{line}\n" for line in [*lines, text(last, later="x")]))
    operator.done("audit", "verify-export", *map(str, saved))


CHANGES: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "changed": (lambda lines: [lines[0].replace("thing", "other"), *lines[1:]], "have the hash"),
    "missing": (lambda lines: lines[1:], "3 events are there, 4 were exported"),
    "reordered": (lambda lines: [lines[1], lines[0], *lines[2:]], "line 2: event"),
    "twice": (lambda lines: [lines[0], *lines], "line 2: event"),
    "not JSON": (lambda lines: ["?", *lines[1:]], "line 1: no event"),
    "cut off": (lambda lines: lines[:-1], "the last line does not say"),
    "empty": (lambda lines: [], "the last line does not say"),
    "half a line": (lambda lines: [*lines[:-1], lines[-1][:20]], "the last line does not say"),
    "another form": (lambda lines: [*lines[:-1], text(lines[-1], version=2)], "the last line does not say"),
    "no number": (lambda lines: [*lines[:-1], '{"export":{"version":1}}'], "does not say 'export_id'"),
    "another organisation": (lambda lines: [*lines[:-1], text(lines[-1], organization_id="x")], "of another organi"),
    "other filters": (lambda lines: [*lines[:-1], text(lines[-1], filters={"actor": "x"})], "other filters"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("file", [0, 1])
def test_changed_export_is_found(operator: Operator, saved: list[Path], change: str, file: int) -> None:
    edit, fault = CHANGES[change]
    lines = edit(saved[file].read_text().splitlines())
    saved[file].write_text("".join(f"{line}\n" for line in lines))
    result = operator.run("audit", "verify-export", *map(str, saved))
    assert result.exit_code == 1
    assert fault in result.stderr


def test_missing_export_is_found(operator: Operator, saved: list[Path]) -> None:
    for files, fault in (
        ([saved[0], saved[2]], "begins after 8, and the one before ended with 4"),
        (saved[:2], "export what comes after 8"),
    ):
        result = operator.run("audit", "verify-export", *map(str, files))
        assert result.exit_code == 1
        assert fault in result.stderr
