"""What a key makes is bounded by the key: no chain of keys comes to more than the first one had."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api_keys.key_intent import MAX_DAYS, check_scopes, checked_networks, expiry_within, networks_within
from chalicelib.api_keys.records import ApiKey, Maker, is_within
from chalicelib.kernel.errors import MissingPermission
from chalicelib.kernel.permissions import Scope

NOW = 1_800_000_000


@st.composite
def networks(draw: st.DrawFn) -> str:
    address, bits = draw(st.sampled_from([(IPv4Address, 32), (IPv6Address, 128)]))
    # Few different ones, so that they meet.
    number = draw(st.integers(0, 7)) << (bits - 3)
    return str(ip_network(f"{address(number)}/{draw(st.integers(0, bits))}", strict=False))


@st.composite
def api_keys(draw: st.DrawFn) -> ApiKey:
    return ApiKey(
        organization_id="o",
        key_id="k",
        name="robot",
        scopes=draw(st.frozensets(st.sampled_from(list(Scope)), min_size=1)),
        networks=tuple(draw(st.lists(networks(), max_size=3))),
        made_by=Maker("user", "u", "anna"),
        created_at="",
        expires_at=draw(st.none() | st.integers(NOW + 1, NOW + MAX_DAYS * 86400)),
        secret_hash="",
    )


@given(api_keys(), st.lists(networks(), max_size=3))
def test_key_that_is_made_works_from_nowhere_else(asking: ApiKey, wanted: list[str]) -> None:
    try:
        given_networks = networks_within(asking, checked_networks(wanted))
    except MissingPermission:
        return
    if asking.networks:
        assert given_networks, "it would work from everywhere"
    for network in given_networks:
        for address in (ip_network(network)[0], ip_network(network)[-1]):
            assert asking.allows(str(address))


@given(api_keys(), st.none() | st.integers(1, MAX_DAYS), st.booleans())
def test_key_that_is_made_ends_no_later(asking: ApiKey, days: int | None, never: bool) -> None:
    try:
        expires_at = expiry_within(asking, None if never else days, never, NOW)
    except MissingPermission:
        return
    if asking.expires_at is not None:
        assert expires_at is not None
        assert expires_at <= asking.expires_at


@given(api_keys(), st.frozensets(st.sampled_from(list(Scope)), min_size=1))
def test_key_that_is_made_may_do_no_more(asking: ApiKey, wanted: frozenset[Scope]) -> None:
    try:
        check_scopes(asking.caller, wanted)
    except MissingPermission:
        assert wanted - asking.scopes
    else:
        assert wanted <= asking.scopes


@given(st.ip_addresses(v=4), networks().filter(lambda network: ":" not in network))
def test_address_of_ipv4_counts_in_both_spellings(address: IPv4Address, network: str) -> None:
    assert is_within(str(address), (network,)) == is_within(f"::ffff:{address}", (network,))
