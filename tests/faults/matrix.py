"""Writes the tables of docs/faults.md: every call of every scenario, every way in which it fails, and how it ended.

``python -m tests.faults.matrix`` runs all of it, which takes some minutes, and fails when any row is bad. The test
suite runs a sample of the same, and holds its results against what is written there. Names of scenarios as arguments
run those only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from infra import markdown
from tests.faults.crash_points import MODES, Prepared, Result, prepare, run_point
from tests.faults.lab import Lab, laboratory
from tests.faults.scenarios import SCENARIOS
from tests.faults.wire import Mode

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- generated: make faults -->", "<!-- end of what is generated -->"
#: What differs most: these are tried at every call that writes, the others in turn.
TRIED_ALWAYS = (Mode.DIES_BEFORE, Mode.DIES_AFTER, Mode.ANSWER_LOST)
_READS = re.compile(r"Redis |\w+ (Get|TransactGet|Query|List|Head)")


def sampled(name: str, position: int) -> tuple[Mode, ...]:
    """The ways that the test suite tries at this call. A call that changes nothing of ours gets one, each its own."""
    if _READS.match(name):
        return (MODES[position % len(MODES)],)
    rest = [mode for mode in MODES if mode not in TRIED_ALWAYS]
    return (*TRIED_ALWAYS, rest[position % len(rest)])


def run_all(lab: Lab, ready: Prepared) -> Iterator[tuple[int, Mode, Result]]:
    for position in range(len(ready.points)):
        for mode in MODES:
            yield position, mode, run_point(lab, ready, position, mode)


def heading(key: str) -> str:
    return f"### {SCENARIOS[key].title}"


def render(key: str, points: list[str], cells: dict[tuple[int, Mode], str]) -> str:
    """One scenario as a table."""
    rows = [(number + 1, name, *(cells[number, mode] for mode in MODES)) for number, name in enumerate(points)]
    table = markdown.table(["#", "call", *MODES], rows, numbers="#")
    return "\n".join([heading(key), "", SCENARIOS[key].story, "", table, ""])


def documented(key: str) -> tuple[list[str], dict[tuple[int, Mode], str]]:
    """Points and cells of one scenario, as the document has them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    _, found, after = text.partition(f"{heading(key)}\n")
    assert found, f"docs/faults.md has no section '{heading(key)}'; run make faults"
    section = re.split(r"^(?:###? |<!--)", after, maxsplit=1, flags=re.MULTILINE)[0]
    points: list[str] = []
    cells: dict[tuple[int, Mode], str] = {}
    for line in section.splitlines():
        if re.match(r"\| \d+ \|", line):
            _, _, name, *outcomes, _ = (part.strip() for part in line.split("|"))
            cells |= {(len(points), mode): outcome for mode, outcome in zip(MODES, outcomes, strict=True)}
            points.append(name)
    return points, cells


def write(sections: list[str], summary: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text("\n".join([before + BEGIN, "", summary, "", *sections, END]) + after, encoding="utf-8")


def main(keys: list[str]) -> int:
    """:param keys: of the scenarios to run; the others keep what is written. None: all."""
    sections, faults, bad = [], 0, 0
    with laboratory() as lab:
        for key, scenario in SCENARIOS.items():
            if keys and key not in keys:
                points, cells = documented(key)
                faults += len(points) * len(MODES)
                sections.append(render(key, points, cells))
                continue
            ready = prepare(lab, scenario)
            cells = {}
            for position, mode, result in run_all(lab, ready):
                faults += 1
                cells[position, mode] = str(result)
                for wrong in result.wrong:
                    bad += 1
                    print(f"BAD {key}, {ready.points[position]}, {mode}: {wrong}", file=sys.stderr)
            sections.append(render(key, ready.points, cells))
            print(f"{scenario.title}: {len(ready.points)} calls", file=sys.stderr, flush=True)
    if bad:
        print(f"{bad} bad rows; the document is left as it is.", file=sys.stderr)
        return 1
    write(sections, f"{len(sections)} scenarios, {faults // len(MODES)} calls, {faults} faults, no bad row.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
