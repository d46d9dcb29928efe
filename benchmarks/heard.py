"""Counts what is really sent to AWS: each request of every client, repeated attempts included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import handlers

_made: list[str] = []


def _note(event_name: str, **_: Any) -> None:
    _made.append(event_name.removeprefix("before-send."))


def listen_to_all_clients() -> None:
    """Has to run before the first client is made."""
    handlers.BUILTIN_HANDLERS.insert(0, ("before-send", _note))


@contextmanager
def aws_calls() -> Iterator[list[str]]:
    """The calls made meanwhile, as ``service.Operation``."""
    found: list[str] = []
    start = len(_made)
    yield found
    found += _made[start:]
