"""Sessions: accepted by cookie and Bearer, and dead when they should be."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from chalicelib.accounts import sessions
from chalicelib.accounts import users as accounts
from chalicelib.accounts.sessions import MAX_LIVE_SESSIONS
from tests.unit.api import Api, Session
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import check_error, check_rate_limit_headers, check_success, user_json
from tests.unit.world import World


def status(api: Api, session: Session) -> int:
    return api.get("/auth/me", session).status


def test_me_tells_who_is_signed_in(any_api: Api, anna: Session) -> None:
    answer = any_api.get("/auth/me", anna)
    check_success(answer)
    check_rate_limit_headers(answer)
    assert answer.json == {"user": user_json(anna.caller)}
    assert answer.json["user"]["role"] == "owner"


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer {}"},
        {"authorization": "bearer {}"},
        {"Authorization": "Bearer   {}  "},
        {"Cookie": "session={}"},
        {"cookie": "a=b; session={}; c=d"},
        # Other cookies of the same host are whatever other programs put there.
        {"Cookie": 'settings={{"dark": true, "tabs": [1, 2]}}; session={}'},
        {"Cookie": "weird; =; a b=c d; session={}"},
        {"Cookie": "caf\u00e9=\u00fc; session={}"},
        {"Cookie": "session2=x; xsession=y; session={}"},
    ],
)
def test_token_is_accepted_as_cookie_and_as_bearer(any_api: Api, anna: Session, header: dict[str, str]) -> None:
    headers = {name: value.format(anna.token) for name, value in header.items()}
    check_success(any_api.get("/auth/me", headers=headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer " + "x" * 100_000},
        {"Authorization": "Bearer \u00fc\u00ff"},
        {"Authorization": "Basic YW5uYTpjb3JyZWN0"},
        {"Cookie": "session="},
        {"Cookie": "session"},
        {"Cookie": "session=\x00\x01"},
        {"Cookie": ";;;=;"},
        {"Cookie": 'session="quoted; nonsense"'},
        {"Cookie": "$Version=1; $Path=/"},
    ],
)
def test_no_live_token_is_401(any_api: Api, headers: dict[str, str]) -> None:
    answer = any_api.get("/auth/me", headers=headers)
    assert "Sign in" in check_error(answer, 401)
    check_rate_limit_headers(answer)


def test_stored_hash_is_not_a_token(api: Api, anna: Session, world: World) -> None:
    for row in world.rows("sessions"):
        answer = api.get("/auth/me", headers={"Authorization": f"Bearer {row['token_hash']['S']}"})
        check_error(answer, 401)


def test_secure_stage_reads_the_prefixed_cookie_only(api: Api, configure: Configure) -> None:
    configure(COOKIE_SECURE="true")
    token = api.login("anna", "correct-horse-anna").token
    check_success(api.get("/auth/me", headers={"Cookie": f"__Host-session={token}"}))
    check_error(api.get("/auth/me", headers={"Cookie": f"session={token}"}), 401)


def test_after_logout_the_session_is_dead(any_api: Api, sign_in: SignIn, world: World) -> None:
    anna, other = sign_in(), sign_in()
    answer = any_api.post("/auth/logout", anna)
    check_success(answer)
    assert answer.json == {"success": True}
    assert answer.cookie == "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    check_error(any_api.get("/auth/me", anna), 401)
    check_error(any_api.post("/auth/logout", anna), 401)
    assert status(any_api, other) == 200
    assert len(world.rows("sessions")) == 1


def test_logout_by_cookie_clears_the_secure_cookie(api: Api, configure: Configure) -> None:
    configure(COOKIE_SECURE="true")
    token = api.login("anna", "correct-horse-anna").token
    answer = api.post("/auth/logout", headers={"Cookie": f"__Host-session={token}"})
    assert answer.cookie == "__Host-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"


@pytest.mark.parametrize("elapsed_seconds", [-5, 5])
def test_session_ends_after_its_absolute_time(
    api: Api, configure: Configure, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, elapsed_seconds: int
) -> None:
    """DynamoDB removes expired rows up to days late, so a row that is still there must not help."""
    configure(SESSION_TTL_SECONDS=3600)
    anna = sign_in()
    for _ in range(3):
        assert status(api, anna) == 200
    later = time.time() + 3600 + elapsed_seconds
    monkeypatch.setattr(time, "time", lambda: later)
    assert status(api, anna) == (200 if elapsed_seconds < 0 else 401)


def test_session_lives_24_hours_by_default(configure: Configure, sign_in: SignIn, world: World) -> None:
    configure(SESSION_TTL_SECONDS=None)
    sign_in()
    expires_at = int(world.rows("sessions")[0]["expires_at"]["N"])
    assert abs(expires_at - time.time() - 24 * 3600) < 60


def test_disabled_user_is_out_at_once(api: Api, sign_in: SignIn, world: World) -> None:
    signed_in, colleague = [sign_in(), sign_in()], sign_in("albert")
    accounts.set_disabled(world.stores, "anna", True)
    assert [status(api, session) for session in signed_in] == [401, 401]
    accounts.set_disabled(world.stores, "anna", False)
    assert [status(api, session) for session in signed_in] == [401, 401]
    assert status(api, colleague) == 200


def test_changed_password_ends_every_session(api: Api, sign_in: SignIn, world: World) -> None:
    signed_in, colleague = [sign_in(), sign_in()], sign_in("albert")
    accounts.set_password(world.stores, "anna", "entirely-new-password")
    assert [status(api, session) for session in signed_in] == [401, 401]
    check_error(api.login("anna", "correct-horse-anna"), 401)
    check_success(api.login("anna", "entirely-new-password"))
    assert status(api, colleague) == 200


def test_one_session_too_many_ends_the_oldest(api: Api, sign_in: SignIn, world: World) -> None:
    oldest = [sign_in() for _ in range(MAX_LIVE_SESSIONS)]
    assert status(api, oldest[0]) == 200
    newest = [sign_in(), sign_in()]
    assert [status(api, s) for s in (*oldest, *newest)] == [401, 401] + [200] * MAX_LIVE_SESSIONS
    assert len(world.rows("sessions")) == MAX_LIVE_SESSIONS


def test_twenty_sessions_of_a_user_live_side_by_side() -> None:
    assert MAX_LIVE_SESSIONS == 20


def test_sessions_that_were_ended_take_no_room(api: Api, sign_in: SignIn) -> None:
    """A script that logs in and out all day must not end the session in its user's browser."""
    browser = sign_in()
    for _ in range(MAX_LIVE_SESSIONS + 1):
        check_success(api.post("/auth/logout", sign_in()))
    assert status(api, browser) == 200


def test_expired_sessions_take_no_room(
    api: Api, sign_in: SignIn, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(MAX_LIVE_SESSIONS):
        sign_in()
    later = time.time() + 24 * 3600 + 1
    monkeypatch.setattr(time, "time", lambda: later)
    fresh = sign_in()
    assert status(api, fresh) == 200
    assert len(world.stores.users.find_by_username("anna").live_sessions) == 1  # type: ignore[union-attr]


@pytest.fixture
def whole_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto undoes a failed transaction by putting back all tables as they were, and with them what others wrote."""
    lock, answer = threading.Lock(), BotocoreStubber.__call__

    def answer_alone(*arguments: Any, **options: Any) -> Any:
        with lock:
            return answer(*arguments, **options)

    monkeypatch.setattr(BotocoreStubber, "__call__", answer_alone)


@pytest.mark.usefixtures("whole_calls")
def test_many_logins_at_once_all_work(world: World) -> None:
    with ThreadPoolExecutor(4) as pool:
        signed_in = list(pool.map(lambda _: sessions.login(world.stores, "anna", "correct-horse-anna"), range(4)))
    assert {sessions.authenticate(world.stores, session.token) for session in signed_in} == {world.caller("anna")}
    assert len(world.rows("sessions")) == 4
