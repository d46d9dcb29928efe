"""Signing in, files and uploads in the console, in a real Chromium with the real stack behind it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from infra.local.processes import HOST, answers
from tests.browser.conftest import Visit
from tests.browser.console import Console, file
from tests.browser.test_guide import early_code
from tests.browser.test_uppy import LARGE_BYTES, MEBIBYTE, large_file  # noqa: F401 (a fixture)
from tests.integration.conftest import PASSWORD, Running, await_condition, start_part

#: What POST /files plans for a file of this size.
PART_BYTES = 16 * MEBIBYTE
PARTS = -(-LARGE_BYTES // PART_BYTES)
FEW_STARTS = "4/second"
#: Two pixels.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADUlEQVR4nGP4zwAE/wEHAAH/4iOeWQAAAABJRU5ErkJggg=="
)


@pytest.fixture
def outside(visit: Visit) -> Console:
    """Nobody is signed in."""
    return Console(visit, visit.base_url)


@pytest.fixture
def console(outside: Console) -> Iterator[Console]:
    """Signed in by the form, at the list of files."""
    outside.sign_in()
    yield outside
    assert outside.visit.complaints == []


@pytest.fixture(scope="session")
def limited_api(running: Running, limited_port: int) -> Iterator[str]:
    """The address of an API where few uploads may start in a second."""
    environment = {
        **running.machine.environment,
        **running.machine.parts["api"].variables(),
        "API_PORT": str(limited_port),
        "RATE_LIMIT_UPLOADS": FEW_STARTS,
    }
    api = start_part("api", environment, running.machine.output)
    await_condition(lambda: answers(limited_port), "the API with few uploads")
    yield f"http://{HOST}:{limited_port}"
    api.stop()


# ---- Signing in ------------------------------------------------------------------------------------------------------


def test_wrong_password_is_said(outside: Console) -> None:
    outside.open()
    outside.fill_in_login(password="wrong")
    expect(outside.page.get_by_role("alert")).to_contain_text("password")
    expect(outside.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_second_factor_is_asked_for(outside: Console) -> None:
    code = early_code(outside.visit)
    outside.open()
    outside.fill_in_login()
    outside.page.get_by_label("Code").fill(code)
    outside.page.get_by_role("button", name="Sign in").click()
    outside.await_heading("Files")


def test_who_has_never_signed_in_asks_nothing_of_the_api(outside: Console) -> None:
    outside.open()
    expect(outside.page.get_by_label("Username")).to_be_visible()
    outside.page.wait_for_load_state("networkidle")
    paths = {request.url.removeprefix(outside.base_url).partition("/console/")[0] for request in outside.visit.requests}
    assert paths == {"/", ""}
    assert outside.visit.complaints == []


def test_session_is_found_again_after_a_reload_and_ends_by_signing_out(console: Console) -> None:
    console.page.reload()
    console.await_heading("Files")
    console.page.get_by_role("button", name=re.compile("^Sign out")).click()
    expect(console.page.get_by_label("Username")).to_be_visible()
    assert not [cookie for cookie in console.page.context.cookies() if "session" in cookie["name"]]
    # The feed, which was waiting for events, is told that its session has ended.
    console.visit.complaints.clear()


def test_keyboard_alone_is_enough(outside: Console) -> None:
    page = outside.page
    outside.open()
    expect(page.get_by_label("Username")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type(outside.visit.tenant.username)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    outside.await_heading("Files")
    outside.visit.tenant.upload("by keyboard.txt", b"x")
    outside.await_ready("by keyboard.txt")
    opener = outside.row("by keyboard.txt").get_by_role("button").first
    opener.focus()
    page.keyboard.press("Enter")
    expect(outside.dialog).to_contain_text("SHA-256")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()


# ---- Files -----------------------------------------------------------------------------------------------------------


def test_file_from_choosing_to_deleting(console: Console) -> None:
    page, tenant = console.page, console.visit.tenant
    content = os.urandom(200_000)
    console.choose(file("Ümläut <1>.bin", content, ""))
    # It changes by itself, and the name that had to change is told.
    console.await_ready("Ümläut 1.bin")
    expect(console.tray).to_contain_text("is saved as")
    page.locator(".file-open").first.click()
    expect(console.dialog).to_contain_text(hashlib.sha256(content).hexdigest())
    expect(console.dialog).to_contain_text("Checked and ready")

    with page.expect_download() as download:
        console.dialog.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_bytes() == content

    console.dialog.get_by_role("button", name="Rename").click()
    console.dialog.get_by_label("Name").fill("Other name.bin")
    console.dialog.get_by_role("button", name="Save").click()
    expect(console.dialog.get_by_role("heading", name="Other name.bin")).to_be_visible()
    assert tenant.client.get("/files").json()["files"][0]["filename"] == "Other name.bin"

    console.dialog.get_by_role("button", name="Delete").click()
    console.dialog.get_by_role("button", name="Delete file").click()
    page.get_by_role("button", name="Undo").click()
    expect(console.row("Other name.bin")).to_be_visible()
    assert tenant.client.get("/files").json()["total"] == 1


def test_deletion_that_nobody_undoes_is_carried_out(console: Console) -> None:
    for name in ("one.txt", "two.txt", "three.txt"):
        console.visit.tenant.upload(name, b"x")
    console.await_ready("three.txt")
    for name in ("one.txt", "two.txt"):
        console.row(name).get_by_role("checkbox").check()
    console.page.get_by_role("button", name="Delete").click()
    console.dialog.get_by_role("button", name="Delete 2 files").click()
    expect(console.row("one.txt")).to_have_count(0)
    # Whoever goes has not undone it.
    console.page.goto("about:blank")
    await_condition(lambda: console.visit.tenant.client.get("/files").json()["total"] == 1, "both being deleted")
    assert console.visit.tenant.client.get("/files").json()["files"][0]["filename"] == "three.txt"


def test_small_upload_takes_few_requests(console: Console) -> None:
    """Two of them are the feed, which waits instead of asking every second."""
    console.page.wait_for_load_state("load")
    before = len(console.visit.requests)
    console.choose(file("small.txt"))
    console.await_ready("small.txt")
    console.page.wait_for_timeout(2500)
    asked = [request for request in console.visit.requests[before:] if "/console/" not in request.url]
    assert len([request for request in asked if "/events" not in request.url and "blob:" not in request.url]) <= 6, [
        f"{request.method} {request.url}" for request in asked
    ]


def test_many_files_are_read_as_one_scrolls_and_few_rows_exist(console: Console) -> None:
    listed = 2500

    def page_of(start: int) -> dict[str, Any]:
        files = [
            {
                "id": f"01a20000-0000-7000-8000-{listed - number:012d}",
                "filename": f"file {number}.txt",
                "status": "completed",
                "file_size": 10,
                "mime_type": "text/plain",
                "declared_type": "text/plain",
                "sha256_hash": "0" * 64,
                "created_at": "2026-11-25T12:00:00.000Z",
                "processed_at": "2026-11-25T12:00:01.000Z",
            }
            for number in range(start, min(start + 100, listed))
        ]
        cursor = str(start + 100) if start + 100 < listed else None
        return {"files": files, "total": listed, "limit": 100, "offset": 0, "next_cursor": cursor}

    def answer(route: Any) -> None:
        found = re.search(r"cursor=(\d+)", route.request.url)
        route.fulfill(json=page_of(int(found[1]) if found else 0))

    console.page.route("**/files?limit=100*", answer)
    console.page.reload()
    expect(console.row("file 0.txt")).to_be_visible()
    console.page.mouse.move(600, 600)
    last = console.page.get_by_text(f"file {listed - 1}.txt", exact=True)
    for _ in range(200):
        if last.count():
            break
        console.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        console.page.wait_for_timeout(30)
    expect(last).to_be_visible()
    assert console.page.locator(".file").count() < 60
    assert len(console.visit.sent("GET", "/files?limit=100")) <= listed // 100 + 2


def test_name_is_looked_for(console: Console) -> None:
    for name in ("Rechnung Müller.txt", "letter.txt"):
        console.visit.tenant.upload(name, b"x")
    console.await_ready("letter.txt")
    console.page.get_by_role("searchbox").fill("MULLER rech")
    expect(console.row("letter.txt")).to_have_count(0)
    expect(console.row("Rechnung Müller.txt")).to_be_visible()
    # What comes meanwhile is found too, and what does not fit stays away.
    console.visit.tenant.upload("another letter.txt", b"x")
    console.visit.tenant.upload("rechnung von muller.txt", b"x")
    console.await_ready("rechnung von muller.txt")
    expect(console.row("another letter.txt")).to_have_count(0)
    console.page.get_by_role("searchbox").fill("nothing like it")
    console.page.get_by_role("button", name="Clear filters").click()
    expect(console.row("another letter.txt")).to_be_visible()


def test_name_is_found_among_files_that_the_page_has_not_read(console: Console) -> None:
    """The service looks for it; here in its third answer."""
    record = console.visit.tenant.upload("letter.txt", b"x")
    console.await_ready("letter.txt")
    found = {**record, "filename": "needle.txt", "status": "completed", "file_size": 1}

    def answer(route: Any) -> None:
        found_turn = re.search(r"cursor=(\d)", route.request.url)
        turn = int(found_turn[1]) if found_turn else 0
        page = {"files": [found] if turn == 2 else [], "total": None, "limit": 100, "offset": 0}
        route.fulfill(json={**page, "next_cursor": str(turn + 1) if turn < 2 else None})

    console.page.route("**/files?limit=100*name=needle*", answer)
    console.page.get_by_role("searchbox").fill("needle")
    expect(console.row("needle.txt")).to_be_visible()
    assert len(console.visit.sent("GET", "name=needle")) == 3


def test_search_without_an_end_stops_and_asks(console: Console) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(json={"files": [], "total": None, "limit": 100, "offset": 0, "next_cursor": "again"})

    console.page.route("**/files?limit=100*name=needle*", answer)
    console.page.get_by_role("searchbox").fill("needle")
    on = console.page.get_by_role("button", name="Search on")
    expect(on).to_be_visible()
    assert len(asked) == 100
    with console.page.expect_response(lambda _: len(asked) == 200):
        on.click()
    expect(on).to_be_visible()
    assert len(asked) == 200


def test_types_that_there_are_filter_the_list(console: Console) -> None:
    console.visit.tenant.upload("a.txt", b"x")
    console.visit.tenant.upload("b.png", PICTURE)
    console.await_ready("b.png")
    kinds = console.page.get_by_label("Type", exact=True)
    expect(kinds.get_by_role("option", name="image/png (1)")).to_have_count(1)
    kinds.select_option("image/png")
    expect(console.row("a.txt")).to_have_count(0)
    expect(console.row("b.png")).to_be_visible()


def test_sheet_shows_a_picture_and_what_has_happened(console: Console) -> None:
    file_id = console.visit.tenant.upload("picture.png", PICTURE)["id"]
    console.await_ready("picture.png")
    console.row("picture.png").get_by_role("button").first.click()
    image = console.dialog.get_by_alt_text("Preview of picture.png")
    expect(image).to_be_visible()
    console.page.wait_for_function("image => image.complete && image.naturalWidth === 2", arg=image.element_handle())
    expect(console.dialog.locator(".history")).to_contain_text("Upload started")
    # It goes on by itself.
    answer = console.visit.tenant.client.patch(f"/files/{file_id}", json={"filename": "new.png"})
    assert answer.status_code == 200
    expect(console.dialog.locator(".history")).to_contain_text("was “picture.png”")


def test_page_of_html_is_never_shown(console: Console) -> None:
    console.visit.tenant.upload("page.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    console.await_ready("page.svg")
    console.row("page.svg").get_by_role("button").first.click()
    expect(console.dialog.locator(".history")).to_contain_text("Upload started")
    expect(console.dialog.get_by_role("img")).to_have_count(0)


def test_status_filters_the_list(console: Console) -> None:
    console.visit.tenant.upload("a.txt", b"x")
    console.await_ready("a.txt")
    console.page.get_by_role("button", name=re.compile("^Failed")).click()
    expect(console.page.get_by_text("No file fits")).to_be_visible()
    console.page.get_by_role("button", name=re.compile("^Ready")).click()
    console.await_ready("a.txt")


# ---- Uploads that meet something -------------------------------------------------------------------------------------


def test_forty_files_wait_for_the_limit_and_one_is_refused(visit: Visit, limited_api: str) -> None:
    console = Console(visit, limited_api)
    console.sign_in()
    policy = {"max_file_bytes": 1000}
    assert visit.tenant.client.patch("/organization", json={"policy": policy}).status_code == 200
    console.choose(*(file(f"{number}.txt", b"%d" % number) for number in range(39)), file("large.txt", b"x" * 1001))
    expect(console.page.get_by_text("large.txt was not sent: the organisation takes files of up to")).to_be_visible()
    expect(console.tray.get_by_text(re.compile(r"Waiting \d+ s"))).to_be_visible()
    expect(console.tray.get_by_role("heading", name="39 files sent")).to_be_visible()
    names = {one["filename"] for one in visit.tenant.client.get("/files?limit=100").json()["files"]}
    assert names == {f"{number}.txt" for number in range(39)}


def test_refused_file_says_why_and_can_be_tried_again(console: Console, running: Running) -> None:
    from chalicelib.tenants import organizations as tenants

    organization_id = console.visit.tenant.organization_id
    tenants.set_quota(running.stores, organization_id, 1000, 10)
    console.choose(file("a.bin", b"x" * 2000, ""))
    expect(console.tray.get_by_text("a.bin").first).to_be_visible()
    expect(console.tray.get_by_text(re.compile("quota|of its 1000"))).to_be_visible()
    console.visit.complaints.clear()
    tenants.set_quota(running.stores, organization_id, 1_000_000, 10)
    console.tray.get_by_role("button", name="Try again: a.bin").click()
    console.await_ready("a.bin")


def test_five_seconds_without_network_lose_nothing(console: Console, large_file: Path) -> None:  # noqa: F811
    console.visit.throttle(LARGE_BYTES // 4)
    console.choose(large_file)
    console.choose(file("small.txt"))
    console.page.wait_for_event("requestfinished", lambda request: "partNumber=" in request.url)
    with console.offline():
        expect(console.tray.get_by_text("No network.")).to_be_visible()
        console.page.wait_for_timeout(5000)
        before = console.visit.parts_that_arrived()
    console.visit.throttle(0)
    check_large(console, large_file, before)
    console.await_ready("small.txt")
    # The browser's own words on what did not get through.
    console.visit.complaints.clear()


def test_large_file_goes_on_after_a_reload(console: Console, large_file: Path) -> None:  # noqa: F811
    console.visit.throttle(LARGE_BYTES // 6)
    console.choose(large_file)
    for _ in range(2):
        console.page.wait_for_event("requestfinished", lambda request: "partNumber=" in request.url)
    before = console.visit.parts_that_arrived()
    console.page.on("dialog", lambda dialog: dialog.accept())
    console.page.reload()
    console.visit.throttle(0)
    expect(console.tray.get_by_text("A reload has interrupted these")).to_be_visible()
    console.choose(large_file)
    check_large(console, large_file, before)


def test_upload_goes_on_after_the_session_has_ended(console: Console, large_file: Path) -> None:  # noqa: F811
    console.visit.throttle(LARGE_BYTES // 4)
    console.choose(large_file)
    console.page.wait_for_event("requestfinished", lambda request: "partNumber=" in request.url)
    before = console.visit.parts_that_arrived()
    assert console.visit.tenant.client.delete("/auth/sessions").json()["ended_sessions"] == 1
    console.visit.throttle(0)
    expect(console.dialog).to_contain_text("Your session has ended")
    console.dialog.get_by_label("Password").fill(PASSWORD)
    console.dialog.get_by_role("button", name="Sign in", exact=True).click()
    check_large(console, large_file, before)
    console.visit.complaints.clear()


def test_pause_and_resume(console: Console, large_file: Path) -> None:  # noqa: F811
    console.visit.throttle(LARGE_BYTES // 6)
    console.choose(large_file)
    console.page.wait_for_event("requestfinished", lambda request: "partNumber=" in request.url)
    console.tray.get_by_role("button", name="Pause", exact=True).click()
    before = console.visit.parts_that_arrived()
    console.page.wait_for_timeout(500)
    assert len(console.visit.parts_that_arrived()) < PARTS
    console.visit.throttle(0)
    console.tray.get_by_role("button", name="Resume", exact=True).click()
    check_large(console, large_file, before)


def test_upload_that_is_given_up_leaves_nothing(console: Console, large_file: Path) -> None:  # noqa: F811
    client = console.visit.tenant.client
    console.visit.throttle(LARGE_BYTES // 20)
    console.choose(large_file)
    await_condition(lambda: client.get("/usage").json()["bytes"]["used"] == LARGE_BYTES, "the reservation")
    console.page.wait_for_event("request", lambda request: "partNumber=" in request.url)
    with console.page.expect_response(lambda answer: answer.request.method == "DELETE"):
        console.tray.get_by_role("button", name="Cancel", exact=True).last.click()
    assert client.get("/usage").json()["bytes"]["used"] == 0


def test_download_after_the_session_has_ended_asks_for_a_login(console: Console) -> None:
    console.visit.tenant.upload("a.txt", b"x")
    console.await_ready("a.txt")
    console.visit.tenant.client.delete("/auth/sessions")
    console.row("a.txt").get_by_role("button", name="Download a.txt").click()
    expect(console.dialog).to_contain_text("Your session has ended")
    with console.page.expect_download() as download:
        console.dialog.get_by_label("Password").fill(PASSWORD)
        console.dialog.get_by_role("button", name="Sign in", exact=True).click()
    assert Path(download.value.path()).read_bytes() == b"x"
    console.visit.complaints.clear()


def id_of(console: Console, name: str) -> str | None:
    answer = console.visit.tenant.client.get("/files")
    listed = answer.json()["files"] if answer.status_code == 200 else []
    return next((str(one["id"]) for one in listed if one["filename"] == name), None)


def check_large(console: Console, path: Path, arrived_before: list[int]) -> None:
    """It is there to the byte, by one upload, and no part that had arrived was sent again."""
    console.visit.await_settled(await_condition(lambda: id_of(console, path.name), "the upload being listed"))
    console.await_ready(path.name)
    # The emulator answers nobody while it copies gigabytes.
    console.visit.complaints[:] = [said for said in console.visit.complaints if "status of 503" not in said]
    [found] = [one for one in console.visit.tenant.client.get("/files").json()["files"] if one["filename"] == path.name]
    with path.open("rb") as sent:
        assert found["sha256_hash"] == hashlib.file_digest(sent, "sha256").hexdigest()
    numbers = [
        int(number)
        for request in console.visit.sent("PUT", "partNumber=")
        for number in re.findall(r"partNumber=(\d+)", request.url)
    ]
    assert set(numbers) == set(range(1, PARTS + 1))
    assert [number for number in arrived_before if numbers.count(number) > 1] == []
