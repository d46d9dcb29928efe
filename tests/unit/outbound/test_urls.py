"""Where a webhook may lead: every form of an address that is not public is refused, in a URL and in the DNS."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from chalicelib.kernel.errors import BadInput
from chalicelib.platform.addresses import is_public
from chalicelib.platform.outbound import NO_SUCH_HOST, NOT_PUBLIC, OutboundSender

PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001::200e"]
NOT_PUBLIC_ADDRESSES = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.8.8.8"),
    *("169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.0.1"),
    *("192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::"),
    *("2002:808:808::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
]
#: Every entry of IANA's special-purpose address registries, as of October 2025.
REGISTRIES = [
    *("0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32"),
    *("192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32"),
    *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
    *("255.255.255.255/32", "::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64"),
    *("100:0:0:1::/64", "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48"),
    *("2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16"),
    *("2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10"),
]


@pytest.mark.parametrize("network", REGISTRIES)
def test_no_network_of_the_registries_is_public_from_its_first_to_its_last_address(network: str) -> None:
    known = ipaddress.ip_network(network)
    assert not is_public(known[0])
    assert not is_public(known[-1])


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC_ADDRESSES)
def test_address_that_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


def dns(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Whatever is asked for is at these addresses. What was asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if not addresses:
            raise socket.gaierror("no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.com/hook", "https://example.com", "https://EXAMPLE.com./a?b=c", "https://example.com:8443/"),
        *("https://xn--bcher-kva.example/", "https://a_b.example.com/", "https://93.184.216.34/"),
    ],
)
def test_url_that_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    asked = dns(monkeypatch, "93.184.216.34")
    OutboundSender().check(url)
    assert asked


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "//example.com/", "example.com", "https://", "https:///x", ""),
        *("https://user@example.com/", "https://user:password@example.com/", "https://@example.com/"),
        *("https://example.com/#x", "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/"),
        *("https://example.com:22/", "https://example.com:25/", "https://example.com:80/", "https://exa mple.com/"),
        *("https://example.com/\r\nX: y", "https://example.com\\@evil.example/", "https://bücher.example/"),
        *("https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://127.1/", "https://0x7f.1/"),
        *("https://1.1.1.1.1/", "https://0177.0.0.1/", "https://127.0.0.01/", "https://[fe80::1%25eth0]/"),
        *(
            "https://exa%6dple.com/",
            "https://" + "a" * 64 + ".example/",
            "https://example.com/" + "a" * 2000,
        ),
        *("https://[::1", "javascript:alert(1)", "file:///etc/passwd", "https://exa\u0000mple.com/"),
    ],
)
def test_url_that_is_refused_without_asking_anybody(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    asked = dns(monkeypatch, "93.184.216.34")
    with pytest.raises(BadInput):
        OutboundSender().check(url)
    assert asked == []


@pytest.mark.parametrize("address", NOT_PUBLIC_ADDRESSES)
def test_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    dns(monkeypatch, address)
    with pytest.raises(BadInput, match=NOT_PUBLIC):
        OutboundSender().check("https://example.com/")


def test_one_address_of_many_that_leads_inside_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    dns(monkeypatch, "93.184.216.34", "10.0.0.1")
    with pytest.raises(BadInput, match=NOT_PUBLIC):
        OutboundSender().check("https://example.com/")


def test_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    dns(monkeypatch)
    with pytest.raises(BadInput, match=NO_SUCH_HOST):
        OutboundSender().check("https://nowhere.example/")


def test_allowed_host_may_be_private_and_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    dns(monkeypatch, "127.0.0.1")
    sender = OutboundSender(("localhost",))
    sender.check("http://localhost:3000/hook")
    with pytest.raises(BadInput):
        sender.check("http://localhost.example.com/hook")
