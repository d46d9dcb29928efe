"""An organisation that requires a second factor: who has none can set one up, and do nothing else before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from chalicelib.accounts import second_factor
from chalicelib.accounts import users as accounts
from chalicelib.kernel.errors import Conflict, Unavailable
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.tenants.organizations import set_require_second_factor
from chalicelib.web.routing import Access, Operation
from tests.aws_calls import aws_calls, just_before
from tests.unit.api import Answer, Api, Session
from tests.unit.authenticator import Authenticator, begin, challenge, complete, confirm, set_up, stopped_clock
from tests.unit.conftest import SignIn
from tests.unit.contract import check_error, check_success
from tests.unit.http.test_permissions import OPERATIONS, PASSWORD, name_of, request, somebody
from tests.unit.world import World

READ, TRANSACT = "dynamodb.GetItem", "dynamodb.TransactWriteItems"
OPEN = {
    ("GET", "/auth/me"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/second-factor/setup"),
    ("POST", "/auth/second-factor/confirm"),
}


@pytest.fixture(autouse=True)
def clock(world: World) -> Iterator[time_machine.Traveller]:
    with stopped_clock() as clock:
        yield clock


@pytest.fixture
def authenticator(api: Api, anna: Session, clock: time_machine.Traveller) -> Authenticator:
    """Of Anna, an owner, who has it before she asks it of the others."""
    made = set_up(api, anna)
    clock.shift(30)
    return made


@pytest.fixture
def required(world: World, authenticator: Authenticator) -> None:
    require(world)


def require(world: World, required: bool = True) -> None:
    user = world.stores.users.find_by_username("anna")
    assert user is not None
    second_factor.require_second_factor(world.stores, user.caller, required)


def status(api: Api, session: Session) -> int:
    return api.get("/auth/me", session).status


@pytest.fixture
def albert(required: None, sign_in: SignIn) -> Session:
    """A member without a second factor, who has signed in since."""
    return sign_in("albert")


def test_login_says_what_is_to_be_done(any_api: Api, required: None, world: World) -> None:
    answer = any_api.login("albert", "battery-staple-albert")
    check_success(answer)
    user = answer.json["user"]
    assert (user["scopes"], user["second_factor"], user["must_set_up_second_factor"]) == ([], False, True)
    assert any_api.get("/auth/me", headers={"Cookie": f"session={answer.token}"}).json == {"user": user}


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.needs is not Access.ANYONE], ids=name_of)
def test_nothing_else_can_be_done_before(api: Api, albert: Session, world: World, operation: Operation) -> None:
    if operation.by_ticket:
        check_error(api.post("/auth/ticket", albert), 403)
        return
    before = world.snapshot()
    answer = request(api, operation, albert)
    if (operation.method, operation.path) in OPEN:
        assert answer.status not in (401, 403, 500)  # type: ignore[attr-defined]
        return
    check_error(answer, 403)  # type: ignore[arg-type]
    assert answer.json["code"] == "second_factor_required"  # type: ignore[attr-defined]
    assert world.snapshot() == before


def test_once_set_up_the_session_has_what_its_role_has(any_api: Api, albert: Session) -> None:
    set_up(any_api, albert)
    user = any_api.get("/auth/me", albert).json["user"]
    assert user["scopes"] == sorted(ROLE_SCOPES[Role.MEMBER])
    assert (user["second_factor"], user["must_set_up_second_factor"]) == (True, False)
    check_success(any_api.upload(albert), 201)


def test_beginning_alone_opens_nothing(api: Api, albert: Session) -> None:
    begin(api, albert)
    check_error(confirm(api, albert, "000000"), 422)
    check_error(api.get("/files", albert), 403)


def test_new_role_opens_nothing_before(api: Api, albert: Session, world: World) -> None:
    accounts.set_role(world.stores, "albert", Role.OWNER)
    check_error(api.get("/files", albert), 403)
    set_up(api, albert)
    assert Scope.SECURITY_MANAGE in api.get("/auth/me", albert).json["user"]["scopes"]


def test_who_has_none_is_signed_out_and_who_has_one_goes_on(
    api: Api, anna: Session, sign_in: SignIn, berta: Session, authenticator: Authenticator, world: World
) -> None:
    without = [sign_in("albert"), sign_in("albert")]
    path = api.post("/auth/ticket", without[0]).json["base_path"]
    require(world)
    assert [status(api, one) for one in (*without, anna, berta)] == [401, 401, 200, 200]
    check_error(api.get(f"{path}/s3/params?filename=a.txt&metadata[size]=1"), 401)
    assert set(api.login("berta", berta.password).json) == {"success", "user"}, "another organisation"


def test_requiring_it_again_leaves_those_who_are_setting_it_up(api: Api, albert: Session, world: World) -> None:
    begun = Authenticator(begin(api, albert).json["secret"])
    require(world)
    check_success(confirm(api, albert, begun.code()))


def test_it_is_done_in_bounded_steps(api: Api, anna: Session, authenticator: Authenticator, world: World) -> None:
    organization_id = anna.caller.organization_id
    signed_in = []
    for number in range(5):
        user = accounts.create_user(world.stores, organization_id, f"user-{number}", PASSWORD)
        signed_in.append(Session(user.username, PASSWORD, api.login(user.username, PASSWORD).token, user.caller))
    set_require_second_factor(world.stores, organization_id, True)
    ended = []
    while not second_factor.end_sessions_without(world.stores, organization_id, at_most=2):
        ended.append([status(api, one) for one in signed_in].count(401))
    assert ended == [2, 4]
    assert [status(api, one) for one in signed_in] == [401] * 5
    with aws_calls() as made:
        assert second_factor.end_sessions_without(world.stores, organization_id)
    assert made == ["dynamodb.Query"], "nothing is left to do"


def test_more_than_one_call_can_do_is_said(
    api: Api, sign_in: SignIn, authenticator: Authenticator, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in("albert")
    monkeypatch.setattr(second_factor, "MAX_USERS_AT_ONCE", 0)
    with pytest.raises(Unavailable):
        require(world)
    assert world.organization().require_second_factor


def test_login_at_that_moment_is_no_way_around(api: Api, required: None, world: World, unhurried: None) -> None:
    """The password was checked before the requirement; the session begins after it."""
    require(world, required=False)
    with just_before(TRANSACT, lambda: require(world)):
        answer = api.login("albert", "battery-staple-albert")
    check_success(answer)
    assert answer.json["user"]["must_set_up_second_factor"] is True


def test_login_costs_one_call_more_where_it_sets_up_only(api: Api, required: None, world: World) -> None:
    with aws_calls() as made:
        check_success(api.login("albert", "battery-staple-albert"))
    assert made == [READ, READ, TRANSACT, TRANSACT]
    require(world, required=False)
    with aws_calls() as made:
        check_success(api.login("albert", "battery-staple-albert"))
    assert made == [READ, READ, TRANSACT]


def test_session_that_was_to_set_it_up_stays_so(api: Api, albert: Session, world: World, sign_in: SignIn) -> None:
    require(world, required=False)
    check_error(api.get("/files", albert), 403)
    check_success(api.get("/files", sign_in("albert")))


def test_it_can_not_be_removed(any_api: Api, anna: Session, authenticator: Authenticator, world: World) -> None:
    require(world)
    before = world.snapshot()
    body = {"password": anna.password, "code": authenticator.code()}
    check_error(any_api.delete("/auth/second-factor", anna, json_body=body), 409)
    assert world.snapshot() == before
    require(world, required=False)
    check_success(any_api.delete("/auth/second-factor", anna, json_body=body), 204)


def test_removal_at_that_moment_is_no_way_around(
    api: Api, anna: Session, authenticator: Authenticator, world: World
) -> None:
    body = {"password": anna.password, "code": authenticator.code()}
    with just_before(TRANSACT, lambda: require(world)):
        check_error(api.delete("/auth/second-factor", anna, json_body=body), 409)
    assert api.get("/auth/me", anna).json["user"]["second_factor"] is True


def test_it_can_be_replaced(
    api: Api, anna: Session, authenticator: Authenticator, required: None, clock: time_machine.Traveller
) -> None:
    another = Authenticator(begin(api, anna, code=authenticator.code()).json["secret"])
    check_success(confirm(api, anna, another.code()))
    clock.shift(30)
    check_success(complete(api, challenge(api, anna), another.code()))


def test_who_was_reset_sets_up_another(api: Api, anna: Session, albert: Session, sign_in: SignIn, world: World) -> None:
    set_up(api, albert)
    check_success(api.post(f"/users/{albert.caller.user_id}/second-factor/reset", anna))
    assert status(api, albert) == 401
    again = sign_in("albert")
    check_error(api.get("/files", again), 403)
    set_up(api, again)
    check_success(api.get("/files", again))


def test_new_person_sets_it_up_first(api: Api, anna: Session, required: None, world: World) -> None:
    accounts.create_user(world.stores, anna.caller.organization_id, "new", PASSWORD)
    assert api.login("new", PASSWORD).json["user"]["scopes"] == []


def test_nobody_requires_what_they_do_not_have(api: Api, anna: Session, world: World) -> None:
    before = world.snapshot()
    with pytest.raises(Conflict):
        second_factor.require_second_factor(world.stores, anna.caller, True)
    assert world.snapshot() == before


# ---- PATCH /organization -----------------------------------------------------------------------------------------
def ask(api: Api, by: Session, **body: object) -> Answer:
    return api.request("PATCH", "/organization", session=by, json_body=body)


def test_owner_requires_it_of_the_organization(api: Api, anna: Session, sign_in: SignIn, authenticator: object) -> None:
    albert = sign_in("albert")
    answer = ask(api, anna, require_second_factor=True, name="Acme Safe")
    check_success(answer)
    assert (answer.json["require_second_factor"], answer.json["name"]) == (True, "Acme Safe")
    check_error(api.get("/auth/me", albert), 401)
    restricted = sign_in("albert")
    assert check_error(api.get("/files", restricted), 403)
    assert api.get("/files", restricted).json["code"] == "second_factor_required"
    check_success(ask(api, anna, require_second_factor=False))
    assert api.get("/organization", anna).json["require_second_factor"] is False


def test_owner_without_one_can_not_require_it(api: Api, anna: Session, world: World) -> None:
    before = world.snapshot()
    check_error(ask(api, anna, require_second_factor=True), 409)
    check_error(ask(api, anna, require_second_factor="yes"), 400)
    check_error(ask(api, anna, require_second_factor=True, policy={"allowed_types": ["nonsense"]}), 400)
    assert world.snapshot() == before


def test_admin_can_not_require_it(api: Api, world: World, anna: Session) -> None:
    admin = somebody(world, api, Role.ADMIN)
    before = world.snapshot()
    assert "security:manage" in check_error(ask(api, admin, require_second_factor=True), 403)
    assert world.snapshot() == before
