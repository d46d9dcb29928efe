"""What becomes of an upload after it arrived: each outcome, once, whatever is repeated, overtaken or missing.

Storage is a memory twin; what S3 adds to it is in tests/unit/stores and tests/unit/logic/test_checked_bytes.py.
"""

from __future__ import annotations

import hashlib
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pynamodb.exceptions import TransactWriteError

from chalicelib.files import logic as files
from chalicelib.files.record import File
from chalicelib.files.store import FileStore
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import ObjectChanged, VersionConflict
from chalicelib.processing import examining, processing
from chalicelib.processing.ports import TempObject
from chalicelib.processing.processing import Outcome, process_upload
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from chalicelib.uploads import form_uploads as uploads
from tests.aws_calls import just_before, unreachable
from tests.memory import Memory
from tests.memory.storage import Stored
from tests.memory.wire import Wire
from tests.unit import samples
from tests.unit.conftest import Configure
from tests.unit.memory_world import MemoryWorld

BODY = b"The quarterly report.\n" * 50
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def world(memory_world: MemoryWorld) -> MemoryWorld:
    return memory_world


@pytest.fixture
def wire(world: MemoryWorld) -> Wire:
    """Between processing and storage."""
    return world.memory.wire


@pytest.fixture
def anna(world: MemoryWorld) -> Caller:
    return world.caller("anna")


def uploaded(world: MemoryWorld, caller: Caller, body: bytes = BODY, name: str = "report.txt", **changes: Any) -> File:
    """A pending file whose bytes came without a checksum, as from a client that sends straight to storage."""
    file = world.stores.files.create(replace(uploads.new_file(caller, name, None, len(body)), **changes))
    world.put_temp(world.temp_key(file.file_id), body)
    return file


def process(world: MemoryWorld, file: File, worker: str = "w") -> Outcome:
    return process_upload(world.stores, world.temp_key(file.file_id), worker)


def now(world: MemoryWorld, file: File) -> File:
    found = world.file(file.file_id)
    assert found is not None
    return found


def usage(world: MemoryWorld) -> tuple[int, int]:
    held = world.organization().usage
    return held.bytes_used, held.files_used


def check_completed(world: MemoryWorld, file: File, body: bytes = BODY) -> None:
    after = now(world, file)
    assert (after.status, after.file_size, after.sha256_hash) == (
        "completed",
        len(body),
        hashlib.sha256(body).hexdigest(),
    )
    assert after.error_message is None
    assert world.permanent() == {f"{file.organization_id}/{file.file_id}_{file.object_name}": body}
    assert world.temp() == {}
    assert usage(world) == (len(body), 1)
    assert world.organization().file_count("completed", after.mime_type) == world.organization().file_count() == 1


def check_failed(world: MemoryWorld, file: File, sentence: str, *, bytes_kept: bool) -> None:
    after = now(world, file)
    assert after.status == "failed"
    assert sentence in (after.error_message or "")
    assert after.processed_at
    assert world.permanent() == {}
    assert bool(world.temp()) == bytes_kept
    assert usage(world) == (0, 0), "a failed file takes no room"
    assert world.organization().file_count("failed") == world.organization().file_count() == 1


def test_upload_is_hashed_recognised_copied_and_completed(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    assert process(world, file) is Outcome.COMPLETED
    check_completed(world, file)
    content_type, disposition = world.memory.storage.headers(next(iter(world.permanent())))
    assert content_type == now(world, file).mime_type == "text/plain"
    assert disposition.startswith("attachment;")


def test_announced_type_and_name_are_not_believed(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna, samples.HTML, "photo.jpg", declared_type="image/jpeg")
    process(world, file)
    assert (now(world, file).mime_type, now(world, file).declared_type) == ("text/html", "image/jpeg")


def test_same_event_many_times_completes_once(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    process(world, file)
    before = world.snapshot()
    for worker in ("w", "w", "x", "y"):
        assert process(world, file, worker) is Outcome.ALREADY_COMPLETED
    assert world.snapshot() == before


def test_form_used_again_after_completion_changes_nothing(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    process(world, file)
    world.put_temp(world.temp_key(file.file_id), b"something else entirely")
    assert process(world, file) is Outcome.ALREADY_COMPLETED
    check_completed(world, file)


@pytest.mark.parametrize("moment", ["copy", "row"])
def test_object_overwritten_in_the_middle_is_never_taken_for_what_was_read(
    world: MemoryWorld, anna: Caller, wire: Wire, moment: str
) -> None:
    file = uploaded(world, anna)
    other = BODY[::-1]

    def overwrite() -> None:
        world.put_temp(world.temp_key(file.file_id), other)

    if moment == "copy":
        with wire.just_before("copy_to_permanent", overwrite), pytest.raises(ObjectChanged):
            process(world, file)
    else:
        with just_before("dynamodb.TransactWriteItems", overwrite):
            process(world, file)
    process(world, file)
    after = now(world, file)
    assert after.status == "completed"
    assert after.sha256_hash == hashlib.sha256(other).hexdigest()
    assert list(world.permanent().values()) == [other]
    assert world.temp() == {}


def test_object_overwritten_while_it_is_read_is_noticed(world: MemoryWorld, anna: Caller, wire: Wire) -> None:
    """The stream belongs to the old bytes; the copy is refused, because the ETag is no longer theirs."""
    file = uploaded(world, anna)
    overwrite = partial(world.put_temp, world.temp_key(file.file_id), b"x" * len(BODY))
    with wire.just_before("copy_to_permanent", overwrite), pytest.raises(ObjectChanged):
        process(world, file)
    assert now(world, file).status == "processing"
    assert world.permanent() == {}


def test_stream_that_ends_early_is_not_taken_for_the_file() -> None:
    with pytest.raises(ObjectChanged):
        examining.examine(TempObject("etag", len(BODY), None, iter([BODY[:-1]])))


def test_object_that_vanishes_before_the_copy_is_tried_again(world: MemoryWorld, anna: Caller, wire: Wire) -> None:
    file = uploaded(world, anna)
    vanish = partial(world.memory.storage.delete_temp, world.temp_key(file.file_id))
    with wire.just_before("copy_to_permanent", vanish), pytest.raises(ObjectChanged):
        process(world, file)
    assert process(world, file) is Outcome.FAILED
    check_failed(world, file, "bytes are gone", bytes_kept=False)


def test_missing_object_fails_at_once_and_says_so(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    world.memory.storage.delete_temp(world.temp_key(file.file_id))
    assert process(world, file) is Outcome.FAILED
    check_failed(world, file, "Upload the file again", bytes_kept=False)


def test_object_without_a_row_is_deleted(world: MemoryWorld, anna: Caller) -> None:
    key = world.temp_key("01890000-0000-7000-8000-000000000000")
    world.put_temp(key, BODY)
    world.memory.storage.add_version(f"{key}_left.txt", Stored(BODY, "etag"))
    neighbour = world.temp_key("01890000-0000-7000-8000-000000000001")
    world.put_temp(neighbour, BODY)
    assert process_upload(world.stores, key, "w") is Outcome.UNKNOWN_FILE
    assert (list(world.temp()), world.permanent()) == ([neighbour], {})


@pytest.mark.parametrize(
    "key",
    [
        "x",
        "a/b/c",
        "../../etc/passwd",
        "ünï/cødé %+ .txt",
        "0d3a2b6e-1111-4222-8333-444455556666/x",
        "0d3a2b6e-1111-4222-8333-444455556666/01890000-0000-7000-8000-000000000000/more",
        "0D3A2B6E-1111-4222-8333-444455556666/01890000-0000-7000-8000-000000000000",
        " 0d3a2b6e-1111-4222-8333-444455556666/01890000-0000-7000-8000-000000000000",
        "0d3a2b6e-1111-4222-8333-444455556666/01890000-0000-7000-8000-000000000000\n",
    ],
)
def test_object_under_a_foreign_key_is_deleted(world: MemoryWorld, anna: Caller, key: str) -> None:
    file = uploaded(world, anna)
    world.put_temp(key, b"stray")
    assert process_upload(world.stores, key, "w") is Outcome.FOREIGN_KEY
    assert list(world.temp()) == [world.temp_key(file.file_id)]
    assert now(world, file) == file


def test_file_of_one_organization_is_not_found_under_anothers_key(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    foreign = f"{world.organizations['Bolt'].organization_id}/{file.file_id}"
    world.put_temp(foreign, b"of Bolt")
    assert process_upload(world.stores, foreign, "w") is Outcome.UNKNOWN_FILE
    assert now(world, file) == file
    assert world.temp() == {world.temp_key(file.file_id): BODY}


@pytest.mark.parametrize("body", [b"", b"x", BODY, samples.random_bytes(3_000_000)], ids=len)
def test_checksum_that_storage_verified_is_trusted_and_the_rest_not_read(
    world: MemoryWorld, anna: Caller, body: bytes
) -> None:
    file = world.stores.files.create(uploads.new_file(anna, "a.bin", None, len(body)))
    world.put_temp(world.temp_key(file.file_id), body, sha256_hex=hashlib.sha256(body).hexdigest())
    assert process(world, file) is Outcome.COMPLETED
    check_completed(world, file, body)
    assert world.memory.storage.bytes_read <= 2 * 1024 * 1024, "reading does not grow with the file"


def test_announced_checksum_that_is_right_is_fine(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna, expected_sha256=SHA256)
    assert process(world, file) is Outcome.COMPLETED


def refused_by_checksum(world: MemoryWorld, caller: Caller) -> File:
    return uploaded(world, caller, expected_sha256="0" * 64)


def refused_by_type(world: MemoryWorld, caller: Caller) -> File:
    tenants.set_policy(world.stores, caller.organization_id, Policy(refused_types=("text/html",)))
    return uploaded(world, caller, samples.HTML, "photo.jpg")


def refused_as_not_allowed(world: MemoryWorld, caller: Caller) -> File:
    tenants.set_policy(world.stores, caller.organization_id, Policy(allowed_types=("image/*", "application/pdf")))
    return uploaded(world, caller)


def refused_as_too_large_for_the_organization(world: MemoryWorld, caller: Caller) -> File:
    # What is too large when it starts does not get here; the policy may change, and a size need not be said.
    file = uploaded(world, caller)
    tenants.set_policy(world.stores, caller.organization_id, Policy(max_file_bytes=len(BODY) - 1))
    return file


def refused_as_larger_than_announced(world: MemoryWorld, caller: Caller) -> File:
    file = uploaded(world, caller, b"12345")
    world.put_temp(world.temp_key(file.file_id), b"123456")
    return file


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (refused_by_checksum, "not the announced"),
        (refused_by_type, "text/html are refused"),
        (refused_as_not_allowed, "image/*, application/pdf"),
        (refused_as_too_large_for_the_organization, "at most"),
        (refused_as_larger_than_announced, "not the 5 that were announced"),
    ],
)
def test_refused_file_fails_at_once_and_its_bytes_go(
    world: MemoryWorld, anna: Caller, make: Callable[[MemoryWorld, Caller], File], sentence: str
) -> None:
    file = make(world, anna)
    assert process(world, file) is Outcome.FAILED
    check_failed(world, file, sentence, bytes_kept=False)
    assert now(world, file).unrecoverable
    # Sent again by a form that is still good, it stays refused.
    world.put_temp(world.temp_key(file.file_id), BODY)
    assert process(world, file) is Outcome.ALREADY_FAILED
    check_failed(world, file, sentence, bytes_kept=False)


def test_crash_while_refusing_keeps_the_true_reason(world: MemoryWorld, anna: Caller, wire: Wire) -> None:
    file = refused_by_type(world, anna)
    with wire.away("delete_temp", "delete_permanent"), pytest.raises(Exception, match=r"away\.example"):
        process(world, file)
    process(world, file)
    check_failed(world, file, "text/html are refused", bytes_kept=False)


@pytest.mark.parametrize("make", [uploaded, refused_by_type], ids=["completed", "failed"])
def test_bytes_stay_until_the_row_says_what_became_of_them(
    world: MemoryWorld, anna: Caller, wire: Wire, unhurried: None, make: Callable[[MemoryWorld, Caller], File]
) -> None:
    file = make(world, anna)
    before = world.temp()
    with (
        ExitStack() as outage,
        # The first write takes the lease; from the next call on the tables are away.
        wire.just_before("open_temp", partial(outage.enter_context, unreachable("dynamodb"))),
        pytest.raises(TransactWriteError),
    ):
        process(world, file)
    assert world.temp() == before
    assert now(world, file).status == "processing"


def test_largest_upload_is_a_bound_of_processing_too(world: MemoryWorld, anna: Caller, configure: Configure) -> None:
    file = uploaded(world, anna)
    configure(MAX_DIRECT_UPLOAD_BYTES=len(BODY) - 1)
    assert process(world, file) is Outcome.FAILED
    check_failed(world, file, "at most", bytes_kept=False)


def test_failed_file_can_be_brought_back_while_its_bytes_are_there(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    processing.give_up(world.stores, world.temp_key(file.file_id), "w")
    check_failed(world, file, "could not be processed", bytes_kept=True)
    assert process(world, file) is Outcome.COMPLETED
    check_completed(world, file)


def test_failed_file_does_not_come_back_into_a_full_organization(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    processing.give_up(world.stores, world.temp_key(file.file_id), "w")
    tenants.set_quota(world.stores, anna.organization_id, len(BODY) - 1, 5)
    assert process(world, file) is Outcome.ALREADY_FAILED
    check_failed(world, file, "could not be processed", bytes_kept=True)


def test_file_that_another_worker_holds_is_left_to_it(world: MemoryWorld, anna: Caller, wire: Wire) -> None:
    file = uploaded(world, anna)
    with wire.away("open_temp"), pytest.raises(Exception, match=r"away\.example"):
        process(world, file, "first")
    held = now(world, file)
    assert (held.status, held.lease_owner, held.attempts) == ("processing", "first", 1)
    assert process(world, file, "second") is Outcome.HELD_BY_ANOTHER
    processing.give_up(world.stores, world.temp_key(file.file_id), "second")
    assert now(world, file) == held
    assert process(world, file, "first") is Outcome.COMPLETED
    assert now(world, file).attempts == 2


def test_lease_that_ran_out_can_be_taken_over(
    world: MemoryWorld, anna: Caller, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = uploaded(world, anna)
    with wire.away("open_temp"), pytest.raises(Exception, match=r"away\.example"):
        process(world, file, "first")
    later = time.time() + world.stores.settings.processing_lease_seconds + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert process(world, file, "second") is Outcome.COMPLETED
    check_completed(world, file)


@pytest.mark.parametrize("make", [uploaded, refused_by_type], ids=["completed", "failed"])
def test_worker_that_slept_for_longer_than_its_lease_touches_nothing(
    world: MemoryWorld,
    anna: Caller,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[MemoryWorld, Caller], File],
) -> None:
    """What it would do can be undone, but not if it dies before."""
    file = make(world, anna)
    later = time.time() + world.stores.settings.processing_lease_seconds + 1
    with (
        wire.just_before("open_temp", lambda: monkeypatch.setattr(time, "time", lambda: later)),
        pytest.raises(VersionConflict),
    ):
        process(world, file)
    assert wire.calls == ["open_temp"]


def test_who_ends_a_file_that_was_completed_meanwhile_touches_nothing(
    world: MemoryWorld, anna: Caller, wire: Wire
) -> None:
    file = uploaded(world, anna)
    with wire.away("open_temp"), pytest.raises(Exception, match=r"away\.example"):
        process(world, file, "first")
    as_swept = now(world, file)
    process(world, file, "first")
    wire.calls.clear()
    with pytest.raises(VersionConflict):
        processing.end_as_failed(world.stores, as_swept, processing.GAVE_UP, "sweep")
    assert wire.calls == []
    check_completed(world, file)


def test_copy_under_way_at_a_deletion_goes_with_the_file(world: MemoryWorld, anna: Caller, wire: Wire) -> None:
    file = uploaded(world, anna)

    def delete() -> None:
        files.delete_file(world.stores, anna, file.file_id)
        # Storage has begun to copy, and so has the bytes.
        world.put_temp(world.temp_key(file.file_id), BODY)

    with wire.just_before("copy_to_permanent", delete):
        assert process(world, file) is Outcome.UNKNOWN_FILE
    assert (world.permanent(), world.temp(), usage(world)) == ({}, {}, (0, 0))


def test_two_workers_at_once_complete_it_once(world: MemoryWorld, anna: Caller) -> None:
    file = uploaded(world, anna)
    outcomes: list[Outcome] = []
    with just_before("dynamodb.TransactWriteItems", lambda: outcomes.append(process(world, file, "second"))):
        outcomes.append(process(world, file, "first"))
    assert outcomes == [Outcome.COMPLETED, Outcome.ALREADY_COMPLETED]
    check_completed(world, file)


class _LosesAnswers(FileStore):
    """Completes a file, but the answer never comes."""

    def replace(self, before: File, after: File, **options: Any) -> File:
        result = super().replace(before, after, **options)
        if after.status == "completed":
            raise TimeoutError("answer lost")
        return result


def test_lost_answer_of_the_last_write_is_no_second_completion(world: MemoryWorld, anna: Caller) -> None:
    """The write took effect, but its answer never came: the next attempt finds it done."""
    file = uploaded(world, anna)
    answers_lost = _LosesAnswers(world.stores.tables, world.stores.open_uploads)
    world.use(files=answers_lost)
    with pytest.raises(TimeoutError):
        process(world, file)
    world.restart()
    assert process(world, file) is Outcome.ALREADY_COMPLETED
    check_completed(world, file)


@pytest.mark.parametrize("verified", [True, False])
def test_memory_does_not_grow_with_the_file(world: MemoryWorld, anna: Caller, verified: bool) -> None:
    """What processing itself holds at its peak. The mock's own copies are made before measuring begins."""
    peaks = []
    for size_bytes in (3_000_000, 45_000_000):
        chunk = samples.random_bytes(1_000_000)
        chunks = (chunk for _ in range(size_bytes // len(chunk)))
        source = TempObject("etag", size_bytes, "0" * 64 if verified else None, chunks)
        examining.examine(source)  # the detector's own start
        source = replace(source, chunks=(bytes(bytearray(chunk)) for _ in range(size_bytes // len(chunk))))
        tracemalloc.start()
        examining.examine(source)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5 + 100_000
    assert peaks[1] < 8_000_000


def test_object_that_is_copied_in_parts_is_checked_part_by_part(world: MemoryWorld, anna: Caller) -> None:
    world.memory = Memory(copy_whole_bytes=len(BODY) - 1, copy_part_bytes=400)
    world.restart()
    file = uploaded(world, anna)
    # The parts are the same, in another order.
    swap = partial(world.put_temp, world.temp_key(file.file_id), BODY[400:800] + BODY[:400] + BODY[800:])
    etag = world.memory.storage.get(world.temp_key(file.file_id)).etag
    with world.memory.wire.just_before("copy_to_permanent", partial(swap, etag=etag)), pytest.raises(ObjectChanged):
        process(world, file)
    assert process(world, file) is Outcome.COMPLETED
    check_completed(world, file, BODY[400:800] + BODY[:400] + BODY[800:])
