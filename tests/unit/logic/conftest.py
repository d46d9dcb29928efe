"""For tests of logic that need no S3: a module makes ``memory_world`` its ``world``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.cloud import Cloud
from tests.unit.memory_world import MemoryWorld


@pytest.fixture
def memory_world(cloud: Cloud) -> Iterator[MemoryWorld]:
    """Two organisations with three users, and nothing else."""
    cloud.start_anew()
    world = MemoryWorld(cloud)
    world.restart()
    yield world
    world.leave()
