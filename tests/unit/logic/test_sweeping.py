"""The sweep ends what was left open and deletes what nobody owns, and nothing else. Storage is a memory twin."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from chalicelib.files import logic as files
from chalicelib.kernel.caller import Caller
from chalicelib.processing.processing import GAVE_UP, MAX_STARTS
from chalicelib.sweep.sweeping import sweep
from chalicelib.uploads import form_uploads as uploads
from tests.aws_calls import unreachable
from tests.memory.objects import MemoryObjects
from tests.unit.memory_world import MemoryWorld


@pytest.fixture
def world(memory_world: MemoryWorld) -> MemoryWorld:
    return memory_world


@pytest.fixture
def anna(world: MemoryWorld) -> Caller:
    return world.caller("anna")


def test_nothing_to_do_is_nothing_done(world: MemoryWorld, anna: Caller) -> None:
    uploads.upload_form(world.stores, anna, "a.txt", None, b"x")
    world.drain()
    before = world.snapshot()
    assert sweep(world.stores, stale_seconds=0) == {}
    assert world.snapshot() == before


def test_what_is_young_is_left_alone(world: MemoryWorld, anna: Caller) -> None:
    uploads.upload_form(world.stores, anna, "a.txt", None, b"x")
    world.put_temp("stray", b"x")
    before = world.snapshot()
    assert sweep(world.stores) == {}
    assert world.snapshot() == before


def test_upload_whose_message_was_lost_is_announced_again(world: MemoryWorld, anna: Caller) -> None:
    file = uploads.upload_form(world.stores, anna, "a.txt", None, b"x")
    world.forget_messages()
    assert sweep(world.stores, stale_seconds=0)["requeued"] == 1
    world.drain()
    assert world.file(file.file_id).status == "completed"  # type: ignore[union-attr]


def test_upload_that_never_came_fails_and_gives_its_room_back(world: MemoryWorld, anna: Caller) -> None:
    file = world.stores.files.create(uploads.new_file(anna, "a.txt", None, 10))
    assert sweep(world.stores, stale_seconds=0) == {"expired": 1}
    after = world.file(file.file_id)
    assert after is not None
    assert after.status == "failed"
    assert "never arrived" in (after.error_message or "")
    usage = world.organization().usage
    assert (usage.bytes_used, usage.files_used) == (0, 0)


def test_crashed_attempt_is_taken_up_when_its_lease_is_over(
    world: MemoryWorld, anna: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = uploads.upload_form(world.stores, anna, "a.txt", None, b"x")
    with world.memory.wire.away("open_temp"):
        world.work()
    world.forget_messages()
    assert "requeued" not in sweep(world.stores, stale_seconds=0)
    later = time.time() + 961
    monkeypatch.setattr(time, "time", lambda: later)
    assert sweep(world.stores, stale_seconds=-2000)["requeued"] == 1
    world.drain()
    assert world.file(file.file_id).status == "completed"  # type: ignore[union-attr]


def test_copy_under_way_at_a_deletion_is_deleted_when_the_lease_of_its_worker_is_over(
    world: MemoryWorld, anna: Caller, monkeypatch: pytest.MonkeyPatch, unhurried: None
) -> None:
    file = uploads.upload_form(world.stores, anna, "a.txt", None, b"x")

    def delete_and_kill_the_worker() -> None:
        files.delete_file(world.stores, anna, file.file_id)
        # Storage has begun to copy, and so has the bytes.
        world.put_temp(world.temp_key(file.file_id), b"x")
        outage.enter_context(unreachable("dynamodb"))

    with ExitStack() as outage, world.memory.wire.just_before("copy_to_permanent", delete_and_kill_the_worker):
        world.work()
    world.forget_messages()
    assert list(world.permanent().values()) == [b"x"]
    assert sweep(world.stores, stale_seconds=0).get("left") == 1
    later = time.time() + 961
    monkeypatch.setattr(time, "time", lambda: later)
    assert sweep(world.stores, stale_seconds=-2000).get("deletions_finished") == 1
    assert (world.rows("files"), world.temp(), world.permanent()) == ([], {}, {})


def test_file_that_kills_every_worker_is_given_up(world: MemoryWorld, anna: Caller) -> None:
    file = uploads.upload_form(world.stores, anna, "a.txt", None, b"x")
    world.forget_messages()
    killed = replace(file, status="processing", attempts=MAX_STARTS, lease_owner="dead", lease_expires_at=1)
    world.stores.files.replace(file, killed)
    assert sweep(world.stores, stale_seconds=0).get("failed") == 1
    after = world.file(file.file_id)
    assert after is not None
    assert (after.status, after.error_message) == ("failed", GAVE_UP)
    assert list(world.temp().values()) == [b"x"], "the bytes stay, so that it can be processed again"


def test_all_strays_are_found(world: MemoryWorld) -> None:
    for number in range(5):
        world.put_temp(f"stray {number}", b"x")
    assert sweep(world.stores, stale_seconds=-10) == {"strays_deleted": 5}
    assert world.temp() == {}


def test_strays_go_and_files_that_wait_stay(world: MemoryWorld, anna: Caller) -> None:
    waiting = uploads.upload_form(world.stores, anna, "a.txt", None, b"x")
    done = uploads.upload_form(world.stores, anna, "b.txt", None, b"y")
    world.forget_messages()
    world.announce(world.temp_key(done.file_id))
    world.drain()
    world.put_temp(world.temp_key(done.file_id), b"sent again after completion")
    world.put_temp(world.temp_key("01890000-0000-7000-8000-000000000000"), b"of no row")
    world.put_temp("foreign/key", b"stray")
    assert sweep(world.stores, stale_seconds=-10)["strays_deleted"] == 3
    assert list(world.temp()) == [world.temp_key(waiting.file_id)]
    assert list(world.permanent().values()) == [b"y"]


class _Poisoned(MemoryObjects):
    """Nothing can be said of one file."""

    file_id = ""

    def temp_exists(self, organization_id: str, file_id: str) -> bool:
        if file_id == self.file_id:
            raise RuntimeError("poison")
        return super().temp_exists(organization_id, file_id)


def test_one_item_that_fails_does_not_hold_up_the_others(world: MemoryWorld, anna: Caller) -> None:
    made = [world.stores.files.create(uploads.new_file(anna, f"{n}.txt", None, 1)) for n in range(4)]
    poisoned = _Poisoned(world.memory.wire, world.memory.storage)
    poisoned.file_id = made[1].file_id
    world.use(objects=poisoned)
    done = sweep(world.stores, stale_seconds=0)
    assert (done["expired"], done["errors"]) == (3, 1)


def test_sweep_is_a_function_of_the_application(world: MemoryWorld) -> None:
    event = {
        "version": "0",
        "account": ACCOUNT,
        "region": "eu-central-1",
        "detail": {},
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "time": "2026-01-01T00:00:00Z",
        "id": "x",
        "resources": ["arn:aws:events:eu-central-1:123456789012:rule/sweep"],
    }
    assert world.cloud.chalice.lambda_.invoke("sweep", event).payload == {}


ACCOUNT = "123456789012"
