"""The people of an organisation: who may change whom, and that an owner always stays."""

from __future__ import annotations

import pytest

from chalicelib.accounts import users as accounts
from chalicelib.kernel.permissions import Role
from tests.aws_calls import just_before
from tests.unit.api import Answer, Api, Session
from tests.unit.conftest import SignIn
from tests.unit.contract import check_error, check_success
from tests.unit.http.test_permissions import somebody
from tests.unit.world import World


def change(api: Api, by: Session, whom: Session, **what: object) -> Answer:
    return api.request("PATCH", f"/users/{whom.caller.user_id}", session=by, json_body=what)


def test_users_are_listed_a_page_at_a_time(api: Api, anna: Session, world: World) -> None:
    everybody = {"anna", "albert", *(somebody(world, api, role).username for role in Role)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = api.get(f"/users?limit=2{cursor}", anna).json
        assert len(page["users"]) <= 2
        seen += [user["username"] for user in page["users"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(everybody)
    for wrong in ("x", "%00", "01890000-0000-7000-8000-00000000000G"):
        check_error(api.get(f"/users?cursor={wrong}", anna), 400)


def test_details_show_no_secret(api: Api, anna: Session) -> None:
    answer = api.get(f"/users/{anna.caller.user_id}", anna)
    check_success(answer)
    assert set(answer.json) == {"id", "username", "role", "disabled", "second_factor", "created_at"}


RANKS = list(Role)


@pytest.mark.parametrize("by", [Role.ADMIN, Role.OWNER])
@pytest.mark.parametrize("of", RANKS)
@pytest.mark.parametrize("to", RANKS)
def test_nobody_gives_or_touches_more_than_their_own(api: Api, world: World, by: Role, of: Role, to: Role) -> None:
    actor, target = somebody(world, api, by), somebody(world, api, of, name="Acme") if of != by else None
    if target is None:
        user = accounts.create_user(
            world.stores, actor.caller.organization_id, f"another-{of}", "staple-battery-horse", role=of
        )
        target = Session(user.username, "", "", user.caller)
    before = world.snapshot()
    answer = change(api, actor, target, role=to)
    if max(RANKS.index(of), RANKS.index(to)) <= RANKS.index(by):
        check_success(answer)
        assert answer.json["role"] == to
    else:
        check_error(answer, 403)
        assert world.snapshot() == before


def test_admin_can_do_nothing_to_an_owner(api: Api, world: World, anna: Session) -> None:
    admin = somebody(world, api, Role.ADMIN)
    before = world.snapshot()
    path = f"/users/{anna.caller.user_id}"
    check_error(change(api, admin, anna, disabled=True), 403)
    check_error(change(api, admin, anna, disabled=False), 403)
    check_error(api.delete(path, admin), 403)
    check_error(api.post(f"{path}/sign-out", admin), 403)
    assert world.snapshot() == before


def test_last_owner_stays(api: Api, anna: Session, world: World) -> None:
    before = world.snapshot()
    for answer in (
        change(api, anna, anna, role="member"),
        change(api, anna, anna, disabled=True),
        api.delete(f"/users/{anna.caller.user_id}", anna),
    ):
        check_error(answer, 409)
        assert answer.json["code"] == "last_owner"
    assert world.snapshot() == before


def test_owner_may_go_when_there_is_another(api: Api, anna: Session, world: World) -> None:
    other = somebody(world, api, Role.OWNER)
    assert world.organization().owners == 2
    check_success(api.delete(f"/users/{anna.caller.user_id}", other), 204)
    assert world.organization().owners == 1
    check_error(api.get("/auth/me", anna), 401)
    check_error(change(api, other, other, role="admin"), 409)


def test_disabled_owner_is_not_counted_on(api: Api, anna: Session, world: World) -> None:
    other = somebody(world, api, Role.OWNER)
    check_success(change(api, anna, other, disabled=True))
    check_error(change(api, anna, anna, role="member"), 409)
    check_success(change(api, anna, other, disabled=False))
    check_success(change(api, anna, anna, role="member"))
    assert world.organization().owners == 1


@pytest.mark.parametrize("what", ["demote", "disable", "remove"])
def test_two_owners_who_go_at_each_other_leave_one(api: Api, anna: Session, world: World, what: str) -> None:
    """Both have read that there are two; the one that writes second meets the condition."""
    other = somebody(world, api, Role.OWNER)

    def act(by: Session, whom: Session) -> Answer:
        if what == "remove":
            return api.delete(f"/users/{whom.caller.user_id}", by)
        return change(api, by, whom, **({"role": "member"} if what == "demote" else {"disabled": True}))

    with just_before("dynamodb.TransactWriteItems", lambda: act(other, anna)):
        answer = act(anna, other)
    check_error(answer, 409)
    assert answer.json["code"] == "last_owner"
    assert world.organization().owners == 1
    check_success(api.get("/auth/me", other))


def test_disabling_ends_sessions_and_keeps_out(api: Api, anna: Session, world: World) -> None:
    member = somebody(world, api, Role.MEMBER)
    answer = change(api, anna, member, disabled=True)
    check_success(answer)
    assert answer.json["disabled"] is True
    check_error(api.get("/auth/me", member), 401)
    check_error(api.login(member.username, member.password), 401)
    check_success(change(api, anna, member, disabled=False))
    check_success(api.login(member.username, member.password))


def test_removed_user_leaves_files_and_a_free_name(api: Api, anna: Session, world: World) -> None:
    member = somebody(world, api, Role.MEMBER)
    file_id = api.upload(member).json["id"]
    check_success(api.delete(f"/users/{member.caller.user_id}", anna), 204)
    check_error(api.get("/auth/me", member), 401)
    check_error(api.get(f"/users/{member.caller.user_id}", anna), 404)
    assert api.get(f"/files/{file_id}", anna).json["uploaded_by"]["name"] == member.username
    again = somebody(world, api, Role.MEMBER)
    assert again.caller.user_id != member.caller.user_id
    assert "files:manage" in check_error(api.delete(f"/files/{file_id}", again), 403)


def test_sign_out_ends_every_session_and_no_more(api: Api, anna: Session, sign_in: SignIn) -> None:
    albert, elsewhere = sign_in("albert"), sign_in("albert")
    answer = api.post(f"/users/{albert.caller.user_id}/sign-out", anna)
    check_success(answer)
    assert answer.json == {"ended_sessions": 2}
    for session in (albert, elsewhere):
        check_error(api.get("/auth/me", session), 401)
    check_success(api.get("/auth/me", anna))
    check_success(api.login("albert", albert.password))


def test_promotion_reaches_every_session(api: Api, anna: Session, sign_in: SignIn) -> None:
    sessions = [sign_in("albert"), sign_in("albert")]
    check_success(change(api, anna, sessions[0], role="admin"))
    for session in sessions:
        assert api.get("/auth/me", session).json["user"]["role"] == "admin"


@pytest.mark.parametrize(
    "body", [{}, {"role": "king"}, {"role": None}, {"role": ["owner"]}, {"disabled": "yes"}, {"disabled": None}]
)
def test_wrong_change_is_400_and_changes_nothing(
    api: Api, anna: Session, sign_in: SignIn, world: World, body: dict[str, object]
) -> None:
    albert = sign_in("albert")
    before = world.snapshot()
    check_error(change(api, anna, albert, **body), 400)
    assert world.snapshot() == before


def test_user_of_another_organization_is_404(api: Api, anna: Session, berta: Session, world: World) -> None:
    before = world.snapshot()
    path = f"/users/{anna.caller.user_id}"
    for answer in (
        api.get(path, berta),
        change(api, berta, anna, role="viewer"),
        api.delete(path, berta),
        api.post(f"{path}/sign-out", berta),
    ):
        check_error(answer, 404)
    assert world.snapshot() == before
