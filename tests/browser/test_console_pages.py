"""People, keys, webhooks, audit trail, organisation and account in the console; and every page as axe sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyotp
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PATIENCE_MILLISECONDS, Visit
from tests.browser.console import Console, file, link_in
from tests.browser.environment import BUILD
from tests.integration.conftest import PASSWORD, Running, Tenant

#: Looked at by people; not kept.
PICTURES = BUILD / "pictures"
SIZES = {"360": (360, 740), "768": (768, 1024), "1440": (1440, 900)}
PAGES = ("Files", "People", "API keys", "Webhooks", "Audit trail", "Organisation", "Your account")


@pytest.fixture
def console(visit: Visit) -> Iterator[Console]:
    """Signed in as an owner."""
    made = Console(visit, visit.base_url)
    made.sign_in()
    yield made
    assert visit.complaints == []


@pytest.fixture
def phone(browser: Browser, running: Running, tenant: Tenant) -> Iterator[Console]:
    """Another person's, where nobody is signed in."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    yield Console(Visit(context.new_page(), running.base_url, tenant), running.base_url)
    context.close()


def test_from_an_invitation_to_the_first_upload_of_the_new_member(console: Console, phone: Console) -> None:
    console.go("People")
    console.page.get_by_role("button", name="Invite").click()
    console.dialog.get_by_label("Name (optional)").fill("Carla")
    console.dialog.get_by_role("button", name="Create invitation").click()
    expect(console.dialog).to_contain_text("Send this link")
    link = link_in(console.dialog.locator("pre").inner_text())
    console.dialog.get_by_role("button", name="Done").click()
    expect(console.page.get_by_text("Carla")).to_be_visible()

    phone.page.goto(link)
    expect(phone.page.get_by_role("heading", name="You are invited")).to_be_visible()
    username = f"carla-{console.visit.tenant.username}"
    phone.page.get_by_label("Username").fill(username)
    phone.page.get_by_label("Password").fill("a few words in a row")
    phone.page.get_by_role("button", name="Join").click()
    phone.await_heading("Files")
    assert "inv_" not in phone.page.url
    phone.choose(file("from my phone.txt"))
    phone.await_ready("from my phone.txt")
    # What a member may not see is not offered.
    phone.page.get_by_role("button", name="Menu").click()
    expect(phone.page.get_by_role("link", name="People")).to_be_visible()
    expect(phone.page.get_by_role("link", name="API keys")).to_have_count(0)

    # The list of people is true by itself.
    expect(console.page.get_by_text(username)).to_be_visible()
    expect(console.page.get_by_text("Nobody is invited at the moment.")).to_be_visible()
    console.go("Files")
    console.await_ready("from my phone.txt")


def test_link_that_was_used_says_so(phone: Console) -> None:
    phone.page.goto(f"{phone.base_url}/#/join/inv_{'0' * 39}_{'0' * 43}")
    phone.page.get_by_label("Username").fill("nobody")
    phone.page.get_by_label("Password").fill("a few words in a row")
    phone.page.get_by_role("button", name="Join").click()
    expect(phone.page.get_by_role("alert")).to_contain_text("invitation")


def test_role_disabling_and_signing_out_of_others(console: Console, running: Running) -> None:
    from chalicelib.accounts import users

    organization_id = console.visit.tenant.organization_id
    name = f"jane-{console.visit.tenant.username}"
    users.create_user(running.stores, organization_id, name, PASSWORD)
    console.go("People")
    console.page.get_by_role("button", name=f"Manage {name}").click()
    console.dialog.get_by_label(re.compile("^Viewer")).check()
    expect(console.page.get_by_text(f"{name} is now Viewer.")).to_be_visible()
    console.dialog.get_by_role("button", name="Disable").click()
    console.dialog.get_by_role("button", name="Disable").click()
    expect(console.dialog.get_by_role("button", name="Enable")).to_be_visible()
    [person] = [one for one in console.visit.tenant.client.get("/users").json()["users"] if one["username"] == name]
    assert (person["role"], person["disabled"]) == ("viewer", True)


def test_key_is_shown_once_and_works(console: Console) -> None:
    console.go("API keys")
    console.page.get_by_role("button", name="New key").first.click()
    console.dialog.get_by_label("Name").fill("nightly upload")
    console.dialog.get_by_text("The same with curl").click()
    expect(console.dialog.locator("pre")).to_contain_text('"name":"nightly upload"')
    console.dialog.get_by_role("button", name="New key").click()
    expect(console.dialog).to_contain_text("It is not shown again")
    key = console.dialog.locator("pre").inner_text()
    assert key.startswith("sr_")
    console.dialog.get_by_role("button", name="Done").click()
    assert key not in console.page.content()
    console.page.get_by_role("button", name="Delete nightly upload").click()
    console.dialog.get_by_role("button", name="Delete key").click()
    expect(console.page.get_by_text("No API keys yet")).to_be_visible()


def test_webhook_with_its_deliveries(console: Console) -> None:
    console.go("Webhooks")
    console.page.get_by_role("button", name="New webhook").first.click()
    # Nobody listens there, which is what the deliveries are to say.
    console.dialog.get_by_label("Address").fill("http://127.0.0.1:9/hook")
    console.dialog.get_by_role("button", name="New webhook").click()
    expect(console.dialog.locator("pre")).to_contain_text("whsec_")
    console.dialog.get_by_role("button", name="Done").click()
    console.page.get_by_role("button", name="Open http://127.0.0.1:9/hook").click()
    console.dialog.get_by_role("button", name="Send test").click()
    delivery = console.dialog.get_by_role("listitem").filter(has_text="Test")
    for _ in range(100):
        console.dialog.get_by_role("button", name="Refresh").click()
        if delivery.count():
            break
        console.page.wait_for_timeout(200)
    delivery.get_by_role("button", name=re.compile("^Send again")).first.click()
    expect(console.page.get_by_text("It is being sent again.")).to_be_visible()


def test_audit_trail_with_a_filter_and_its_export(console: Console) -> None:
    uploaded = console.visit.tenant.upload("a.txt", b"x")
    console.await_ready("a.txt")
    console.go("Audit trail")
    console.page.get_by_label("What", exact=True).select_option("file.completed")
    expect(console.page.get_by_role("list", name="Audit trail").get_by_role("listitem")).to_have_count(1)
    with console.page.expect_download() as download:
        console.page.get_by_role("button", name="Export").click()
    assert uploaded["id"] in Path(download.value.path()).read_text()


def test_policy_is_changed_and_holds(console: Console) -> None:
    console.go("Organisation")
    console.page.get_by_label("Refused types").fill("text/html")
    console.page.get_by_label("Largest file, in MB").fill("2")
    console.page.get_by_role("button", name="Save").last.click()
    expect(console.page.get_by_text("Saved.")).to_be_visible()
    policy = console.visit.tenant.client.get("/organization").json()["policy"]
    assert (policy["refused_types"], policy["max_file_bytes"]) == (["text/html"], 2 * 1024 * 1024)
    console.go("Files")
    console.choose(file("page.html", b"<p>", "text/html"))
    expect(console.page.get_by_text("refuses files of type text/html")).to_be_visible()


def test_second_factor_is_set_up_by_its_qr_code(console: Console) -> None:
    console.go("Your account")
    console.page.get_by_role("button", name="Set up").click()
    console.dialog.get_by_label("Current password").fill(PASSWORD)
    console.dialog.get_by_role("button", name="Next").click()
    image = console.dialog.get_by_alt_text("QR code for the authenticator")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 100
    secret = console.dialog.locator("pre").inner_text()
    console.dialog.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    console.dialog.get_by_role("button", name="Turn on").click()
    expect(console.dialog.locator(".codes li")).to_have_count(10)
    console.dialog.get_by_role("button", name="I have kept them").click()
    expect(console.page.get_by_role("button", name="Turn off")).to_be_visible()


def test_sessions_elsewhere_are_ended(console: Console) -> None:
    console.go("Your account")
    console.page.get_by_role("button", name="End all others").click()
    console.dialog.get_by_role("button", name="End all others").click()
    expect(console.page.get_by_role("button", name="End all others")).to_have_count(0)
    assert console.visit.tenant.client.get("/auth/me").status_code == 401


def test_what_others_change_is_seen_without_a_reload(console: Console) -> None:
    client = console.visit.tenant.client
    console.go("API keys")
    expect(console.page.get_by_text("No API keys yet")).to_be_visible()
    body = {"name": "made elsewhere", "scopes": ["files:read"], "expires_in_days": 7}
    assert client.post("/api-keys", json=body).status_code == 201
    expect(console.page.get_by_text("made elsewhere")).to_be_visible()
    console.go("Webhooks")
    expect(console.page.get_by_text("No webhooks yet")).to_be_visible()
    body = {"url": "http://127.0.0.1:9/elsewhere", "types": ["file.completed"]}
    assert client.post("/webhooks", json=body).status_code == 201
    expect(console.page.get_by_text("http://127.0.0.1:9/elsewhere")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_have_no_findings(
    browser: Browser, running: Running, tenant: Tenant, size: str, scheme: Literal["light", "dark"]
) -> None:
    """Contrast, names, roles, targets; and a picture of each, for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )  # fmt: skip
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    visit = Visit(context.new_page(), running.base_url, tenant)
    visit.page.on("console", lambda said: visit.complaints.append(said.text) if said.type == "error" else None)
    console = Console(visit, running.base_url)
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        console.page.wait_for_load_state("load")
        console.page.screenshot(path=PICTURES / f"{size}-{scheme}-{name}.png")
        if findings := console.findings():
            found[name] = findings
        assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"

    console.open()
    expect(console.page.get_by_label("Username")).to_be_visible()
    look("sign-in")
    console.fill_in_login()
    console.await_heading("Files")
    expect(console.page.get_by_text("No files yet")).to_be_visible()
    look("empty")
    for name in ("quarterly report.txt", "photo of the building from the south.txt"):
        console.choose(file(name))
        console.await_ready(name)
    look("uploads")
    console.tray.get_by_role("button", name="Close").click()
    console.page.locator(".file-open").first.click()
    expect(console.dialog).to_contain_text("Upload started")
    look("file")
    console.dialog.get_by_role("button", name="Delete").click()
    look("delete")
    console.page.keyboard.press("Escape")
    console.page.keyboard.press("Escape")
    for page in PAGES:
        console.go(page)
        expect(console.page.locator(".skeleton")).to_have_count(0)
        look(page.lower().replace(" ", "-"))
    console.go("People")
    console.page.get_by_role("button", name="Invite").click()
    look("invite")
    console.page.keyboard.press("Escape")
    console.go("API keys")
    console.page.get_by_role("button", name="New key").first.click()
    look("new-key")
    context.close()
    assert found == {}
    assert visit.complaints == []
