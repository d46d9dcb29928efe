"""For all suites: tests run on a large piece of Python's stack."""

from __future__ import annotations

import gc
import os

import pytest
from _pytest.runner import runtestprotocol

# They name the stack that a person works with, which no test is about; make hands them on.
for variable in ("BASE_URL", "STAGE"):
    os.environ.pop(variable, None)

#: Of pointers: with it the interpreter takes half a megabyte at once, most of it for the frames above.
STACK_SLOTS = 40_000


def _run(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    runtestprotocol(item, nextitem=nextitem)


# CPython takes stack for its frames in pieces of 16 kB, and gives one back as soon as the first frame in it is left.
# Where a loop's calls cross the end of a piece, each of them maps and unmaps memory, which took a fifth of the time of
# the unit tests. A frame that claims to be large gets a piece to match.
_run.__code__ = _run.__code__.replace(co_stacksize=STACK_SLOTS)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """As pytest's own."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    _run(item, nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_collection_finish() -> None:
    """The modules of application and tests stay: don't look again and again which of their objects are free."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
