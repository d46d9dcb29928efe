"""Invitations: who may invite to what, what the token is good for, and that it is good for it once."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import EndpointConnectionError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from chalicelib.accounts import people
from chalicelib.accounts import users as accounts
from chalicelib.api_keys.rows import ApiKeyRow
from chalicelib.invitations import logic as invitations
from chalicelib.invitations.rows import InvitationRow
from chalicelib.kernel.errors import InvitationNotFound, InvitationWithdrawn
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.kernel.tokens import token_digest
from tests.aws_calls import aws_calls, just_before, listening, refused, unreachable
from tests.unit.api import Answer, Api, Session
from tests.unit.cloud import REGION
from tests.unit.conftest import Configure
from tests.unit.contract import ISO_UTC, check_error, check_rate_limit_headers, check_success, user_json
from tests.unit.http.test_permissions import somebody
from tests.unit.keys import make_key
from tests.unit.logbook import Logbook
from tests.unit.world import World

PASSWORD = "staple-battery-horse"
TOKEN = re.compile(r"inv_[0-9A-Za-z]{39}_[0-9A-Za-z]{43}")
KEYS = {"id", "role", "name", "email", "invited_by", "created_at", "expires_at"}


def invite(api: Api, by: Session, **body: Any) -> Answer:
    return api.post("/invitations", by, json_body={"role": "member", **body})


def accept(api: Api, token: str, username: str = "carla", password: str = PASSWORD, **options: Any) -> Answer:
    body = {"token": token, "username": username, "password": password}
    return api.post("/invitations/accept", json_body=body, **options)


def expire(world: World, invitation_id: str) -> None:
    """As if its time had passed."""
    row = world.stores.tables.bind(InvitationRow)(world.organizations["Acme"].organization_id, invitation_id)
    row.update(actions=[InvitationRow.expires_at.set(int(time.time()) - 1)])


# ---- from the invitation to the user -----------------------------------------------------------------------------
def test_invited_person_becomes_a_user_and_is_signed_in(any_api: Api, anna: Session, world: World) -> None:
    invited = invite(any_api, anna, role="viewer", name=" Carla ", email="carla@example.com")
    check_success(invited, 201)
    assert set(invited.json) == KEYS | {"token", "url", "mailed"}
    assert TOKEN.fullmatch(invited.json["token"])
    assert (invited.json["url"], invited.json["mailed"], invited.json["name"]) == (None, False, "Carla")
    assert invited.json["invited_by"] == {"type": "user", "id": anna.caller.user_id, "name": "anna"}
    accepted = accept(any_api, invited.json["token"])
    check_success(accepted, 201)
    check_rate_limit_headers(accepted)
    user = world.stores.users.find_by_username("carla")
    assert user is not None
    assert (user.organization_id, user.role) == (anna.caller.organization_id, Role.VIEWER)
    assert accepted.json == {"success": True, "user": user_json(user.caller)}
    me = any_api.get("/auth/me", headers={"Cookie": f"session={accepted.token}"})
    check_success(me)
    check_success(any_api.login("carla", PASSWORD))
    assert any_api.get("/invitations", anna).json == {"invitations": []}


def test_open_invitations_are_listed_without_their_token(api: Api, anna: Session, world: World) -> None:
    made = [invite(api, anna, name=name).json for name in ("one", "two")]
    listed = api.get("/invitations", anna).json["invitations"]
    assert [one["name"] for one in listed] == ["one", "two"]
    for one, told in zip(listed, made, strict=True):
        assert set(one) == KEYS
        assert one == {key: told[key] for key in KEYS}
        assert ISO_UTC.fullmatch(one["expires_at"])
        [row] = [row for row in world.rows("invitations") if row["invitation_id"]["S"] == one["id"]]
        assert token_digest(told["token"]) == row["token_hash"]["S"]
        assert told["token"].rpartition("_")[2] not in str(row)


def test_url_holds_the_token(api: Api, anna: Session, configure: Configure) -> None:
    configure(INVITATION_URL="https://app.example.com/join#token={token}")
    invited = invite(api, anna).json
    assert invited["url"] == f"https://app.example.com/join#token={invited['token']}"


def test_it_lives_for_seven_days_or_as_long_as_is_asked(api: Api, anna: Session, world: World) -> None:
    now = time.time()
    for asked, lives in ((None, 7 * 86400), (3600, 3600), (30 * 86400, 30 * 86400)):
        invitation_id = invite(api, anna, **({"expires_in_seconds": asked} if asked else {})).json["id"]
        found = world.stores.invitations.find(anna.caller.organization_id, invitation_id)
        assert found is not None
        assert -1 < found.expires_at - now - lives < 60


WRONG_BODIES: list[dict[str, Any]] = [
    {"role": "king"},
    {"role": None},
    {"name": ""},
    {"name": "   "},
    {"name": "x" * 201},
    {"name": "two\nlines"},
    {"name": 1},
    {"email": "nobody"},
    {"email": "a@b"},
    {"email": "Jane <jane@example.com>"},
    {"email": "jane@example.com\r\nBcc: all@example.com"},
    {"email": "a" * 64 + "@" + ".".join(["x" * 60] * 4)},
    {"email": ["jane@example.com"]},
    {"expires_in_seconds": 3599},
    {"expires_in_seconds": 30 * 86400 + 1},
    {"expires_in_seconds": True},
    {"expires_in_seconds": "3600"},
    {"expires_in_seconds": 10**30},
]


@pytest.mark.parametrize("body", WRONG_BODIES, ids=str)
def test_wrong_field_is_400_and_changes_nothing(api: Api, anna: Session, world: World, body: dict[str, Any]) -> None:
    before = world.snapshot()
    check_error(invite(api, anna, **body), 400)
    assert world.snapshot() == before


# ---- who may -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("by", [Role.ADMIN, Role.OWNER])
@pytest.mark.parametrize("role", list(Role))
def test_nobody_invites_to_more_than_their_own_role(
    api: Api, world: World, anna: Session, by: Role, role: Role
) -> None:
    actor = somebody(world, api, by)
    others = invite(api, anna, role=role.value).json
    before = world.snapshot()
    answers = (
        invite(api, actor, role=role.value),
        api.post(f"/invitations/{others['id']}/resend", actor),
        api.delete(f"/invitations/{others['id']}", actor),
    )
    if list(Role).index(role) <= list(Role).index(by):
        assert [answer.status for answer in answers] == [201, 200, 204]
    else:
        for answer in answers:
            check_error(answer, 403)
        assert world.snapshot() == before


def test_another_organizations_invitation_is_404(api: Api, anna: Session, berta: Session, world: World) -> None:
    invited = invite(api, anna).json
    before = world.snapshot()
    for target in (invited["id"], "0" * 17):
        check_error(api.delete(f"/invitations/{target}", berta), 404)
        check_error(api.post(f"/invitations/{target}/resend", berta), 404)
    assert api.get("/invitations", berta).json == {"invitations": []}
    assert world.snapshot() == before
    check_success(accept(api, invited["token"]), 201)


# ---- what the token is good for ----------------------------------------------------------------------------------
def check_dead(api: Api, token: str) -> str:
    answer = accept(api, token)
    assert answer.json["code"] == "invitation_not_found"
    return check_error(answer, 404)


def test_every_dead_token_gets_the_same_answer(api: Api, anna: Session, world: World) -> None:
    used, deleted, expired, resent = (invite(api, anna).json for _ in range(4))
    check_success(accept(api, used["token"], "first"), 201)
    check_success(api.delete(f"/invitations/{deleted['id']}", anna), 204)
    expire(world, expired["id"])
    check_success(api.post(f"/invitations/{resent['id']}/resend", anna))
    good = invite(api, anna).json["token"]
    never = [
        *("x", "inv_", "\u00e9" * 87, good.upper(), good[:-1], good + "0", good.replace("inv_", "sr__")),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        # Of the right form, of an organisation that is none; and one beyond all of them.
        f"inv_{'0' * 39}_{good[-43:]}",
        f"inv_{'z' * 39}_{good[-43:]}",
        # The secret of one with the name of another.
        used["token"][:44] + good[44:],
        good[:44] + resent["token"][44:],
    ]
    before = world.snapshot()
    told = {check_dead(api, token) for token in (*never, *(t["token"] for t in (used, deleted, expired, resent)))}
    assert len(told) == 1
    assert world.snapshot() == before


def test_expired_token_is_told_nothing_about_name_and_password(api: Api, anna: Session, world: World) -> None:
    invited = invite(api, anna).json
    expire(world, invited["id"])
    check_error(accept(api, invited["token"], password="short"), 404)


def test_invitation_that_expires_at_the_last_moment_is_dead(api: Api, anna: Session, world: World) -> None:
    invited = invite(api, anna).json
    with just_before("dynamodb.TransactWriteItems", lambda: expire(world, invited["id"])):
        check_dead(api, invited["token"])
    assert world.stores.users.find_by_username("carla") is None


def test_resending_makes_the_token_before_worthless_and_starts_its_time_anew(
    api: Api, anna: Session, world: World
) -> None:
    admin = somebody(world, api, Role.ADMIN)
    first = invite(api, anna, expires_in_seconds=3600).json
    expire(world, first["id"])
    second = api.post(f"/invitations/{first['id']}/resend", admin)
    check_success(second)
    assert second.json["id"] == first["id"]
    assert second.json["token"] != first["token"]
    assert second.json["invited_by"]["name"] == admin.username
    found = world.stores.invitations.find(anna.caller.organization_id, first["id"])
    assert found is not None
    assert 3500 < found.expires_at - time.time() <= 3600
    check_dead(api, first["token"])
    check_success(accept(api, second.json["token"]), 201)
    check_error(api.post(f"/invitations/{first['id']}/resend", anna), 404)


def test_one_address_is_invited_once_however_it_is_written(
    api: Api, anna: Session, berta: Session, world: World
) -> None:
    first = invite(api, anna, email="carla@example.com").json
    for email in ("carla@example.com", " Carla@Example.COM "):
        answer = invite(api, anna, email=email)
        assert "again" in check_error(answer, 409)
        assert answer.json["code"] == "already_invited"
    check_success(invite(api, berta, email="carla@example.com"), 201)
    expire(world, first["id"])
    check_success(invite(api, anna, email="carla@example.com"), 201)
    check_dead(api, first["token"])
    check_success(api.delete(f"/invitations/{first['id']}", anna), 204)
    check_success(invite(api, anna, email="carla@example.com"), 201)


def test_two_invitations_of_one_address_at_once_make_one(world: World, anna: Session) -> None:
    def invited(number: int) -> str:
        wanted = invitations.Wanted(Role.MEMBER, email=f"carla{number // 2}@example.com")
        try:
            return invitations.invite(world.stores, anna.caller, wanted).token
        except Exception as error:
            return type(error).__name__

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(invited, range(10)))
    assert results.count("AlreadyInvited") == 5
    assert len(world.rows("invitations")) == 5


@pytest.mark.parametrize(
    "what",
    [
        {"username": "not a name"},
        {"password": "short"},
        {"password": "password1"},
        {"username": ""},
        {"password": 1},
        {"token": None},
    ],
    ids=str,
)
def test_wrong_name_or_password_leaves_the_invitation_open(
    api: Api, anna: Session, world: World, what: dict[str, Any]
) -> None:
    token = invite(api, anna).json["token"]
    before = world.snapshot()
    body = {"token": token, "username": "carla", "password": PASSWORD, **what}
    check_error(api.post("/invitations/accept", json_body=body), 400)
    assert world.snapshot() == before
    check_success(accept(api, token), 201)


@pytest.mark.parametrize(("username", "code"), [("berta", "username_taken"), ("a1bert", "username_looks_taken")])
def test_taken_name_leaves_the_invitation_open(api: Api, anna: Session, world: World, username: str, code: str) -> None:
    token = invite(api, anna).json["token"]
    before = world.snapshot()
    answer = accept(api, token, username)
    check_error(answer, 409)
    assert answer.json["code"] == code
    assert world.snapshot() == before
    check_success(accept(api, token), 201)


def test_no_log_shows_token_or_address(api: Api, anna: Session, logbook: Logbook, configure: Configure) -> None:
    configure(MAIL_FROM="rooms@example.com")
    invited = invite(api, anna, email="carla@example.com").json
    api.post(f"/invitations/{invited['id']}/resend", anna)
    accept(api, invited["token"])
    assert not logbook.leaks()
    assert "carla@example.com" not in logbook.output


# ---- whoever invited, since then ---------------------------------------------------------------------------------
def withdrawn(api: Api, token: str) -> None:
    answer = accept(api, token)
    check_error(answer, 409)
    assert answer.json["code"] == "invitation_withdrawn"


@pytest.mark.parametrize("change", ["demoted below", "demoted to a member", "disabled", "removed"])
def test_inviter_who_may_not_any_more_invites_nobody(api: Api, anna: Session, world: World, change: str) -> None:
    second = somebody(world, api, Role.OWNER)
    invited = invite(api, second, role="owner").json
    path = f"/users/{second.caller.user_id}"
    if change == "removed":
        api.delete(path, anna)
    else:
        body = {"disabled": True} if change == "disabled" else {"role": "admin" if "below" in change else "member"}
        check_success(api.request("PATCH", path, session=anna, json_body=body))
    before = world.snapshot()
    withdrawn(api, invited["token"])
    assert world.snapshot() == before
    # Somebody else who may can answer for it.
    renewed = api.post(f"/invitations/{invited['id']}/resend", anna).json
    check_success(accept(api, renewed["token"]), 201)
    assert world.organization().owners == 2


def test_demoted_inviter_still_invites_to_what_is_left(api: Api, anna: Session, world: World) -> None:
    second = somebody(world, api, Role.OWNER)
    invited = invite(api, second, role="member").json
    path = f"/users/{second.caller.user_id}"
    check_success(api.request("PATCH", path, session=anna, json_body={"role": "admin"}))
    check_success(accept(api, invited["token"]), 201)


@pytest.mark.parametrize("change", ["narrowed", "deleted", "revoked", "expired"])
def test_key_that_may_not_any_more_invites_nobody(api: Api, anna: Session, world: World, change: str) -> None:
    key = make_key(api, anna, ROLE_SCOPES[Role.MEMBER] | {Scope.USERS_MANAGE})
    invited = invite(api, key).json
    assert invited["invited_by"] == {"type": "api_key", "id": key.caller.user_id, "name": key.caller.username}
    path = f"/api-keys/{key.caller.user_id}"
    if change == "narrowed":
        scopes = sorted(ROLE_SCOPES[Role.VIEWER] | {Scope.USERS_MANAGE})
        check_success(api.request("PATCH", path, session=anna, json_body={"scopes": scopes}))
    elif change == "deleted":
        check_success(api.delete(path, anna), 204)
    elif change == "revoked":
        check_success(api.post("/api-keys/revoke", json_body={"key": key.token}), 204)
    else:
        row = world.stores.tables.bind(ApiKeyRow)(anna.caller.organization_id, key.caller.user_id)
        row.update(actions=[ApiKeyRow.expires_at.set(int(time.time()) - 1)])
    before = world.snapshot()
    withdrawn(api, invited["token"])
    assert world.snapshot() == before


def test_key_invites_to_what_it_may_do_itself(api: Api, anna: Session) -> None:
    key = make_key(api, anna, ROLE_SCOPES[Role.MEMBER] | {Scope.USERS_MANAGE})
    check_error(invite(api, key, role="admin"), 403)
    check_success(accept(api, invite(api, key).json["token"]), 201)


def test_inviter_of_an_unknown_kind_invites_nobody(api: Api, anna: Session, world: World) -> None:
    invited = invite(api, anna).json
    row = world.stores.tables.bind(InvitationRow)(anna.caller.organization_id, invited["id"])
    row.update(actions=[InvitationRow.invited_by_type.set("something else")])
    withdrawn(api, invited["token"])


# ---- races -------------------------------------------------------------------------------------------------------
def test_two_acceptances_at_once_make_one_user(world: World, anna: Session) -> None:
    for number in range(5):
        token = invitations.invite(world.stores, anna.caller, invitations.Wanted(Role.MEMBER)).token
        people_before = len(world.rows("users"))

        def one(username: str, token: str = token) -> bool:
            try:
                invitations.accept(world.stores, token, username, PASSWORD)
            except InvitationNotFound:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(one, [f"carla{number}x", f"dora{number}x"])) == [False, True]
        assert len(world.rows("users")) == people_before + 1


def test_resent_at_the_last_moment_the_token_before_is_dead(api: Api, anna: Session, world: World) -> None:
    invited = invite(api, anna).json

    def resend() -> None:
        invitations.resend(world.stores, anna.caller, invited["id"])

    with just_before("dynamodb.TransactWriteItems", resend):
        check_dead(api, invited["token"])
    assert world.stores.users.find_by_username("carla") is None


def test_accepted_at_the_last_moment_it_can_neither_be_resent_nor_deleted_unnoticed(
    api: Api, anna: Session, world: World
) -> None:
    for method, path in (("POST", "/invitations/{}/resend"), ("DELETE", "/invitations/{}")):
        invited = invite(api, anna).json
        username = f"carla-{method.lower()}"

        def takes(token: str = invited["token"], username: str = username) -> None:
            invitations.accept(world.stores, token, username, PASSWORD)

        with just_before("dynamodb.TransactWriteItems", takes):
            check_error(api.request(method, path.format(invited["id"]), session=anna), 404)
        assert world.stores.users.find_by_username(username) is not None
        assert world.rows("invitations") == []


def test_inviter_demoted_at_the_last_moment_is_refused(api: Api, anna: Session, world: World) -> None:
    admin = somebody(world, api, Role.ADMIN)
    token = invite(api, admin).json["token"]

    def demote() -> None:
        people.change_person(world.stores, anna.caller, admin.caller.user_id, role=Role.VIEWER)

    with (
        just_before("dynamodb.TransactWriteItems", demote),
        pytest.raises(InvitationWithdrawn),
    ):
        invitations.accept(world.stores, token, "carla", PASSWORD)
    assert world.stores.users.find_by_username("carla") is None


def test_user_without_a_session_can_still_sign_in(api: Api, anna: Session) -> None:
    """The tables went away between the two transactions: the user is there."""
    token = invite(api, anna).json["token"]
    transactions: list[str] = []

    def away_after_the_first(operation: str, _: AWSPreparedRequest) -> None:
        if operation == "dynamodb.TransactWriteItems":
            transactions.append(operation)
            if len(transactions) > 1:
                raise EndpointConnectionError(endpoint_url="https://away.example")

    with listening(away_after_the_first):
        check_error(accept(api, token), 503)
    check_success(api.login("carla", PASSWORD))
    check_dead(api, token)


def test_user_who_is_disabled_at_once_gets_no_session(api: Api, anna: Session, world: World) -> None:
    token = invite(api, anna).json["token"]
    transactions: list[str] = []

    def disable_after_the_first(operation: str, _: AWSPreparedRequest) -> None:
        if operation == "dynamodb.TransactWriteItems":
            transactions.append(operation)
            if len(transactions) == 2:
                accounts.set_disabled(world.stores, "carla", True)

    with listening(disable_after_the_first):
        check_error(accept(api, token), 401)
    accounts.set_disabled(world.stores, "carla", False)
    check_success(api.login("carla", PASSWORD))


# ---- limits and costs --------------------------------------------------------------------------------------------
def test_acceptances_that_fail_are_limited_by_address(any_api: Api, anna: Session, configure: Configure) -> None:
    configure(RATE_LIMIT_SIGN_UP="3/hour")
    for number in range(5):
        check_success(accept(any_api, invite(any_api, anna).json["token"], f"user-{number}"), 201)
    good = invite(any_api, anna).json["token"]
    check_error(accept(any_api, good, password="short"), 400)
    for _ in range(3):
        check_error(accept(any_api, "x"), 404)
    with aws_calls() as made:
        answer = accept(any_api, good)
    assert "Too many attempts to accept" in check_error(answer, 429)
    check_rate_limit_headers(answer)
    assert made == []


def test_invitations_of_an_organization_are_limited_together(
    api: Api, anna: Session, berta: Session, world: World, configure: Configure
) -> None:
    configure(RATE_LIMIT_INVITATIONS="2/hour")
    admin = somebody(world, api, Role.ADMIN)
    invited = invite(api, anna).json
    check_success(api.post(f"/invitations/{invited['id']}/resend", admin))
    for answer in (invite(api, admin), api.post(f"/invitations/{invited['id']}/resend", anna)):
        assert "invitations" in check_error(answer, 429)
    check_success(invite(api, berta), 201)


def test_an_organization_has_a_bounded_number_of_them(api: Api, anna: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "MAX_OPEN", 3)
    made = [invite(api, anna).json for _ in range(3)]
    answer = invite(api, anna)
    check_error(answer, 409)
    assert answer.json["code"] == "too_many_invitations"
    check_success(api.delete(f"/invitations/{made[0]['id']}", anna), 204)
    check_success(invite(api, anna), 201)


READ, WRITE = "dynamodb.GetItem", "dynamodb.TransactWriteItems"


def test_what_they_cost(api: Api, anna: Session) -> None:
    with aws_calls() as made:
        invited = invite(api, anna, email="carla@example.com").json
    assert made == [READ, "dynamodb.Query", WRITE]
    with aws_calls() as made:
        api.get("/invitations", anna)
    assert made == [READ, "dynamodb.Query"]
    with aws_calls() as made:
        renewed = api.post(f"/invitations/{invited['id']}/resend", anna).json
    assert made == [READ, READ, WRITE]
    with aws_calls() as made:
        check_dead(api, invited["token"])
    assert made == [READ]
    with aws_calls() as made:
        check_dead(api, "x")
    assert made == []
    with aws_calls() as made:
        check_success(accept(api, renewed["token"]), 201)
    assert made == [READ, WRITE, WRITE]


# ---- by e-mail ---------------------------------------------------------------------------------------------------
def mails() -> list[Any]:
    return list(ses_backends[DEFAULT_ACCOUNT_ID][REGION].sent_messages)


@pytest.fixture
def sender(configure: Configure, world: World) -> str:
    address = "rooms@example.com"
    ses_backends[DEFAULT_ACCOUNT_ID][REGION].reset()
    client: Any = boto3.client("sesv2")
    client.create_email_identity(EmailIdentity=address)
    configure(MAIL_FROM=address, INVITATION_URL="https://app.example.com/join#token={token}")
    return address


def test_invitation_with_an_address_is_sent_to_it(api: Api, anna: Session, sender: str) -> None:
    invited = invite(api, anna, name="Carla", email="carla@example.com").json
    assert invited["mailed"] is True
    [mail] = mails()
    assert (mail.source, mail.destinations["ToAddresses"]) == (sender, ["carla@example.com"])
    assert mail.subject == "Invitation to Acme"
    assert invited["url"] in mail.body
    assert "Hello Carla" in mail.body
    assert "anna has invited you" in mail.body
    resent = api.post(f"/invitations/{invited['id']}/resend", anna).json
    assert resent["mailed"] is True
    assert resent["url"] in mails()[1].body
    assert invite(api, anna).json["mailed"] is False, "there is nobody to send it to"


@pytest.mark.parametrize("fault", ["away", "refused"])
def test_invitation_that_cannot_be_sent_is_there_all_the_same(
    api: Api, anna: Session, sender: str, logbook: Logbook, fault: str
) -> None:
    broken = unreachable("sesv2") if fault == "away" else refused("sesv2.SendEmail")
    with broken:
        answer = invite(api, anna, email="carla@example.com")
    check_success(answer, 201)
    assert answer.json["mailed"] is False
    assert "SES" in logbook.output
    assert "carla@example.com" not in logbook.output
    check_success(accept(api, answer.json["token"]), 201)
