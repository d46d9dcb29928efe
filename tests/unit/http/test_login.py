"""POST /auth/login: who gets a session, and what everyone else is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bcrypt
import pytest

from chalicelib.accounts import users as accounts
from chalicelib.kernel.errors import UsernameTaken
from tests.aws_calls import aws_calls, just_before
from tests.unit.api import Api
from tests.unit.conftest import Configure
from tests.unit.contract import check_error, check_rate_limit_headers, check_success, user_json
from tests.unit.world import World

PASSWORD = "correct-horse-anna"


def test_right_password_gives_a_session(any_api: Api, world: World) -> None:
    answer = any_api.login("anna", PASSWORD)
    check_success(answer)
    check_rate_limit_headers(answer)
    user = user_json(world.caller("anna"))
    assert answer.json == {"success": True, "user": user}
    me = any_api.get("/auth/me", headers={"Cookie": f"session={answer.token}"})
    check_success(me)
    assert me.json == {"user": user}


def test_accents_may_come_in_either_encoding(api: Api, world: World) -> None:
    """One keyboard sends é as one character, another as e and an accent."""
    composed, decomposed = ("jos\u00e9", "contrase\u00f1a larga"), ("jose\u0301", "contrasen\u0303a larga")
    acme = world.organizations["Acme"].organization_id
    accounts.create_user(world.stores, acme, *decomposed)
    check_success(api.login(*composed))
    check_success(api.login(*decomposed))
    check_success(api.login(decomposed[0].upper(), composed[1]))
    with pytest.raises(UsernameTaken):
        accounts.create_user(world.stores, acme, *composed)


ACCENTS = "a" + "\u0301\u0316" * 100_000


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("username", "password"), [(ACCENTS, PASSWORD), ("anna", ACCENTS)], ids=["name", "password"])
def test_accents_without_end_keep_nobody_busy(api: Api, username: str, password: str) -> None:
    """Composing them takes time with the square of their number: for these a minute."""
    check_error(api.login(username, password), 401)


def test_username_is_taken_without_regard_to_case_and_space(api: Api) -> None:
    check_success(api.login("  ANNA ", PASSWORD))


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("nobody", PASSWORD),
        ("anna", "wrong"),
        ("anna", PASSWORD + " "),
        ("anna", PASSWORD.upper()),
        ("berta", PASSWORD),
        ("anna", PASSWORD + "x" * 72),
        ("nobody", "x" * 73),
        ("anna", "x" * 100_000),
        ("anna", PASSWORD + "\x00"),
        ("anna", "\x00"),
        ("anna", "pä" * 30),
        ("   ", PASSWORD),
        ("x" * 5000, PASSWORD),
        ("anna\x00", PASSWORD),
        ("😀", PASSWORD),
    ],
)
def test_all_that_is_not_right_is_the_same_401(any_api: Api, username: str, password: str) -> None:
    answer = any_api.login(username, password)
    assert check_error(answer, 401) == "Wrong username or password."
    check_rate_limit_headers(answer)
    assert "set-cookie" not in answer.headers


def test_long_password_can_not_be_cut_into_the_right_one(api: Api, world: World) -> None:
    longest = "äöüß" * 9
    accounts.create_user(world.stores, world.organizations["Acme"].organization_id, "longest", longest)
    check_success(api.login("longest", longest))
    check_error(api.login("longest", longest + "x"), 401)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff\xfe{}", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b'{"username": 1' + b"0" * 5000 + b"}", "JSON"),
        (b"null", "object"),
        (b"[]", "object"),
        (b'"anna"', "object"),
        (b"{}", "username"),
        (b'{"username": "anna"}', "password"),
        (b'{"username": null, "password": "x"}', "username"),
        (b'{"username": 7, "password": "x"}', "username"),
        (b'{"username": ["anna"], "password": "x"}', "username"),
        (b'{"username": {"S": "anna"}, "password": "x"}', "username"),
        (b'{"username": true, "password": "x"}', "username"),
        (b'{"username": "anna", "password": 7}', "password"),
        (b'{"username": "anna", "password": ["x"]}', "password"),
        (b'{"username": "", "password": "x"}', "username"),
        (b'{"username": "anna", "password": ""}', "password"),
        (b'{"username": "\\ud800", "password": "x"}', "username"),
        (b'{"username": "anna", "password": "\\udfff"}', "password"),
    ],
)
def test_body_without_two_strings_is_400(any_api: Api, body: bytes, sentence: str) -> None:
    answer = any_api.post("/auth/login", body=body, headers={"Content-Type": "application/json"})
    assert sentence in check_error(answer, 400)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
def test_body_that_a_foreign_page_could_send_unasked_is_415(any_api: Api, content_type: str) -> None:
    """A browser sends these types across origins without asking: logging a victim in as someone else must not work."""
    body = b'{"username": "anna", "password": "correct-horse-anna"}'
    answer = any_api.post("/auth/login", body=body, headers={"Content-Type": content_type})
    assert "application/json" in check_error(answer, 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_is_recognised_in_every_spelling(any_api: Api, content_type: str) -> None:
    body = b'{"username": "anna", "password": "correct-horse-anna"}'
    check_success(any_api.post("/auth/login", body=body, headers={"Content-Type": content_type}))


class _Counted:
    """Counts what is asked of bcrypt, and asks it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.work: list[tuple[str, bytes]] = []
        check, create = bcrypt.checkpw, bcrypt.hashpw

        def counted_check(password: bytes, hashed: bytes) -> bool:
            self.work.append(("check", hashed[:7]))
            return check(password, hashed)

        def counted_create(password: bytes, salt: bytes) -> bytes:
            self.work.append(("hash", salt[:7]))
            return create(password, salt)

        monkeypatch.setattr(bcrypt, "checkpw", counted_check)
        monkeypatch.setattr(bcrypt, "hashpw", counted_create)


@pytest.mark.parametrize(
    ("username", "password"), [("nobody", "wrong"), ("", "wrong"), ("anna", "x" * 100), (" ", "x"), ("x" * 3000, "x")]
)
def test_unknown_user_costs_the_same_work_as_a_wrong_password(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch, username: str, password: str
) -> None:
    username = username or "disabled"
    if username == "disabled":
        accounts.create_user(world.stores, world.organizations["Acme"].organization_id, username, "wrong" * 3)
        accounts.set_disabled(world.stores, username, True)
    world.restart()
    counted = _Counted(monkeypatch)
    with aws_calls() as wrong_password_calls:
        wrong = api.login("anna", "wrong")
    wrong_password_work, counted.work = counted.work, []
    with aws_calls() as calls:
        other = api.login(username, password)
    assert (other.status, _told(other)) == (wrong.status, _told(wrong))
    assert calls == wrong_password_calls
    assert counted.work == wrong_password_work == [("check", b"$2b$04$")]


def _told(answer: Any) -> tuple[Any, list[str]]:
    return {**answer.json, "request_id": None}, sorted(name.lower() for name in answer.headers)


def test_disabled_user_is_told_no_more_than_anyone(api: Api, world: World) -> None:
    accounts.set_disabled(world.stores, "anna", True)
    assert check_error(api.login("anna", PASSWORD), 401) == "Wrong username or password."
    accounts.set_disabled(world.stores, "anna", False)
    check_success(api.login("anna", PASSWORD))


def disable(world: World) -> None:
    accounts.set_disabled(world.stores, "anna", True)


def change_password(world: World) -> None:
    accounts.set_password(world.stores, "anna", "another-good-password")


@pytest.mark.parametrize("change", [disable, change_password])
def test_login_under_way_does_not_survive_a_change_of_the_user(
    api: Api, world: World, unhurried: None, change: Callable[[World], None]
) -> None:
    """The password was right a moment ago; what counts is the user at the moment that the session begins."""
    with just_before("dynamodb.TransactWriteItems", lambda: change(world)):
        check_error(api.login("anna", PASSWORD), 401)
    assert world.rows("sessions") == []


def test_new_passwords_are_hashed_with_cost_12_by_default(configure: Configure, world: World) -> None:
    configure(BCRYPT_COST=None)
    user = accounts.create_user(world.stores, world.organizations["Acme"].organization_id, "new", "a-good-password")
    assert user.password_hash.startswith("$2b$12$")


@pytest.mark.parametrize(
    ("secure", "wanted"),
    [
        ("true", "__Host-session={}; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"),
        ("false", "session={}; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"),
    ],
)
def test_cookie_has_the_flags_of_its_stage(any_api: Api, configure: Configure, secure: str, wanted: str) -> None:
    configure(COOKIE_SECURE=secure)
    answer = any_api.login("anna", PASSWORD)
    assert answer.cookie == wanted.format(answer.token)
    assert len(answer.token) >= 43
    assert any_api.get("/auth/me", headers={"Cookie": answer.cookie.partition(";")[0]}).status == 200


def test_cookie_is_secure_when_nothing_is_said(api: Api, configure: Configure) -> None:
    configure(COOKIE_SECURE=None)
    assert "Secure" in api.login("anna", PASSWORD).cookie


def test_token_is_stored_as_a_hash_only(api: Api, world: World) -> None:
    answer = api.login("anna", PASSWORD)
    stored = str(world.snapshot())
    assert answer.token not in stored
    assert PASSWORD not in stored
