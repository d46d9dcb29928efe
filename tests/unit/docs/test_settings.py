"""Every setting is in docs/settings.md with its real default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib.kernel.config import load

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
CONFIG = (ROOT / "chalicelib" / "kernel" / "config.py").read_text(encoding="utf-8")
REQUIRED = {
    "TABLE_PREFIX": "x",
    "TEMP_BUCKET": "temp-bucket",
    "PERMANENT_BUCKET": "permanent-bucket",
    "UPLOADS_QUEUE_URL": "https://sqs.example.com/q",
}


def table() -> dict[str, str]:
    """Variable -> default as the page says it."""
    return dict(re.findall(r"^\| `([A-Z0-9_]+)` \| `?([^|`]+)`? \|", SETTINGS, re.MULTILINE))


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
