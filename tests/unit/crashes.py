"""Ends a process at any call that it makes to AWS, so that a test can start it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.awsrequest import AWSPreparedRequest

from tests.aws_calls import listening


class Crash(Exception):
    """The process ends here."""


@contextmanager
def crashing_at(call: int) -> Iterator[list[str]]:
    """Calls that were made; the one of this number, and all after it, never reach AWS."""
    made: list[str] = []

    def count(operation: str, request: AWSPreparedRequest) -> None:
        made.append(operation)
        if len(made) >= call:
            raise Crash

    with listening(count):
        yield made
