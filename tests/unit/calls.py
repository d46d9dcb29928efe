"""Hears what is really sent to AWS: each request that a client makes, repeated attempts included; and can break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore import handlers
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError

#: Gets ``service.Operation``; an answer of its own stands in the place of AWS's, an exception in that of the network's.
Listener = Callable[[str], AWSResponse | None]
_listeners: list[Listener] = []


def _heard(event_name: str, **_: Any) -> AWSResponse | None:
    operation = event_name.removeprefix("before-send.")
    answers = [listener(operation) for listener in list(_listeners)]
    return next((answer for answer in answers if answer is not None), None)


def listen_to_all_clients() -> None:
    """Has to run before the first client is made; moto puts its own answer in the same place."""
    handlers.BUILTIN_HANDLERS.insert(0, ("before-send", _heard))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def aws_calls() -> Iterator[list[str]]:
    """The calls made meanwhile, as ``service.Operation``."""
    made: list[str] = []

    def note(operation: str) -> None:
        made.append(operation)

    with listening(note):
        yield made


@contextmanager
def unreachable(*operations: str) -> Iterator[list[str]]:
    """No connection for these operations (``s3.PutObject``; ``s3`` for all of a service). Which ones were tried."""
    tried: list[str] = []

    def refuse(operation: str) -> None:
        if operation in operations or operation.partition(".")[0] in operations:
            tried.append(operation)
            raise EndpointConnectionError(endpoint_url="https://away.example")

    with listening(refuse):
        yield tried


@contextmanager
def just_before(operation: str, act: Callable[[], None]) -> Iterator[None]:
    """Do something once, at the moment before this operation reaches AWS: what another process might do just then."""
    pending = [act]

    def interrupt(heard: str) -> None:
        if heard == operation and pending:
            pending.pop()()

    with listening(interrupt):
        yield
    assert not pending, f"{operation} was never called"
