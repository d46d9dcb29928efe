"""Each claim of the threat model names a test, and the test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TESTS = ROOT / "tests"
TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
#: From the first table of claims to the last; what comes after is accepted, or asked of the operator.
CLAIMS = TEXT.partition("## Claims for every role")[2].partition("## Accepted")[0]
MAX_WORDS_OF_THREE_PAGES = 2400


def rows() -> list[str]:
    """The tables' rows, without their headings."""
    lines = [line for line in CLAIMS.splitlines() if line.startswith("|")]
    return [line for line in lines if not re.match(r"\|( at worst | claim |---)", line)]


def names_of_tests() -> set[str]:
    return set(re.findall(r"`([\w/]+\.py::[\w:]+)`", TEXT))


def defined(path: Path) -> set[str]:
    """Each test of a module, as pytest names it behind the path."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("name", sorted(names_of_tests()))
def test_the_named_test_exists(name: str) -> None:
    path, _, test = name.partition("::")
    assert test in defined(TESTS / path)


@pytest.mark.parametrize("row", rows())
def test_each_claim_names_its_test(row: str) -> None:
    assert re.search(r"`[\w/]+\.py::[\w:]+` \|$", row)


def test_it_fits_three_pages() -> None:
    assert len(TEXT.split()) <= MAX_WORDS_OF_THREE_PAGES
