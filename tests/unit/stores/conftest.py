"""The sides of the contract, each test on each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.stores.sides import Side, in_memory, on_moto
from tests.unit.stores.valkey import Valkey
from tests.unit.world import World


@pytest.fixture(params=["moto", "memory"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    if request.param == "memory":
        with in_memory() as side:
            yield side
        return
    world: World = request.getfixturevalue("world")
    with on_moto(world) as side:
        yield side


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Asked for by a test that has sockets."""
    valkey = Valkey(tmp_path_factory.mktemp("valkey"))
    yield valkey
    valkey.stop()
