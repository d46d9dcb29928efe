"""The README and the other documents are true: every target, link and section that they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(ROOT / ".github").rglob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
]
README_MAX_LINES = 90


def heading_anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> Iterator[tuple[str, str]]:
    """Path and anchor of each link inside the repository."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        yield path, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_it_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z][a-z0-9-]*)", document.read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_section(document: Path) -> None:
    for path, anchor in links(document):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), path
        assert not anchor or anchor in heading_anchors(target), f"{path}#{anchor}"


def test_commands_are_shown_by_the_installed_name() -> None:
    other = re.compile(r"python -m infra(?!\.)")
    shown = {path.name: len(other.findall(path.read_text(encoding="utf-8"))) for path in DOCUMENTS}
    assert {name for name, times in shown.items() if times} == {"operations.md"}
    assert shown["operations.md"] == 1, "that both are the same"


def test_the_index_names_every_document() -> None:
    docs = ROOT / "docs"
    named = {path for path, _ in links(docs / "README.md")}
    assert {path.name for path in docs.iterdir() if path.is_file()} - {"README.md", "console.png"} <= named


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_MAX_LINES


def test_the_hosted_workflow_runs_what_ci_runs() -> None:
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    assert re.findall(r"- run: (.+)", workflow) == [".ci/run"]


def test_every_path_that_contributors_are_sent_to_exists() -> None:
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*|app\.py|keys\.py)`", text))
    assert {"chalicelib/files/record.py", "infra/template/roles.yaml", "infra/functions.py"} <= named
    places = (ROOT, ROOT / "chalicelib")
    missing = [path for path in sorted(named) if not any((place / path).exists() for place in places)]
    assert [path for path in missing if "NN" not in path and not path.startswith((".venv", "build/"))] == []
