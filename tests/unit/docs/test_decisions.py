"""Decisions are numbered without gaps, have one form, and are all in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "decisions"
DECISIONS = sorted(FOLDER.glob("[0-9]*.md"))


def title(decision: Path) -> str:
    return decision.read_text(encoding="utf-8").splitlines()[0].partition(": ")[2]


def test_they_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04d}" for number in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_each_has_the_one_form(decision: Path) -> None:
    lines = decision.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(rf"# {decision.name[:4]}: [A-Z].+[^.]", lines[0])
    sections = [line for line in lines if line.startswith("## ")]
    assert sections[:2] == ["## Context", "## Decision"]
    assert sections[-1] == "## Consequences"


def test_the_index_names_each_with_its_title() -> None:
    rows = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert rows == [(path.name[:4], path.name, title(path)) for path in DECISIONS]


def test_every_decision_that_is_referred_to_exists() -> None:
    sources = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    for folder, kinds in (("docs", "*.md"), ("chalicelib", "*.py"), ("infra", "*.py"), ("tests", "*.py")):
        sources += (ROOT / folder).rglob(kinds)
    numbers = {
        number
        for source in sources
        for number in re.findall(r"[Dd]ecisions?[ /](\d{4})", source.read_text(encoding="utf-8"))
    }
    assert "0021" in numbers
    assert numbers <= {path.name[:4] for path in DECISIONS}
