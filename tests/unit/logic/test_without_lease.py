"""The first try at a small file takes no lease: whatever happens meanwhile, one wins and nothing stays behind."""

from __future__ import annotations

import time
from typing import Any

import pytest

from chalicelib.files import logic as files
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import VersionConflict
from chalicelib.processing.processing import Outcome, process_upload
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from chalicelib.uploads.ending import end_open_uploads
from tests.aws_calls import aws_calls, just_before
from tests.unit.logic.test_processing import now, uploaded
from tests.unit.memory_world import MemoryWorld

COMPLETING = "dynamodb.TransactWriteItems"


class Dies(BaseException):
    """The process ends here."""


@pytest.fixture
def world(memory_world: MemoryWorld) -> MemoryWorld:
    return memory_world


@pytest.fixture
def anna(world: MemoryWorld) -> Caller:
    return world.caller("anna")


def process(world: MemoryWorld, file: File, worker: str = "w", **options: Any) -> Outcome:
    return process_upload(world.stores, world.temp_key(file.file_id), worker, **{"at_once": True, **options})


def again(world: MemoryWorld, file: File) -> Outcome:
    """The message comes a second time."""
    return process(world, file, at_once=False, tries_before=1)


def dies() -> None:
    raise Dies


def check_nothing_is_left(world: MemoryWorld) -> None:
    assert (world.permanent(), world.temp()) == ({}, {})


def test_row_is_written_once(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    with aws_calls() as made:
        assert process(world, file) is Outcome.COMPLETED
    assert made == ["dynamodb.TransactGetItems", COMPLETING]
    assert (now(world, file).version, now(world, file).attempts) == (file.version + 1, 1)
    assert (now(world, file).lease_owner, now(world, file).lease_expires_at) == (None, 0)
    assert world.organization().counts == {"completed|text/plain": 1, "pending|-": 0}


def test_of_two_workers_at_once_one_wins_and_the_other_takes_its_copy_back(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    outcomes: list[Outcome] = []
    with just_before(COMPLETING, lambda: outcomes.append(process(world, file, "second"))):
        outcomes.append(process(world, file, "first"))
    assert outcomes == [Outcome.COMPLETED, Outcome.ALREADY_COMPLETED]
    assert world.memory.storage.versions() == [now(world, file).object_version]
    assert world.temp() == {}


def test_copy_of_a_worker_that_died_does_not_hide_that_of_the_one_that_won(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)

    def second_copies_and_dies() -> None:
        with just_before(COMPLETING, dies), pytest.raises(Dies):
            process(world, file, "second")

    with just_before(COMPLETING, second_copies_and_dies):
        assert process(world, file, "first") is Outcome.COMPLETED
    assert len(world.memory.storage.versions()) == 2
    assert again(world, file) is Outcome.ALREADY_COMPLETED
    assert world.memory.storage.versions() == [now(world, file).object_version]


def test_deleted_after_the_copy(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    with just_before(COMPLETING, lambda: files.delete_file(world.stores, anna, file.file_id)):
        assert process(world, file) is Outcome.UNKNOWN_FILE
    check_nothing_is_left(world)
    assert world.organization().usage.bytes_used == 0


def test_deleted_after_the_copy_of_a_worker_that_died(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    with just_before(COMPLETING, dies), pytest.raises(Dies):
        process(world, file)
    assert world.permanent() != {}
    files.delete_file(world.stores, anna, file.file_id)
    assert again(world, file) is Outcome.UNKNOWN_FILE
    check_nothing_is_left(world)


def test_refused_after_the_copy_of_a_worker_that_died(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    with just_before(COMPLETING, dies), pytest.raises(Dies):
        process(world, file)
    tenants.set_policy(world.stores, anna.organization_id, Policy(refused_types=("text/plain",)))
    assert again(world, file) is Outcome.FAILED
    check_nothing_is_left(world)


def test_ended_after_the_copy_of_a_worker_that_died(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna, upload_method="post")
    with just_before(COMPLETING, dies), pytest.raises(Dies):
        process(world, file)
    world.stores.objects.delete_temp(file.organization_id, file.file_id)
    end_open_uploads(world.stores, anna.organization_id, anna.user_id)
    assert now(world, file).unrecoverable
    assert again(world, file) is Outcome.ALREADY_FAILED
    check_nothing_is_left(world)


def test_ended_during_the_copy(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna, upload_method="post")

    def end() -> None:
        world.stores.objects.delete_temp(file.organization_id, file.file_id)
        end_open_uploads(world.stores, anna.organization_id, anna.user_id)

    with just_before(COMPLETING, end):
        assert process(world, file) is Outcome.ALREADY_FAILED
    check_nothing_is_left(world)


@pytest.mark.parametrize("dead", [False, True])
def test_renamed_meanwhile(world: MemoryWorld, anna: Caller, dead: bool) -> None:
    file = uploaded(world, anna)

    def rename() -> None:
        files.rename_file(world.stores, anna, file.file_id, "other.txt")
        if dead:
            raise Dies

    with just_before(COMPLETING, rename), pytest.raises(Dies if dead else VersionConflict):
        process(world, file)
    assert again(world, file) is Outcome.COMPLETED
    assert (now(world, file).filename, now(world, file).attempts) == ("other.txt", 2)


@pytest.mark.parametrize("change", [{"attempts": 1}, {"status": "failed"}])
def test_file_that_was_tried_before_needs_a_lease(world: MemoryWorld, anna: Caller, change: dict[str, Any]) -> None:
    file = uploaded(world, anna, **change)
    assert process(world, file) is Outcome.COMPLETED
    assert now(world, file).version == file.version + 2


def test_worker_that_slept_touches_nothing(world: MemoryWorld, anna: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    file = uploaded(world, anna)
    later = time.time() + world.stores.settings.processing_lease_seconds + 1
    with (
        world.memory.wire.just_before("open_temp", lambda: monkeypatch.setattr(time, "time", lambda: later)),
        pytest.raises(VersionConflict),
    ):
        process(world, file)
    assert now(world, file) == file
    assert world.permanent() == {}
