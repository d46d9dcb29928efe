"""Who a request counts as, in limits by address."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.web.addresses import source_address
from tests.unit.conftest import Configure


@pytest.mark.parametrize(
    ("peer", "counts_as"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
        ("", "unknown"),
    ],
)
def test_address_counts_as_its_network(peer: str, counts_as: str) -> None:
    assert source_address(asked(peer)) == counts_as


def asked(peer: str, forwarded_for: str | None = None) -> Any:
    headers = {} if forwarded_for is None else {"x-forwarded-for": forwarded_for}
    return SimpleNamespace(context={"identity": {"sourceIp": peer}}, headers=headers)


CLIENT, PROXY, INNER = "203.0.113.9", "198.51.100.1", "198.51.100.2"


@pytest.mark.parametrize(
    ("proxies", "forwarded_for", "counts_as"),
    [
        (0, f"{CLIENT}, {PROXY}", PROXY),
        (1, f"{CLIENT}, {PROXY}", CLIENT),
        # What the client itself has written stands before.
        (1, f"192.0.2.66, {CLIENT}, {PROXY}", CLIENT),
        (2, f"192.0.2.66, {CLIENT}, {INNER}, {PROXY}", CLIENT),
        (1, PROXY, PROXY),
        (1, None, PROXY),
        (1, f"unknown, {PROXY}", PROXY),
        (1, f"2001:db8:1:2::9, {PROXY}", "2001:db8:1:2::/64"),
    ],
)
def test_only_what_trusted_proxies_have_added_counts(
    configure: Configure, proxies: int, forwarded_for: str | None, counts_as: str
) -> None:
    configure(TRUSTED_PROXIES=str(proxies))
    assert source_address(asked(PROXY, forwarded_for)) == counts_as
