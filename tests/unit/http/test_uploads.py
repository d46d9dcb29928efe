"""POST /files by form."""

from __future__ import annotations

import hashlib
import re

import pytest

from chalicelib.sweep.sweeping import sweep
from chalicelib.tenants import organizations as tenants
from tests.aws_calls import unreachable
from tests.unit import samples
from tests.unit.api import BOUNDARY, Api, Session, multipart_form
from tests.unit.conftest import Configure
from tests.unit.contract import check_error, check_file_record, check_rate_limit_headers, check_success
from tests.unit.samples import NAMES, SAMPLES, Sample
from tests.unit.world import World


def test_upload_is_answered_at_once_with_its_pending_record(any_api: Api, anna: Session, world: World) -> None:
    answer = any_api.upload(anna, b"hello", "a b.txt")
    check_success(answer, 201)
    check_rate_limit_headers(answer)
    check_file_record(answer.json)
    record = dict(answer.json)
    file_id = record.pop("id")
    assert record.pop("created_at")
    assert record == {
        "filename": "a b.txt",
        "status": "pending",
        "file_size": 5,
        "mime_type": None,
        "declared_type": "text/plain",
        "sha256_hash": None,
        "processed_at": None,
        "checksums": {"sha256": None, "crc64nvme": None},
        "sha256": None,
    }
    # The gateway's own address has the stage in front of each path.
    stage = "/api" if any_api.transport == "gateway" else ""
    assert answer.headers["Location"] == f"{stage}/files/{file_id}"
    assert world.temp() == {world.temp_key(file_id): b"hello"}
    assert world.permanent() == {}
    assert world.queued() == 1


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_real_file_goes_all_the_way(api: Api, anna: Session, world: World, sample: Sample) -> None:
    api.transport = "gateway" if sample.mime_type == "image/png" else "local"
    answer = api.upload(anna, sample.body, sample.filename, sample.declared_type)
    check_success(answer, 201)
    world.drain()
    record = api.get(f"/files/{answer.json['id']}", anna).json
    check_file_record({key: value for key, value in record.items() if key != "uploaded_by"})
    assert (record["status"], record["mime_type"], record["file_size"], record["sha256_hash"]) == (
        "completed",
        sample.mime_type,
        len(sample.body),
        hashlib.sha256(sample.body).hexdigest(),
    )
    organization_id = anna.caller.organization_id
    assert world.permanent() == {f"{organization_id}/{record['id']}_{sample.filename}": sample.body}
    assert world.temp() == {}


def test_names_are_cleaned(any_api: Api, anna: Session) -> None:
    for name, cleaned in NAMES.items():
        answer = any_api.upload(anna, filename=name)
        check_success(answer, 201)
        assert answer.json["filename"] == cleaned


@pytest.mark.parametrize("name", ["𠀀" * 300 + ".pdf", "../../etc/passwd", 'he said "hi".txt', "😀.jpg"])
def test_odd_name_goes_all_the_way(api: Api, anna: Session, world: World, name: str) -> None:
    file_id = api.upload(anna, filename=name).json["id"]
    world.drain()
    assert list(world.permanent()) == [f"{anna.caller.organization_id}/{file_id}_{NAMES[name]}"]
    check_success(api.get(f"/files/{file_id}/content", anna), 302)


def test_file_of_45_mb_goes_all_the_way(api: Api, anna: Session, world: World) -> None:
    body = samples.random_bytes(45_000_000)
    answer = api.upload(anna, body, "big.bin", "application/octet-stream")
    check_success(answer, 201)
    world.drain()
    record = api.get(f"/files/{answer.json['id']}", anna).json
    assert record["status"] == "completed"
    assert record["sha256_hash"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(("size_bytes", "status"), [(4999, 201), (5000, 201), (5001, 413), (200_000, 413)])
def test_form_may_carry_so_much_and_no_more(
    any_api: Api, anna: Session, configure: Configure, world: World, size_bytes: int, status: int
) -> None:
    configure(MAX_UPLOAD_BYTES=5000, MAX_DIRECT_UPLOAD_BYTES=7_000_000)
    answer = any_api.upload(anna, b"x" * size_bytes)
    if status == 201:
        return check_success(answer, 201)
    sentence = check_error(answer, 413)
    assert "5000 bytes" in sentence
    assert "7000000 bytes" in sentence, "it must say how to upload instead"
    assert "POST JSON" in sentence
    assert (world.temp(), world.rows("files")) == ({}, [])


def test_413_offers_nothing_else_where_there_is_nothing_else(api: Api, anna: Session, configure: Configure) -> None:
    configure(MAX_UPLOAD_BYTES=5000, MAX_DIRECT_UPLOAD_BYTES=5000)
    assert "JSON" not in check_error(api.upload(anna, b"x" * 5001), 413)


FILE = ("file", "a.txt", "text/plain", b"hello")


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([], "no file"),
        ([("other", "a.txt", "text/plain", b"hello")], "no file"),
        ([("file", None, None, b"hello")], "filename"),
        ([("file", "", "text/plain", b"hello")], "filename"),
        ([("file", "   ", "text/plain", b"hello")], "filename"),
        ([FILE, FILE], "2 parts"),
        ([FILE] * 17, "at most 16 parts"),
        ([("x" * 10_000, "a.txt", "text/plain", b"hello"), FILE], "8192 bytes of headers"),
    ],
)
def test_form_without_exactly_one_named_file_is_400(
    any_api: Api, anna: Session, world: World, parts: list[tuple[str, str | None, str | None, bytes]], sentence: str
) -> None:
    content_type, body = multipart_form(parts)
    answer = any_api.post("/files", anna, headers={"Content-Type": content_type}, body=body)
    assert sentence in check_error(answer, 400)
    assert (world.temp(), world.rows("files")) == ({}, [])


@pytest.mark.parametrize("field", ["filename", "name"])
def test_name_that_is_not_utf8_is_refused_in_our_words(any_api: Api, anna: Session, world: World, field: str) -> None:
    """The parser's own words were ``('Segment header failed to decode', UnicodeDecodeError('utf-8', b'...``."""
    content_type, body = multipart_form([("file", "a.txt", "text/plain", b"hello")])
    broken = body.replace(f'{field}="'.encode(), f'{field}="'.encode() + b"\xff\xfe", 1)
    answer = any_api.post("/files", anna, headers={"Content-Type": content_type}, body=broken)
    assert "in UTF-8" in check_error(answer, 400)
    assert (world.temp(), world.rows("files")) == ({}, [])


def test_other_fields_of_the_form_are_passed_over(any_api: Api, anna: Session) -> None:
    content_type, body = multipart_form([("title", None, None, b"My file"), FILE, ("tag", None, None, b"x")])
    answer = any_api.post("/files", anna, headers={"Content-Type": content_type}, body=body)
    check_success(answer, 201)
    assert answer.json["file_size"] == 5


GOOD_BODY = multipart_form([FILE])[1]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", GOOD_BODY),
        ("multipart/form-data; boundary=", GOOD_BODY),
        ("multipart/form-data; boundary=wrong", GOOD_BODY),
        ("multipart/form-data; boundary=" + "x" * 71, GOOD_BODY),
        ("multipart/form-data; boundary=\u00fc", GOOD_BODY),
        (f"multipart/form-data; boundary={BOUNDARY}", b""),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY[:-20]),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY[:30]),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY[20:]),
        (f"multipart/form-data; boundary={BOUNDARY}", b"\x00" * 1000),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY.replace(b"\r\n", b"\n")),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 100_000, 1)),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY.replace(b"form-data;", b"attachment;")),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY.replace(b"a.txt", b"\xff\xfe.txt")),
        (f"multipart/form-data; boundary={BOUNDARY}", GOOD_BODY.replace(b"Content-Disposition", b"Content Disp")),
    ],
)
def test_broken_form_is_400(any_api: Api, anna: Session, world: World, content_type: str, body: bytes) -> None:
    check_error(any_api.post("/files", anna, headers={"Content-Type": content_type}, body=body), 400)
    assert (world.temp(), world.rows("files")) == ({}, [])


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "", "multipart/mixed; boundary=x"])
def test_anything_but_a_form_or_json_is_415(any_api: Api, anna: Session, content_type: str) -> None:
    answer = any_api.post("/files", anna, headers={"Content-Type": content_type}, body=GOOD_BODY)
    assert "multipart/form-data" in check_error(answer, 415)


@pytest.mark.parametrize(
    "content_type",
    [
        f'multipart/form-data; boundary="{BOUNDARY}"',
        f"Multipart/Form-Data; boundary={BOUNDARY}",
        f"multipart/form-data; charset=utf-8; boundary={BOUNDARY}",
        f"multipart/form-data; Boundary={BOUNDARY}",
    ],
)
def test_form_is_recognised_in_every_spelling(any_api: Api, anna: Session, content_type: str) -> None:
    check_success(any_api.post("/files", anna, headers={"Content-Type": content_type}, body=GOOD_BODY), 201)


def test_two_files_of_one_name_are_two_files(api: Api, anna: Session, world: World) -> None:
    first, second = api.upload(anna, b"one").json, api.upload(anna, b"two").json
    world.drain()
    assert first["id"] < second["id"], "ids have the order of creation"
    assert sorted(world.permanent().values()) == [b"one", b"two"]


def test_full_organisation_takes_no_more_and_says_how_full(api: Api, anna: Session, world: World) -> None:
    tenants.set_quota(world.stores, anna.caller.organization_id, 10, 2)
    check_success(api.upload(anna, b"x" * 6), 201)
    sentence = check_error(api.upload(anna, b"x" * 5), 409)
    assert re.search(r"needs 5 bytes.* 6 of its 10", sentence)
    check_success(api.upload(anna, b"x" * 4), 201)
    sentence = check_error(api.upload(anna, b""), 409)
    assert "2 files" in sentence
    usage = world.organization().usage
    assert (usage.bytes_used, usage.files_used) == (10, 2)
    assert len(world.temp()) == 2


@pytest.mark.parametrize("away", ["s3.PutObject", "dynamodb.TransactWriteItems"])
def test_outage_is_503_and_leaves_nothing(
    any_api: Api, anna: Session, world: World, unhurried: None, away: str
) -> None:
    with unreachable(away) as tried:
        answer = any_api.upload(anna)
    assert "try again" in check_error(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert 2 <= len(tried) <= 3, "it is tried again, but not for ever"
    assert any_api.get("/files", anna).json["total"] == 0
    usage = world.organization().usage
    assert (usage.bytes_used, usage.files_used) == (0, 0)
    # What storage did not answer to may still arrive, so a note of it may stay for the sweep.
    sweep(world.stores, stale_seconds=0)
    assert (world.rows("files"), world.temp()) == ([], {})
    check_success(any_api.upload(anna), 201)
