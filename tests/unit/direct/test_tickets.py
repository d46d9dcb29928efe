"""Upload tickets: what they open, for how long, and what they never open."""

from __future__ import annotations

import time

import pytest

from chalicelib.accounts import tickets
from chalicelib.accounts import users as accounts
from chalicelib.kernel.tokens import token_digest
from tests.unit.api import Api, Session
from tests.unit.logbook import Logbook
from tests.unit.world import World

PARAMS = "/s3/params?filename=a.txt&type=text/plain"


@pytest.fixture
def base_path(api: Api, anna: Session, logbook: Logbook) -> str:
    answer = api.post("/auth/ticket", anna)
    assert answer.status == 201
    path: str = answer.json["base_path"]
    # From here on no line of the log may show it.
    logbook.secrets.append(path.removeprefix("/t/"))
    return path


def test_ticket_uploads_as_its_user_without_cookie_or_header(api: Api, base_path: str, world: World) -> None:
    answer = api.get(base_path + PARAMS)
    assert answer.status == 200
    file = world.file(answer.json["fields"]["key"].partition("/")[2])
    assert file is not None
    assert file.uploaded_by_username == "anna"


def test_ticket_is_no_session(api: Api, base_path: str) -> None:
    token = base_path.removeprefix("/t/")
    for path in ("/auth/me", "/files", "/usage"):
        assert api.get(path, headers={"Authorization": f"Bearer {token}"}).status == 401
        assert api.get(path, headers={"Cookie": f"session={token}"}).status == 401


def test_session_is_no_ticket(api: Api, anna: Session) -> None:
    assert api.get(f"/t/{anna.token}{PARAMS}").status == 401


def test_ticket_dies_with_the_session_that_drew_it(api: Api, anna: Session, base_path: str) -> None:
    assert api.post("/auth/logout", anna).status == 200
    assert api.get(base_path + PARAMS).status == 401


def test_ticket_dies_when_the_user_is_disabled(api: Api, base_path: str, world: World) -> None:
    accounts.set_disabled(world.stores, "anna", True)
    assert api.get(base_path + PARAMS).status == 401


def test_ticket_expires(api: Api, base_path: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + tickets.TICKET_TTL_SECONDS + 1)
    assert api.get(base_path + PARAMS).status == 401


@pytest.mark.parametrize("token", ["x", "x" * 500, "%00", "..", "a b"])
def test_unknown_ticket_is_401(api: Api, token: str) -> None:
    assert api.get(f"/t/{token}{PARAMS}").status == 401


def test_only_the_hash_of_a_ticket_is_stored(base_path: str, world: World) -> None:
    token = base_path.removeprefix("/t/")
    assert world.stores.sessions.find(token_digest(token)) is not None
    assert token not in str(world.rows("sessions"))
