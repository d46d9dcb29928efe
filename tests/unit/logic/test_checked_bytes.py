"""What is stored is what was checked, even when somebody swaps it for bytes of the same ETag in between."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import ObjectChanged
from chalicelib.platform import large_copy
from chalicelib.platform.objects import ObjectStore
from chalicelib.processing.digests import Digests
from chalicelib.processing.processing import Outcome, process_upload
from chalicelib.uploads import form_uploads as uploads
from tests import collision
from tests.aws_calls import aws_calls, just_before
from tests.moto_gaps import without_checksums
from tests.unit.cloud import PERMANENT_BUCKET
from tests.unit.world import World

PART_BYTES = 5 * 1024 * 1024
SMALL, SMALL_TWIN = collision.pair(b"a suffix that both have")
LARGE, LARGE_TWIN = collision.pair(bytes(PART_BYTES + 1000))


@pytest.fixture
def anna(world: World) -> Caller:
    return world.caller("anna")


@pytest.fixture(params=["whole", "parts"])
def pair(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes]:
    """Bytes and their twin, of a size that is copied whole or in parts."""
    if request.param == "whole":
        return SMALL, SMALL_TWIN
    monkeypatch.setattr(large_copy, "PREFERRED_PART_BYTES", PART_BYTES)
    settings = world.stores.settings
    world.use(
        objects=ObjectStore(settings.temp_bucket, settings.permanent_bucket, None, "path", max_single_copy_bytes=1000)
    )
    return LARGE, LARGE_TWIN


def uploaded(world: World, caller: Caller, body: bytes, **options: Any) -> File:
    file = world.stores.files.create(replace(uploads.new_file(caller, "contract.bin", None, len(body))))
    world.put_temp(world.temp_key(file.file_id), body, **options)
    return file


def process(world: World, file: File) -> Outcome:
    return process_upload(world.stores, world.temp_key(file.file_id), "w")


def check_stored(world: World, file: File, body: bytes) -> None:
    after = world.file(file.file_id)
    assert after is not None
    assert (after.status, after.sha256_hash) == ("completed", hashlib.sha256(body).hexdigest())
    assert after.object_version is not None
    stored = world.s3.get_object(
        Bucket=PERMANENT_BUCKET, Key=next(iter(world.permanent())), VersionId=after.object_version
    )
    assert stored["Body"].read() == body


def swap(world: World, file: File, twin: bytes) -> Callable[[], None]:
    return lambda: world.put_temp(world.temp_key(file.file_id), twin)


@pytest.mark.parametrize("told", [True, False], ids=["checksum told", "checksum read back"])
def test_twin_that_comes_before_the_copy_is_not_taken_for_what_was_checked(
    world: World, anna: Caller, pair: tuple[bytes, bytes], told: bool
) -> None:
    body, twin = pair
    file = uploaded(world, anna, body)
    copy = "s3.CopyObject" if body is SMALL else "s3.CreateMultipartUpload"
    with (
        nullcontext() if told else without_checksums(),
        just_before(copy, swap(world, file, twin)),
        pytest.raises(ObjectChanged),
    ):
        process(world, file)
    assert world.permanent() == {}, "the copy of the twin is taken back"
    assert world.file(file.file_id).status == "processing"  # type: ignore[union-attr]
    assert process(world, file) is Outcome.COMPLETED
    check_stored(world, file, twin)


def test_twin_of_bytes_whose_checksum_storage_verified_is_not_taken_for_them(world: World, anna: Caller) -> None:
    file = uploaded(world, anna, SMALL, ChecksumAlgorithm="SHA256")
    with just_before("s3.CopyObject", swap(world, file, SMALL_TWIN)), pytest.raises(ObjectChanged):
        process(world, file)
    assert process(world, file) is Outcome.COMPLETED
    check_stored(world, file, SMALL_TWIN)


@pytest.mark.parametrize("told", [True, False], ids=["checksum told", "checksum read back"])
def test_bytes_that_nobody_swaps_complete_whoever_tells_their_checksum(
    world: World, anna: Caller, pair: tuple[bytes, bytes], told: bool
) -> None:
    body, _ = pair
    file = uploaded(world, anna, body)
    with nullcontext() if told else without_checksums(), aws_calls() as calls:
        assert process(world, file) is Outcome.COMPLETED
    check_stored(world, file, body)
    assert calls.count("s3.GetObject") == (1 if told else 2), "the copy is read only where its checksum was not told"


@pytest.mark.parametrize("cut", [1, 7, 64, 1000])
def test_digests_of_parts_do_not_depend_on_how_the_stream_is_cut(cut: int) -> None:
    body = bytes(range(256)) * 5
    digests = Digests(300)
    for start in range(0, len(body), cut):
        digests.update(body[start : start + cut])
    checked = digests.finish()
    assert digests.size_bytes == len(body)
    assert checked.sha256 == hashlib.sha256(body).hexdigest()
    parts = [body[start : start + 300] for start in range(0, len(body), 300)]
    assert checked.part_sha256 == tuple(hashlib.sha256(part).hexdigest() for part in parts)
