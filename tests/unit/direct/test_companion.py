"""Uppy's Companion contract, by session and by ticket. (tests/browser runs the real Uppy against it.)"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.api import Answer, Api, Session
from tests.unit.cloud import TEMP_BUCKET
from tests.unit.conftest import Configure, SignIn
from tests.unit.world import World

PART = 5 * 1024 * 1024


@pytest.fixture
def albert(sign_in: SignIn) -> Session:
    """Another user of Acme."""
    return sign_in("albert")


@pytest.fixture(params=["session", "ticket"])
def uppy(request: pytest.FixtureRequest, api: Api, anna: Session) -> Any:
    """Calls as Uppy does, either with the session or with nothing but a path."""
    base = api.post("/auth/ticket", anna).json["base_path"] if request.param == "ticket" else ""
    session = anna if request.param == "session" else None

    def call(method: str, path: str, json_body: Any = None) -> Answer:
        return api.request(method, base + path, session=session, json_body=json_body)

    return call


def create(uppy: Any, **body: Any) -> dict[str, Any]:
    answer = uppy("POST", "/s3/multipart", {"filename": "a.bin", "type": "application/zip", **body})
    assert answer.status == 200, answer.body
    created: dict[str, Any] = answer.json
    return created


def test_parameters_of_a_single_upload(uppy: Any, world: World) -> None:
    answer = uppy("GET", "/s3/params?filename=a%20b.txt&type=text%2Fplain&metadata%5Bname%5D=a")
    assert answer.status == 200
    assert set(answer.json) == {"method", "url", "fields", "expires"}
    assert answer.json["method"] == "POST"
    key = answer.json["fields"]["key"]
    file = world.file(key.partition("/")[2])
    assert file is not None
    assert file.filename == "a b.txt"
    assert file.reserved_bytes == 100 * 1024 * 1024
    world.put_temp(key, b"hello")
    world.drain()
    assert world.organization().usage.bytes_used == 5


def test_announced_size_makes_the_policy_exact(uppy: Any) -> None:
    fields = uppy("GET", "/s3/params?filename=a.txt&type=text/plain&metadata%5Bsize%5D=123").json["fields"]
    assert ["content-length-range", 123, 123] in json.loads(base64.b64decode(fields["policy"]))["conditions"]


@pytest.mark.parametrize("query", ["filename=a&type=undefined", "filename=a&type=", "filename=a"])
def test_missing_type_is_taken_for_unknown(uppy: Any, query: str) -> None:
    fields = uppy("GET", f"/s3/params?{query}").json["fields"]
    assert fields["Content-Type"] == "application/octet-stream"


def test_parameters_without_a_filename_are_400(uppy: Any, world: World) -> None:
    before = world.rows("files")
    assert uppy("GET", "/s3/params?type=text/plain").status == 400
    assert world.rows("files") == before


def test_multipart_from_start_to_end(uppy: Any, world: World, api: Api, anna: Session) -> None:
    created = create(uppy, metadata={"name": None})
    assert set(created) == {"key", "uploadId", "bucket"}
    path, key = f"/s3/multipart/{created['uploadId']}", f"key={quote(created['key'], safe='')}"
    signed = uppy("GET", f"{path}/1?{key}").json
    assert set(signed) == {"url", "expires"}
    batch = uppy("GET", f"{path}/batch?{key}&partNumbers=1,2").json
    assert set(batch["presignedUrls"]) == {"1", "2"}
    for number, size in ((1, PART), (2, 3)):
        world.s3.upload_part(
            Bucket=TEMP_BUCKET,
            Key=created["key"],
            UploadId=created["uploadId"],
            PartNumber=number,
            Body=b"z" * size,
        )
    arrived = uppy("GET", f"{path}?{key}").json
    assert [(part["PartNumber"], part["Size"]) for part in arrived] == [(1, PART), (2, 3)]
    listed = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in arrived]
    done = uppy("POST", f"{path}/complete?{key}", {"parts": listed})
    assert set(done.json) == {"location", "key", "bucket"}
    assert world.organization().usage.bytes_used == PART + 3
    world.drain()
    file_id = created["key"].partition("/")[2]
    details = api.get(f"/files/{file_id}", anna).json
    assert (details["status"], details["file_size"]) == ("completed", PART + 3)


def test_more_than_the_largest_size_is_not_put_together(uppy: Any, world: World, configure: Configure) -> None:
    configure(MAX_DIRECT_UPLOAD_BYTES=PART, MULTIPART_THRESHOLD_BYTES=PART)
    created = create(uppy)
    for number in (1, 2):
        world.s3.upload_part(
            Bucket=TEMP_BUCKET,
            Key=created["key"],
            UploadId=created["uploadId"],
            PartNumber=number,
            Body=b"z" * PART,
        )
    path, key = f"/s3/multipart/{created['uploadId']}", f"?key={quote(created['key'])}"
    arrived = uppy("GET", path + key).json
    listed = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in arrived]
    assert uppy("POST", f"{path}/complete{key}", {"parts": listed}).status == 413
    assert world.temp() == {}
    assert uppy("POST", f"{path}/complete{key}", {"parts": listed[:1]}).status == 409
    assert world.organization().usage.bytes_used == 0
    assert world.s3.list_multipart_uploads(Bucket=TEMP_BUCKET).get("Uploads", []) == []


def test_abort_gives_everything_back(uppy: Any, world: World) -> None:
    created = create(uppy)
    answer = uppy("DELETE", f"/s3/multipart/{created['uploadId']}?key={quote(created['key'])}")
    assert (answer.status, answer.json) == (200, {})
    assert world.organization().usage.bytes_used == 0
    assert world.s3.list_multipart_uploads(Bucket=TEMP_BUCKET).get("Uploads", []) == []


def test_nobody_else_can_use_the_upload(
    api: Api, uppy: Any, albert: Session, berta: Session, anna: Session, world: World
) -> None:
    created, other = create(uppy), create(uppy)
    path, key = f"/s3/multipart/{created['uploadId']}", f"?key={quote(created['key'])}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", path + key, None),
        ("GET", f"{path}/1{key}", None),
        ("GET", f"{path}/batch{key}&partNumbers=1", None),
        ("POST", f"{path}/complete{key}", {"parts": []}),
        ("DELETE", path + key, None),
    ]
    before = world.rows("files")
    for stranger in (albert, berta):
        for method, address, body in calls:
            assert api.request(method, address, session=stranger, json_body=body).status == 404, address
    for wrong in (
        f"/s3/multipart/{other['uploadId']}{key}",
        f"{path}?key={quote(other['key'])}",
        f"{path}?key=",
        path,
        f"{path}?key={quote(created['key'])}x",
    ):
        assert api.get(wrong, anna).status == 404, wrong
    assert world.rows("files") == before


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "1.5", "999999"])
def test_bad_part_number_is_400(uppy: Any, number: str) -> None:
    created = create(uppy)
    assert uppy("GET", f"/s3/multipart/{created['uploadId']}/{number}?key={quote(created['key'])}").status == 400


def test_parameters_for_a_foreign_page_are_refused_by_cookie(api: Api, anna: Session, world: World) -> None:
    before = world.rows("files")
    for foreign in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "https://evil.example/"},
    ):
        headers = {"Cookie": f"session={anna.token}", **foreign}
        answer = api.get("/s3/params?filename=a&type=text/plain", headers=headers)
        assert answer.status == 403, foreign
    assert world.rows("files") == before


@pytest.mark.parametrize("size", ["-1", "1.5", "1e3", "abc", "9" * 40, " 5", "+5", "0x10"])
def test_size_that_is_none_is_400(uppy: Any, world: World, size: str) -> None:
    before = world.rows("files")
    assert uppy("GET", f"/s3/params?filename=a&metadata%5Bsize%5D={quote(size)}").status == 400
    assert uppy("POST", "/s3/multipart", {"filename": "a", "metadata": {"size": size}}).status == 400
    assert world.rows("files") == before


@pytest.mark.parametrize("size", [-1, 1.5, True, [], {}, 10**15])
def test_size_in_json_that_is_none_is_400(uppy: Any, size: Any) -> None:
    assert uppy("POST", "/s3/multipart", {"filename": "a", "metadata": {"size": size}}).status == 400


def test_size_above_the_largest_is_413(uppy: Any) -> None:
    assert uppy("GET", f"/s3/params?filename=a&metadata%5Bsize%5D={10**14}").status == 413


@pytest.mark.parametrize("size", ["", "undefined", "null"])
def test_size_that_says_nothing_is_unknown(uppy: Any, size: str) -> None:
    assert uppy("GET", f"/s3/params?filename=a&metadata%5Bsize%5D={size}").status == 200


def test_upload_that_said_its_size_gets_no_more_parts_than_it_can_need(uppy: Any) -> None:
    created = create(uppy, metadata={"size": 12 * 1024 * 1024})
    path, key = f"/s3/multipart/{created['uploadId']}", f"?key={quote(created['key'])}"
    assert uppy("GET", f"{path}/3{key}").status == 200
    assert uppy("GET", f"{path}/4{key}").status == 400
    assert uppy("GET", f"{path}/batch{key}&partNumbers=3,4").status == 400
