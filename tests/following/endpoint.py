"""An endpoint that takes some events, and with others lies, stalls or dies; it notes all that it gets."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError

from tests.following.quick_consumer import ATTEMPT_SECONDS
from tests.receiver import Behaviour, Receiver

HUGE_BYTES: Final = 64 * 1024 * 1024
CHUNK: Final = b"x" * 65536
DRIP_SECONDS: Final = 0.3


@dataclass
class Got:
    """What came with one `webhook-id`.

    :param bodies: the different ones; there must be no second.
    :param is_accepted: it was answered 2xx, before the sender gave up.
    """

    bodies: set[bytes] = field(default_factory=set)
    times: int = 0
    is_accepted: bool = False


class UnreliableEndpoint:
    """Its own behaviour for each request, until :meth:`become_honest`. Not before it has a secret."""

    def __init__(self, receiver: Receiver, seed: int) -> None:
        self.secret = ""
        self.got: dict[str, Got] = {}
        #: How often it behaved in each way.
        self.behaved: Counter[str] = Counter()
        #: What must never come: another signature, another path.
        self.wrong: list[str] = []
        self._receiver = receiver
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._is_honest = False
        self._round: list[str] = []
        receiver.choose = self._choose

    def become_honest(self) -> None:
        self._is_honest = True

    def _choose(self, head: str, body: bytes) -> Behaviour:
        request_line, *lines = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        event_id = headers.get("webhook-id", "")
        with self._lock:
            if request_line != "POST /hook HTTP/1.1":
                self.wrong.append(f"asked for {request_line!r}")
            try:
                Webhook(self.secret).verify(body, headers)
            except WebhookVerificationError as error:
                self.wrong.append(f"{event_id}: {error}")
            got = self.got.setdefault(event_id, Got())
            got.bodies.add(body)
            got.times += 1
            name = "takes it" if self._is_honest else self._next_way()
            self.behaved[name] += 1
        act = WAYS[name][1]

        def behave(wire: socket.socket) -> None:
            act(self, wire, lambda: setattr(got, "is_accepted", True))

        return behave

    def has_tried_all(self) -> bool:
        """Whether it has behaved in each way already."""
        return self.behaved.keys() == WAYS.keys()

    def _next_way(self) -> str:
        """In rounds of all ways, so that none is left to luck."""
        if not self._round:
            self._round = [name for name, (times, _) in WAYS.items() for _ in range(times)]
            self._random.shuffle(self._round)
        return self._round.pop()

    def stall(self, seconds: float) -> None:
        self._receiver.stopping.wait(seconds)


Accept = Callable[[], None]
Way = Callable[[UnreliableEndpoint, socket.socket, Accept], None]


def _take(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    wire.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    accept()


def _answer(raw: bytes) -> Way:
    return lambda endpoint, wire, accept: wire.sendall(raw)


def _close(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    """As a process that is killed."""


def _close_amid_head(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-")


def _close_amid_body(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")
    accept()


def _take_too_late(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    """When the sender has hung up, not after a time: on a busy machine it would still be there, and take the answer."""
    wire.recv(1)
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _drip_head(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\n")
    _drip(endpoint, wire)


def _drip_body(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    accept()
    _drip(endpoint, wire)


def _drip(endpoint: UnreliableEndpoint, wire: socket.socket) -> None:
    """One byte after the other, until the other side has had enough of it."""
    until = time.monotonic() + 3 * ATTEMPT_SECONDS
    while time.monotonic() < until:
        wire.sendall(b"x")
        endpoint.stall(DRIP_SECONDS)


def _huge_body(endpoint: UnreliableEndpoint, wire: socket.socket, accept: Accept) -> None:
    wire.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE_BYTES}\r\n\r\n".encode())
    accept()
    with suppress(OSError):
        for _ in range(HUGE_BYTES // len(CHUNK)):
            wire.sendall(CHUNK)


#: Name -> how often in a round, and what it does.
WAYS: Final[dict[str, tuple[int, Way]]] = {
    "takes it": (8, _take),
    "answers 500": (2, _answer(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")),
    "redirects": (1, _answer(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")),
    "answers no HTTP": (1, _answer(b"220 mail.example.com ESMTP\r\n")),
    "closes": (1, _close),
    "closes amid the head": (1, _close_amid_head),
    "closes amid the body": (1, _close_amid_body),
    "takes it too late": (1, _take_too_late),
    "drips the head": (1, _drip_head),
    "drips the body": (1, _drip_body),
    "sends a huge body": (1, _huge_body),
}
