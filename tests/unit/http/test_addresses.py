"""Who a request counts as, in limits by address."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.web.addresses import source_address


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
    request: Any = SimpleNamespace(context={"identity": {"sourceIp": peer}})
    assert source_address(request) == counts_as
