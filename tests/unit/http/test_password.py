"""POST /auth/password: who may take another password, and what it ends."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.accounts import users as accounts
from tests.aws_calls import just_before
from tests.unit.api import Answer, Api, Session
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import check_error, check_rate_limit_headers, check_success
from tests.unit.world import World

OLD = "correct-horse-anna"
NEW = "entirely-new-password"


def change(api: Api, session: Session, current: Any = OLD, new: Any = NEW) -> Answer:
    return api.post("/auth/password", session, json_body={"current_password": current, "new_password": new})


def status(api: Api, session: Session) -> int:
    return api.get("/auth/me", session).status


def test_from_now_on_the_new_one_counts(any_api: Api, anna: Session) -> None:
    answer = change(any_api, anna)
    check_success(answer)
    check_rate_limit_headers(answer)
    assert answer.json == {"success": True}
    check_error(any_api.login("anna", OLD), 401)
    check_success(any_api.login("anna", NEW))


def test_every_other_session_ends_and_this_one_goes_on(api: Api, sign_in: SignIn, world: World) -> None:
    others, this, colleague = [sign_in(), sign_in()], sign_in(), sign_in("albert")
    ticket = api.post("/auth/ticket", others[0]).json["base_path"]
    check_success(change(api, this))
    assert [status(api, session) for session in (*others, this, colleague)] == [401, 401, 200, 200]
    assert api.get(f"{ticket}/s3/params?filename=x").status == 401
    assert len(world.rows("sessions")) == 3, "this one, the colleague's, and a ticket that opens nothing"
    check_success(change(api, this, NEW, OLD))
    check_success(api.post("/auth/logout", this))
    assert status(api, this) == 401


@pytest.mark.parametrize("wrong", ["wrong", OLD + " ", OLD.upper(), "x" * 5000, OLD + "\x00", "pä" * 40])
def test_wrong_current_password_changes_nothing(any_api: Api, sign_in: SignIn, world: World, wrong: str) -> None:
    session, other = sign_in(), sign_in()
    before = world.snapshot()
    answer = change(any_api, session, wrong)
    assert check_error(answer, 422) == "The current password is wrong. Nothing was changed."
    check_rate_limit_headers(answer)
    assert world.snapshot() == before
    assert [status(any_api, session), status(any_api, other)] == [200, 200]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "current_password"),
        ({"current_password": OLD}, "new_password"),
        ({"current_password": OLD, "new_password": 12345678}, "new_password"),
        ({"current_password": OLD, "new_password": ""}, "new_password"),
        ({"current_password": OLD, "new_password": "seven 7"}, "8 characters"),
        ({"current_password": OLD, "new_password": "x" * 73}, "72 bytes"),
        ({"current_password": OLD, "new_password": "long enough\x00"}, "NUL"),
        ({"current_password": OLD, "new_password": "Password1!"}, "too easy"),
        ({"current_password": OLD, "new_password": "1234-anna-5678"}, "too easy"),
        ({"current_password": [OLD], "new_password": NEW}, "current_password"),
    ],
)
def test_unusable_one_is_named_and_changes_nothing(
    api: Api, anna: Session, world: World, body: dict[str, Any], named: str
) -> None:
    before = world.snapshot()
    assert named in check_error(api.post("/auth/password", anna, json_body=body), 400)
    assert world.snapshot() == before


def test_session_that_is_ended_meanwhile_changes_nothing(api: Api, anna: Session, world: World) -> None:
    """The owner throws a thief out by the operator, while the thief's request is on its way."""
    with just_before("dynamodb.TransactWriteItems", lambda: accounts.set_password(world.stores, "anna", "by-operator")):
        check_error(change(api, anna), 401)
    check_error(api.login("anna", NEW), 401)
    check_success(api.login("anna", "by-operator"))


def test_login_at_the_same_moment_does_not_outlive_the_old_password(api: Api, anna: Session, world: World) -> None:
    late: list[Answer] = []
    with just_before("dynamodb.TransactWriteItems", lambda: late.append(api.login("anna", OLD))):
        check_success(change(api, anna))
    assert late[0].status == 200
    check_error(api.get("/auth/me", headers={"Authorization": f"Bearer {late[0].token}"}), 401)
    assert status(api, anna) == 200


def test_disabled_meanwhile_stays_disabled(api: Api, anna: Session, world: World) -> None:
    with just_before("dynamodb.TransactWriteItems", lambda: accounts.set_disabled(world.stores, "anna", True)):
        check_error(change(api, anna), 401)
    check_error(api.login("anna", OLD), 401)
    check_error(api.login("anna", NEW), 401)


def test_guessing_is_limited_per_user_and_leaves_logging_in_alone(
    api: Api, anna: Session, sign_in: SignIn, configure: Configure
) -> None:
    albert = sign_in("albert")
    configure(RATE_LIMIT_PASSWORD="3/hour")
    for _ in range(3):
        check_error(change(api, anna, "guess"), 422)
    check_error(change(api, anna), 429)
    check_success(api.login("anna", OLD))
    check_error(change(api, albert, "guess"), 422)


def test_failed_logins_of_others_do_not_refuse_a_change_of_the_password(
    api: Api, anna: Session, configure: Configure
) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME="3/hour", RATE_LIMIT_LOGIN_PER_ADDRESS="3/hour")
    for _ in range(4):
        api.login("anna", "guess")
    check_error(api.login("anna", OLD), 429)
    check_success(change(api, anna))


def test_device_that_changed_the_password_stays_known(api: Api, anna: Session, configure: Configure) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME="1/hour")
    device = change(api, anna).cookie.partition(";")[0]
    check_error(api.login("anna", "guess"), 401)
    check_error(api.login("anna", NEW), 429)
    check_success(api.login("anna", NEW, headers={"Cookie": device}))


def test_page_of_another_origin_changes_no_password(api: Api, anna: Session) -> None:
    headers = {"Cookie": f"session={anna.token}", "Origin": "https://evil.example"}
    body = {"current_password": OLD, "new_password": NEW}
    check_error(api.post("/auth/password", headers=headers, json_body=body), 403)
    check_success(api.login("anna", OLD))


def test_new_password_costs_what_the_settings_say(
    api: Api, sign_in: SignIn, configure: Configure, world: World
) -> None:
    configure(BCRYPT_COST="5")
    check_success(change(api, sign_in()))
    (row,) = [row for row in world.rows("users") if row["username"] == {"S": "anna"}]
    assert row["password_hash"]["S"].startswith("$2b$05$")
