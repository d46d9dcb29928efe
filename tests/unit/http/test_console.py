"""The console as it is served: its document, its files, and what a browser is told of them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import chalicelib.console
from chalicelib.console import assets
from chalicelib.console.routes import base_path
from tests.unit.api import Answer, Api, Session
from tests.unit.conftest import Configure
from tests.unit.contract import check_error
from tests.unit.world import World

STATIC = Path(chalicelib.console.__file__).parent / "static"
NAMES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
SERVED = [name for name in NAMES if Path(name).suffix in (".js", ".mjs", ".css", ".svg")]


def policy_of(answer: Answer) -> dict[str, list[str]]:
    """Directive -> sources."""
    directives = (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in directives}


def test_document_runs_nothing_but_the_consoles_own_files(api: Api) -> None:
    answer = api.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    policy = policy_of(answer)
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["style-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["base-uri"] == ["'none'"]
    assert not [source for sources in policy.values() for source in sources if "unsafe" in source or "*" in source]


def test_monitor_asks_for_the_head_only(api: Api) -> None:
    answer = api.request("HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Security-Policy"] == api.get("/").headers["Content-Security-Policy"]


def test_document_has_no_script_or_style_of_its_own(api: Api) -> None:
    """What the policy would refuse anyway, found before a browser does."""
    html = api.get("/").body.decode()
    assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?![^>]*\ssrc=)", html)


def test_page_may_talk_to_the_api_and_to_the_bucket_of_uploads(api: Api, anna: Session) -> None:
    started = api.post("/files", anna, json_body={"filename": "a.txt", "size": 1})
    address = urlsplit(started.json["upload"]["url"])
    assert policy_of(api.get("/"))["connect-src"] == ["'self'", f"{address.scheme}://{address.netloc}"]


def test_page_may_show_pictures_from_where_downloads_come(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.drain()
    address = urlsplit(api.get(f"/files/{file_id}/content", anna).headers["Location"])
    origin = f"{address.scheme}://{address.netloc}"
    assert policy_of(api.get("/"))["img-src"] == ["'self'", "blob:", "data:", origin]


def test_document_names_files_that_are_there(api: Api) -> None:
    addresses = re.findall(r'(?:href|src)="(/console/[^"]+)"', api.get("/").body.decode())
    assert len(addresses) > 5
    for address in addresses:
        assert api.get(address).status == 200, address


@pytest.mark.parametrize("name", SERVED)
def test_file_is_kept_by_browsers_for_ever(api: Api, name: str) -> None:
    answer = api.get(f"/console/{assets.version()}/{name}")
    assert answer.status == 200
    assert answer.body == (STATIC / name).read_bytes()
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    wanted = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert answer.headers["Content-Type"] == f"{wanted[Path(name).suffix]}; charset=utf-8"


def imports_of(name: str) -> set[str]:
    """Files of the console that a script imports, now or later."""
    text = (STATIC / name).read_text(encoding="utf-8")
    found = re.findall(r'(?:from\s*|import\s*\(?)"(\.[^"]+)"', text)
    return {(Path(name).parent / target).as_posix() for target in found}


@pytest.mark.parametrize("name", [name for name in SERVED if name.endswith("js")])
def test_script_imports_files_that_are_there(name: str) -> None:
    assert imports_of(name) <= set(SERVED)


@pytest.mark.parametrize(
    "path",
    [
        "/console/0000000000000000/app.js",
        "/console/{version}/nothing.js",
        "/console/{version}/index.html",
        "/console/{version}/vendor/preact.mjs.map",
        "/console/{version}/../assets.py",
        "/console/{version}/%2e%2e/assets.py",
        "/console/{version}/..%2fassets.py",
    ],
)
def test_anything_else_is_not_there(api: Api, path: str) -> None:
    check_error(api.get(path.replace("{version}", assets.version())), 404)


def test_version_is_of_every_file() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", assets.version())
    assert set(assets._files()) == set(NAMES)


@pytest.mark.parametrize(("sign_up", "told"), [("open", "open"), ("closed", "closed")])
def test_document_says_whether_new_organisations_can_be_made(
    api: Api, configure: Configure, sign_up: str, told: str
) -> None:
    configure(SIGN_UP=sign_up)
    assert f'data-sign-up="{told}"' in api.get("/").body.decode()


@pytest.mark.parametrize(("path", "base"), [("/", ""), ("/api", "/api"), ("/api/", "/api"), ('/"><script>', "")])
def test_addresses_begin_where_the_api_is(path: str, base: str) -> None:
    """The gateway's own address has the stage in its path."""
    assert base_path(path) == base


def test_asking_for_it_counts_against_no_limit(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_ANONYMOUS="1/hour")
    assert [api.get("/").status for _ in range(3)] == [200] * 3
