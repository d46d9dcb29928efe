"""The sender against servers that do what they like, over real sockets and real TLS."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.platform import outbound
from chalicelib.platform.outbound import (
    BAD_CERTIFICATE,
    BROKEN_OFF,
    NOT_HTTP,
    NOT_PUBLIC,
    REFUSED,
    TIMED_OUT,
    OutboundSender,
)
from infra.local.processes import free_port
from tests.receiver import Receiver, answer, receiver

HOST = "hooks.example"
HEADERS = {"webhook-id": "evt_1", "Content-Type": "application/json"}
LOCAL = ("127.0.0.1",)


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_delivery(server: Receiver) -> None:
    server.behaviour = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    result = OutboundSender(LOCAL).send(server.url() + "?a=b", HEADERS, b'{"a":1}')
    assert (result.status, result.body_start, result.error, result.is_accepted) == (200, "hello", None, True)
    [(head, body)] = server.received
    assert head.startswith("POST /hook?a=b HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}" in head
    assert "webhook-id: evt_1" in head
    assert "Accept-Encoding: gzip" not in head
    assert body == b'{"a":1}'


@pytest.mark.parametrize("status", [301, 302, 307, 400, 410, 500])
def test_anything_but_2xx_is_no_acceptance_and_no_redirect_is_followed(server: Receiver, status: int) -> None:
    location = f"Location: {server.url()}\r\n"
    server.behaviour = answer(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n".encode())
    result = OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}")
    assert (result.status, result.is_accepted, result.error) == (status, False, None)
    assert len(server.received) == 1


def test_endless_answer_is_read_to_a_bound(server: Receiver) -> None:
    def endless(wire: socket.socket) -> None:
        wire.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stopping.is_set():
            wire.sendall(b"x" * 65536)

    server.behaviour = endless
    result = OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}")
    assert (result.status, len(result.body_start), result.error) == (200, 1024, None)


def test_compressed_answer_is_not_unpacked(server: Receiver) -> None:
    server.behaviour = answer(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
    assert OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}").body_start == "nope"


def stall(wire: socket.socket) -> None:
    threading.Event().wait(20)


def drip(wire: socket.socket) -> None:
    for letter in b"HTTP/1.1 200 OK\r\nA: " + b"x" * 40:
        wire.sendall(bytes([letter]))
        threading.Event().wait(0.05)


def stall_in_the_body(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal")
    stall(wire)


@pytest.mark.parametrize(("behaviour", "status"), [(stall, None), (drip, None), (stall_in_the_body, 200)])
def test_time_limit_holds_whatever_the_server_does(
    server: Receiver, monkeypatch: pytest.MonkeyPatch, behaviour: Any, status: int | None
) -> None:
    monkeypatch.setattr(outbound, "ATTEMPT_SECONDS", 0.5)
    server.behaviour = behaviour
    result = OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}")
    assert (result.status, result.error) == (status, TIMED_OUT)


def test_dns_that_does_not_answer(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "ATTEMPT_SECONDS", 0.3)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: threading.Event().wait(5))
    assert OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}").error == TIMED_OUT


def test_nothing_is_sent_when_the_dns_answers_too_late(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told to have timed out must not arrive afterwards."""
    ask, released, threads = socket.getaddrinfo, threading.Event(), []

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        released.wait(5)
        return ask(host, *arguments, **options)

    monkeypatch.setattr(outbound, "ATTEMPT_SECONDS", 0.3)
    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    assert OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}").error == TIMED_OUT
    released.set()
    threads[0].join(5)
    assert server.received == []


def test_odd_answers(server: Receiver) -> None:
    sender = OutboundSender(LOCAL)
    for raw, errors in (
        (b"", {BROKEN_OFF}),
        (b"SSH-2.0-OpenSSH_9.7\r\n", {NOT_HTTP, BROKEN_OFF}),
        (b"HTTP/1.1 abc OK\r\n\r\n", {NOT_HTTP, BROKEN_OFF}),
        # Of a server that has died in between: it has not answered.
        (b"HTTP/1.1 200 OK\r\n", {BROKEN_OFF}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", {BROKEN_OFF}),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nServer:", {BROKEN_OFF}),
    ):
        server.behaviour = answer(raw)
        result = sender.send(server.url(), HEADERS, b"{}")
        assert result.status is None
        assert result.error in errors, raw


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    assert OutboundSender(LOCAL).send(url, HEADERS, b"{}").error == REFUSED


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        *((429, "120", 120), (503, "0", 0), (503, " 7 ", 7), (429, "99999999999", 99999999999)),
        *((429, "soon", None), (429, "-5", None), (429, "1.5", None), (429, "", None), (429, "9" * 5000, None)),
        *((500, "120", None), (301, "120", None), (200, "120", None)),
    ],
)
def test_when_to_come_again(server: Receiver, status: int, header: str, seconds: int | None) -> None:
    server.behaviour = answer(f"HTTP/1.1 {status} X\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode())
    assert OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}").retry_after_seconds == seconds


@pytest.mark.parametrize(("ahead", "least", "most"), [(1000, 900, 1000), (-1000, 0, 0)])
def test_date_at_which_to_come_again(server: Receiver, ahead: int, least: int, most: int) -> None:
    date = formatdate(time.time() + ahead, usegmt=True)
    server.behaviour = answer(f"HTTP/1.1 503 X\r\nRetry-After: {date}\r\nContent-Length: 0\r\n\r\n".encode())
    asked = OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}").retry_after_seconds
    assert asked is not None
    assert least <= asked <= most


# ---- several addresses -----------------------------------------------------------------------------------------------
def at(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """The name of the tests is at these addresses, in this order."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if host != HOST:
            return ask(host, port, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)


def test_next_address_is_asked_when_one_does_not_take_the_connection(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody listens at the first two.
    at(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")
    result = OutboundSender((HOST,)).send(server.url(HOST), HEADERS, b"{}")
    assert (result.status, result.error, len(server.received)) == (204, None, 1)


@pytest.mark.skipif(sys.platform == "darwin", reason="there 127.0.0.1 is the only address of this machine")
def test_address_that_takes_the_connection_and_says_nothing_leaves_time_for_the_next(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "LEAST_CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(outbound, "ATTEMPT_SECONDS", 6.0)
    at(monkeypatch, *["127.0.0.2"] * 2, "127.0.0.1")
    with (
        receiver(authority.server_side(HOST)) as made,
        socket.create_server(("127.0.0.2", made.port)),
    ):
        result = OutboundSender((HOST,), str(authority.ca_file)).send(made.url(HOST, "https"), HEADERS, b"{}")
        assert (result.status, result.error, len(made.received)) == (204, None, 1)


def test_nothing_is_sent_to_a_second_address_when_the_first_has_taken_the_request(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behaviour = answer(b"")
    at(monkeypatch, "127.0.0.1", "127.0.0.1", "127.0.0.2")
    assert OutboundSender((HOST,)).send(server.url(HOST), HEADERS, b"{}").error == BROKEN_OFF
    assert len(server.received) == 1


def test_name_is_asked_for_once(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is connected to is what was checked, whatever the DNS answers a moment later."""
    answers = ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda host, port, *_, **__: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0) if host == HOST else host, port))
        ],
    )
    assert OutboundSender((HOST,)).send(server.url(HOST), HEADERS, b"{}").status == 204
    assert answers == ["127.0.0.2"]


def test_no_address_takes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "127.0.0.1", "127.0.0.2")
    assert OutboundSender((HOST,)).send(f"http://{HOST}:{free_port()}/", HEADERS, b"{}").error == REFUSED


def test_one_private_address_among_public_ones_is_enough_not_to_connect_to_any(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[object] = []
    at(monkeypatch, "93.184.216.34", "127.0.0.1")
    monkeypatch.setattr("socket.socket.connect", lambda _, address: connected.append(address))
    assert OutboundSender().send(server.url(HOST, "https"), HEADERS, b"{}").error == NOT_PUBLIC
    assert connected == []


def test_private_address_is_not_connected_to(server: Receiver) -> None:
    for url in (server.url(scheme="https"), server.url("localhost", "https")):
        result = OutboundSender().send(url, HEADERS, b"{}")
        assert (result.status, result.error) == (None, NOT_PUBLIC)
    assert server.received == []


def test_name_that_turns_private_after_the_check(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the address that was good at the creation is another one at the delivery, and in between."""
    answers = ["93.184.216.34", "127.0.0.1"]
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = answers.pop(0) if host == HOST else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    sender, url = OutboundSender(), server.url(HOST, "https")
    sender.check(url)
    assert sender.send(url, HEADERS, b"{}").error == NOT_PUBLIC
    assert server.received == []
    assert asked.count(HOST) == 2, "once at each: what is connected to is what was checked"


def test_proxy_of_the_environment_is_not_used(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert OutboundSender(LOCAL).send(server.url(), HEADERS, b"{}").status == 204


# ---- TLS -------------------------------------------------------------------------------------------------------------
class Authority:
    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._certificate("authority", self.key, [], authority=True, days=1)
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def server_side(self, name: str, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._certificate(name, key, [x509.DNSName(name)], authority=False, days=days)
        path = self.folder / f"{name}.{days}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _certificate(
        self, name: str, key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], *, authority: bool, days: int
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the tests is at 127.0.0.1."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        return ask("127.0.0.1" if host == HOST else host, *arguments, **options)

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)


def test_tls_with_the_right_certificate(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(monkeypatch)
    with receiver(authority.server_side(HOST)) as made:
        result = OutboundSender((HOST,), str(authority.ca_file)).send(made.url(HOST, "https"), HEADERS, b"{}")
    assert (result.status, result.error) == (204, None)


@pytest.mark.parametrize(("name", "days", "trusted"), [("other.example", 1, True), (HOST, -1, True), (HOST, 1, False)])
def test_certificate_of_another_host_expired_or_of_nobody(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str, days: int, trusted: bool
) -> None:
    at_home(monkeypatch)
    ca_file = str(authority.ca_file) if trusted else None
    with receiver(authority.server_side(name, days)) as made:
        result = OutboundSender((HOST,), ca_file).send(made.url(HOST, "https"), HEADERS, b"{}")
        assert made.received == []
    assert (result.status, result.error) == (None, BAD_CERTIFICATE)


def test_server_without_tls_is_not_taken_for_one_with(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(monkeypatch)
    monkeypatch.setattr(outbound, "ATTEMPT_SECONDS", 0.5)
    result = OutboundSender((HOST,)).send(server.url(HOST, "https"), HEADERS, b"{}")
    assert result.status is None
    assert result.error
    assert str(ipaddress.ip_address("127.0.0.1")) not in result.error
