"""Every setting is in docs/settings.md with its real default; the tables are those that `make docs` writes."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from chalicelib.kernel.config import Settings, load
from infra import generated_pages

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
REQUIRED = {
    "TABLE_PREFIX": "x",
    "TEMP_BUCKET": "temp-bucket",
    "PERMANENT_BUCKET": "permanent-bucket",
    "AUDIT_BUCKET": "audit-bucket",
    "UPLOADS_QUEUE_URL": "https://sqs.example.com/q",
    "WEBHOOKS_QUEUE_URL": "https://sqs.example.com/w",
}


def table() -> dict[str, str]:
    """Variable -> default as the page says it."""
    return dict(re.findall(r"^\| `([A-Z0-9_]+)` \| `?([^|`]+)`? \|", SETTINGS, re.MULTILINE))


def test_every_setting_is_in_the_table_and_no_other() -> None:
    assert set(table()) == {field.name.upper() for field in fields(Settings)}


@pytest.mark.parametrize("page", sorted(generated_pages.PAGES), ids=lambda page: page.name)
def test_page_has_the_table_of_today(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == generated_pages.rendered(page), "run: make docs"


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
