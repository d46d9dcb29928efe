"""docs/protections.md, written from the catalogue."""

from __future__ import annotations

from pathlib import Path

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
        lines += [f"## {area}", "", "| protection | where | tests that fail without it |", "|---|---|---|"]
        lines += [_row(protection) for protection in protections]
        lines.append("")
    return "\n".join(lines)


def _row(protection: Protection) -> str:
    tests = "<br>".join(f"`{_short(test)}`" for test in protection.tests)
    return f"| {protection.name} | `{protection.where}` | {tests} |"


def _short(test: str) -> str:
    """Without the case of a parametrised test, which may hold anything."""
    return test.partition("[")[0]
