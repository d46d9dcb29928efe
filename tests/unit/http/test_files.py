"""GET and DELETE /files/{id}, and the download."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from chalicelib.files.record import File
from tests.aws_calls import just_before, unreachable
from tests.unit.api import Api, Session
from tests.unit.cloud import PERMANENT_BUCKET, TEMP_BUCKET
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import check_error, check_file_record, check_rate_limit_headers, check_success
from tests.unit.samples import HTML
from tests.unit.world import World


def completed(api: Api, world: World, session: Session, body: bytes = b"hello", filename: str = "hello.txt") -> str:
    file_id = str(api.upload(session, body, filename).json["id"])
    world.drain()
    return file_id


def test_details_are_the_record_and_who_uploaded(any_api: Api, anna: Session, world: World) -> None:
    file_id = completed(any_api, world, anna)
    answer = any_api.get(f"/files/{file_id}", anna)
    check_success(answer)
    check_rate_limit_headers(answer)
    record = dict(answer.json)
    assert record.pop("uploaded_by") == {
        "type": "user",
        "id": anna.caller.user_id,
        "name": "anna",
        "username": "anna",
    }
    check_file_record(record)
    listed = any_api.get("/files", anna).json["files"]
    assert listed == [record]


def test_details_of_a_failed_file_say_why(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.s3.delete_object(Bucket=TEMP_BUCKET, Key=world.temp_key(file_id))
    world.drain()
    record = api.get(f"/files/{file_id}", anna).json
    assert record["status"] == "failed"
    assert record["error_message"].endswith(".")


def test_times_are_in_order(api: Api, anna: Session, world: World) -> None:
    record = api.get(f"/files/{completed(api, world, anna)}", anna).json
    assert record["created_at"] <= record["processed_at"]


def download(api: Api, session: Session, file_id: str, method: str = "GET") -> tuple[str, dict[str, str]]:
    """Where the redirect leads, without and with its query."""
    answer = api.request(method, f"/files/{file_id}/content", session=session)
    check_success(answer, 302)
    check_rate_limit_headers(answer)
    location = urlsplit(answer.headers["Location"])
    query = {name: values[0] for name, values in parse_qs(location.query).items()}
    return f"{location.scheme}://{location.netloc}{unquote(location.path)}", query


def test_download_redirects_to_a_short_lived_attachment(any_api: Api, anna: Session, world: World) -> None:
    file_id = completed(any_api, world, anna, HTML, "photo.jpg")
    address, query = download(any_api, anna, file_id)
    assert address.endswith(f"/{PERMANENT_BUCKET}/{anna.caller.organization_id}/{file_id}_photo.jpg")
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256", "version 2 signatures are refused by newer regions"
    assert query["X-Amz-Expires"] == "300"
    assert query["response-content-type"] == "text/html"
    assert query["response-content-disposition"] == "attachment; filename=\"photo.jpg\"; filename*=UTF-8''photo.jpg"
    assert query["versionId"] == world.file(file_id).object_version  # type: ignore[union-attr]


def test_download_gives_the_bytes_that_were_checked(api: Api, anna: Session, world: World) -> None:
    """Whatever is written under the key later: the URL names the version."""
    file_id = completed(api, world, anna, b"checked")
    key = next(iter(world.permanent()))
    world.s3.put_object(Bucket=PERMANENT_BUCKET, Key=key, Body=b"replaced")
    _, query = download(api, anna, file_id)
    kept = world.s3.get_object(Bucket=PERMANENT_BUCKET, Key=key, VersionId=query["versionId"])
    assert kept["Body"].read() == b"checked"


def test_head_is_signed_for_head(api: Api, anna: Session, world: World) -> None:
    file_id = completed(api, world, anna)
    _, get = download(api, anna, file_id)
    _, head = download(api, anna, file_id, "HEAD")
    assert get["X-Amz-Signature"] != head["X-Amz-Signature"]


def test_download_uses_the_address_and_time_that_are_set(
    api: Api, anna: Session, world: World, configure: Configure
) -> None:
    file_id = completed(api, world, anna)
    configure(S3_PUBLIC_ENDPOINT_URL="http://files.example.org:9000", DOWNLOAD_URL_TTL_SECONDS=60)
    address, query = download(api, anna, file_id)
    assert address.startswith(f"http://files.example.org:9000/{PERMANENT_BUCKET}/")
    assert query["X-Amz-Expires"] == "60"


@pytest.mark.parametrize("status", ["pending", "processing", "failed"])
def test_download_before_completion_is_409(any_api: Api, anna: Session, world: World, status: str) -> None:
    file_id = any_api.upload(anna).json["id"]
    if status == "failed":
        world.s3.delete_object(Bucket=TEMP_BUCKET, Key=world.temp_key(file_id))
        world.drain()
    if status == "processing":
        with unreachable("s3.GetObject"):
            for _ in range(2):
                world.work()
                world.forward()
    assert status in check_error(any_api.get(f"/files/{file_id}/content", anna), 409)


def test_deleted_file_leaves_nothing(any_api: Api, anna: Session, world: World) -> None:
    before = world.organization().usage
    file_id = completed(any_api, world, anna)
    answer = any_api.delete(f"/files/{file_id}", anna)
    check_success(answer, 204)
    check_rate_limit_headers(answer)
    assert answer.body == b""
    for path in (f"/files/{file_id}", f"/files/{file_id}/content"):
        check_error(any_api.get(path, anna), 404)
    check_error(any_api.delete(f"/files/{file_id}", anna), 404)
    assert (world.rows("files"), world.permanent(), world.temp()) == ([], {}, {})
    assert world.organization().usage == before
    assert any_api.get("/files", anna).json["total"] == 0


def test_members_change_only_what_is_theirs(api: Api, anna: Session, sign_in: SignIn, world: World) -> None:
    albert, file_id = sign_in("albert"), completed(api, world, anna)
    before = world.snapshot()
    for answer in (
        api.delete(f"/files/{file_id}", albert),
        api.request("PATCH", f"/files/{file_id}", session=albert, json_body={"filename": "mine.txt"}),
        api.post(f"/files/{file_id}/retry", albert),
    ):
        assert "files:manage" in check_error(answer, 403)
        assert answer.json["code"] == "not_your_file"
    assert world.snapshot() == before
    own = completed(api, world, albert)
    check_success(api.request("PATCH", f"/files/{own}", session=albert, json_body={"filename": "mine.txt"}))
    check_success(api.delete(f"/files/{own}", albert), 204)


def test_owner_changes_what_others_have_uploaded(api: Api, anna: Session, sign_in: SignIn, world: World) -> None:
    file_id = completed(api, world, sign_in("albert"))
    check_success(api.request("PATCH", f"/files/{file_id}", session=anna, json_body={"filename": "ours.txt"}))
    check_success(api.delete(f"/files/{file_id}", anna), 204)


def test_pending_file_can_be_deleted_and_stays_so(api: Api, anna: Session, world: World) -> None:
    before = world.organization()
    file_id = api.upload(anna).json["id"]
    check_success(api.delete(f"/files/{file_id}", anna), 204)
    assert world.temp() == {}
    world.drain()
    assert (world.rows("files"), world.permanent(), world.temp()) == ([], {}, {})
    assert world.organization().usage == before.usage
    assert world.organization().file_count() == 0


def test_failed_file_can_be_deleted(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.s3.delete_object(Bucket=TEMP_BUCKET, Key=world.temp_key(file_id))
    world.drain()
    check_success(api.delete(f"/files/{file_id}", anna), 204)
    assert world.rows("files") == []
    usage = world.organization().usage
    assert (usage.bytes_used, usage.files_used) == (0, 0)


@pytest.mark.parametrize("moment", ["s3.GetObject", "s3.CopyObject", "s3.DeleteObject"])
def test_file_deleted_in_the_middle_of_processing_leaves_nothing(
    api: Api, anna: Session, world: World, moment: str
) -> None:
    file_id = api.upload(anna).json["id"]

    def delete() -> None:
        check_success(api.delete(f"/files/{file_id}", anna), 204)

    with just_before(moment, delete):
        world.work()
    world.drain()
    assert (world.permanent(), world.temp()) == ({}, {})
    check_error(api.get(f"/files/{file_id}", anna), 404)
    usage = world.organization().usage
    assert (usage.bytes_used, usage.files_used, world.organization().file_count()) == (0, 0, 0)


def test_file_that_begins_to_be_processed_while_it_is_deleted_is_deleted(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    states: list[File | None] = []

    def process() -> None:
        world.work()
        states.append(world.file(file_id))

    with just_before("dynamodb.TransactWriteItems", process):
        check_success(api.delete(f"/files/{file_id}", anna), 204)
    assert [state.status for state in states if state] == ["completed"]
    assert (world.rows("files"), world.permanent(), world.temp()) == ([], {}, {})
    assert world.organization().usage.bytes_used == 0


def test_storage_away_while_deleting_is_finished_by_the_sweep(
    api: Api, anna: Session, world: World, unhurried: None
) -> None:
    from chalicelib.sweep.sweeping import sweep

    file_id = completed(api, world, anna)
    with unreachable("s3.DeleteObject"):
        answer = api.delete(f"/files/{file_id}", anna)
    assert answer.status in (204, 503)
    check_error(api.get(f"/files/{file_id}", anna), 404)
    assert api.get("/files", anna).json["total"] == 0
    sweep(world.stores, stale_seconds=0)
    assert (world.rows("files"), world.permanent()) == ([], {})
