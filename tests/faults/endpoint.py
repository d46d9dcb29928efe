"""The endpoint that the laboratory's webhooks go to: a real server, which remembers what it has taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any

from tests.receiver import OK, Receiver, answer


@dataclass(frozen=True)
class Post:
    """One request that has arrived."""

    head: str
    body: bytes

    @property
    def event_id(self) -> str:
        """As the header says it, which the body has to say, too."""
        told: str = self._headers["webhook-id"]
        assert json.loads(self.body)["id"] == told, "webhook-id is not the event's"
        return told

    @property
    def _headers(self) -> Any:
        return HeaderParser().parsestr(self.head.partition("\r\n")[2])

    def is_signed_with(self, secret: str) -> bool:
        signed = f"{self._headers['webhook-id']}.{self._headers['webhook-timestamp']}.".encode() + self.body
        digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}" in self._headers["webhook-signature"].split()


@dataclass(frozen=True)
class Kept:
    """A moment to come back to."""

    received: list[tuple[str, bytes]]
    refused: int


class Endpoint:
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._refused = 0
        self.is_gone = False

    @property
    def url(self) -> str:
        return self._receiver.url()

    @property
    def posts(self) -> list[Post]:
        return [Post(*one) for one in self._receiver.received]

    @property
    def taken(self) -> set[str]:
        """Ids of the events that were answered with a success."""
        return {post.event_id for post in self.posts[self._refused :]}

    def refuse(self, status: int = 503) -> None:
        """From now on, and until :meth:`accept`."""
        assert not self.taken, "what was taken before would count as refused"
        self._receiver.behaviour = answer(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        self.is_gone = status == 410

    def accept(self) -> None:
        self._receiver.behaviour = answer(OK)
        self._refused = len(self._receiver.received)
        self.is_gone = False

    def keep(self) -> Kept:
        return Kept(list(self._receiver.received), self._refused)

    def back_to(self, kept: Kept) -> None:
        self._receiver.received[:] = kept.received
        self.accept()
        self._refused = kept.refused
