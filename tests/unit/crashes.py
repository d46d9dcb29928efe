"""Ends a process at any call that it makes to AWS, so that a test can start it again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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


_READS = re.compile(r"(Get|Head|List|Describe|Query|Scan|BatchGet|TransactGet|Simulate|Invoke)")


def moments(calls: Sequence[str]) -> list[int]:
    """The calls before which something is different than before the one ahead of them.

    A process that ends between two reads leaves the same as one that ends before both, and remembers nothing.

    :param calls: of a whole run without threads, as ``service.Operation``.
    """
    return [
        number
        for number in range(1, len(calls) + 1)
        if number == 1 or not _READS.match(calls[number - 2].partition(".")[2])
    ]
