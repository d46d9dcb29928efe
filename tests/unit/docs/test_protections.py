"""The catalogue of protections fits the code and the tests, and docs/protections.md lists just what is in it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.protections.catalogue import ALL, Protection
from tests.protections.document import DOCUMENT, render
from tests.protections.edits import NoEdit, edit

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


@cache
def normal_form(path: Path) -> str:
    return ast.unparse(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("protection", ALL, ids=lambda protection: protection.name)
def test_edit_applies_and_its_tests_exist(protection: Protection) -> None:
    path, without = edit(ROOT, protection)
    assert ast.unparse(ast.parse(without)) != normal_form(path)
    assert protection.tests
    for test in protection.tests:
        module, _, name = test.partition("[")[0].partition("::")
        assert (ROOT / module).is_file(), test
        assert name in functions(ROOT / module), test


def test_protections_have_names_of_their_own() -> None:
    assert len({protection.name for protection in ALL}) == len(ALL)


def test_page_lists_the_catalogue() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run: make protections"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one module, that of the tests below."""
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "chalicelib" / "rooms.py").write_text(ROOMS, encoding="utf-8")
    return tmp_path


ROOMS = """
LIMIT = 5

class Store:
    def find(self, name):
        # Looks in its own room.
        if (name ==
                'a'):
            log(name)
            return get(self.room, name, consistent=True)
        return None

def find(name):
    return get('hall', name)
"""


def protection(where: str, code: str, without: str) -> Protection:
    return Protection("", where, code, without, ())


@pytest.mark.parametrize(
    ("where", "code", "without", "expected"),
    [
        ("LIMIT", "5", "6", "LIMIT = 6"),
        ("Store.find", 'name == "a"', "True", "if True:"),
        ("Store.find", "consistent=True", "pass", "return get(self.room, name)"),
        ("Store.find", "consistent=True", "consistent=False", "return get(self.room, name, consistent=False)"),
        ("Store.find", "log(name)", "pass", "pass"),
        ("find", "'hall'", "'any'", "return get('any', name)"),
    ],
)
def test_code_is_found_by_name_and_form(tree: Path, where: str, code: str, without: str, expected: str) -> None:
    (tree / "chalicelib" / "rooms.py").rename(tree / "chalicelib" / "moved.py")
    path, source = edit(tree, protection(where, code, without))
    assert path.name == "moved.py"
    changed = set(source.splitlines()) - set(ast.unparse(ast.parse(ROOMS)).splitlines())
    assert {line.strip() for line in changed} == {expected}


@pytest.mark.parametrize(
    ("where", "code"), [("nothing", "5"), ("find", "consistent=True"), ("Store.find", "name"), ("find", "LIMIT")]
)
def test_code_that_is_missing_or_there_twice_is_no_edit(tree: Path, where: str, code: str) -> None:
    with pytest.raises(NoEdit):
        edit(tree, protection(where, code, "pass"))
