"""One laboratory for the tests of a module; each test starts over in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.cloud import STACK
from tests.faults.lab import Lab, laboratory
from tests.roles import recording

# Before the first client is made.
recording.listen(STACK)


def pytest_sessionfinish() -> None:
    recording.leave_notes()


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    shared_lab.start_over()
    return shared_lab
