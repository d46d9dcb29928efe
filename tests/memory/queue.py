"""The twin of ``chalicelib.platform.queue.UploadsQueue``, and the consumer's side of it."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from urllib.parse import quote_plus

from chalicelib import keys
from chalicelib.processing.announcements import MAX_RECEIVES, Message
from tests.memory.storage import TEMP_BUCKET
from tests.memory.wire import Wire
from tests.moto_aws import s3_notification

VISIBILITY_SECONDS = 5400
MAX_DELAY_SECONDS = 900


@dataclass
class Kept:
    """A message until it is done or dead."""

    message_id: str
    body: str
    visible_at: float
    receives: int = 0

    @property
    def receipt_handle(self) -> str:
        """Of the last delivery; those of earlier ones are worth nothing."""
        return f"{self.message_id}, receipt {self.receives}"


class MemoryQueue:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._ids = itertools.count(1)
        self.kept: list[Kept] = []
        self.dead_letters: list[str] = []

    def announce(self, organization_id: str, file_id: str, delay_seconds: int = 0) -> None:
        self._wire.begin("announce")
        if not 0 <= delay_seconds <= MAX_DELAY_SECONDS:
            raise ValueError(f"A message waits at most {MAX_DELAY_SECONDS} seconds.")
        key = keys.temp_key(organization_id, file_id)
        self.send(_notification(key, "ObjectCreated:Announced"), delay_seconds)

    def delay(self, receipt_handle: str, seconds: int) -> None:
        self._wire.begin("delay")
        (message,) = [message for message in self.kept if message.receipt_handle == receipt_handle]
        message.visible_at = time.time() + seconds

    def is_reachable(self) -> bool:
        return self._wire.is_up("queue")

    # ---- storage and the consumer --------------------------------------------------------------------------------
    def hear_of(self, key: str) -> None:
        """What storage says when an object has arrived."""
        self.send(_notification(key, "ObjectCreated:Put"))

    def send(self, body: str, delay_seconds: int = 0) -> None:
        self.kept.append(Kept(f"message-{next(self._ids)}", body, time.time() + delay_seconds))

    def receive(self, count: int = 10) -> list[Message]:
        """The first messages that can be seen now; they are out of sight then, until deleted or shown again."""
        seen = [message for message in self.kept if message.visible_at <= time.time()][:count]
        dead = [message for message in seen if message.receives >= MAX_RECEIVES]
        self.dead_letters += [message.body for message in dead]
        self.kept = [message for message in self.kept if message not in dead]
        received = [message for message in seen if message not in dead]
        for message in received:
            message.receives += 1
            message.visible_at = time.time() + VISIBILITY_SECONDS
        return [Message(m.message_id, m.receipt_handle, m.body, m.receives) for m in received]

    def delete(self, receipt_handle: str) -> None:
        self.kept = [message for message in self.kept if message.receipt_handle != receipt_handle]


def _notification(key: str, event: str) -> str:
    return json.dumps(s3_notification(quote_plus(key, safe="/"), bucket=TEMP_BUCKET, event=event))
