"""Uploads straight to S3 in the API's own form."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError

from chalicelib.files.recounting import recount
from chalicelib.platform import aws
from chalicelib.sweep.sweeping import sweep
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from chalicelib.uploads.direct_uploads import part_size
from tests.aws_calls import listening
from tests.moto_gaps import aws_answer
from tests.unit.api import Api, Session
from tests.unit.cloud import TEMP_BUCKET
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import check_error
from tests.unit.world import World

MEBIBYTE = 1024 * 1024
PART = 5 * MEBIBYTE


@pytest.fixture
def albert(sign_in: SignIn) -> Session:
    """Another user of Acme."""
    return sign_in("albert")


@pytest.fixture
def large_allowed(configure: Configure) -> None:
    """Files above 5 MiB go in parts, up to 1 GiB."""
    configure(MAX_DIRECT_UPLOAD_BYTES=1024 * MEBIBYTE, MULTIPART_THRESHOLD_BYTES=5 * MEBIBYTE)


def await_condition(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.01)


def policy_of(fields: dict[str, str]) -> list[Any]:
    conditions: list[Any] = json.loads(base64.b64decode(fields["policy"]))["conditions"]
    return conditions


def start(api: Api, session: Session, size: int, **more: Any) -> dict[str, Any]:
    answer = api.post("/files", session, json_body={"filename": "a.bin", "size": size, **more})
    assert answer.status == 201, answer.body
    started: dict[str, Any] = answer.json
    return started


def send_parts(world: World, file_id: str, sizes: list[int]) -> None:
    file = world.file(file_id)
    assert file is not None
    assert file.multipart_upload_id is not None
    for number, size in enumerate(sizes, start=1):
        world.s3.upload_part(
            Bucket=TEMP_BUCKET,
            Key=world.temp_key(file_id),
            UploadId=file.multipart_upload_id,
            PartNumber=number,
            Body=bytes([number]) * size,
        )


def test_small_file_gets_a_form_that_allows_exactly_it(api: Api, anna: Session, world: World) -> None:
    sha256 = hashlib.sha256(b"x" * 100).hexdigest()
    started = start(api, anna, 100, content_type="text/csv", sha256=sha256)
    assert started["status"] == "pending"
    assert started["file_size"] == 100
    assert started["declared_type"] == "text/csv"
    upload = started["upload"]
    assert set(upload) == {"method", "url", "fields", "expires_at"}
    assert upload["method"] == "POST"
    conditions = policy_of(upload["fields"])
    assert ["content-length-range", 100, 100] in conditions
    assert {"key": world.temp_key(started["id"])} in conditions
    assert {"bucket": TEMP_BUCKET} in conditions
    assert {"Content-Type": "text/csv"} in conditions
    assert {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()} in conditions
    assert upload["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"


def test_bytes_that_arrive_are_processed(api: Api, anna: Session, world: World) -> None:
    started = start(api, anna, 6)
    world.put_temp(world.temp_key(started["id"]), b"hello\n")
    world.drain()
    details = api.get(f"/files/{started['id']}", anna).json
    assert details["status"] == "completed"
    assert details["mime_type"] == "text/plain"
    assert world.temp() == {}


def test_form_used_again_after_completion_changes_nothing(api: Api, anna: Session, world: World) -> None:
    started = start(api, anna, 6)
    world.put_temp(world.temp_key(started["id"]), b"hello\n")
    world.drain()
    before = world.snapshot()
    world.put_temp(world.temp_key(started["id"]), b"other\n")
    world.drain()
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("sent", "announced"),
    [(b"hello", {"size": 6}), (b"hello!", {"size": 6, "sha256": hashlib.sha256(b"hello.").hexdigest()})],
)
def test_other_bytes_than_announced_fail_and_are_deleted(
    api: Api, anna: Session, world: World, sent: bytes, announced: dict[str, Any]
) -> None:
    started = start(api, anna, **announced)
    world.put_temp(world.temp_key(started["id"]), sent)
    world.drain()
    details = api.get(f"/files/{started['id']}", anna).json
    assert details["status"] == "failed"
    assert "announced" in details["error_message"]
    assert world.temp() == world.permanent() == {}
    assert world.organization().usage.bytes_used == 0
    assert api.post(f"/files/{started['id']}/retry", anna).status == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filename": "a"},
        {"size": 1},
        {"filename": "", "size": 1},
        {"filename": "   ", "size": 1},
        {"filename": 7, "size": 1},
        {"filename": "a", "size": "1"},
        {"filename": "a", "size": 1.5},
        {"filename": "a", "size": True},
        {"filename": "a", "size": -1},
        {"filename": "a", "size": None},
        {"filename": "a", "size": 1, "sha256": "short"},
        {"filename": "a", "size": 1, "sha256": 1},
        {"filename": "a", "size": 1, "content_type": "text/plain\r\nX: y"},
        {"filename": "a", "size": 1, "content_type": "x" * 300},
    ],
)
def test_bad_announcement_is_400_and_changes_nothing(
    api: Api, anna: Session, world: World, body: dict[str, Any]
) -> None:
    before = world.snapshot()
    assert api.post("/files", anna, json_body=body).status == 400
    assert world.snapshot() == before


@pytest.mark.parametrize(("size_bytes", "status"), [(1000, 201), (1001, 413), (500 * 10**9, 413)])
def test_file_that_the_organization_takes_no_more_of_is_refused_before_its_bytes(
    api: Api, anna: Session, world: World, size_bytes: int, status: int
) -> None:
    tenants.set_policy(world.stores, anna.caller.organization_id, Policy(max_file_bytes=1000))
    answer = api.post("/files", anna, json_body={"filename": "a.bin", "size": size_bytes})
    assert answer.status == status
    if status == 413:
        assert "at most 1000 bytes" in check_error(answer, 413)
        assert world.organization().usage.bytes_used == 0
        assert api.get("/files", anna).json["total"] == 0


def test_upload_that_does_not_say_its_size_is_measured_later(api: Api, anna: Session, world: World) -> None:
    tenants.set_policy(world.stores, anna.caller.organization_id, Policy(max_file_bytes=1000))
    assert api.get("/s3/params?filename=a.bin", anna).status == 200


def test_file_above_the_limit_is_413(api: Api, anna: Session, world: World) -> None:
    before = world.snapshot()
    answer = api.post("/files", anna, json_body={"filename": "a", "size": 5 * 1024**4 + 1})
    assert answer.status == 413
    assert str(5 * 1024**4) in answer.json["error"]
    assert world.snapshot() == before


def test_file_above_the_quota_is_409_with_the_numbers(api: Api, anna: Session, world: World) -> None:
    tenants.set_quota(world.stores, anna.caller.organization_id, 1000, 10)
    before = world.snapshot()
    answer = api.post("/files", anna, json_body={"filename": "a", "size": 1001})
    assert answer.status == 409
    assert "1001" in answer.json["error"]
    assert "1000" in answer.json["error"]
    assert world.snapshot() == before


@pytest.mark.usefixtures("large_allowed")
class TestParts:
    def test_large_file_is_sent_in_parts(self, api: Api, anna: Session, world: World) -> None:
        started = start(api, anna, 2 * PART + 1)
        upload = started["upload"]
        assert upload["method"] == "multipart"
        assert upload["part_count"] == 1
        signed = api.post(upload["parts"], anna, json_body={"part_numbers": [1]}).json["parts"]
        assert [part["part_number"] for part in signed] == [1]
        send_parts(world, started["id"], [PART, PART, 1])
        arrived = api.get(upload["parts"], anna).json["parts"]
        assert [part["size"] for part in arrived] == [PART, PART, 1]
        first = api.post(upload["complete"], anna)
        assert first.status == 200
        again = api.post(upload["complete"], anna)
        assert (again.status, again.json["id"]) == (200, started["id"])
        world.drain()
        details = api.get(f"/files/{started['id']}", anna).json
        assert details["status"] == "completed"
        whole = bytes([1]) * PART + bytes([2]) * PART + bytes([3])
        assert details["sha256_hash"] == hashlib.sha256(whole).hexdigest()
        assert api.post(upload["complete"], anna).json["status"] == "completed"

    def test_url_takes_exactly_the_bytes_of_its_part(self, api: Api, anna: Session, world: World) -> None:
        """S3 computes the signature over the length that arrives: another one is a 403."""
        started = start(api, anna, 20 * MEBIBYTE)
        upload, file = started["upload"], world.file(started["id"])
        assert (upload["part_size"], upload["part_count"]) == (16 * MEBIBYTE, 2)
        assert file is not None
        # The length is in the signature and nowhere else, so the same URL is the only proof, signed in the same second.
        with time_machine.travel(datetime.now(UTC), tick=False):
            signed = api.post(upload["parts"], anna, json_body={"part_numbers": [1, 2]}).json["parts"]
            for part, length in zip(signed, (16 * MEBIBYTE, 4 * MEBIBYTE), strict=True):
                assert "X-Amz-SignedHeaders=content-length%3Bhost&" in part["url"]
                assert part["url"] == world.stores.direct_uploads.presign_part(
                    file.organization_id,
                    file.file_id,
                    str(file.multipart_upload_id),
                    part["part_number"],
                    exact_bytes=length,
                    ttl_seconds=world.stores.settings.upload_url_ttl_seconds,
                )
        assert api.post(upload["parts"], anna, json_body={"part_numbers": [3]}).status == 400

    def test_checksum_of_a_part_is_signed_and_has_to_be_sent(self, api: Api, anna: Session) -> None:
        upload = start(api, anna, 20 * MEBIBYTE)["upload"]
        body = {"part_numbers": [1, 2], "crc64nvme": {"2": "bf/MyEhyW1w="}}
        first, second = api.post(upload["parts"], anna, json_body=body).json["parts"]
        assert (first["headers"], second["headers"]) == ({}, {"x-amz-checksum-crc64nvme": "bf/MyEhyW1w="})
        signed = "X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-checksum-crc64nvme&"
        assert (signed in first["url"], signed in second["url"]) == (False, True)

    @pytest.mark.parametrize(
        "checksums",
        [
            *([], "bf/MyEhyW1w=", {"1": 5}, {"1": ""}, {"1": "bf/MyEhyW1w"}, {"1": "bf/MyEhyW1x="}, {"1": "!" * 12}),
            *({"one": "bf/MyEhyW1w="}, {"0": "bf/MyEhyW1w="}, {"2": "bf/MyEhyW1w="}, {"1": "bf/MyEhyW1w=\n"}),
        ],
        ids=str,
    )
    def test_wrong_checksums_of_parts_are_400(self, api: Api, anna: Session, checksums: Any) -> None:
        upload = start(api, anna, 20 * MEBIBYTE)["upload"]
        answer = api.post(upload["parts"], anna, json_body={"part_numbers": [1], "crc64nvme": checksums})
        assert "crc64nvme" in check_error(answer, 400)

    def test_client_may_list_the_parts_with_quoted_or_bare_etags(self, api: Api, anna: Session, world: World) -> None:
        started = start(api, anna, PART + 1)
        send_parts(world, started["id"], [PART, 1])
        arrived = api.get(started["upload"]["parts"], anna).json["parts"]
        listed = [
            {"part_number": 2, "etag": f'"{arrived[1]["etag"]}"'},
            {"part_number": 1, "etag": arrived[0]["etag"]},
        ]
        assert api.post(started["upload"]["complete"], anna, json_body={"parts": listed}).status == 200

    @pytest.mark.parametrize(
        ("parts", "status"),
        [
            ("no list", 400),
            ([1], 400),
            ([{"part_number": 1}], 400),
            ([{"part_number": "1", "etag": "x"}], 400),
            ([{"part_number": 1, "etag": "wrong"}, {"part_number": 2, "etag": "wrong"}], 400),
            ([{"part_number": 1, "etag": "wrong"}], 400),
            ([{"part_number": 9, "etag": "x"}], 400),
            ([], 409),
        ],
    )
    def test_wrong_list_of_parts_completes_nothing(
        self, api: Api, anna: Session, world: World, parts: Any, status: int
    ) -> None:
        started = start(api, anna, PART + 1)
        send_parts(world, started["id"], [PART, 1])
        before = world.snapshot()
        assert api.post(started["upload"]["complete"], anna, json_body={"parts": parts}).status == status
        assert world.snapshot() == before
        assert api.post(started["upload"]["complete"], anna).status == 200

    def test_upload_without_any_part_is_409(self, api: Api, anna: Session, world: World) -> None:
        created = api.post("/s3/multipart", anna, json_body={"filename": "a", "type": "x/y"}).json
        file_id = created["key"].partition("/")[2]
        before = world.snapshot()
        assert api.post(f"/files/{file_id}/complete", anna).status == 409
        assert api.post(f"/files/{file_id}/complete", anna, json_body={"parts": []}).status == 409
        assert world.snapshot() == before

    def test_missing_bytes_are_409_and_the_upload_goes_on(self, api: Api, anna: Session, world: World) -> None:
        started = start(api, anna, 2 * PART)
        send_parts(world, started["id"], [PART])
        answer = api.post(started["upload"]["complete"], anna)
        assert answer.status == 409
        assert str(PART) in answer.json["error"]
        send_parts(world, started["id"], [PART, PART])
        assert api.post(started["upload"]["complete"], anna).status == 200

    def test_putting_together_overwrites_no_object(self, api: Api, anna: Session, world: World) -> None:
        """S3 refuses where we ask it to; moto is told here what S3 does (AWS: "Conditional writes")."""
        started = start(api, anna, PART + 1)
        send_parts(world, started["id"], [PART, 1])
        key = world.temp_key(started["id"])
        world.put_temp(key, b"put together by a call whose answer was lost")

        def as_s3_does(operation: str, request: AWSPreparedRequest) -> AWSResponse | None:
            if operation != "s3.CompleteMultipartUpload" or request.headers.get("If-None-Match") not in ("*", b"*"):
                return None
            return aws_answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")

        with listening(as_s3_does):
            assert api.post(started["upload"]["complete"], anna).status == 200
        assert world.temp() == {key: b"put together by a call whose answer was lost"}

    @pytest.mark.parametrize(
        "numbers", [[], [0], [10_001], [-1], ["1"], [True], [1.0], "1", None, list(range(1, 1002))]
    )
    def test_bad_part_numbers_are_400(self, api: Api, anna: Session, numbers: Any) -> None:
        started = start(api, anna, PART + 1)
        assert api.post(started["upload"]["parts"], anna, json_body={"part_numbers": numbers}).status == 400

    def test_nobody_else_can_name_the_upload(
        self, api: Api, anna: Session, albert: Session, berta: Session, world: World
    ) -> None:
        upload = start(api, anna, PART + 1)["upload"]
        before = world.rows("files")
        for stranger in (albert, berta):
            assert api.post(upload["parts"], stranger, json_body={"part_numbers": [1]}).status == 404
            assert api.get(upload["parts"], stranger).status == 404
            assert api.post(upload["complete"], stranger).status == 404
        assert world.rows("files") == before

    def test_form_upload_has_no_parts(self, api: Api, anna: Session) -> None:
        started = start(api, anna, 10)
        assert api.get(f"/files/{started['id']}/parts", anna).status == 404

    def test_deleted_upload_releases_its_room_and_parts(self, api: Api, anna: Session, world: World) -> None:
        started = start(api, anna, 2 * PART)
        send_parts(world, started["id"], [PART])
        assert world.organization().usage.bytes_used == 2 * PART
        assert api.delete(f"/files/{started['id']}", anna).status == 204
        assert world.organization().usage.bytes_used == 0
        assert world.s3.list_multipart_uploads(Bucket=TEMP_BUCKET).get("Uploads", []) == []
        assert api.post(started["upload"]["complete"], anna).status == 404

    def test_upload_that_never_comes_is_expired_and_released(self, api: Api, anna: Session, world: World) -> None:
        started = start(api, anna, 2 * PART)
        send_parts(world, started["id"], [PART])
        assert sweep(world.stores, stale_seconds=0) == {"left": 1}
        file = world.file(started["id"])
        assert file is not None
        world.stores.files.replace(file, replace(file, upload_expires_at=1))
        assert sweep(world.stores, stale_seconds=0) == {"expired": 1}
        details = api.get(f"/files/{started['id']}", anna).json
        assert details["status"] == "failed"
        assert "never arrived" in details["error_message"]
        assert world.organization().usage.bytes_used == 0
        assert world.s3.list_multipart_uploads(Bucket=TEMP_BUCKET).get("Uploads", []) == []
        assert api.post(started["upload"]["complete"], anna).status == 409

    def test_upload_whose_announcement_was_lost_is_found_by_the_sweep(
        self, api: Api, anna: Session, world: World
    ) -> None:
        started = start(api, anna, 2 * PART)
        send_parts(world, started["id"], [PART, PART])
        assert api.post(started["upload"]["complete"], anna).status == 200
        world.forget_messages()
        assert sweep(world.stores, stale_seconds=0) == {"requeued": 1, "left": 1}
        world.drain()
        assert api.get(f"/files/{started['id']}", anna).json["status"] == "completed"


@pytest.mark.parametrize("size", [1, 100 * MEBIBYTE, 160_000 * MEBIBYTE, 5 * 1024**4, 50 * 1024**4])
def test_no_upload_needs_more_than_10000_parts(size: int) -> None:
    assert -(-size // part_size(size)) <= 10_000
    assert part_size(size) >= PART


class TestStorageTakesItsTime:
    """S3 may need minutes to put thousands of parts together, which no gateway waits for."""

    @pytest.fixture(autouse=True)
    def large_in_parts(self, large_allowed: None) -> None:
        pass

    @pytest.fixture
    def storage(self, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowStorage]:
        monkeypatch.setattr(aws, "COMPLETE_PATIENCE_SECONDS", 0.2)
        slow = SlowStorage()
        direct_uploads: Any = world.stores.direct_uploads
        events = direct_uploads._completer.meta.events
        events.register("before-call.s3.CompleteMultipartUpload", slow.hold)
        yield slow
        slow.go_on.set()
        events.unregister("before-call.s3.CompleteMultipartUpload", slow.hold)

    def test_answer_comes_before_storage_is_done(
        self, api: Api, anna: Session, world: World, storage: SlowStorage
    ) -> None:
        started = start(api, anna, PART + 1)
        send_parts(world, started["id"], [PART, 1])
        answer = api.post(started["upload"]["complete"], anna)
        assert (answer.status, answer.json["status"]) == (200, "pending")
        storage.go_on.set()
        storage.gone_on.wait(10)
        await_condition(lambda: world.queued(), "S3's announcement of the object")
        world.drain()
        assert api.get(f"/files/{started['id']}", anna).json["status"] == "completed"

    def test_sweep_asks_again_when_storage_never_finished(
        self, api: Api, anna: Session, world: World, storage: SlowStorage
    ) -> None:
        storage.breaks = True
        started = start(api, anna, PART + 1)
        send_parts(world, started["id"], [PART, 1])
        assert api.post(started["upload"]["complete"], anna).status == 200
        storage.go_on.set()
        storage.gone_on.wait(10)
        assert world.temp() == {}
        storage.breaks = False
        assert sweep(world.stores, stale_seconds=-1)["completions_repeated"] == 1
        world.drain()
        assert api.get(f"/files/{started['id']}", anna).json["status"] == "completed"
        assert not recount(world.stores, anna.caller.organization_id).differences

    def test_sweep_leaves_an_upload_that_nobody_completed(self, api: Api, anna: Session, world: World) -> None:
        started = start(api, anna, PART + 1)
        send_parts(world, started["id"], [PART, 1])
        assert sweep(world.stores, stale_seconds=-1) == {"left": 1}


class SlowStorage:
    """Holds the call until told to go on; then does it, or breaks off."""

    def __init__(self) -> None:
        self.go_on, self.gone_on = threading.Event(), threading.Event()
        self.breaks = False

    def hold(self, **_: Any) -> None:
        self.go_on.wait(30)
        self.gone_on.set()
        if self.breaks:
            raise EndpointConnectionError(endpoint_url="s3")
