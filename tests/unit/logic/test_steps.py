"""Files that need several invocations: each does what fits; whatever dies, repeats or overtakes, it ends right.

The clock moves with what is read and copied: a piece takes ten seconds, and a step has twenty.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import time_machine

from chalicelib.files import logic as files
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import CopyGone
from chalicelib.kernel.fields import to_json
from chalicelib.processing import resumable_sha256, steps
from chalicelib.processing.processing import MAX_STARTS, Outcome, process_upload
from chalicelib.sweep.sweeping import STALE_SECONDS, sweep
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from chalicelib.uploads import direct_uploads
from chalicelib.uploads.direct_uploads import UploadIntent
from chalicelib.uploads.parts import MIN_PART_BYTES
from tests.memory import Memory
from tests.memory.objects import MemoryObjects
from tests.memory.storage import checksum_of
from tests.unit import samples
from tests.unit.conftest import Configure
from tests.unit.memory_world import MemoryWorld

#: Whole blocks of SHA-256.
PIECE_BYTES = 64 * 3_900
PIECE_SECONDS = 10
STEP_SECONDS = 20
BODY = samples.random_bytes(MIN_PART_BYTES + 1_234_567)
SHA256 = hashlib.sha256(BODY).hexdigest()
PIECES = -(-len(BODY) // PIECE_BYTES)


class WorkerDied(BaseException):
    """The process is gone: nothing after it runs, and no answer comes."""


@dataclass
class Scene:
    world: MemoryWorld
    clock: time_machine.Traveller

    def upload(self, caller: Caller, **changes: Any) -> File:
        """One in parts whose bytes have arrived; it waits for the first step."""
        stores = self.world.stores
        intent = UploadIntent("film.bin", len(BODY), sha256=changes.pop("sha256", None))
        file = direct_uploads.start_multipart(stores, caller, intent, "uppy").file
        urls = direct_uploads.sign_parts(stores, file, [1, 2])
        for number, start in ((1, 0), (2, MIN_PART_BYTES)):
            sent = BODY[start : start + MIN_PART_BYTES] if number == 1 else BODY[start:]
            assert self.world.memory.storage.send_part(urls[number], sent)
        direct_uploads.complete(stores, file, None)
        return self.now(file)

    def now(self, file: File) -> File:
        found = self.world.file(file.file_id, self._name(file))
        assert found is not None
        return found

    def step(self, file: File, worker: str | None = None) -> Outcome:
        """One announcement, which nobody repeats."""
        key = self.world.temp_key(file.file_id, self._name(file))
        return process_upload(self.world.stores, key, worker or f"worker {random.random()}")

    def steps(self, file: File) -> list[Outcome]:
        """Until nothing is left to do."""
        outcomes = []
        while self.now(file).is_unfinished:
            outcomes.append(self.step(file))
            assert len(outcomes) < 100
        return outcomes

    def dies_after(self, pieces: int) -> None:
        """Let the worker die after it has read or copied so many more."""
        left = iter(range(pieces))

        def piece() -> None:
            self.clock.shift(PIECE_SECONDS)
            if next(left, None) is None:
                raise WorkerDied

        self.world.memory.storage.with_each_piece = piece

    def lives(self) -> None:
        self.world.memory.storage.with_each_piece = lambda: self.clock.shift(PIECE_SECONDS)

    def lease_ends(self) -> None:
        self.clock.shift(self.world.stores.settings.processing_lease_seconds + 1)

    def check_completed(self, file: File, *, hashed: bool = True) -> None:
        after = self.now(file)
        assert after.status == "completed"
        assert (after.sha256_hash, after.crc64nvme) == (SHA256 if hashed else None, checksum_of(BODY))
        (stored,) = self.world.permanent().values()
        assert stored == BODY
        assert self.world.memory.storage.copies == {}

    def check_at_rest(self, file: File) -> None:
        """Nothing is left over, and every counter is right."""
        self.check_completed(file)
        assert self.world.temp() == {}
        assert (self.now(file).hashing, self.now(file).lease_owner) == (None, None)
        assert self.world.organization().being_hashed == 0
        assert list(self.world.stores.files.unfinished("9999")) == []

    @staticmethod
    def _name(file: File) -> str:
        return "Acme" if file.uploaded_by_username == "anna" else "Bolt"


@pytest.fixture
def scene(memory_world: MemoryWorld, configure: Configure) -> Iterator[Scene]:
    configure(HASH_AT_ONCE_BYTES="0", PROCESSING_STEP_SECONDS=str(STEP_SECONDS))
    memory_world.memory = Memory(copy_part_bytes=PIECE_BYTES)
    memory_world.restart()
    objects = memory_world.memory.objects
    assert isinstance(objects, MemoryObjects)
    objects.chunk_bytes = PIECE_BYTES
    with time_machine.travel(time.time(), tick=False) as clock:
        scene = Scene(memory_world, clock)
        scene.lives()
        yield scene


@pytest.fixture
def anna(scene: Scene) -> Caller:
    return scene.world.caller("anna")


def types_of(scene: Scene) -> list[str]:
    return [event["type"] for event in scene.world.written_events()]


# ---- all goes well -------------------------------------------------------------------------------------------------
def test_file_is_completed_by_its_crc_and_hashed_after_that(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    outcomes = scene.steps(file)
    copying = outcomes[: outcomes.index(Outcome.COMPLETED) + 1]
    hashing = outcomes[len(copying) :]
    assert copying == [Outcome.CONTINUES] * (len(copying) - 1) + [Outcome.COMPLETED]
    assert hashing == [Outcome.CONTINUES] * (len(hashing) - 1) + [Outcome.HASHED]
    # Two pieces fit the time of a step.
    assert (len(copying), len(hashing)) == (PIECES // 2, PIECES // 2)
    scene.check_at_rest(file)
    assert types_of(scene) == ["file.created", "file.completed", "file.hashed"]


def test_record_says_how_far_it_is(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        assert scene.now(file).status == "processing"
    scene.check_completed(file, hashed=False)
    assert to_json(scene.now(file))["sha256"] == {"status": "pending", "bytes_done": 0}
    scene.step(file)
    done = to_json(scene.now(file))["sha256"]["bytes_done"]
    assert 0 < done < len(BODY)
    assert to_json(scene.now(file))["checksums"] == {"sha256": None, "crc64nvme": checksum_of(BODY)}
    scene.steps(file)
    shown = to_json(scene.now(file))
    assert (shown["sha256"], shown["checksums"]["sha256"], shown["sha256_hash"]) == (None, SHA256, SHA256)


def test_bytes_are_read_once(scene: Scene, anna: Caller) -> None:
    """But for what is read for the type in each copying step, and the rest of a block at each hand-over."""
    file = scene.upload(anna)
    outcomes = scene.steps(file)
    heads = (outcomes.index(Outcome.COMPLETED) + 1) * PIECE_BYTES
    assert scene.world.memory.storage.bytes_read <= len(BODY) + heads + len(outcomes) * 64


def test_small_upload_in_parts_is_completed_with_both(scene: Scene, anna: Caller, configure: Configure) -> None:
    configure(HASH_AT_ONCE_BYTES=str(len(BODY)), PROCESSING_STEP_SECONDS=str(STEP_SECONDS))
    scene.world.restart()
    file = scene.upload(anna)
    assert scene.step(file) is Outcome.COMPLETED
    scene.check_at_rest(file)
    assert types_of(scene) == ["file.created", "file.completed"]


def test_upload_that_could_be_written_again_is_hashed_first(scene: Scene, anna: Caller) -> None:
    """A CRC would not notice other bytes that were made to have the same."""
    file = scene.upload(anna)
    form = scene.world.stores.files.replace(file, replace(file, multipart_upload_id=None))
    assert scene.step(form) is Outcome.COMPLETED
    assert scene.now(form).sha256_hash == SHA256


def test_storage_without_a_crc_is_read_at_once(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    (key,) = scene.world.temp()
    scene.world.put_temp(key, BODY)
    assert scene.step(file) is Outcome.COMPLETED
    assert (scene.now(file).sha256_hash, scene.now(file).crc64nvme) == (SHA256, None)


# ---- an announced SHA-256 ------------------------------------------------------------------------------------------
def test_announced_hash_is_checked_before_it_is_completed(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna, sha256=SHA256)
    outcomes = scene.steps(file)
    assert outcomes == [Outcome.CONTINUES] * (len(outcomes) - 1) + [Outcome.COMPLETED]
    assert len(outcomes) > PIECES // 2
    scene.check_at_rest(file)
    assert types_of(scene) == ["file.created", "file.completed"]


def test_other_bytes_than_announced_are_never_completed(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna, sha256="0" * 64)
    outcomes = scene.steps(file)
    assert outcomes[-1] is Outcome.FAILED
    after = scene.now(file)
    assert (after.status, after.unrecoverable, after.sha256_hash) == ("failed", True, None)
    assert f"is {SHA256}, not the announced" in str(after.error_message)
    assert (scene.world.temp(), scene.world.permanent()) == ({}, {})


def test_policy_refuses_before_anything_is_copied(scene: Scene, anna: Caller) -> None:
    tenants.set_policy(scene.world.stores, anna.organization_id, Policy(allowed_types=("image/*",)))
    file = scene.upload(anna)
    assert scene.steps(file) == [Outcome.FAILED]
    assert "begin_copy" not in scene.world.memory.wire.calls


@pytest.fixture
def look_anew() -> Iterator[None]:
    """For the functions of libcrypto, which are looked for once in a process."""
    for found in (resumable_sha256.is_available, resumable_sha256._library):
        found.cache_clear()
    yield
    for found in (resumable_sha256.is_available, resumable_sha256._library):
        found.cache_clear()


# ---- the relay is off ----------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("look_anew")
@pytest.mark.parametrize("missing", [False, True], ids=["by the setting", "by a Python without it"])
def test_without_a_relay_the_record_says_so(
    scene: Scene, anna: Caller, configure: Configure, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    if missing:
        # A module that is linked with no libcrypto.
        monkeypatch.setattr(resumable_sha256, "HASHLIB", "_json")
    relay = "on" if missing else "off"
    configure(HASH_AT_ONCE_BYTES="0", PROCESSING_STEP_SECONDS=str(STEP_SECONDS), SHA256_RELAY=relay)
    scene.world.restart()
    file = scene.upload(anna)
    assert scene.steps(file)[-1] is Outcome.COMPLETED
    scene.check_completed(file, hashed=False)
    assert to_json(scene.now(file))["sha256"] == {"status": "off", "bytes_done": 0}
    assert scene.world.temp() == {}


# ---- twenty invocations, some of which die -------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("announced", [None, SHA256], ids=["hashed after", "hashed before"])
def test_twenty_invocations_end_right_whatever_dies_repeats_or_overtakes(
    scene: Scene, anna: Caller, seed: int, announced: str | None
) -> None:
    """Each message comes once, twice, or together with one of a step that is over; one worker in three dies."""
    chance = random.Random(seed)
    file = scene.upload(anna, sha256=announced)
    invocations = deaths = 0
    while scene.now(file).is_unfinished:
        invocations += 1
        assert invocations < 300
        dies = chance.random() < 0.3
        if dies:
            scene.dies_after(chance.randrange(4))
        try:
            scene.step(file, worker=f"message {invocations}")
            if chance.random() < 0.3:
                # A message that is delivered twice, or one that was overtaken by its successors.
                invocations += 1
                scene.step(file, worker=f"message {chance.randint(1, invocations)}")
        except WorkerDied:
            deaths += 1
            scene.lease_ends()
        scene.lives()
    assert invocations >= 20
    assert deaths
    if announced is None:
        assert types_of(scene) == ["file.created", "file.completed", "file.hashed"]
    scene.check_at_rest(file)


def test_dead_worker_costs_what_it_did_itself(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass
    scene.step(file)
    kept = scene.now(file).hashed_bytes
    scene.dies_after(1)
    with pytest.raises(WorkerDied):
        scene.step(file)
    assert scene.now(file).hashed_bytes == kept
    assert scene.step(file) is Outcome.HELD_BY_ANOTHER
    scene.lives()
    scene.lease_ends()
    before = scene.world.memory.storage.bytes_read
    scene.step(file)
    assert scene.world.memory.storage.bytes_read - before == 2 * PIECE_BYTES
    scene.steps(file)
    scene.check_at_rest(file)


def test_sweep_announces_what_died(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass
    scene.dies_after(0)
    with pytest.raises(WorkerDied):
        scene.step(file)
    scene.lives()
    scene.world.forget_messages()
    assert sweep(scene.world.stores).get("requeued") is None, "its lease runs"
    scene.clock.shift(STALE_SECONDS + scene.world.stores.settings.processing_lease_seconds)
    assert sweep(scene.world.stores)["requeued"] == 1
    scene.world.drain()
    scene.check_at_rest(file)


def test_file_that_kills_every_worker_stays_completed_without_its_hash(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass
    for _ in range(MAX_STARTS):
        scene.dies_after(0)
        with pytest.raises(WorkerDied):
            scene.step(file)
        scene.lease_ends()
    scene.lives()
    scene.clock.shift(STALE_SECONDS)
    assert sweep(scene.world.stores)["not_hashed"] == 1
    scene.check_completed(file, hashed=False)
    assert to_json(scene.now(file))["sha256"] == {"status": "failed", "bytes_done": 0}
    assert (scene.world.temp(), scene.world.organization().being_hashed) == ({}, 0)
    assert types_of(scene)[-1] == "file.hashed"


# ---- what others do meanwhile --------------------------------------------------------------------------------------
def test_renaming_in_the_middle_of_a_step_loses_neither(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass

    def rename() -> None:
        files.rename_file(scene.world.stores, anna, file.file_id, "renamed.bin")

    with scene.world.memory.wire.just_before("open_temp", rename):
        assert scene.step(file) is Outcome.CONTINUES
    assert scene.now(file).filename == "renamed.bin"
    assert scene.now(file).hashed_bytes > 0
    scene.steps(file)
    scene.check_at_rest(file)


@pytest.mark.parametrize("steps_before", [0, 1, 5, 11, 15])
def test_file_that_is_deleted_meanwhile_leaves_nothing(scene: Scene, anna: Caller, steps_before: int) -> None:
    file = scene.upload(anna)
    for _ in range(steps_before):
        scene.step(file)
    files.delete_file(scene.world.stores, anna, file.file_id)
    scene.clock.shift(STALE_SECONDS + scene.world.stores.settings.processing_lease_seconds)
    sweep(scene.world.stores)
    scene.step(file)
    assert (scene.world.temp(), scene.world.permanent()) == ({}, {})
    assert scene.world.memory.storage.copies == {}
    assert scene.world.organization().usage.files_used == 0


def test_worker_that_slept_for_longer_than_its_lease_takes_nothing_from_the_next(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass

    def sleep() -> None:
        scene.lease_ends()
        assert scene.step(file, "another") is Outcome.CONTINUES

    with scene.world.memory.wire.just_before("open_temp", sleep):
        assert scene.step(file, "sleeper") is Outcome.HELD_BY_ANOTHER
    assert scene.now(file).hashed_bytes == 2 * PIECE_BYTES
    scene.steps(file)
    scene.check_at_rest(file)


def test_bytes_that_are_gone_end_it_as_not_hashed(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass
    scene.world.memory.storage.delete_temp(scene.world.temp_key(file.file_id))
    assert scene.step(file) is Outcome.NOT_HASHED
    scene.check_completed(file, hashed=False)
    assert scene.now(file).hashing == "failed"


def test_repeated_event_of_a_completed_file_keeps_the_bytes_that_are_hashed(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass
    scene.clock.shift(STALE_SECONDS + 1)
    sweep(scene.world.stores)
    assert set(scene.world.temp().values()) == {BODY}


def test_copy_that_is_gone_begins_anew(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    assert scene.step(file) is Outcome.CONTINUES
    scene.world.memory.storage.copies.clear()
    with pytest.raises(CopyGone):
        scene.step(file, "w")
    assert scene.now(file).copy_upload_id is None
    assert scene.step(file, "w") is Outcome.CONTINUES
    scene.steps(file)
    scene.check_at_rest(file)


def test_copy_of_a_file_that_fails_is_given_up(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    scene.step(file)
    assert len(scene.world.memory.storage.copies) == 1
    tenants.set_policy(scene.world.stores, anna.organization_id, Policy(allowed_types=("image/*",)))
    assert scene.steps(file) == [Outcome.FAILED]
    assert scene.world.memory.storage.copies == {}


# ---- outages -------------------------------------------------------------------------------------------------------
def test_outage_only_delays_the_hash(scene: Scene, anna: Caller) -> None:
    file = scene.upload(anna)
    while scene.step(file) is not Outcome.COMPLETED:
        pass
    with scene.world.memory.wire.away("open_temp"):
        for _ in range(2 * MAX_STARTS):
            scene.world.work()
            scene.world.forward()
    assert scene.now(file).hashing == "pending"
    scene.world.drain()
    scene.check_at_rest(file)


# ---- a share for each organisation ---------------------------------------------------------------------------------
def test_hashing_leaves_workers_to_others(scene: Scene, anna: Caller, configure: Configure) -> None:
    configure(HASH_AT_ONCE_BYTES="0", PROCESSING_STEP_SECONDS="20", MAX_PROCESSING_PER_ORGANIZATION="3")
    scene.world.restart()
    first, second = scene.upload(anna), scene.upload(anna)
    for file in (first, second):
        while scene.step(file) is not Outcome.COMPLETED:
            pass
    berta = scene.upload(scene.world.caller("berta"))
    while scene.step(berta) is not Outcome.COMPLETED:
        pass
    outcomes: list[Outcome] = []

    def meanwhile() -> None:
        assert scene.world.organization().being_hashed == 1
        outcomes.append(scene.step(second))
        (message,) = scene.world.memory.messages.kept
        assert 0 < message.visible_at - time.time() <= 1.5 * STEP_SECONDS
        outcomes.append(scene.step(berta))

    scene.world.forget_messages()
    with scene.world.memory.wire.just_before("open_temp", meanwhile):
        assert scene.step(first) is Outcome.CONTINUES
    assert outcomes == [Outcome.WAITS_ITS_TURN, Outcome.CONTINUES]
    for file in (first, second, berta):
        scene.steps(file)
    assert scene.now(second).sha256_hash == SHA256
    assert scene.world.organization().being_hashed == 0


# ---- the hash itself -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 10_000])
def test_state_goes_on_as_if_it_had_never_stopped(size: int) -> None:
    body = samples.random_bytes(size)
    digest = resumable_sha256.Sha256()
    for start in range(0, size, 64):
        digest = resumable_sha256.Sha256(digest.state, digest.hashed_bytes)
        digest.update(body[start : start + 64])
    assert digest.hexdigest() == hashlib.sha256(body).hexdigest()


def test_state_after_terabytes_knows_how_many() -> None:
    """The length is hashed at the end. No 5 TiB are: only their number of bytes, in 64 bits, is what is tested."""
    kept = resumable_sha256.Sha256().state
    digests = {resumable_sha256.Sha256(kept, n).hexdigest() for n in (0, 2**29, 2**32, 5 * 2**40, 50 * 2**40)}
    assert len(digests) == 5


@pytest.mark.parametrize(("state", "hashed"), [("", 0), ("0" * 63, 64), ("g" * 64, 64), ("0" * 64, 63)])
def test_what_is_no_state_is_refused(state: str, hashed: int) -> None:
    with pytest.raises(ValueError, match="no state"):
        resumable_sha256.Sha256(state, hashed)


def test_this_python_can_keep_a_state() -> None:
    assert resumable_sha256.is_available()
    assert steps._can_hash()
