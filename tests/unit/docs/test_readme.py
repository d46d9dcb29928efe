"""The README is true: every setting is in its table with its real default, every target and link exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib.config import load

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIG = (ROOT / "chalicelib" / "config.py").read_text(encoding="utf-8")
REQUIRED = {
    "TABLE_PREFIX": "x",
    "TEMP_BUCKET": "temp-bucket",
    "PERMANENT_BUCKET": "permanent-bucket",
    "UPLOADS_QUEUE_URL": "https://sqs.example.com/q",
}


def table() -> dict[str, str]:
    """Variable -> default as the README says it."""
    return dict(re.findall(r"^\| `([A-Z0-9_]+)` \| `?([^|`]+)`? \|", README, re.MULTILINE))


def test_every_setting_is_in_the_table_and_no_other() -> None:
    read = set(re.findall(r'read\.\w+\(\s*"([A-Z0-9_]+)"', CONFIG))
    assert set(table()) == read


@pytest.mark.parametrize("variable", sorted(table()))
def test_default_is_the_one_that_the_code_has(variable: str) -> None:
    said = table()[variable].strip()
    if said == "required":
        assert variable in REQUIRED
        return
    found = getattr(load(REQUIRED), variable.lower())
    if said == "none":
        assert found in (None, ())
    else:
        assert said == (str(found).lower() if isinstance(found, bool) else str(found))


def test_every_make_target_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z][a-z0-9-]*)", README)) <= targets


def test_every_link_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
