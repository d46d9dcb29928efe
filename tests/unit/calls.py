"""Counts what is really sent to AWS: each request that a client makes, repeated attempts included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore import handlers

_listeners: list[Callable[[str], None]] = []


def _heard(event_name: str, **_: Any) -> None:
    operation = event_name.removeprefix("before-send.")
    for listener in _listeners:
        listener(operation)


def listen_to_all_clients() -> None:
    """Has to run before the first client is made; moto puts its own answer in the same place."""
    handlers.BUILTIN_HANDLERS.insert(0, ("before-send", _heard))


@contextmanager
def aws_calls() -> Iterator[list[str]]:
    """The calls made meanwhile, as ``service.Operation``."""
    made: list[str] = []
    _listeners.append(made.append)
    try:
        yield made
    finally:
        _listeners.remove(made.append)
