"""One laboratory for the tests of a module; each test starts over in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.lab import Lab, laboratory


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    shared_lab.start_over()
    return shared_lab
