"""A user's own sessions: seen, ended, and ended by themselves when nobody uses them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from chalicelib.accounts import users as accounts
from chalicelib.accounts.sessions import MAX_LIVE_SESSIONS, NOTED_EVERY_SECONDS, note_use
from tests.aws_calls import aws_calls, refused, unreachable
from tests.unit.api import ADDRESS, Api, Session
from tests.unit.cloud import STACK
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import ISO_UTC, check_error, check_rate_limit_headers, check_success
from tests.unit.logbook import Logbook
from tests.unit.world import World

HOUR = 3600
READ, WRITE = "dynamodb.GetItem", "dynamodb.UpdateItem"


def listed(api: Api, session: Session) -> list[dict[str, Any]]:
    answer = api.get("/auth/sessions", session)
    check_success(answer)
    found: list[dict[str, Any]] = answer.json["sessions"]
    return found


def status(api: Api, session: Session) -> int:
    return api.get("/auth/me", session).status


def later(seconds: float) -> time_machine.travel:
    return time_machine.travel(datetime.now() + timedelta(seconds=seconds), tick=True)


def test_sessions_are_listed_newest_first(any_api: Api, sign_in: SignIn, world: World) -> None:
    sessions = [sign_in(), sign_in(), sign_in()]
    sign_in("albert")
    answer = any_api.get("/auth/sessions", sessions[1])
    check_success(answer)
    check_rate_limit_headers(answer)
    found = answer.json["sessions"]
    assert [one["current"] for one in found] == [False, True, False]
    assert len({one["id"] for one in found}) == 3
    for one in found:
        assert set(one) == {"id", "created_at", "last_used_at", "expires_at", "address", "program", "current"}
        assert all(ISO_UTC.fullmatch(one[name]) for name in ("created_at", "last_used_at", "expires_at"))


def test_it_says_where_a_session_was_started(api: Api, anna: Session) -> None:
    api.transport, api.address = "gateway", "2001:db8:1:2:3:4:5:6"
    program = "Mozilla/5.0 (X11; Linux x86_64)"
    check_success(api.login("anna", anna.password, headers={"User-Agent": program}))
    newest = listed(api, anna)[0]
    assert (newest["address"], newest["program"]) == ("2001:db8:1:2::/64", program)
    api.address = ADDRESS
    check_success(api.login("anna", anna.password))
    assert (listed(api, anna)[0]["address"], listed(api, anna)[0]["program"]) == (ADDRESS, "")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("x" * 5000, "x" * 200),
        ("a\tb\x00c\x7f\u202egpj\u200b", "abcgpj"),
        ("  curl/8 \x1b[31m ", "curl/8 [31m"),
        ("\ud800\ue000", ""),
    ],
)
def test_program_is_cut_and_cleaned(api: Api, anna: Session, told: str, kept: str) -> None:
    api.transport = "gateway"
    check_success(api.login("anna", anna.password, headers={"User-Agent": told}))
    assert listed(api, anna)[0]["program"] == kept


def test_no_answer_shows_what_is_stored_of_a_token(api: Api, sign_in: SignIn, world: World) -> None:
    session = sign_in()
    (row,) = world.rows("sessions")
    text = api.get("/auth/sessions", session).body.decode()
    assert row["token_hash"]["S"] not in text
    assert session.token not in text
    # Events name a session by it; where sessions are looked up it is of no use.
    assert listed(api, session)[0]["id"] not in str([world.rows("sessions"), world.rows("users")])


def test_listing_costs_three_reads_however_many_there_are(api: Api, sign_in: SignIn) -> None:
    for _ in range(MAX_LIVE_SESSIONS + 1):
        session = sign_in()
    with aws_calls() as made:
        assert len(listed(api, session)) == MAX_LIVE_SESSIONS
    assert made == [READ, READ, "dynamodb.BatchGetItem"]


def test_one_session_is_ended(any_api: Api, sign_in: SignIn, world: World) -> None:
    this, other, colleague = sign_in(), sign_in(), sign_in("albert")
    (found,) = [one for one in listed(any_api, this) if not one["current"]]
    check_success(any_api.delete(f"/auth/sessions/{found['id']}", this), 204)
    assert [status(any_api, one) for one in (this, other, colleague)] == [200, 401, 200]
    check_error(any_api.delete(f"/auth/sessions/{found['id']}", this), 404)
    assert len(world.rows("sessions")) == 2


def test_the_session_that_asks_can_be_ended(api: Api, sign_in: SignIn) -> None:
    this, other = sign_in(), sign_in()
    (found,) = [one for one in listed(api, this) if one["current"]]
    check_success(api.delete(f"/auth/sessions/{found['id']}", this), 204)
    assert [status(api, one) for one in (this, other)] == [401, 200]


def test_all_the_others_are_ended(any_api: Api, sign_in: SignIn) -> None:
    others, this, colleague = [sign_in(), sign_in()], sign_in(), sign_in("albert")
    answer = any_api.delete("/auth/sessions", this)
    check_success(answer)
    assert answer.json == {"ended_sessions": 2}
    assert [status(any_api, one) for one in (*others, this, colleague)] == [401, 401, 200, 200]
    assert any_api.delete("/auth/sessions", this).json == {"ended_sessions": 0}
    assert len(listed(any_api, this)) == 1


def test_session_of_somebody_else_is_404(api: Api, sign_in: SignIn, berta: Session, world: World) -> None:
    anna, albert = sign_in(), sign_in("albert")
    (of_anna,) = listed(api, anna)
    before = world.snapshot()
    for other in (albert, berta):
        answer = api.delete(f"/auth/sessions/{of_anna['id']}", other)
        check_error(answer, 404)
        assert answer.json["code"] == "session_not_found"
    assert world.snapshot() == before


def test_upload_ticket_is_no_session_of_the_list(api: Api, sign_in: SignIn) -> None:
    anna = sign_in()
    check_success(api.post("/auth/ticket", anna), 201)
    assert len(listed(api, anna)) == 1


# ---- ending by itself ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("elapsed_seconds", [-5, 5])
def test_session_that_lies_idle_ends(api: Api, configure: Configure, sign_in: SignIn, elapsed_seconds: int) -> None:
    configure(SESSION_IDLE_SECONDS=HOUR)
    anna = sign_in()
    with later(HOUR + elapsed_seconds):
        assert status(api, anna) == (200 if elapsed_seconds < 0 else 401)


def test_session_in_use_goes_on(api: Api, configure: Configure, sign_in: SignIn) -> None:
    configure(SESSION_IDLE_SECONDS=HOUR)
    anna = sign_in()
    for number in range(1, 12):
        with later(number * HOUR / 2):
            assert status(api, anna) == 200
    with later(7 * HOUR):
        assert status(api, anna) == 401


def test_upload_by_ticket_is_a_use(api: Api, configure: Configure, sign_in: SignIn) -> None:
    configure(SESSION_IDLE_SECONDS=HOUR)
    anna = sign_in()
    path = api.post("/auth/ticket", anna).json["base_path"]
    with later(HOUR - 60):
        assert api.get(f"{path}/s3/params?filename=a.txt&metadata[size]=1").status == 200
    with later(HOUR + 60):
        assert status(api, anna) == 200


def test_ticket_of_an_idle_session_is_dead(api: Api, configure: Configure, sign_in: SignIn) -> None:
    configure(SESSION_IDLE_SECONDS=1800)
    anna = sign_in()
    path = api.post("/auth/ticket", anna).json["base_path"]
    with later(1801):
        check_error(api.get(f"{path}/s3/params?filename=a.txt&metadata[size]=1"), 401)


def test_session_lives_12_hours_without_use_by_default(configure: Configure, world: World) -> None:
    configure(SESSION_IDLE_SECONDS=None)
    assert world.stores.settings.session_idle_seconds == 12 * HOUR


def test_idle_sessions_are_not_listed(api: Api, configure: Configure, sign_in: SignIn) -> None:
    configure(SESSION_IDLE_SECONDS=HOUR)
    sign_in()
    with later(HOUR + 5):
        assert len(listed(api, sign_in())) == 1


def test_use_is_written_down_once_in_ten_minutes(api: Api, sign_in: SignIn) -> None:
    anna = sign_in()
    for minute in range(0, 61, 2):
        with later(minute * 60 + 1), aws_calls() as made:
            assert status(api, anna) == 200
        assert made == ([READ, WRITE] if minute and minute % 10 == 0 else [READ])
    assert NOTED_EVERY_SECONDS == 600


def test_requests_at_the_same_moment_write_once(sign_in: SignIn, world: World) -> None:
    sign_in()
    (row,) = world.rows("sessions")
    session = world.stores.sessions.find(row["token_hash"]["S"])
    assert session is not None
    with later(2 * HOUR):
        note_use(world.stores, session)
        first = world.rows("sessions")
    with later(3 * HOUR):
        # Read before the first one wrote.
        note_use(world.stores, session)
        assert world.rows("sessions") == first


def test_session_that_ends_meanwhile_does_not_come_back(api: Api, sign_in: SignIn, world: World) -> None:
    sign_in()
    (row,) = world.rows("sessions")
    session = world.stores.sessions.find(row["token_hash"]["S"])
    assert session is not None
    accounts.set_password(world.stores, "anna", "entirely-new-password")
    with later(2 * HOUR):
        note_use(world.stores, session)
    assert world.rows("sessions") == []


def test_request_does_not_fail_with_the_note(api: Api, sign_in: SignIn, logbook: Logbook) -> None:
    anna = sign_in()
    with later(HOUR):
        with unreachable(WRITE):
            assert status(api, anna) == 200
        with refused(WRITE):
            assert status(api, anna) == 200
    assert "was not written down" in logbook.output


def test_session_from_before_there_were_notes(api: Api, configure: Configure, sign_in: SignIn, world: World) -> None:
    """Its start counts as its last use, and it is noted from then on."""
    configure(SESSION_IDLE_SECONDS=2 * HOUR)
    anna = sign_in()
    (row,) = world.rows("sessions")
    world.cloud.dynamodb.update_item(
        TableName=f"{STACK}-sessions",
        Key={"token_hash": row["token_hash"]},
        UpdateExpression="REMOVE used_at, address, program",
    )
    (found,) = listed(api, anna)
    assert (found["address"], found["program"]) == (None, None)
    assert found["last_used_at"][:19] == found["created_at"][:19]
    with later(HOUR):
        assert status(api, anna) == 200
        assert abs(int(world.rows("sessions")[0]["used_at"]["N"]) - time.time()) < 60
    with later(3 * HOUR + 60):
        assert status(api, anna) == 401


# ---- the token in the body -------------------------------------------------------------------------------------------
def test_login_that_asks_for_it_gets_the_token_and_no_session_cookie(any_api: Api, anna: Session) -> None:
    body = {"username": "anna", "password": anna.password, "token": True}
    answer = any_api.post("/auth/login", json_body=body)
    check_success(answer)
    assert set(answer.json) == {"success", "user", "token"}
    assert answer.cookie.startswith("device="), "no cookie but the one that knows the device"
    check_success(any_api.get("/auth/me", headers={"Authorization": f"Bearer {answer.json['token']}"}))


def test_login_tells_no_token_unasked(any_api: Api, anna: Session) -> None:
    for extra in ({}, {"token": False}):
        answer = any_api.post("/auth/login", json_body={"username": "anna", "password": anna.password, **extra})
        assert set(answer.json) == {"success", "user"}
        assert answer.cookie.startswith("session=")


@pytest.mark.parametrize("wrong", ["true", 1, None, [], {}])
def test_token_that_is_no_boolean_is_400(any_api: Api, anna: Session, world: World, wrong: object) -> None:
    before = world.snapshot()
    body = {"username": "anna", "password": anna.password, "token": wrong}
    assert "token" in check_error(any_api.post("/auth/login", json_body=body), 400)
    assert world.snapshot() == before
