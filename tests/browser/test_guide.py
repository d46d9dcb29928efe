"""The JavaScript of docs/frontend.md, run as it stands there."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.packaging import ROOT
from tests.browser.conftest import Visit
from tests.browser.test_uppy import large_file  # noqa: F401 (a fixture)
from tests.integration.conftest import PASSWORD

GUIDE = (ROOT / "docs" / "frontend.md").read_text()
BLOCKS = re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL)
BY_FORM = next(block for block in BLOCKS if "new FormData" in block and "async function" not in block)
STRAIGHT = next(block for block in BLOCKS if "async function upload" in block)


@pytest.fixture
def reader(visit: Visit) -> Visit:
    """At a page of the API's own origin, signed in."""
    visit.page.goto(visit.base_url)
    visit.sign_in()
    return visit


def test_small_file_by_form(reader: Visit) -> None:
    content = os.urandom(1000)
    reader.page.set_content('<input id="input" type="file">')
    reader.page.set_input_files("#input", {"name": "a.bin", "mimeType": "", "buffer": content})
    file_id = reader.page.evaluate(f"async () => {{ {BY_FORM} return file.id; }}")
    assert reader.await_settled(file_id)["sha256_hash"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size_bytes", [1000, None], ids=["one form", "parts"])
def test_file_straight_to_storage(
    reader: Visit,
    large_file: Path,  # noqa: F811
    tmp_path: Path,
    size_bytes: int | None,
) -> None:
    path = large_file
    if size_bytes is not None:
        path = tmp_path / "small.bin"
        path.write_bytes(os.urandom(size_bytes))
    reader.page.set_content('<input id="input" type="file">')
    reader.page.set_input_files("#input", path)
    file_id = reader.page.evaluate(f"async () => {{ {STRAIGHT} return upload(input.files[0]); }}")
    details = reader.await_settled(file_id)
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
