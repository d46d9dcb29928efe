"""The twin of ``chalicelib.platform.outbound``: endpoints of customers, without a network between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.kernel.errors import BadInput
from chalicelib.webhooks.ports import Answer


@dataclass(frozen=True)
class Post:
    """What an endpoint was sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


Behaviour = Callable[[Post], Answer]


def answering(status: int, body: str = "") -> Behaviour:
    return lambda _: Answer(status, 12, body, None)


def silent(_: Post) -> Answer:
    """Nobody there, or nobody who answers in time."""
    return Answer(None, 15_000, "", "The endpoint did not answer in time.")


OK = answering(200, "thanks")


@dataclass
class MemoryEndpoints:
    """Takes what is sent, and answers as each endpoint was told to; 200 unless it was told something."""

    posts: list[Post] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    _receiving: Any = field(default_factory=threading.Lock)

    def check(self, url: str) -> None:
        if not url.startswith("https://") or "private" in url:
            raise BadInput("url must be an https address that everybody can reach.")

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        post = Post(url, dict(headers), body)
        with self._receiving:
            self.posts.append(post)
        return self.behaviours.get(url, OK)(post)

    def sent_to(self, url: str) -> list[Post]:
        return [post for post in self.posts if post.url == url]
