"""One organisation's uploads take their share of the workers and no more, however many and however slow they are.

Simulated: a worker that has a slow file is one in whose middle the next one begins. The rows and counters are real.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.processing import processing
from chalicelib.processing.processing import Outcome, process_upload
from chalicelib.sweep.sweeping import STALE_SECONDS
from chalicelib.uploads import form_uploads
from tests.aws_calls import aws_calls
from tests.unit.conftest import Configure
from tests.unit.logic.test_processing import now, uploaded
from tests.unit.memory_world import MemoryWorld

WORKERS = 20
SHARE = 15


@pytest.fixture
def world(memory_world: MemoryWorld) -> MemoryWorld:
    return memory_world


@pytest.fixture
def anna(world: MemoryWorld) -> Caller:
    return world.caller("anna")


class Fleet:
    """So many workers, each of which takes the next file while those before it are still reading theirs."""

    def __init__(self, world: MemoryWorld, files: list[File]) -> None:
        self._world = world
        self._waiting: Iterator[File] = iter(files)
        self.outcomes: dict[str, Outcome] = {}

    def run(self, workers: int = WORKERS) -> None:
        file = next(self._waiting, None)
        if file is None or workers == 0:
            return
        taken: list[int] = []

        def meanwhile() -> None:
            taken.append(1)
            self.run(workers - 1)

        with self._world.memory.wire.just_before("open_temp", meanwhile, required=False):
            key = self._key(file)
            self.outcomes[file.file_id] = process_upload(self._world.stores, key, worker=file.file_id)
        if not taken:
            # It had nothing to do, so its worker is free for the next.
            self.run(workers)

    def _key(self, file: File) -> str:
        name = next(n for n, o in self._world.organizations.items() if o.organization_id == file.organization_id)
        return self._world.temp_key(file.file_id, name)


def bolts(world: MemoryWorld, **changes: Any) -> File:
    """An upload of the other organisation."""
    made = replace(form_uploads.new_file(world.caller("berta"), "b.txt", None, 2), **changes)
    file = world.stores.files.create(made)
    world.put_temp(world.temp_key(file.file_id, "Bolt"), b"b\n")
    return file


def test_slow_files_of_one_leave_workers_to_the_others(world: MemoryWorld, anna: Caller) -> None:
    slow = [uploaded(world, anna) for _ in range(WORKERS + 5)]
    other = bolts(world)
    fleet = Fleet(world, [*slow, other])
    started = time.time()
    fleet.run()
    ended = time.time()
    outcomes = [fleet.outcomes[file.file_id] for file in slow]
    assert outcomes.count(Outcome.COMPLETED) == SHARE, "while none of them had ended"
    assert outcomes.count(Outcome.WAITS_ITS_TURN) == len(slow) - SHARE
    assert fleet.outcomes[other.file_id] is Outcome.COMPLETED
    # Those that waited are announced again, and nothing is lost.
    seen_again = [message.visible_at for message in world.memory.messages.kept if message.visible_at > started]
    assert len(seen_again) == len(slow) - SHARE
    assert started + processing.TURN_LEAST_SECONDS <= min(seen_again)
    assert max(seen_again) <= ended + 1.5 * processing.TURN_MOST_SECONDS
    world.forward()
    world.drain()
    assert {now(world, file).status for file in slow} == {"completed"}


def test_without_the_share_the_others_wait(world: MemoryWorld, anna: Caller, configure: Configure) -> None:
    configure(MAX_PROCESSING_PER_ORGANIZATION=str(WORKERS))
    world.restart()
    slow = [uploaded(world, anna) for _ in range(WORKERS)]
    other = bolts(world)
    fleet = Fleet(world, [*slow, other])
    fleet.run()
    assert other.file_id not in fleet.outcomes, "all workers are held by one"


def test_share_costs_no_call_until_it_is_used_up(world: MemoryWorld, anna: Caller, configure: Configure) -> None:
    costs = []
    for most in ("1000", "1"):
        configure(MAX_PROCESSING_PER_ORGANIZATION=most)
        world.restart()
        file = uploaded(world, anna)
        with aws_calls() as made:
            assert process_upload(world.stores, world.temp_key(file.file_id), "w") is Outcome.COMPLETED
        costs.append(made)
    assert costs[0] == costs[1]


def test_next_try_of_a_file_is_not_refused_for_the_file_itself(
    world: MemoryWorld, anna: Caller, configure: Configure
) -> None:
    configure(MAX_PROCESSING_PER_ORGANIZATION="1")
    world.restart()
    file = uploaded(world, anna)
    with world.memory.wire.away("copy_to_permanent"), pytest.raises(Exception, match=r"away\.example"):
        process_upload(world.stores, world.temp_key(file.file_id), "w")
    assert now(world, file).status == "processing"
    assert process_upload(world.stores, world.temp_key(file.file_id), "w") is Outcome.COMPLETED


def test_file_that_waits_is_not_announced_by_the_sweep_as_well(world: MemoryWorld) -> None:
    assert processing.TURN_MOST_SECONDS * 1.5 < STALE_SECONDS
