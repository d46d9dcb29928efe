"""MiniStack's long polls, ended by what they wait for: it looks for messages ten times a second. Run by the emulator's
own Python.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any


class _Arrivals:
    """In the place of `asyncio` in MiniStack's SQS, which uses it to sleep between two looks."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        """Until something has been sent, or for so long: a delay may be over without anything being sent."""
        self._loop = asyncio.get_running_loop()
        arrival = self._loop.create_future()
        self._waiting.add(arrival)
        try:
            await asyncio.wait({arrival}, timeout=seconds)
        finally:
            self._waiting.discard(arrival)

    def announce(self) -> None:
        """From any thread."""
        if self._waiting and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for arrival in list(self._waiting):
            if not arrival.done():
                arrival.set_result(None)


def end_polls_at_once(sqs: Any, sent: threading.Event) -> None:
    """:param sent: what MiniStack sets for its own functions whenever there is something new in a queue or stream."""
    arrivals = _Arrivals()
    sqs.asyncio = arrivals
    set_event = sent.set

    def set_and_announce() -> None:
        set_event()
        arrivals.announce()

    sent.set = set_and_announce  # type: ignore[method-assign]
