"""Which origins can't sign in by cookie."""

from __future__ import annotations

import pytest

from infra.origins import cookie_notes


@pytest.mark.parametrize(
    ("origins", "domain", "told"),
    [
        ("https://app.example.com", "", 1),
        ("https://app.example.com", "files.example.com", 0),
        ("https://example.com,https://app.example.com", "files.example.com", 0),
        ("https://app.example.org", "files.example.com", 1),
        ("https://a.example.com, https://b.example.org", "files.example.com", 1),
        ("http://localhost:3000", "files.example.com", 1),
        ("", "", 0),
    ],
)
def test_pages_of_another_site_are_told(origins: str, domain: str, told: int) -> None:
    assert len(cookie_notes(origins, domain)) == told
