"""Optimistic writes: read, decide, and write on the condition that nothing has changed; again when something has."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib.kernel.errors import VersionConflict

MAX_ATTEMPTS = 8
#: Doubled at each attempt, and spread at random, so that those who meet once do not meet again.
FIRST_WAIT_SECONDS = 0.02

R = TypeVar("R")
T = TypeVar("T")


def compare_and_swap(
    read: Callable[[], R],
    swap: Callable[[R], T],
    *,
    exhausted: Exception,
    first: Any = None,
    waits: bool = False,
) -> T:
    """Swap what was read; read anew, and try again, each time that ``swap`` raises VersionConflict.

    :param first: what has been read already, for the first attempt.
    :param waits: wait a moment between two attempts, where many writers can meet at one row.
    :raises Exception: ``exhausted`` after eight attempts, and whatever ``read`` and ``swap`` raise beside.
    """
    for attempt in range(MAX_ATTEMPTS):
        current = first if attempt == 0 and first is not None else read()
        try:
            return swap(current)
        except VersionConflict:
            if waits:
                time.sleep(random.uniform(0, FIRST_WAIT_SECONDS * 2**attempt))
    raise exhausted
