"""The twin of ``chalicelib.platform.wakeup_queue.SqsWakeupQueue``, and the consumer's side of it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence

from chalicelib.webhooks.batches import Message
from chalicelib.webhooks.wakeup_ports import Wakeup
from tests.memory.queue import MAX_DELAY_SECONDS, Kept
from tests.memory.wire import Wire

VISIBILITY_SECONDS = 720
MAX_RECEIVES = 5


class MemoryWakeups:
    def __init__(self, wire: Wire | None = None) -> None:
        self._wire = wire or Wire()
        self._ids = itertools.count(1)
        self.kept: list[Kept] = []
        self.dead_letters: list[str] = []

    def send(self, wakeups: Sequence[Wakeup]) -> None:
        if not wakeups:
            return
        self._wire.begin("send_wakeups")
        for wakeup in wakeups:
            if not 0 <= wakeup.delay_seconds <= MAX_DELAY_SECONDS:
                raise ValueError(f"A message waits at most {MAX_DELAY_SECONDS} seconds.")
        for wakeup in wakeups:
            body = json.dumps({"organization_id": wakeup.organization_id, "webhook_id": wakeup.webhook_id})
            self.kept.append(Kept(f"wakeup-{next(self._ids)}", body, time.time() + wakeup.delay_seconds))

    def delay(self, receipt_handle: str, seconds: int) -> None:
        self._wire.begin("delay_wakeup")
        (message,) = [message for message in self.kept if message.receipt_handle == receipt_handle]
        message.visible_at = time.time() + seconds

    # ---- the consumer --------------------------------------------------------------------------------------------
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
        return [Message(m.message_id, m.receipt_handle, m.body) for m in received]

    def delete(self, receipt_handle: str) -> None:
        self.kept = [message for message in self.kept if message.receipt_handle != receipt_handle]
