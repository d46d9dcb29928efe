from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.webhooks.lab import Lab, lab_of
from tests.unit.world import World


@pytest.fixture
def lab(world: World) -> Iterator[Lab]:
    with lab_of(world) as lab:
        yield lab
