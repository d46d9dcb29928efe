"""Processing over the emulator's own S3 and DynamoDB: what rests on their promises and not on ours."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import httpx
import pytest

from chalicelib import keys
from chalicelib.files import logic as files
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import ObjectChanged, ObjectMissing
from chalicelib.platform.objects import ObjectStore
from chalicelib.processing.ports import CheckedBytes, Objects
from chalicelib.processing.processing import Outcome, process_upload
from chalicelib.tenants import organizations as tenants
from chalicelib.uploads import direct_uploads
from chalicelib.uploads import form_uploads as uploads
from chalicelib.uploads.parts import PresignedPost
from chalicelib.wiring import Stores
from tests import collision
from tests.integration.conftest import Machine

BODY = random.Random(1).randbytes(6 * 1024 * 1024 + 1)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUIET_BUCKET = "uploads-that-nobody-announces"


@pytest.fixture
def quiet(machine: Machine, stores: Stores) -> Stores:
    """Stores whose uploads no consumer hears of, so that the test alone decides when something happens."""
    machine.client("s3").create_bucket(Bucket=QUIET_BUCKET)
    return Stores(replace(stores.settings, temp_bucket=QUIET_BUCKET))


@pytest.fixture
def caller(quiet: Stores) -> Caller:
    organization = tenants.create_organization(quiet, "Processing")
    return Caller(organization.organization_id, keys.new_user_id(), "anna")


def permanent(quiet: Stores, machine: Machine, file: File) -> dict[str, Any]:
    key = keys.permanent_key(file.organization_id, file.file_id, file.object_name)
    return dict(machine.client("s3").get_object(Bucket=quiet.settings.permanent_bucket, Key=key))


def test_checksum_that_we_send_is_verified_and_told_again(quiet: Stores, caller: Caller) -> None:
    file = uploads.upload_form(quiet, caller, "a.bin", None, BODY)
    with quiet.objects.open_temp(file.organization_id, file.file_id) as source:
        assert source.verified_sha256 == SHA256
        assert source.size_bytes == len(BODY)


def test_wrong_checksum_is_refused_by_storage(quiet: Stores, caller: Caller) -> None:
    with pytest.raises(Exception, match=r"(?i)checksum|digest"):
        quiet.objects.put_temp(caller.organization_id, keys.new_file_id(), b"bytes", "0" * 64)


@pytest.mark.parametrize("body", [b"", b"x", BODY], ids=["empty", "one byte", "6 MB"])
def test_upload_is_completed_once(quiet: Stores, machine: Machine, caller: Caller, body: bytes) -> None:
    file = uploads.upload_form(quiet, caller, "Grüße 世界.bin", None, body)
    key = keys.temp_key(file.organization_id, file.file_id)
    outcomes = [process_upload(quiet, key, worker) for worker in ("a", "b", "a")]
    assert outcomes == [Outcome.COMPLETED, Outcome.ALREADY_COMPLETED, Outcome.ALREADY_COMPLETED]
    after = files.get_file(quiet, caller, file.file_id)
    assert after.sha256_hash == hashlib.sha256(body).hexdigest()
    kept = permanent(quiet, machine, file)
    assert kept["Body"].read() == body
    assert kept["ContentType"] == after.mime_type
    assert kept["VersionId"] == after.object_version
    assert not quiet.objects.temp_exists(file.organization_id, file.file_id)


def test_copy_of_an_overwritten_object_is_refused(quiet: Stores, machine: Machine, caller: Caller) -> None:
    file = uploads.upload_form(quiet, caller, "a.txt", None, b"the bytes that were read")
    checked = CheckedBytes(hashlib.sha256(b"the bytes that were read").hexdigest())
    named = {"content_type": "text/plain", "disposition": "attachment"}
    with quiet.objects.open_temp(file.organization_id, file.file_id) as source:
        quiet.objects.put_temp(file.organization_id, file.file_id, b"others", hashlib.sha256(b"others").hexdigest())
        with pytest.raises(ObjectChanged):
            quiet.objects.copy_to_permanent(file.organization_id, file.file_id, "a.txt", source, checked, **named)
        quiet.objects.delete_temp(file.organization_id, file.file_id)
        with pytest.raises((ObjectMissing, ObjectChanged)):
            quiet.objects.copy_to_permanent(file.organization_id, file.file_id, "a.txt", source, checked, **named)
    with pytest.raises(Exception, match="NoSuchKey"):
        permanent(quiet, machine, file)


def test_object_above_the_limit_of_one_copy_goes_in_parts(
    quiet: Stores, machine: Machine, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.platform import large_copy

    monkeypatch.setattr(large_copy, "PREFERRED_PART_BYTES", 5 * 1024 * 1024)
    settings = quiet.settings
    quiet = Stores(
        settings,
        objects=ObjectStore(
            QUIET_BUCKET,
            settings.permanent_bucket,
            None,
            settings.s3_addressing_style,
            max_single_copy_bytes=1024 * 1024,
        ),
    )
    file = uploads.upload_form(quiet, caller, "big.bin", None, BODY)
    assert process_upload(quiet, keys.temp_key(file.organization_id, file.file_id), "w") is Outcome.COMPLETED
    after = files.get_file(quiet, caller, file.file_id)
    kept = permanent(quiet, machine, file)
    assert kept["Body"].read() == BODY
    assert kept["ETag"].strip('"').endswith("-2"), "two parts"
    assert (kept["ContentType"], kept["VersionId"]) == ("application/octet-stream", after.object_version)


def test_counters_are_exact_after_many_at_once(quiet: Stores, caller: Caller) -> None:
    def upload_and_process(number: int) -> File:
        file = uploads.upload_form(quiet, caller, f"{number}.txt", None, b"x" * number)
        process_upload(quiet, keys.temp_key(file.organization_id, file.file_id), f"w{number}")
        if number % 3 == 0:
            files.delete_file(quiet, caller, file.file_id)
        return file

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload_and_process, range(24)))
    left = [number for number in range(24) if number % 3]
    listing = files.list_files(quiet, caller, limit=100)
    assert listing.total == len(listing.files) == len(left)
    assert {file.status for file in listing.files} == {"completed"}
    usage = tenants.get_organization(quiet, caller.organization_id).usage
    assert (usage.bytes_used, usage.files_used) == (sum(left), len(left))


@pytest.mark.parametrize("offset", [0, 1, 37, 120])
def test_pages_of_real_queries_are_whole(quiet: Stores, caller: Caller, offset: int) -> None:
    made = [quiet.files.create(uploads.new_file(caller, f"{n}.txt", None, n)).file_id for n in range(45)]
    newest_first = sorted(made, reverse=True)
    assert [f.file_id for f in files.list_files(quiet, caller, limit=10, offset=offset).files] == newest_first[
        offset : offset + 10
    ]
    seen, cursor = [], None
    while True:
        listing = files.list_files(quiet, caller, limit=7, cursor=cursor, status="pending")
        seen += [file.file_id for file in listing.files]
        cursor = listing.next_cursor
        if cursor is None:
            break
    assert seen == newest_first


def test_form_used_again_with_bytes_of_the_same_md5_never_completes_as_what_was_checked(
    quiet: Stores, machine: Machine, caller: Caller
) -> None:
    """The twin arrives by the same presigned form, between each step of processing and the next."""
    body, twin = collision.pair(b"a suffix that both have")
    intent = direct_uploads.UploadIntent("contract.bin", len(body), "application/octet-stream")
    for step in ("open_temp", "copy_to_permanent"):
        started = direct_uploads.start_upload(quiet, caller, intent)
        assert started.form is not None
        file, form = started.file, started.form

        def send(content: bytes, form: PresignedPost = form) -> None:
            answer = httpx.post(form.url, data=form.fields, files={"file": content})
            assert answer.status_code in (200, 201, 204), answer.text

        send(body)
        interrupted = Stores(quiet.settings, objects=SwappedBefore(quiet.objects, step, lambda: send(twin)))
        key = keys.temp_key(file.organization_id, file.file_id)
        with nullcontext() if step == "open_temp" else pytest.raises(ObjectChanged):
            process_upload(interrupted, key, "w")
        if step == "copy_to_permanent":
            assert process_upload(quiet, key, "w") is Outcome.COMPLETED
        after = files.get_file(quiet, caller, file.file_id)
        stored = permanent(quiet, machine, file)
        assert hashlib.sha256(stored["Body"].read()).hexdigest() == after.sha256_hash
        assert stored["VersionId"] == after.object_version


class SwappedBefore:
    """Storage before which somebody else acts once, right before the named step."""

    def __init__(self, objects: Objects, step: str, act: Callable[[], None]) -> None:
        self._objects, self._step, self._act = objects, step, act

    def __getattr__(self, name: str) -> Any:
        if name == self._step:
            self._step = ""
            self._act()
        return getattr(self._objects, name)
