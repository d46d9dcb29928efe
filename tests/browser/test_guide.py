"""The JavaScript of docs/frontend.md, run as it stands there."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest

from infra.local.processes import HOST
from infra.packaging import ROOT
from tests.browser.conftest import OTHER_SITE, Visit
from tests.browser.test_uppy import large_file  # noqa: F401 (a fixture)
from tests.integration.conftest import PASSWORD

GUIDE = (ROOT / "docs" / "frontend.md").read_text()
BLOCKS = re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL)
BY_FORM = next(block for block in BLOCKS if "new FormData" in block and "async function" not in block)
STRAIGHT = next(block for block in BLOCKS if "async function upload" in block)
LOG_IN = next(block for block in BLOCKS if "const session" in block)
LOG_IN_ELSEWHERE = next(block for block in BLOCKS if "async function logIn" in block)


class Reader:
    """Somebody who has come to a page, and does there what the guide says."""

    def __init__(self, visit: Visit, log_in: str) -> None:
        self.visit, self.log_in = visit, log_in

    def do(self, program: str) -> Any:
        page, tenant = self.visit.page, self.visit.tenant
        arguments = [self.visit.base_url, tenant.username, PASSWORD]
        return page.evaluate(f"async ([api, username, password]) => {{ {self.log_in} {program} }}", arguments)

    def choose(self, file: Any) -> None:
        self.visit.page.set_content('<input id="input" type="file">')
        self.visit.page.set_input_files("#input", file)


@pytest.fixture(params=["own origin", "another site"])
def reader(request: pytest.FixtureRequest, visit: Visit, pages: str) -> Reader:
    if request.param == "own origin":
        visit.page.goto(visit.base_url)
        return Reader(visit, LOG_IN)
    return elsewhere(visit, pages)


def elsewhere(visit: Visit, pages: str) -> Reader:
    visit.page.goto(f"{pages.replace(HOST, OTHER_SITE)}/uppy6/")
    return Reader(visit, f"{LOG_IN_ELSEWHERE} await logIn(username, password);")


def test_page_of_another_site_gets_a_token_and_no_session_cookie(visit: Visit, pages: str) -> None:
    reader = elsewhere(visit, pages)
    assert reader.do('return (await call("/auth/me")).status;') == 200
    assert [cookie for cookie in visit.page.context.cookies() if "session" in cookie["name"]] == []
    by_cookie = """await fetch(`${api}/auth/login`, {
        method: "POST", credentials: "include", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ username, password }),
    });
    return (await fetch(`${api}/auth/me`, { credentials: "include" })).status;"""
    assert reader.do(by_cookie) == 401, "this is why it needs the token"


def early_code(visit: Visit) -> str:
    """A code of a new second factor of the visit's user."""
    client = visit.tenant.client
    begun = client.post("/auth/second-factor/setup", json={"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    authenticator = pyotp.TOTP(begun.json()["secret"])
    confirmed = client.post("/auth/second-factor/confirm", json={"code": authenticator.now()})
    assert confirmed.status_code == 200, confirmed.text
    # The one of this moment may be used up; one step early is in time.
    return authenticator.at(int(time.time()), counter_offset=1)


def test_page_of_another_site_asks_for_the_second_factor(visit: Visit, pages: str) -> None:
    early = early_code(visit)
    visit.page.on("dialog", lambda dialog: dialog.accept(early))
    assert elsewhere(visit, pages).do('return (await call("/auth/me")).status;') == 200


def test_qr_code_is_drawn(visit: Visit, pages: str) -> None:
    """As an image, which runs nothing, whatever is in it."""
    begun = visit.tenant.client.post("/auth/second-factor/setup", json={"password": PASSWORD}).json()
    visit.page.goto(f"{pages}/uppy6/")
    drawn = visit.page.evaluate(
        """async (svg) => {
            const image = new Image();
            image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
            await image.decode();
            return image.naturalWidth;
        }""",
        begun["qr_svg"],
    )
    assert drawn > 100


def test_small_file_by_form(reader: Reader) -> None:
    content = os.urandom(1000)
    reader.choose({"name": "a.bin", "mimeType": "", "buffer": content})
    file_id = reader.do(f"{BY_FORM} return file.id;")
    assert reader.visit.await_settled(file_id)["sha256_hash"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size_bytes", [1000, None], ids=["one form", "parts"])
def test_file_straight_to_storage(
    reader: Reader,
    large_file: Path,  # noqa: F811
    tmp_path: Path,
    size_bytes: int | None,
) -> None:
    path = large_file
    if size_bytes is not None:
        path = tmp_path / "small.bin"
        path.write_bytes(os.urandom(size_bytes))
    reader.choose(path)
    file_id = reader.do(f"{STRAIGHT} return upload(input.files[0]);")
    details = reader.visit.await_settled(file_id)
    with path.open("rb") as sent:
        assert details["sha256_hash"] == hashlib.file_digest(sent, "sha256").hexdigest()


@pytest.mark.parametrize("size_bytes", [1000, None], ids=["one form", "parts"])
def test_file_straight_to_storage_with_python(
    visit: Visit,
    large_file: Path,  # noqa: F811
    tmp_path: Path,
    size_bytes: int | None,
) -> None:
    program = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)[0]
    for told, ours in (
        ("http://127.0.0.1:8000", visit.base_url),
        ('"admin"', repr(visit.tenant.username)),
        ('"password": "password"', f'"password": {PASSWORD!r}'),
    ):
        assert told in program
        program = program.replace(told, ours)
    content = large_file.read_bytes() if size_bytes is None else os.urandom(size_bytes)
    (tmp_path / "film.mp4").write_bytes(content)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    file = visit.tenant.client.get("/files").json()["files"][0]
    assert visit.await_settled(file["id"])["sha256_hash"] == hashlib.sha256(content).hexdigest()
