"""Hears what is really sent to AWS: each request that a client makes, repeated attempts included; and can break it.

Knows botocore only: the benchmarks count with it what goes to the emulator, the unit tests what goes to moto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError

#: Gets ``service.Operation`` and the request; an answer of its own stands in the place of AWS's, an exception in that
#: of the network's.
Listener = Callable[[str, AWSPreparedRequest], AWSResponse | None]
_listeners: list[Listener] = []


def _heard(event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
    operation = event_name.removeprefix("before-send.")
    answers = [listener(operation, request) for listener in list(_listeners)]
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


def call_of_a_simulation(operation: str) -> None:
    """What a test's own simulation of a service is asked is heard as what a client sends."""
    _heard(
        f"before-send.{operation}", AWSPreparedRequest("POST", "https://simulated.example", HTTPHeaders(), None, False)
    )


@contextmanager
def unheard() -> Iterator[None]:
    """What a simulated service does itself, by clients, is no call of whom a test watches."""
    held = list(_listeners)
    _listeners.clear()
    try:
        yield
    finally:
        _listeners[:] = held


@contextmanager
def aws_calls() -> Iterator[list[str]]:
    """The calls made meanwhile, as ``service.Operation``."""
    made: list[str] = []

    def note(operation: str, _: AWSPreparedRequest) -> None:
        made.append(operation)

    with listening(note):
        yield made


@contextmanager
def unreachable(*operations: str) -> Iterator[list[str]]:
    """No connection for these operations (``s3.PutObject``; ``s3`` for all of a service). Which ones were tried."""
    tried: list[str] = []

    def refuse(operation: str, _: AWSPreparedRequest) -> None:
        if operation in operations or operation.partition(".")[0] in operations:
            tried.append(operation)
            raise EndpointConnectionError(endpoint_url="https://away.example")

    with listening(refuse):
        yield tried


@contextmanager
def refused(*operations: str) -> Iterator[None]:
    """AWS says no to these operations, and would say so again: no outage."""

    def refuse(operation: str, _: AWSPreparedRequest) -> None:
        if operation in operations:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation.partition(".")[2])

    with listening(refuse):
        yield


@contextmanager
def refused_at(operation: str, words: str) -> Iterator[None]:
    """AWS says no to this operation where these words are in the path: one prefix of a bucket."""

    def refuse(heard: str, request: AWSPreparedRequest) -> None:
        if heard == operation and words in unquote(request.url):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation.partition(".")[2])

    with listening(refuse):
        yield


@contextmanager
def just_before(operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Do something once, at the moment before this operation reaches AWS: what another process might do just then."""
    pending = [act]

    def interrupt(heard: str, _: AWSPreparedRequest) -> None:
        if heard == operation and pending:
            pending.pop()()

    with listening(interrupt):
        yield
    assert not pending, f"{operation} was never called"
