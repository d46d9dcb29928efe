"""The organisation as its own people see and change it, and sign-up of new ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.accounts.sign_up import sign_up
from chalicelib.kernel.errors import UsernameTaken
from chalicelib.kernel.permissions import Role
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from tests.aws_calls import aws_calls, just_before
from tests.unit.api import Answer, Api, Session
from tests.unit.conftest import Configure
from tests.unit.contract import check_error, check_rate_limit_headers, check_success, user_json
from tests.unit.http.test_permissions import somebody
from tests.unit.world import World

PASSWORD = "staple-battery-horse"
NEW = {"name": "Zeta", "username": "zoe", "password": PASSWORD}
PLAIN: dict[str, Any] = {"allowed_types": [], "refused_types": [], "max_file_bytes": None, "match_extension": False}


def change(api: Api, by: Session, **body: Any) -> Answer:
    return api.request("PATCH", "/organization", session=by, json_body=body)


# ---- GET and PATCH /organization ---------------------------------------------------------------------------------
def test_everybody_sees_their_organization(any_api: Api, anna: Session, world: World) -> None:
    acme = world.organization()
    for session in (anna, somebody(world, any_api, Role.VIEWER)):
        answer = any_api.get("/organization", session)
        check_success(answer)
        assert answer.json == {
            "id": acme.organization_id,
            "name": "Acme",
            "created_at": acme.created_at,
            "policy": PLAIN,
            "require_second_factor": False,
        }


def test_name_and_policy_are_changed_by_field(any_api: Api, anna: Session, world: World) -> None:
    before = world.organization()
    assert change(any_api, anna, name=" Acme e\u0301 & Co. ").json["name"] == "Acme \u00e9 & Co."
    first = change(any_api, anna, policy={"allowed_types": ["image/*", "text/plain"], "max_file_bytes": 1000})
    check_success(first)
    assert first.json["policy"] == {**PLAIN, "allowed_types": ["image/*", "text/plain"], "max_file_bytes": 1000}
    second = change(any_api, anna, name="Acme", policy={"match_extension": True, "max_file_bytes": None})
    assert second.json["policy"] == {**PLAIN, "allowed_types": ["image/*", "text/plain"], "match_extension": True}
    assert second.json == any_api.get("/organization", anna).json
    after = world.organization()
    assert after.policy == Policy(("image/*", "text/plain"), match_extension=True)
    assert (after.usage, after.owners, after.quota_bytes) == (before.usage, before.owners, before.quota_bytes)
    assert change(any_api, anna, policy=PLAIN).json["policy"] == PLAIN


def test_changed_policy_counts_for_the_next_file(api: Api, anna: Session, world: World) -> None:
    check_success(change(api, anna, policy={"refused_types": ["text/*"]}))
    file_id = api.upload(anna).json["id"]
    world.drain()
    assert api.get(f"/files/{file_id}", anna).json["status"] == "failed"


WRONG: list[dict[str, Any]] = [
    {},
    {"other": 1},
    {"name": ""},
    {"name": "  "},
    {"name": "x" * 201},
    {"name": "two\nlines"},
    {"name": None},
    {"policy": {}},
    {"policy": None},
    {"policy": []},
    {"policy": {"other": 1}},
    {"policy": {"allowed_types": "image/png"}},
    {"policy": {"allowed_types": None}},
    {"policy": {"allowed_types": ["png"]}},
    {"policy": {"refused_types": ["IMAGE/PNG"]}},
    {"policy": {"refused_types": [1]}},
    {"policy": {"refused_types": ["a/b"] * 101}},
    {"policy": {"refused_types": ["a/" + "b" * 300]}},
    {"policy": {"max_file_bytes": 0}},
    {"policy": {"max_file_bytes": 2**60 + 1}},
    {"policy": {"max_file_bytes": True}},
    {"policy": {"max_file_bytes": 1.5}},
    {"policy": {"match_extension": None}},
    {"name": "Good", "policy": {"match_extension": "yes"}},
]


@pytest.mark.parametrize("body", WRONG, ids=lambda body: str(body)[:60])
def test_wrong_change_is_400_and_changes_nothing(api: Api, anna: Session, world: World, body: dict[str, Any]) -> None:
    before = world.snapshot()
    check_error(change(api, anna, **body), 400)
    assert world.snapshot() == before


def test_of_two_changes_at_once_none_is_lost(api: Api, anna: Session, world: World) -> None:
    def other() -> None:
        tenants.change_organization(world.stores, anna.caller, {"max_file_bytes": 7, "name": "Other"})

    with just_before("dynamodb.TransactWriteItems", other):
        answer = change(api, anna, policy={"refused_types": ["text/html"]})
    assert answer.json["name"] == "Other"
    assert world.organization().policy == Policy(refused_types=("text/html",), max_file_bytes=7)


def test_what_they_cost(api: Api, anna: Session) -> None:
    with aws_calls() as made:
        api.get("/organization", anna)
    assert made == ["dynamodb.GetItem"] * 2
    with aws_calls() as made:
        change(api, anna, name="Acme 2", policy={"match_extension": True})
    assert made == ["dynamodb.GetItem", "dynamodb.GetItem", "dynamodb.TransactWriteItems"]
    with aws_calls() as made:
        change(api, anna, name="Acme 2", policy={"match_extension": True})
    assert made == ["dynamodb.GetItem"] * 2, "what is so already is not written"


# ---- POST /organizations -----------------------------------------------------------------------------------------
def test_sign_up_is_closed_unless_operators_open_it(any_api: Api, world: World) -> None:
    before = world.snapshot()
    with aws_calls() as made:
        answer = any_api.post("/organizations", json_body=NEW)
    check_error(answer, 403)
    assert answer.json["code"] == "sign_up_closed"
    assert made == []
    assert world.snapshot() == before


@pytest.fixture
def open_to_all(configure: Configure) -> None:
    configure(SIGN_UP="open", DEFAULT_QUOTA_FILES="5")


@pytest.mark.usefixtures("open_to_all")
def test_signed_up_owner_has_an_organization_and_a_session(any_api: Api, world: World) -> None:
    answer = any_api.post("/organizations", json_body=NEW)
    check_success(answer, 201)
    check_rate_limit_headers(answer)
    user = world.stores.users.find_by_username("zoe")
    assert user is not None
    assert user.role is Role.OWNER
    made = world.stores.organizations.find(user.organization_id)
    assert made is not None
    assert (made.name, made.owners, made.quota_files, made.usage.files_available) == ("Zeta", 1, 5, 5)
    assert answer.json["user"] == user_json(user.caller)
    assert answer.json["success"] is True
    assert answer.json["organization"]["id"] == user.organization_id
    session = Session("zoe", PASSWORD, answer.token, user.caller)
    assert any_api.get("/organization", session).json == answer.json["organization"]
    check_success(any_api.upload(session), 201)
    check_error(any_api.request("PATCH", f"/users/{user.user_id}", session=session, json_body={"disabled": True}), 409)


@pytest.mark.usefixtures("open_to_all")
@pytest.mark.parametrize(
    "what",
    [{"name": ""}, {"name": "a\nb"}, {"name": 1}, {"username": "a b"}, {"password": "short"}, {"password": None}],
    ids=str,
)
def test_wrong_sign_up_is_400_and_changes_nothing(api: Api, world: World, what: dict[str, Any]) -> None:
    before = world.snapshot()
    check_error(api.post("/organizations", json_body={**NEW, **what}), 400)
    assert world.snapshot() == before


@pytest.mark.usefixtures("open_to_all")
@pytest.mark.parametrize(("username", "code"), [("Anna", "username_taken"), ("a1bert", "username_looks_taken")])
def test_taken_name_makes_no_organization(api: Api, world: World, username: str, code: str) -> None:
    before = world.snapshot()
    answer = api.post("/organizations", json_body={**NEW, "username": username})
    check_error(answer, 409)
    assert answer.json["code"] == code
    assert world.snapshot() == before


@pytest.mark.usefixtures("open_to_all")
def test_of_two_sign_ups_with_one_name_one_makes_an_organization(world: World) -> None:
    for number in range(5):
        before = len(world.rows("organizations"))

        def one(name: str, username: str = f"zoe{number}x") -> bool:
            try:
                sign_up(world.stores, name, username, PASSWORD)
            except UsernameTaken:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(one, ["Zeta", "Eta"])) == [False, True]
        assert len(world.rows("organizations")) == before + 1


def test_sign_ups_are_limited_by_address(api: Api, configure: Configure) -> None:
    configure(SIGN_UP="open", RATE_LIMIT_SIGN_UP="2/hour")
    api.transport = "gateway"
    for number in range(2):
        check_success(api.post("/organizations", json_body={**NEW, "username": f"user-{number}"}), 201)
    with aws_calls() as made:
        answer = api.post("/organizations", json_body=NEW)
    assert "Too many new organisations" in check_error(answer, 429)
    assert made == []
    api.address = "203.0.113.99"
    check_success(api.post("/organizations", json_body=NEW), 201)


@pytest.mark.usefixtures("open_to_all")
def test_what_sign_up_costs(api: Api) -> None:
    with aws_calls() as made:
        check_success(api.post("/organizations", json_body=NEW), 201)
    assert made == ["dynamodb.TransactWriteItems", "dynamodb.TransactWriteItems", "dynamodb.GetItem"]
