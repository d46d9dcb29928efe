"""The page at / of `make up`, used by a person; and by it the JavaScript that the front-end guide names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_guide import early_code
from tests.browser.test_uppy import LARGE_BYTES, large_file  # noqa: F401 (a fixture)
from tests.integration.conftest import PASSWORD, await_condition

MEBIBYTE = 1024 * 1024
#: What POST /files plans for a file of this size.
PART_BYTES = 16 * MEBIBYTE
PARTS = -(-LARGE_BYTES // PART_BYTES)


@pytest.fixture
def page(visit: Visit) -> Iterator[Page]:
    """Signed in by the form, at the list of files."""
    visit.page.goto(visit.base_url)
    visit.page.get_by_label("User name").fill(visit.tenant.username)
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.page.get_by_role("button", name="Log in").click()
    expect(visit.page.get_by_text("0 files.")).to_be_visible()
    yield visit.page
    assert visit.complaints == []


def choose(page: Page, *files: Any) -> None:
    page.set_input_files("#chosen", files)


def test_wrong_password_is_said(visit: Visit) -> None:
    visit.page.goto(visit.base_url)
    visit.page.get_by_label("User name").fill(visit.tenant.username)
    visit.page.get_by_label("Password").fill("wrong")
    visit.page.get_by_role("button", name="Log in").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("password")
    expect(visit.page.locator("#files")).to_be_hidden()


def test_second_factor_is_asked_for(visit: Visit) -> None:
    early = early_code(visit)
    visit.page.on("dialog", lambda dialog: dialog.accept(early))
    visit.page.goto(visit.base_url)
    visit.page.get_by_label("User name").fill(visit.tenant.username)
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.page.get_by_role("button", name="Log in").click()
    expect(visit.page.get_by_text("0 files.")).to_be_visible()


def asked_who(visit: Visit) -> int:
    return len(visit.sent("GET", "/auth/me"))


def test_form_is_there_at_once_and_nobody_is_asked_for(visit: Visit) -> None:
    visit.page.route("**/auth/me", lambda route: route.abort())
    visit.page.goto(visit.base_url)
    expect(visit.page.get_by_label("User name")).to_be_visible()
    visit.page.wait_for_load_state("networkidle")
    assert asked_who(visit) == 0
    assert visit.complaints == []


def test_session_is_found_again_after_a_reload_and_forgotten_by_logging_out(page: Page, visit: Visit) -> None:
    page.reload()
    expect(page.get_by_text("0 files.")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("User name")).to_be_visible()
    asked = asked_who(visit)
    page.reload()
    expect(page.get_by_label("User name")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert asked_who(visit) == asked


@pytest.mark.parametrize("status", [401, 429, 500])
def test_form_is_shown_whatever_the_question_who_is_signed_in_meets(page: Page, visit: Visit, status: int) -> None:
    body = '{"error":"No.","message":"No.","request_id":"x"}'
    page.route("**/auth/me", lambda route: route.fulfill(status=status, body=body, content_type="application/json"))
    page.reload()
    expect(page.get_by_label("User name")).to_be_visible()
    if status != 401:
        expect(page.get_by_role("alert")).to_have_text("No.")
    # The browser's own words on the answer.
    visit.complaints.clear()


def test_file_from_choosing_to_deleting(page: Page, visit: Visit) -> None:
    content = os.urandom(200_000)
    choose(page, {"name": "<b>Ümläut</b>.bin", "mimeType": "", "buffer": content})
    row = page.locator("#rows tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("completed")
    expect(row).to_contain_text(hashlib.sha256(content).hexdigest()[:16])
    expect(row).to_contain_text("195.3 KB")

    with page.expect_download() as download:
        row.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_bytes() == content

    page.once("dialog", lambda dialog: dialog.accept("Other name.bin"))
    row.get_by_role("button", name="Rename").click()
    expect(row).to_contain_text("Other name.bin")
    assert visit.tenant.client.get("/files").json()["files"][0]["filename"] == "Other name.bin"

    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert visit.tenant.client.get("/usage").json()["bytes"]["used"] == 0


def test_many_files_are_listed_in_pages(page: Page) -> None:
    choose(page, *({"name": f"{number}.txt", "mimeType": "text/plain", "buffer": b"x"} for number in range(23)))
    expect(page.get_by_text("23 files.")).to_be_visible()
    expect(page.locator("#rows tr")).to_have_count(20)
    page.get_by_role("button", name="More").click()
    expect(page.locator("#rows tr")).to_have_count(23)


def test_large_file_goes_in_parts_and_on_after_a_reload(
    page: Page,
    visit: Visit,
    large_file: Path,  # noqa: F811
) -> None:
    visit.throttle(LARGE_BYTES // 6)
    choose(page, large_file)
    for _ in range(2):
        page.wait_for_event("requestfinished", lambda request: "partNumber=" in request.url and request.method == "PUT")
    before = visit.parts_that_arrived()
    page.reload()
    visit.throttle(0)
    expect(page.get_by_text("1 files.")).to_be_visible()
    choose(page, large_file)
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#rows tr")).to_contain_text("completed", timeout=120_000)
    file = visit.tenant.client.get("/files").json()["files"][0]
    details = visit.await_settled(file["id"])
    with large_file.open("rb") as sent:
        assert details["sha256_hash"] == hashlib.file_digest(sent, "sha256").hexdigest()
    numbers = [int(number) for request in visit.requests for number in re.findall(r"partNumber=(\d+)", request.url)]
    assert set(numbers) == set(range(1, PARTS + 1))
    assert [number for number in before if numbers.count(number) > 1] == []


def test_stopped_upload_leaves_nothing(page: Page, visit: Visit, large_file: Path) -> None:  # noqa: F811
    visit.throttle(LARGE_BYTES // 20)
    choose(page, large_file)
    await_condition(lambda: visit.tenant.client.get("/usage").json()["bytes"]["used"] == LARGE_BYTES, "the reservation")
    # The page knows what to give up once the answer is there, which is after the reservation.
    page.wait_for_function("() => Object.keys(localStorage).length === 2")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Stop").click()
    assert visit.tenant.client.get("/usage").json()["bytes"]["used"] == 0
    assert page.evaluate("() => Object.keys(localStorage)") == ["strongroom.signed-in"]


def test_session_that_ended_leads_back_to_the_form(page: Page, visit: Visit) -> None:
    visit.page.context.clear_cookies()
    choose(page, {"name": "a.txt", "mimeType": "", "buffer": b"x"})
    expect(page.locator("#login")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Sign in")
    visit.complaints.clear()


def test_log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("#login")).to_be_visible()
    expect(page.locator("#files")).to_be_hidden()
