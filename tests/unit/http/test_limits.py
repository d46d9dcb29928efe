"""How often one may ask. The counters are those of the process here; the integration tests use a real Valkey."""

from __future__ import annotations

import time

import pytest

from chalicelib.accounts import users as accounts
from chalicelib.accounts.devices import DEVICE_TTL_SECONDS
from tests.aws_calls import aws_calls
from tests.unit.api import Api, Session
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import check_error, check_rate_limit_headers, check_success
from tests.unit.keys import make_key
from tests.unit.world import World

PASSWORD = "correct-horse-anna"


@pytest.fixture
def default_limits(configure: Configure) -> None:
    names = (
        "LOGIN_PER_ADDRESS",
        "LOGIN_PER_USERNAME",
        "LOGIN_PER_USERNAME_AND_ADDRESS",
        "UPLOADS",
        "ANONYMOUS",
        "SIGNED_IN",
    )
    configure(**{f"RATE_LIMIT_{name}": None for name in names})


def test_sixth_login_of_a_minute_is_429_even_with_the_right_password(any_api: Api, default_limits: None) -> None:
    for number in range(5):
        answer = any_api.login("anna", "wrong" if number else PASSWORD)
        assert answer.status == (401 if number else 200)
        assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("5", str(4 - number))
    with aws_calls() as calls:
        answer = any_api.login("anna", PASSWORD)
    assert "Too many login attempts" in check_error(answer, 429)
    check_rate_limit_headers(answer)
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert calls == [], "what is refused costs nothing"


def test_after_the_wait_that_is_named_it_goes_on(
    api: Api, default_limits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        answer = api.login("anna", "wrong")
    wait_seconds = int(check_and_read(answer.headers["Retry-After"]))
    later = time.time() + wait_seconds
    monkeypatch.setattr(time, "time", lambda: later)
    check_success(api.login("anna", PASSWORD))


def check_and_read(value: str) -> int:
    assert value.isdecimal()
    return int(value)


def test_logins_are_counted_by_address(api: Api, default_limits: None) -> None:
    api.transport = "gateway"
    for _ in range(5):
        api.login("anna", "wrong")
    assert api.login("berta", "wrong").status == 429
    api.address = "198.51.100.9"
    assert api.login("anna", PASSWORD).status == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP"])
def test_address_can_not_be_made_up(any_api: Api, default_limits: None, header: str) -> None:
    statuses = [any_api.post("/auth/login", headers={header: f"198.51.100.{n}"}).status for n in range(3)]
    assert statuses == [415] * 3
    attempts = [any_api.login("anna", "wrong", headers={header: f"198.51.100.{number}"}).status for number in range(6)]
    assert attempts == [401] * 5 + [429]


def test_logins_are_counted_by_username_over_all_addresses(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_LOGIN_PER_ADDRESS="5/minute", RATE_LIMIT_LOGIN_PER_USERNAME="8/hour")
    api.transport = "gateway"
    statuses = []
    for number in range(10):
        api.address = f"198.51.100.{number}"
        statuses.append(api.login("anna" if number % 2 else " ANNA ", "wrong").status)
    assert statuses == [401] * 8 + [429] * 2
    assert api.login("berta", "rosebud-berta-1941").status == 200


def test_failed_logins_for_a_name_are_counted_tightly_by_address(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS="2/hour")
    api.transport = "gateway"
    assert [api.login("anna", "wrong").status for _ in range(3)] == [401, 401, 429]
    assert api.login("berta", "wrong").status == 401
    api.address = "198.51.100.9"
    check_success(api.login("anna", PASSWORD))


def test_right_passwords_count_as_no_failure(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS="1/hour", RATE_LIMIT_LOGIN_PER_USERNAME="1/hour")
    assert [api.login("anna", PASSWORD).status for _ in range(3)] == [200] * 3
    assert [api.login("anna", "wrong").status for _ in range(2)] == [401, 429]


def known_device(api: Api, username: str = "anna", password: str = PASSWORD, cookie: str | None = None) -> str:
    """The device cookie of a login that succeeds, as a browser sends it back."""
    sent = {"Cookie": cookie} if cookie else {}
    event_transport, api.transport = api.transport, "gateway"
    cookies = api.login_cookies(username, password, sent)
    api.transport = event_transport
    [device] = [c for c in cookies if c.startswith("device=")]
    assert "; HttpOnly; SameSite=Lax" in device
    return device.partition(";")[0]


def test_who_guesses_from_everywhere_does_not_refuse_a_known_device(api: Api, default_limits: None) -> None:
    """Fifty wrong logins from ten addresses, and then until the name's limit refuses strangers."""
    device = known_device(api)
    api.transport = "gateway"
    refused = 0
    for number in range(105):
        api.address = f"198.51.100.{number // 5}"
        refused += api.login("anna", "wrong").status == 429
        if number == 49:
            api.address = "192.0.2.1"
            check_success(api.login("anna", PASSWORD))
    assert refused == 5
    api.address = "192.0.2.2"
    with aws_calls() as calls:
        check_error(api.login("anna", PASSWORD), 429)
    assert calls == [], "what is refused costs nothing"
    check_success(api.login("anna", PASSWORD, headers={"Cookie": device}))


def test_device_of_another_user_or_made_up_opens_nothing(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME="1/hour")
    albert, anna = known_device(api, "albert", "battery-staple-albert"), known_device(api)
    assert api.login("anna", "wrong").status == 401
    forged = f"device=9999999999.{'A' * 22}.{'A' * 43}"
    longer = "device=9" + anna.partition("=")[2][1:]
    for cookie in (albert, forged, longer, "device=~~~", "device=" + "x" * 5000, anna[:-1]):
        check_error(api.login("anna", PASSWORD, headers={"Cookie": cookie}), 429)
    both = known_device(api, "albert", "battery-staple-albert", anna)
    check_success(api.login("anna", PASSWORD, headers={"Cookie": both}))


def test_stolen_device_cookie_is_no_free_way_to_guess(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME="1/hour", RATE_LIMIT_LOGIN_PER_DEVICE="2/hour")
    stolen = {"Cookie": known_device(api)}
    statuses = [api.login("anna", "wrong", headers=stolen).status for _ in range(4)]
    assert statuses == [401, 401, 401, 429], "two of the device, then one of a stranger"


def test_new_password_ends_the_trust_in_devices(api: Api, configure: Configure, world: World) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME="1/hour")
    device = {"Cookie": known_device(api)}
    accounts.set_password(world.stores, "anna", "another-good-password")
    assert api.login("anna", "wrong").status == 401
    check_error(api.login("anna", "another-good-password", headers=device), 429)


def test_trust_in_a_device_ends(api: Api, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME="1/hour")
    device = {"Cookie": known_device(api)}
    later = time.time() + DEVICE_TTL_SECONDS
    monkeypatch.setattr(time, "time", lambda: later)
    assert api.login("anna", "wrong").status == 401
    check_error(api.login("anna", PASSWORD, headers=device), 429)


def test_eleventh_upload_of_a_minute_is_429(api: Api, default_limits: None, world: World, sign_in: SignIn) -> None:
    anna, albert = sign_in("anna"), sign_in("albert")
    for number in range(10):
        answer = api.upload(anna)
        check_success(answer, 201)
        assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("10", str(9 - number))
    answer = api.upload(anna)
    assert "uploads" in check_error(answer, 429)
    check_rate_limit_headers(answer)
    assert len(world.rows("files")) == 10
    check_success(api.upload(albert), 201)
    check_success(api.get("/files", anna))


def test_requests_without_a_session_are_limited_per_address(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_ANONYMOUS="5/day;3/hour")
    api.transport = "gateway"
    answers = [api.get("/files") for _ in range(4)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429]
    for answer in answers:
        check_rate_limit_headers(answer)
    api.address = "198.51.100.9"
    assert api.get("/files").status == 401


def test_session_is_not_held_up_by_strangers_at_the_same_address(api: Api, configure: Configure, anna: Session) -> None:
    configure(RATE_LIMIT_ANONYMOUS="1/hour")
    api.get("/files")
    assert api.get("/files").status == 429
    check_success(api.get("/files", anna))


def test_signed_in_users_have_a_wide_limit_each(api: Api, configure: Configure, sign_in: SignIn) -> None:
    configure(RATE_LIMIT_SIGNED_IN="3/minute")
    anna, albert = sign_in("anna"), sign_in("albert")
    answers = [api.get("/auth/me", anna) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    for answer in answers:
        check_rate_limit_headers(answer)
    check_error(answers[-1], 429)
    assert api.get("/auth/me", albert).status == 200


def test_each_key_has_a_limit_of_its_own(api: Api, configure: Configure, anna: Session) -> None:
    first, second = make_key(api, anna), make_key(api, anna)
    configure(RATE_LIMIT_API_KEY="3/minute", RATE_LIMIT_SIGNED_IN="4/minute")
    answers = [api.get("/auth/me", first) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    for answer in answers:
        check_rate_limit_headers(answer)
    assert "API key" in check_error(answers[-1], 429)
    assert [api.get("/auth/me", second).status for _ in range(4)] == [200, 200, 200, 429]
    assert [api.get("/auth/me", anna).status for _ in range(5)] == [200, 200, 200, 200, 429]


def test_uploads_of_a_key_are_limited_like_those_of_a_user(api: Api, configure: Configure, anna: Session) -> None:
    key = make_key(api, anna)
    configure(RATE_LIMIT_UPLOADS="2/minute")
    assert [api.upload(key).status for _ in range(3)] == [201, 201, 429]
    assert [api.upload(anna).status for _ in range(3)] == [201, 201, 429]


def test_tickets_of_a_key_are_limited_like_those_of_a_user(api: Api, configure: Configure, anna: Session) -> None:
    key = make_key(api, anna)
    configure(RATE_LIMIT_TICKETS="2/hour")
    assert [api.post("/auth/ticket", key).status for _ in range(3)] == [201, 201, 429]


def test_wrong_keys_count_as_requests_without_a_session(api: Api, configure: Configure, anna: Session) -> None:
    key = make_key(api, anna)
    configure(RATE_LIMIT_ANONYMOUS="3/hour")
    wrong = {"Authorization": f"Bearer {key.token[:-1]}"}
    assert [api.get("/auth/me", headers=wrong).status for _ in range(4)] == [401, 401, 401, 429]
    check_success(api.get("/auth/me", key))


def test_health_checks_have_a_limit_of_their_own(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_ANONYMOUS="1/day", RATE_LIMIT_HEALTH="3/minute")
    for _ in range(3):
        check_success(api.get("/health"))
    with aws_calls() as calls:
        check_error(api.get("/health"), 429)
    assert calls == []


def test_tickets_are_limited_per_user(api: Api, configure: Configure, sign_in: SignIn, world: World) -> None:
    configure(RATE_LIMIT_TICKETS="2/hour")
    anna, albert = sign_in("anna"), sign_in("albert")
    statuses = [api.post("/auth/ticket", anna).status for _ in range(3)]
    assert statuses == [201, 201, 429]
    assert api.post("/auth/ticket", albert).status == 201


def test_requests_without_any_token_use_up_nothing_that_a_login_needs(api: Api, configure: Configure) -> None:
    configure(RATE_LIMIT_ANONYMOUS="2/hour", RATE_LIMIT_LOGIN_PER_ADDRESS=None)
    with aws_calls() as calls:
        assert [api.get("/auth/me").status for _ in range(3)] == [401, 401, 429]
    assert calls == []
    expired = {"Cookie": "session=ended"}
    assert [api.get("/auth/me", headers=expired).status for _ in range(3)] == [401, 401, 429]
    check_success(api.login("anna", PASSWORD))
