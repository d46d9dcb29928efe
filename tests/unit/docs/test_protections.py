"""The catalogue of protections fits the code and the tests, and docs/protections.md lists just what is in it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.protections.catalogue import ALL, Protection
from tests.protections.document import DOCUMENT, render

ROOT = Path(__file__).resolve().parents[3]


@cache
def functions(path: Path) -> frozenset[str]:
    """Names of the tests of a file, as in node ids."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{child.name}" for child in node.body if isinstance(child, ast.FunctionDef)}
    return frozenset(found)


@pytest.mark.parametrize("protection", ALL, ids=lambda protection: protection.name)
def test_edit_applies_and_its_tests_exist(protection: Protection) -> None:
    source = (ROOT / protection.file).read_text(encoding="utf-8")
    assert source.count(protection.text) == 1, f"{protection.file} has changed; change the catalogue with it"
    ast.parse(source.replace(protection.text, protection.without))
    assert protection.tests
    for test in protection.tests:
        path, _, name = test.partition("[")[0].partition("::")
        assert (ROOT / path).is_file(), test
        assert name in functions(ROOT / path), test


def test_protections_have_names_of_their_own() -> None:
    assert len({protection.name for protection in ALL}) == len(ALL)


def test_page_lists_the_catalogue() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run: make protections"
