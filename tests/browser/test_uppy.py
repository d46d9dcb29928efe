"""@uppy/aws-s3 as it comes from npm, in both of its lines, with nothing set but the endpoint."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from chalicelib.files.recounting import recount
from tests.browser.conftest import Visit, number_of
from tests.browser.environment import LINES
from tests.integration.conftest import Running, await_condition

MEBIBYTE = 1024 * 1024
#: Above Uppy's own 100 MB it sends parts, of 5 MB. LARGE_MEBIBYTES=2048 runs the same tests with 2 GB.
LARGE_BYTES = int(os.environ.get("LARGE_MEBIBYTES", "101")) * MEBIBYTE
LARGE_PARTS = -(-LARGE_BYTES // (5 * MEBIBYTE))
SLOW = LARGE_BYTES // 6


@pytest.fixture(params=LINES)
def uppy(request: pytest.FixtureRequest, visit: Visit, pages: str) -> Visit:
    """At a page of another origin, signed in, with a ticket in the endpoint."""
    visit.page.goto(f"{pages}/{request.param}/")
    visit.page.wait_for_function("window.ready")
    visit.sign_in()
    return visit


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "film.bin"
    with path.open("wb") as file:
        for _ in range(LARGE_BYTES // MEBIBYTE):
            file.write(os.urandom(MEBIBYTE))
    return path


def chosen(name: str, content: bytes, mime_type: str) -> dict[str, Any]:
    return {"name": name, "buffer": content, "mimeType": mime_type}


def check_completed(visit: Visit, file_id: str, content: bytes) -> dict[str, Any]:
    details = visit.await_settled(file_id)
    assert details["status"] == "completed", details
    assert details["sha256_hash"] == hashlib.sha256(content).hexdigest()
    assert details["file_size"] == len(content)
    return details


def check_large(visit: Visit, file_id: str, large_file: Path) -> None:
    details = visit.await_settled(file_id)
    assert details["status"] == "completed", details
    with large_file.open("rb") as file:
        assert details["sha256_hash"] == hashlib.file_digest(file, "sha256").hexdigest()
    assert details["file_size"] == LARGE_BYTES


def check_sent_once(visit: Visit, arrived_before: list[int]) -> None:
    """Every part was sent, and what had arrived before the interruption not again."""
    sent = [number_of(request) for request in visit.sent("PUT", "partNumber=")]
    assert set(sent) == set(range(1, LARGE_PARTS + 1))
    assert [number for number in arrived_before if sent.count(number) > 1] == []


def test_single_file(uppy: Visit, running: Running) -> None:
    content = b"%PDF-1.7\n" + os.urandom(30_000)
    uppy.open_uppy(uppy.draw_ticket())
    uppy.choose(chosen("Ümläut + 50%.pdf", content, "application/pdf"))
    uppy.start_upload()
    details = check_completed(uppy, uppy.await_uploaded(), content)
    assert details["filename"] == "Ümläut  50.pdf"
    assert (details["declared_type"], details["mime_type"]) == ("application/pdf", "application/pdf")
    assert uppy.complaints == []
    assert not recount(running.stores, uppy.tenant.organization_id).differences


def test_file_without_type_and_without_bytes(uppy: Visit) -> None:
    uppy.open_uppy(uppy.draw_ticket())
    uppy.choose(chosen("nothing", b"", ""))
    uppy.start_upload()
    check_completed(uppy, uppy.await_uploaded(), b"")


def test_several_files_at_once(uppy: Visit) -> None:
    contents = [os.urandom(1000 + number) for number in range(6)]
    uppy.open_uppy(uppy.draw_ticket())
    uppy.choose(*(chosen(f"{number}.bin", content, "") for number, content in enumerate(contents)))
    uppy.start_upload()
    answers = uppy.await_said("upload-success", len(contents))
    hashes = {
        uppy.tenant.await_settled(answer["body"]["key"].partition("/")[2])["sha256_hash"] for _, answer, *_ in answers
    }
    assert hashes == {hashlib.sha256(content).hexdigest() for content in contents}


def test_large_file_goes_in_parts(uppy: Visit, large_file: Path, running: Running) -> None:
    uppy.open_uppy(uppy.draw_ticket())
    uppy.choose(large_file)
    uppy.start_upload()
    check_large(uppy, uppy.await_uploaded(), large_file)
    assert sorted(uppy.parts_that_arrived()) == list(range(1, LARGE_PARTS + 1))
    assert uppy.complaints == []
    assert not recount(running.stores, uppy.tenant.organization_id).differences


def test_announced_size_is_reserved_to_the_byte(uppy: Visit, running: Running) -> None:
    """A page that lists `size` among the meta fields gets an exact policy instead of room for any file."""
    uppy.open_uppy(uppy.draw_ticket(), allowedMetaFields=["name", "type", "size"])
    content = os.urandom(12 * MEBIBYTE)
    uppy.choose(chosen("a.bin", content, ""))
    uppy.page.evaluate("() => uppy.getFiles().forEach(file => uppy.setFileMeta(file.id, { size: file.size }))")
    uppy.start_upload()
    file_id = uppy.await_uploaded()
    file = running.stores.files.find(uppy.tenant.organization_id, file_id)
    assert file is not None
    assert file.size_is_exact
    check_completed(uppy, file_id, content)


def test_pause_and_resume(uppy: Visit, large_file: Path) -> None:
    uppy.throttle(SLOW)
    uppy.open_uppy(uppy.draw_ticket())
    uppy.choose(large_file)
    uppy.start_upload()
    uppy.await_said("s3-multipart:part-uploaded", 3)
    uppy.page.evaluate("() => uppy.pauseAll()")
    before = uppy.parts_that_arrived()
    assert 3 <= len(before) < LARGE_PARTS
    # What was on its way is cut off; nothing more is sent until somebody resumes.
    uppy.page.wait_for_timeout(500)
    assert len(uppy.parts_that_arrived()) < LARGE_PARTS
    uppy.throttle(0)
    uppy.page.evaluate("() => uppy.resumeAll()")
    check_large(uppy, uppy.await_uploaded(), large_file)
    check_sent_once(uppy, before)
    assert uppy.sent("GET", "/s3/multipart/"), "it must have asked what has arrived"


def test_reload_in_the_middle(uppy: Visit, large_file: Path, running: Running) -> None:
    uppy.throttle(SLOW)
    endpoint = uppy.draw_ticket()
    uppy.open_uppy(endpoint, keep_across_reloads=True)
    uppy.choose(large_file)
    uppy.start_upload()
    uppy.await_said("s3-multipart:part-uploaded", 3)
    uppy.page.wait_for_function("kept('uploadId')")
    before = uppy.parts_that_arrived()
    assert 3 <= len(before) < LARGE_PARTS
    uppy.page.reload()
    uppy.throttle(0)
    uppy.open_uppy(endpoint, keep_across_reloads=True)
    uppy.await_said("restored")
    uppy.page.evaluate("() => uppy.emit('restore-confirmed')")
    file_id = uppy.await_uploaded()
    check_large(uppy, file_id, large_file)
    check_sent_once(uppy, before)
    # One upload from start to end, not one abandoned and one new.
    assert [file["id"] for file in uppy.tenant.client.get("/files").json()["files"]] == [file_id]
    assert not recount(running.stores, uppy.tenant.organization_id).differences


def test_cancel_gives_everything_back(uppy: Visit, large_file: Path, running: Running) -> None:
    uppy.throttle(SLOW)
    uppy.open_uppy(uppy.draw_ticket())
    uppy.choose(large_file)
    uppy.start_upload()
    uppy.await_said("s3-multipart:part-uploaded", 2)
    assert uppy.tenant.client.get("/usage").json()["bytes"]["used"] > 0
    uppy.page.evaluate("() => uppy.cancelAll()")
    await_condition(lambda: uppy.tenant.client.get("/files").json()["total"] == 0, "the record going away")
    assert uppy.tenant.client.get("/usage").json()["bytes"]["used"] == 0
    s3 = running.machine.client("s3")
    bucket = running.machine.environment["TEMP_BUCKET"]
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_refusal_reaches_the_page(uppy: Visit, running: Running) -> None:
    from chalicelib.tenants import organizations as tenants

    tenants.set_quota(running.stores, uppy.tenant.organization_id, 1000, 10)
    uppy.open_uppy(uppy.draw_ticket())
    uppy.choose(chosen("a.bin", b"x" * 2000, ""))
    uppy.start_upload()
    error = uppy.await_said("upload-error")[0][1]["error"]
    # v5 shows our sentence; v6 shows the status only.
    assert "of its 1000" in error or "Conflict" in error, error
    assert uppy.tenant.client.get("/files").json()["total"] == 0


def test_ended_session_ends_its_ticket(uppy: Visit) -> None:
    endpoint = uppy.draw_ticket()
    assert (
        uppy.page.evaluate(
            "async api => (await fetch(`${api}/auth/logout`, { method: 'POST', credentials: 'include' })).status",
            uppy.base_url,
        )
        == 200
    )
    uppy.open_uppy(endpoint)
    uppy.choose(chosen("a.bin", b"x", ""))
    uppy.start_upload()
    uppy.await_said("upload-error")
    assert uppy.tenant.client.get("/files").json()["total"] == 0


@pytest.mark.parametrize("line", LINES)
def test_page_of_the_same_origin_needs_no_ticket(visit: Visit, pages: str, line: str, large_file: Path) -> None:
    """Pages and API behind one name, as behind one CDN: the cookie is enough."""
    visit.base_url = pages
    visit.page.goto(f"{pages}/{line}/")
    visit.page.wait_for_function("window.ready")
    visit.sign_in()
    visit.open_uppy(pages)
    visit.choose(large_file)
    visit.start_upload()
    check_large(visit, visit.await_uploaded(), large_file)


def test_v5_can_send_the_cookie_to_another_origin(visit: Visit, pages: str, running: Running) -> None:
    visit.page.goto(f"{pages}/uppy5/")
    visit.page.wait_for_function("window.ready")
    visit.sign_in()
    visit.open_uppy(running.base_url, cookiesRule="include")
    visit.choose(chosen("a.txt", b"hello", "text/plain"))
    visit.start_upload()
    check_completed(visit, visit.await_uploaded(), b"hello")


def test_v5_can_send_a_bearer_token(visit: Visit, pages: str, running: Running) -> None:
    token = visit.tenant.client.cookies["session"]
    visit.page.goto(f"{pages}/uppy5/")
    visit.open_uppy(running.base_url, headers={"Authorization": f"Bearer {token}"})
    visit.choose(chosen("a.txt", b"hello", "text/plain"))
    visit.start_upload()
    check_completed(visit, visit.await_uploaded(), b"hello")


def test_page_of_an_unknown_origin_gets_nowhere(visit: Visit, pages: str, running: Running) -> None:
    visit.page.goto(f"{pages.replace('127.0.0.1', 'unknown.localhost')}/uppy6/")
    visit.page.wait_for_function("window.ready")
    ticket = visit.tenant.client.post("/auth/ticket").json()["base_path"]
    visit.open_uppy(f"{running.base_url}{ticket}")
    visit.choose(chosen("a.txt", b"hello", "text/plain"))
    visit.start_upload()
    visit.await_said("upload-error")
    assert any("CORS" in complaint for complaint in visit.complaints)
