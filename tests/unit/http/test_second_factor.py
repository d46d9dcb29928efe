"""The second factor: set up with an authenticator, asked for at login, and each code good for once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
import time_machine

from chalicelib.accounts import challenges
from chalicelib.accounts import users as accounts
from chalicelib.accounts.sessions import Client, open_sessions
from chalicelib.kernel.errors import ChallengeEnded, WrongCode
from chalicelib.kernel.permissions import Role
from tests.aws_calls import aws_calls, just_before
from tests.unit.api import Answer, Api, Session
from tests.unit.authenticator import (
    Authenticator,
    begin,
    challenge,
    complete,
    confirm,
    set_up,
    stopped_clock,
)
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import check_error, check_success, user_json
from tests.unit.logbook import Logbook
from tests.unit.world import World

READ, TRANSACT = "dynamodb.GetItem", "dynamodb.TransactWriteItems"


@pytest.fixture(autouse=True)
def clock(world: World) -> Iterator[time_machine.Traveller]:
    with stopped_clock() as clock:
        yield clock


@pytest.fixture
def authenticator(api: Api, anna: Session, clock: time_machine.Traveller) -> Authenticator:
    """Anna's, whose next code is a fresh one."""
    made = set_up(api, anna)
    clock.shift(30)
    return made


def status(api: Api, session: Session) -> int:
    return api.get("/auth/me", session).status


def remove(api: Api, session: Session, code: str, password: str | None = None) -> Answer:
    body = {"password": password or session.password, "code": code}
    return api.delete("/auth/second-factor", session, json_body=body)


def renew(api: Api, session: Session, code: str, password: str | None = None) -> Answer:
    body = {"password": password or session.password, "code": code}
    return api.post("/auth/second-factor/recovery-codes", session, json_body=body)


# ---- setting up ------------------------------------------------------------------------------------------------------
def test_set_up_tells_what_an_authenticator_reads(any_api: Api, anna: Session) -> None:
    answer = begin(any_api, anna)
    check_success(answer)
    assert set(answer.json) == {"uri", "secret", "qr_svg"}
    uri = urlsplit(answer.json["uri"])
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/Strongroom:anna")
    assert parse_qs(uri.query) == {"secret": [answer.json["secret"]], "issuer": ["Strongroom"]}
    assert len(answer.json["secret"]) == 32, "160 bits in base32"
    drawn = ElementTree.fromstring(answer.json["qr_svg"])
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"


def test_nothing_changes_before_the_code_is_confirmed(api: Api, anna: Session) -> None:
    check_success(begin(api, anna))
    assert set(api.login("anna", anna.password).json) == {"success", "user"}
    assert api.get("/auth/me", anna).json["user"]["second_factor"] is False


def test_confirming_gives_ten_recovery_codes_and_ends_the_other_sessions(any_api: Api, sign_in: SignIn) -> None:
    other, this, colleague = sign_in(), sign_in(), sign_in("albert")
    made = set_up(any_api, this)
    assert len(set(made.recovery_codes)) == 10
    assert all(len(code.replace("-", "")) == 24 for code in made.recovery_codes)
    assert [status(any_api, one) for one in (other, this, colleague)] == [401, 200, 200]
    assert any_api.get("/auth/me", this).json["user"]["second_factor"] is True
    people = {user["username"]: user["second_factor"] for user in any_api.get("/users", this).json["users"]}
    assert people == {"anna": True, "albert": False}


@pytest.mark.parametrize("wrong", ["000000", "", "12345", "abcdef", "1234567", "١٢٣٤٥٦", "x" * 5000, "\x00" * 6])
def test_wrong_code_confirms_nothing(any_api: Api, anna: Session, world: World, wrong: str) -> None:
    begin(any_api, anna)
    before = world.snapshot()
    answer = confirm(any_api, anna, wrong)
    check_error(answer, 422 if wrong else 400)
    assert answer.json["code"] == ("wrong_code" if wrong else "bad_input")
    assert world.snapshot() == before


def test_confirming_takes_a_beginning(api: Api, anna: Session) -> None:
    check_error(confirm(api, anna, "123456"), 409)


def test_only_the_last_secret_can_be_confirmed(api: Api, anna: Session) -> None:
    first, second = (Authenticator(begin(api, anna).json["secret"]) for _ in range(2))
    check_error(confirm(api, anna, first.code()), 422)
    check_success(confirm(api, anna, second.code()))


def test_setting_up_takes_the_password(any_api: Api, anna: Session, world: World) -> None:
    before = world.snapshot()
    answer = any_api.post("/auth/second-factor/setup", anna, json_body={"password": "wrong"})
    check_error(answer, 422)
    assert answer.json["code"] == "wrong_password"
    check_error(any_api.post("/auth/second-factor/setup", anna, json_body={}), 400)
    assert world.snapshot() == before


def test_guessing_the_password_while_setting_up_is_limited(api: Api, anna: Session, configure: Configure) -> None:
    configure(RATE_LIMIT_PASSWORD=None)
    wrong = {"password": "wrong"}
    told = [api.post("/auth/second-factor/setup", anna, json_body=wrong).status for _ in range(6)]
    assert told == [422] * 5 + [429]


def test_another_authenticator_takes_a_code_of_the_one_before(
    api: Api, anna: Session, authenticator: Authenticator, clock: time_machine.Traveller
) -> None:
    check_error(begin(api, anna), 422)
    check_error(begin(api, anna, code="000000"), 422)
    another = Authenticator(begin(api, anna, code=authenticator.code()).json["secret"])
    clock.shift(30)
    check_success(complete(api, challenge(api, anna), authenticator.code()))
    check_success(confirm(api, anna, another.code()))
    clock.shift(30)
    token = challenge(api, anna)
    check_error(complete(api, token, authenticator.code()), 401)
    check_success(complete(api, token, another.code()))


def test_secret_is_shown_once_and_codes_are_kept_as_hashes(
    api: Api, anna: Session, authenticator: Authenticator, world: World
) -> None:
    stored = str(world.snapshot())
    assert not [code for code in authenticator.recovery_codes if code in stored or code.replace("-", "") in stored]
    for path in ("/auth/me", f"/users/{anna.caller.user_id}", "/users", "/auth/sessions"):
        told = api.get(path, anna).body.decode()
        assert authenticator.secret not in told


def test_no_repr_shows_a_secret(api: Api, authenticator: Authenticator, world: World) -> None:
    user = world.stores.users.find_by_username("anna")
    assert user is not None
    assert user.second_factor is not None
    assert authenticator.secret not in repr(user) + repr(user.second_factor)
    assert user.second_factor.recovery_codes[0] not in repr(user) + repr(user.second_factor)


# ---- logging in ------------------------------------------------------------------------------------------------------
def test_login_takes_the_code(any_api: Api, anna: Session, authenticator: Authenticator) -> None:
    answer = any_api.login("anna", anna.password)
    check_success(answer)
    assert answer.json == {"second_factor": "required", "challenge": answer.json["challenge"]}
    assert "set-cookie" not in answer.headers, "neither a session nor a known device"
    token = answer.json["challenge"]
    for scheme in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"session={token}"}):
        check_error(any_api.get("/auth/me", headers=scheme), 401)
    check_error(any_api.get(f"/t/{token}/s3/params?filename=a.txt&metadata[size]=1"), 401)
    done = complete(any_api, token, authenticator.code())
    check_success(done)
    me = any_api.get("/auth/me", headers={"Cookie": f"session={done.token}"}).json
    assert done.json == {"success": True, **me}
    assert me["user"]["second_factor"] is True
    assert me["user"]["scopes"], "with all that the role has"


def test_completed_login_gives_the_token_when_asked(any_api: Api, anna: Session, authenticator: Authenticator) -> None:
    done = complete(any_api, challenge(any_api, anna), authenticator.code(), token=True)
    check_success(done)
    assert done.cookie.startswith("device=")
    check_success(any_api.get("/auth/me", headers={"Authorization": f"Bearer {done.json['token']}"}))
    check_error(complete(any_api, "x", "123456", token="yes"), 400)


@pytest.mark.parametrize("password", ["wrong", "correct-horse-anna "])
def test_wrong_password_is_told_as_for_anyone(any_api: Api, authenticator: Authenticator, password: str) -> None:
    told = any_api.login("anna", password)
    assert check_error(told, 401) == "Wrong username or password."
    assert told.json["code"] == "wrong_credentials"


def test_login_costs_three_calls_in_each_half(api: Api, anna: Session, authenticator: Authenticator) -> None:
    with aws_calls() as made:
        token = challenge(api, anna)
    assert made == [READ, READ, "dynamodb.PutItem"]
    with aws_calls() as made:
        check_success(complete(api, token, authenticator.code()))
    assert made == [READ, READ, TRANSACT]


@pytest.mark.parametrize("seconds", [-30, 0, 30])
def test_clocks_may_differ_by_one_step(
    api: Api, anna: Session, authenticator: Authenticator, clock: time_machine.Traveller, seconds: int
) -> None:
    clock.shift(60)
    check_success(complete(api, challenge(api, anna), authenticator.code(seconds)))


@pytest.mark.parametrize("seconds", [-60, 60, -3000])
def test_clocks_may_not_differ_by_more(
    api: Api, anna: Session, authenticator: Authenticator, clock: time_machine.Traveller, seconds: int
) -> None:
    clock.shift(90)
    check_error(complete(api, challenge(api, anna), authenticator.code(seconds)), 401)


def test_code_counts_once(api: Api, anna: Session, authenticator: Authenticator) -> None:
    first, second = challenge(api, anna), challenge(api, anna)
    code = authenticator.code()
    check_success(complete(api, first, code))
    answer = complete(api, second, code)
    check_error(answer, 401)
    assert answer.json["code"] == "wrong_login_code"
    check_error(complete(api, second, authenticator.code(-30)), 401)
    check_success(complete(api, second, authenticator.code(30)))


def test_code_that_confirmed_is_used(api: Api, anna: Session) -> None:
    made = set_up(api, anna)
    check_error(complete(api, challenge(api, anna), made.code()), 401)


def test_recovery_code_counts_once(api: Api, anna: Session, authenticator: Authenticator) -> None:
    code, other = authenticator.recovery_codes[3], authenticator.recovery_codes[7]
    check_success(complete(api, challenge(api, anna), code.upper().replace("-", " ")))
    token = challenge(api, anna)
    check_error(complete(api, token, code), 401)
    check_success(complete(api, token, other))
    check_success(complete(api, challenge(api, anna), authenticator.code()))


def test_challenge_counts_once(api: Api, anna: Session, authenticator: Authenticator) -> None:
    token = challenge(api, anna)
    check_success(complete(api, token, authenticator.code()))
    answer = complete(api, token, authenticator.recovery_codes[0])
    check_error(answer, 401)
    assert answer.json["code"] == "challenge_ended"


@pytest.mark.parametrize("seconds", [299, 301])
def test_challenge_lives_five_minutes(
    api: Api, anna: Session, authenticator: Authenticator, clock: time_machine.Traveller, seconds: int
) -> None:
    token = challenge(api, anna)
    clock.shift(seconds)
    answer = complete(api, token, authenticator.code())
    if seconds < 300:
        check_success(answer)
    else:
        check_error(answer, 401)


def new_password(world: World, api: Api) -> None:
    accounts.set_password(world.stores, "anna", "entirely-new-password")


def disabling(world: World, api: Api) -> None:
    accounts.set_disabled(world.stores, "anna", True)


def reset(world: World, api: Api) -> None:
    accounts.reset_second_factor(world.stores, "anna")


def removal(world: World, api: Api) -> None:
    accounts.set_role(world.stores, "albert", Role.OWNER)
    user = world.stores.users.find_by_username("anna")
    assert user is not None
    world.stores.users.remove(user, open_sessions(user))


@pytest.mark.parametrize("change", [new_password, disabling, reset, removal])
def test_challenge_dies_with_a_change_of_the_user(
    api: Api,
    anna: Session,
    authenticator: Authenticator,
    world: World,
    change: Callable[[World, Api], None],
) -> None:
    token = challenge(api, anna)
    change(world, api)
    before = [row for row in world.rows("sessions") if "challenge_of" not in row]
    answer = complete(api, token, authenticator.code())
    check_error(answer, 401)
    assert answer.json["code"] == "challenge_ended"
    assert [row for row in world.rows("sessions") if "challenge_of" not in row] == before


@pytest.mark.parametrize("change", [new_password, disabling, reset])
def test_login_under_way_does_not_survive_a_change_of_the_user(
    api: Api,
    anna: Session,
    authenticator: Authenticator,
    world: World,
    unhurried: None,
    change: Callable[[World, Api], None],
) -> None:
    token = challenge(api, anna)
    with just_before(TRANSACT, lambda: change(world, api)):
        check_error(complete(api, token, authenticator.code()), 401)
    assert not [row for row in world.rows("sessions") if "challenge_of" not in row]


@pytest.mark.parametrize("token", ["x", "x" * 5000, "\x00", "ü"])
def test_unknown_challenge_is_401(any_api: Api, token: str) -> None:
    answer = complete(any_api, token, "123456")
    check_error(answer, 401)
    assert answer.json["code"] == "challenge_ended"
    assert int(answer.headers["RateLimit-Limit"]) > 0


def test_session_is_no_challenge(api: Api, anna: Session, authenticator: Authenticator) -> None:
    check_error(complete(api, anna.token, authenticator.code()), 401)


@pytest.mark.parametrize(
    "body", [{}, {"challenge": "x"}, {"code": "1"}, {"challenge": 1, "code": "1"}, {"challenge": "x", "code": 123456}]
)
def test_body_without_challenge_and_code_is_400(any_api: Api, body: dict[str, Any]) -> None:
    check_error(any_api.post("/auth/second-factor", json_body=body), 400)


# ---- limits ----------------------------------------------------------------------------------------------------------
def test_five_wrong_codes_a_login(api: Api, anna: Session, authenticator: Authenticator, configure: Configure) -> None:
    configure(RATE_LIMIT_SECOND_FACTOR="1000/minute")
    token = challenge(api, anna)
    told = [complete(api, token, "000000").status for _ in range(6)]
    assert told == [401] * 5 + [429]
    check_error(complete(api, token, authenticator.code()), 429)
    check_success(complete(api, challenge(api, anna), authenticator.code()))


def test_five_wrong_codes_a_minute_and_twenty_an_hour(
    api: Api, anna: Session, authenticator: Authenticator, clock: time_machine.Traveller, configure: Configure
) -> None:
    configure(RATE_LIMIT_LOGIN_PER_ADDRESS="1000/minute")
    for _ in range(4):
        told = [complete(api, challenge(api, anna), "000000").status for _ in range(6)]
        assert told == [401] * 5 + [429]
        clock.shift(61)
    answer = complete(api, challenge(api, anna), authenticator.code())
    assert "wrong codes" in check_error(answer, 429)
    clock.shift(3600)
    check_success(complete(api, challenge(api, anna), authenticator.code()))


def test_wrong_codes_of_a_session_and_of_logins_are_counted_together(
    api: Api, anna: Session, authenticator: Authenticator
) -> None:
    told = [confirm(api, anna, "000000").status for _ in range(2)] + [remove(api, anna, "000000").status]
    assert told == [409, 409, 422], "what is no guess is not counted"
    for _ in range(4):
        check_error(complete(api, challenge(api, anna), "000000"), 401)
    check_error(complete(api, challenge(api, anna), authenticator.code()), 429)


def test_right_codes_are_not_counted(
    api: Api, anna: Session, authenticator: Authenticator, clock: time_machine.Traveller, configure: Configure
) -> None:
    configure(RATE_LIMIT_LOGIN_PER_ADDRESS="1000/minute", RATE_LIMIT_SECOND_FACTOR="2/hour")
    for _ in range(5):
        check_success(complete(api, challenge(api, anna), authenticator.code()))
        clock.shift(30)


def test_who_does_not_know_the_password_uses_up_nobody_s_codes(
    api: Api, anna: Session, authenticator: Authenticator
) -> None:
    for _ in range(10):
        check_error(complete(api, "no-challenge-of-ours", "000000"), 401)
    check_success(complete(api, challenge(api, anna), authenticator.code()))


# ---- at the same time ------------------------------------------------------------------------------------------------
@pytest.fixture
def whole_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto undoes a failed transaction by putting back all tables as they were, and with them what others wrote."""
    import threading

    from moto.core.botocore_stubber import BotocoreStubber

    lock, answer = threading.Lock(), BotocoreStubber.__call__

    def answer_alone(*arguments: Any, **options: Any) -> Any:
        with lock:
            return answer(*arguments, **options)

    monkeypatch.setattr(BotocoreStubber, "__call__", answer_alone)


def race(world: World, attempts: list[tuple[str, str]]) -> list[str]:
    """Complete logins at the same moment: a token for each that worked, and the error for each that did not."""

    def attempt(pair: tuple[str, str]) -> str:
        try:
            return challenges.complete_login(world.stores, *pair, Client()).token
        except (ChallengeEnded, WrongCode) as error:
            return type(error).__name__

    with ThreadPoolExecutor(len(attempts)) as pool:
        return list(pool.map(attempt, attempts))


def won(outcomes: list[str]) -> list[str]:
    return [outcome for outcome in outcomes if outcome not in ("ChallengeEnded", "WrongCodeAtLogin")]


@pytest.mark.usefixtures("whole_calls")
@pytest.mark.parametrize("kind", ["code", "recovery code", "challenge"])
def test_used_by_many_at_once_it_counts_for_one(
    api: Api, anna: Session, authenticator: Authenticator, world: World, configure: Configure, kind: str
) -> None:
    configure(RATE_LIMIT_LOGIN_PER_ADDRESS="1000/minute", RATE_LIMIT_SECOND_FACTOR="1000/minute")
    tokens = [challenge(api, anna) for _ in range(1 if kind == "challenge" else 4)]
    if kind == "challenge":
        attempts = [(tokens[0], code) for code in authenticator.recovery_codes[:4]]
    else:
        code = authenticator.code() if kind == "code" else authenticator.recovery_codes[0]
        attempts = [(token, code) for token in tokens]
    outcomes = race(world, attempts)
    assert len(won(outcomes)) == 1
    user = world.stores.users.find_by_username("anna")
    assert user is not None
    assert user.second_factor is not None
    assert len(user.live_sessions) == 2, "the one that set it up, and the one that won"
    assert len(user.second_factor.recovery_codes) == (10 if kind == "code" else 9)


@pytest.mark.parametrize("kind", ["code", "recovery code", "challenge"])
def test_second_use_between_reading_and_writing_loses(
    api: Api, anna: Session, authenticator: Authenticator, world: World, unhurried: None, kind: str
) -> None:
    first, second = challenge(api, anna), challenge(api, anna)
    ours = theirs = authenticator.code()
    if kind == "recovery code":
        ours = theirs = authenticator.recovery_codes[0]
    if kind == "challenge":
        second, theirs = first, authenticator.recovery_codes[0]
    with just_before(TRANSACT, lambda: check_success(complete(api, second, theirs))):
        check_error(complete(api, first, ours), 401)
    assert len([row for row in world.rows("sessions") if "challenge_of" not in row]) == 2


# ---- what its user does with it --------------------------------------------------------------------------------------
def test_new_recovery_codes_end_the_old_ones(any_api: Api, anna: Session, authenticator: Authenticator) -> None:
    answer = renew(any_api, anna, authenticator.code())
    check_success(answer)
    fresh = answer.json["recovery_codes"]
    assert len(fresh) == 10
    assert not set(fresh) & set(authenticator.recovery_codes)
    token = challenge(any_api, anna)
    check_error(complete(any_api, token, authenticator.recovery_codes[0]), 401)
    check_success(complete(any_api, token, fresh[0]))


def test_it_is_removed_with_password_and_code(any_api: Api, anna: Session, authenticator: Authenticator) -> None:
    other = complete(any_api, challenge(any_api, anna), authenticator.recovery_codes[0], token=True).json["token"]
    answer = remove(any_api, anna, authenticator.code())
    check_success(answer, 204)
    check_error(any_api.get("/auth/me", headers={"Authorization": f"Bearer {other}"}), 401)
    assert any_api.get("/auth/me", anna).json == {"user": user_json(anna.caller)}
    assert set(any_api.login("anna", anna.password).json) == {"success", "user"}


@pytest.mark.parametrize("act", [remove, renew])
def test_stolen_session_can_do_nothing_to_it(
    any_api: Api,
    anna: Session,
    authenticator: Authenticator,
    world: World,
    act: Callable[..., Answer],
) -> None:
    before = world.snapshot()
    for code, password in ((authenticator.code(), "wrong"), ("000000", None), (authenticator.code(-30), None)):
        check_error(act(any_api, anna, code, password), 422)
    check_error(act(any_api, anna, "", None), 400)
    assert world.snapshot() == before


@pytest.mark.parametrize("act", [remove, renew])
def test_without_one_there_is_nothing_to_do(any_api: Api, anna: Session, act: Callable[..., Answer]) -> None:
    check_error(act(any_api, anna, "123456"), 409)


def test_code_used_by_a_session_is_used_for_a_login(api: Api, anna: Session, authenticator: Authenticator) -> None:
    check_success(renew(api, anna, authenticator.code()))
    check_error(complete(api, challenge(api, anna), authenticator.code()), 401)


def test_changed_password_leaves_it(api: Api, anna: Session, authenticator: Authenticator) -> None:
    new = "entirely-new-password"
    body = {"current_password": anna.password, "new_password": new}
    check_success(api.post("/auth/password", anna, json_body=body))
    answer = api.login("anna", new)
    check_success(complete(api, answer.json["challenge"], authenticator.code()))


# ---- reset -----------------------------------------------------------------------------------------------------------
def test_owner_resets_it_for_somebody(any_api: Api, anna: Session, sign_in: SignIn) -> None:
    albert = sign_in("albert")
    set_up(any_api, albert)
    answer = any_api.post(f"/users/{albert.caller.user_id}/second-factor/reset", anna)
    check_success(answer)
    assert answer.json == {"ended_sessions": 1}
    assert status(any_api, albert) == 401
    assert set(any_api.login("albert", albert.password).json) == {"success", "user"}
    assert any_api.get(f"/users/{albert.caller.user_id}", anna).json["second_factor"] is False


def test_reset_forgets_what_was_begun(api: Api, anna: Session, sign_in: SignIn) -> None:
    albert = sign_in("albert")
    begun = Authenticator(begin(api, albert).json["secret"])
    check_success(api.post(f"/users/{albert.caller.user_id}/second-factor/reset", anna))
    check_error(confirm(api, sign_in("albert"), begun.code()), 409)


def test_nobody_resets_their_own_or_that_of_somebody_above(
    api: Api, anna: Session, sign_in: SignIn, world: World, authenticator: Authenticator
) -> None:
    albert = sign_in("albert")
    accounts.set_role(world.stores, "albert", Role.ADMIN)
    before = world.snapshot()
    check_error(api.post(f"/users/{anna.caller.user_id}/second-factor/reset", albert), 403)
    check_error(api.post(f"/users/{anna.caller.user_id}/second-factor/reset", anna), 403)
    assert world.snapshot() == before


def test_operator_resets_it(api: Api, anna: Session, authenticator: Authenticator, world: World) -> None:
    accounts.reset_second_factor(world.stores, "anna")
    assert status(api, anna) == 401
    assert set(api.login("anna", anna.password).json) == {"success", "user"}


# ---- logs ------------------------------------------------------------------------------------------------------------
def test_codes_and_secrets_are_in_no_log(
    api: Api, anna: Session, authenticator: Authenticator, logbook: Logbook, clock: time_machine.Traveller
) -> None:
    code, recovery = authenticator.code(), authenticator.recovery_codes[0]
    logbook.secrets += [code, recovery, recovery.replace("-", ""), authenticator.secret]
    check_success(complete(api, challenge(api, anna), code))
    check_error(complete(api, challenge(api, anna), code), 401)
    check_success(complete(api, challenge(api, anna), recovery))
    check_success(begin(api, anna, code=authenticator.code(30)))
    assert logbook.output, "there is a log to look at"
    assert not logbook.leaks()
