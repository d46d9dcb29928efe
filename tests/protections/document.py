"""docs/protections.md, written from the catalogue."""

from __future__ import annotations

from pathlib import Path

from infra import markdown
from tests.protections.catalogue import CATALOGUE, Protection

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "protections.md"
HEAD = """# Protections

`make protections` writes this page. It removes each protection from a copy of the code, one at a time, and runs the
tests of the last column: all of them must fail. The edits are in [the catalogue](../tests/protections/catalogue).
"""


def render() -> str:
    lines = [HEAD]
    for area, protections in CATALOGUE.items():
        rows = [(protection.name, f"`{protection.where}`", _tests(protection)) for protection in protections]
        lines += [f"## {area}", "", markdown.table(["protection", "where", "tests that fail without it"], rows), ""]
    return "\n".join(lines)


def _tests(protection: Protection) -> str:
    return "<br>".join(f"`{_short(test)}`" for test in protection.tests)


def _short(test: str) -> str:
    """Without the case of a parametrised test, which may hold anything."""
    return test.partition("[")[0]
