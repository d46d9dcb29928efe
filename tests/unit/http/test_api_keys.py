"""API keys: what they open, what they never open, who may make and end them, and how they die."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from chalicelib.accounts import users as accounts
from chalicelib.api_keys import key_text
from chalicelib.api_keys import logic as api_keys
from chalicelib.api_keys.key_intent import KeyIntent
from chalicelib.api_keys.store import LISTED_AFTER_END_SECONDS
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.kernel.tokens import token_digest
from tests.aws_calls import aws_calls, just_before, refused, unreachable
from tests.unit.api import Answer, Api, Session
from tests.unit.cloud import TEMP_BUCKET
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import ISO_UTC, check_error, check_success, user_json
from tests.unit.direct.test_open_uploads import arrive, begin, begun
from tests.unit.http.test_permissions import somebody
from tests.unit.keys import as_session, ask_for_key, make_key
from tests.unit.world import World

DAY_SECONDS = 24 * 3600
NETWORKS = ["203.0.113.0/24", "2001:db8::/32"]


def listed(api: Api, by: Session) -> dict[str, dict[str, Any]]:
    """Id -> key, as the list shows it."""
    answer = api.get("/api-keys", by)
    check_success(answer)
    return {key["id"]: key for key in answer.json["api_keys"]}


def rotate(api: Api, by: Session, key: Session, seconds: Any = 0) -> Answer:
    path = f"/api-keys/{key.caller.user_id}/rotate"
    return api.post(path, by, json_body={"old_secret_seconds": seconds})


def change(api: Api, by: Session, key: Session, **what: Any) -> Answer:
    return api.request("PATCH", f"/api-keys/{key.caller.user_id}", session=by, json_body=what)


def delete(api: Api, by: Session, key: Session) -> Answer:
    return api.delete(f"/api-keys/{key.caller.user_id}", by)


def revoke(api: Api, text: str) -> Answer:
    return api.post("/api-keys/revoke", json_body={"key": text})


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let so many seconds pass."""
    now = time.time()
    return lambda seconds: monkeypatch.setattr("time.time", lambda: now + seconds)


# ---- what a key is -----------------------------------------------------------------------------------------------
def test_key_is_shown_once_and_stored_as_a_hash(any_api: Api, anna: Session, world: World) -> None:
    answer = ask_for_key(any_api, anna, [Scope.FILES_READ], networks=NETWORKS, expires_in_days=30)
    check_success(answer, 201)
    shown = answer.json
    text = shown.pop("key")
    assert re.fullmatch(key_text.PATTERN, text)
    assert text.startswith(shown["prefix"] + "_")
    assert listed(any_api, anna) == {shown["id"]: shown}
    rows = str(world.rows("api-keys"))
    assert text.rpartition("_")[2] not in rows
    assert token_digest(text) in rows
    assert token_digest(text) not in str(any_api.get("/api-keys", anna).json)
    made_by = {"type": "user", "id": anna.caller.user_id, "name": "anna"}
    assert (shown["made_by"], shown["networks"], shown["scopes"]) == (made_by, NETWORKS, ["files:read"])
    assert ISO_UTC.fullmatch(shown["expires_at"])


def test_key_signs_in_by_header_and_says_what_it_is(any_api: Api, anna: Session) -> None:
    key = make_key(any_api, anna, [Scope.FILES_READ, Scope.FILES_WRITE])
    assert any_api.get("/auth/me", key).json["user"] == user_json(key.caller)
    check_success(any_api.get("/files", key))


def test_key_is_no_cookie_and_no_ticket(any_api: Api, anna: Session) -> None:
    """A cookie would be sent along by any page that the browser shows."""
    key = make_key(any_api, anna)
    for name in ("session", "__Host-session"):
        check_error(any_api.get("/auth/me", headers={"Cookie": f"{name}={key.token}"}), 401)
    check_error(any_api.get(f"/t/{key.token}/s3/params?filename=a.txt"), 401)


def test_mistyped_key_is_refused_without_a_look_up(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    swapped = key.token[:-1] + ("a" if key.token[-1] != "a" else "b")
    for wrong in (swapped, key.token[:-1], key.token + "x", key.token.lower(), "sr_", "sr_x", "sr_" + "ä" * 5):
        with aws_calls() as made:
            answer = api.get("/auth/me", headers={"Authorization": f"Bearer {wrong}"})
        assert "API key" in check_error(answer, 401)
        assert made == []


def test_key_of_right_form_that_was_never_made_is_401(api: Api, anna: Session) -> None:
    known = make_key(api, anna).caller.user_id
    for key_id in (known, key_text.new_key_id(anna.caller.organization_id)):
        headers = {"Authorization": f"Bearer {key_text.new_text(key_id)}"}
        check_error(api.get("/auth/me", headers=headers), 401)


def test_stored_hash_is_no_key(api: Api, anna: Session, world: World) -> None:
    key = make_key(api, anna)
    secret_hash = token_digest(key.token)
    headers = {"Authorization": f"Bearer {key.token.rpartition('_')[0]}_{secret_hash}"}
    check_error(api.get("/auth/me", headers=headers), 401)
    check_error(api.get("/auth/me", headers={"Authorization": f"Bearer {secret_hash}"}), 401)


def test_health_tells_a_key_what_it_tells_people(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    assert "dependencies" in api.get("/health", key).json
    assert "dependencies" not in api.get("/health", headers={"Authorization": f"Bearer {key.token[:-1]}"}).json


# ---- making ------------------------------------------------------------------------------------------------------
def test_usual_life_is_ninety_days(api: Api, anna: Session, later: Any) -> None:
    key = make_key(api, anna)
    later(90 * DAY_SECONDS - 5)
    check_success(api.get("/auth/me", key))
    later(90 * DAY_SECONDS + 5)
    check_error(api.get("/auth/me", key), 401)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OWNER])
def test_key_without_an_end_needs_what_owners_have(api: Api, world: World, role: Role) -> None:
    maker = somebody(world, api, role)
    answer = ask_for_key(api, maker, expires_in_days="never")
    if role is Role.OWNER:
        check_success(answer, 201)
        assert answer.json["expires_at"] is None
    else:
        assert Scope.SECURITY_MANAGE in check_error(answer, 403)
        assert not world.rows("api-keys")


@pytest.mark.parametrize("scope", Scope)
def test_nobody_gives_a_scope_that_they_lack(api: Api, world: World, scope: Scope) -> None:
    admin = somebody(world, api, Role.ADMIN)
    answer = ask_for_key(api, admin, [Scope.FILES_READ, scope])
    if scope in ROLE_SCOPES[Role.ADMIN]:
        check_success(answer, 201)
    else:
        assert scope in check_error(answer, 403)
        assert not world.rows("api-keys")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 101},
        {"name": "two\nlines"},
        {"name": 1},
        {"scopes": []},
        {"scopes": ["files:read", "files:eat"]},
        {"scopes": "files:read"},
        {"scopes": [1]},
        {"expires_in_days": 0},
        {"expires_in_days": 366},
        {"expires_in_days": True},
        {"expires_in_days": 1.5},
        {"expires_in_days": "always"},
        {"networks": ["here"]},
        {"networks": ["10.0.0.1/8"]},
        {"networks": ["10.0.0.0/33"]},
        {"networks": ["fe80::1%eth0"]},
        {"networks": [""]},
        {"networks": "10.0.0.0/8"},
        {"networks": [10]},
        {"networks": ["10.0.0.0/8"] * 21},
    ],
)
def test_wrong_wish_is_400_and_makes_nothing(api: Api, anna: Session, world: World, wrong: dict[str, Any]) -> None:
    body = {"name": "robot", "scopes": ["files:read"], **wrong}
    check_error(api.post("/api-keys", anna, json_body=body), 400)
    assert not world.rows("api-keys")


def test_key_lives_on_when_its_maker_leaves(api: Api, anna: Session, world: World) -> None:
    admin = somebody(world, api, Role.ADMIN)
    key = make_key(api, admin, [Scope.FILES_READ])
    accounts.set_disabled(world.stores, admin.username, True)
    check_success(api.delete(f"/users/{admin.caller.user_id}", anna), 204)
    check_success(api.get("/files", key))
    assert listed(api, anna)[key.caller.user_id]["made_by"]["name"] == admin.username


def test_number_of_keys_is_bounded(api: Api, anna: Session, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.api_keys.logic.MAX_KEYS", 2)
    first = make_key(api, anna)
    make_key(api, anna)
    answer = ask_for_key(api, anna)
    check_error(answer, 409)
    assert answer.json["code"] == "too_many_api_keys"
    check_success(delete(api, anna, first), 204)
    make_key(api, anna)
    assert len(listed(api, anna)) == 2


def test_keys_made_at_the_same_moment_keep_the_bound(
    api: Api, anna: Session, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read a list on which there was room for one."""
    monkeypatch.setattr("chalicelib.api_keys.logic.MAX_KEYS", 2)
    make_key(api, anna)
    with just_before(
        "dynamodb.TransactWriteItems",
        lambda: api_keys.create_key(world.stores, anna.caller, KeyIntent("first", ["files:read"])),
    ):
        check_error(ask_for_key(api, anna), 409)
    assert [key["name"] for key in listed(api, anna).values()] == ["robot", "first"]


# ---- keys that make keys and people ------------------------------------------------------------------------------
def test_key_makes_keys_only_with_the_scope_and_never_with_more_than_its_own(api: Api, anna: Session) -> None:
    check_error(ask_for_key(api, make_key(api, anna, [Scope.FILES_WRITE]), [Scope.FILES_WRITE]), 403)
    maker = make_key(api, anna, [Scope.KEYS_MANAGE, Scope.FILES_READ])
    made = make_key(api, maker, [Scope.FILES_READ])
    assert listed(api, anna)[made.caller.user_id]["made_by"] == {
        "type": "api_key",
        "id": maker.caller.user_id,
        "name": "robot",
    }
    for scope in set(Scope) - maker.caller.scopes:
        assert scope in check_error(ask_for_key(api, maker, [scope]), 403)


def test_key_makes_none_that_outlives_it(api: Api, anna: Session, later: Any) -> None:
    scopes = [Scope.KEYS_MANAGE, Scope.SECURITY_MANAGE]
    maker = make_key(api, anna, scopes, expires_in_days=10)
    for days in (11, "never"):
        assert "outlives" in check_error(ask_for_key(api, maker, scopes, expires_in_days=days), 403)
    make_key(api, maker, scopes, expires_in_days=9)
    usual = make_key(api, maker, scopes)
    keys = listed(api, anna)
    assert keys[usual.caller.user_id]["expires_at"] == keys[maker.caller.user_id]["expires_at"]
    endless = make_key(api, anna, scopes, expires_in_days="never")
    check_success(ask_for_key(api, endless, scopes, expires_in_days="never"), 201)


def test_key_makes_none_that_works_from_elsewhere(api: Api, anna: Session) -> None:
    api.transport = "gateway"
    maker = make_key(api, anna, [Scope.KEYS_MANAGE], networks=NETWORKS)
    for wider in (["203.0.0.0/16"], ["0.0.0.0/0"], ["203.0.113.7", "198.51.100.0/24"], ["::/0"]):
        assert "where it does not work itself" in check_error(
            ask_for_key(api, maker, [Scope.KEYS_MANAGE], networks=wider), 403
        )
    narrower = make_key(api, maker, [Scope.KEYS_MANAGE], networks=["203.0.113.7"])
    same = make_key(api, maker, [Scope.KEYS_MANAGE])
    keys = listed(api, anna)
    assert keys[narrower.caller.user_id]["networks"] == ["203.0.113.7/32"]
    assert keys[same.caller.user_id]["networks"] == NETWORKS


def test_key_that_is_revoked_while_it_makes_another_makes_none(api: Api, anna: Session, world: World) -> None:
    maker = make_key(api, anna, [Scope.KEYS_MANAGE])
    check_success(api.get("/auth/me", maker))
    with just_before("dynamodb.Query", lambda: api_keys.revoke_by_id(world.stores, maker.caller.user_id)):
        check_error(ask_for_key(api, maker, [Scope.KEYS_MANAGE]), 401)
    assert len(listed(api, anna)) == 1


@pytest.mark.parametrize("role", Role)
def test_key_gives_no_role_with_more_than_its_own(api: Api, anna: Session, world: World, role: Role) -> None:
    target = somebody(world, api, Role.VIEWER)
    key = make_key(api, anna, ROLE_SCOPES[Role.MEMBER] | {Scope.USERS_MANAGE})
    path = f"/users/{target.caller.user_id}"
    answer = api.request("PATCH", path, session=key, json_body={"role": role})
    if ROLE_SCOPES[role] <= key.caller.scopes:
        check_success(answer)
    else:
        check_error(answer, 403)
    check_error(api.delete(f"/users/{anna.caller.user_id}", key), 403)


# ---- changing ----------------------------------------------------------------------------------------------------
def test_narrower_scopes_count_at_the_next_request(api: Api, anna: Session) -> None:
    key = make_key(api, anna, [Scope.FILES_READ, Scope.FILES_WRITE])
    check_success(api.upload(key), 201)
    answer = change(api, anna, key, scopes=["files:read"], name=" reader ")
    check_success(answer)
    assert (answer.json["scopes"], answer.json["name"]) == (["files:read"], "reader")
    check_error(api.upload(key), 403)
    assert api.get("/auth/me", key).json["user"]["username"] == "reader"
    assert Scope.FILES_WRITE in check_error(change(api, anna, key, scopes=["files:read", "files:write"]), 400)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": None}, {"scopes": []}, {"scopes": None}, {"scopes": [[]]}])
def test_wrong_change_is_400_and_changes_nothing(api: Api, anna: Session, world: World, body: dict[str, Any]) -> None:
    key = make_key(api, anna)
    before = world.snapshot()
    check_error(change(api, anna, key, **body), 400)
    assert world.snapshot() == before


def test_nobody_touches_a_key_with_more_than_their_own(api: Api, anna: Session, world: World) -> None:
    admin = somebody(world, api, Role.ADMIN)
    powerful = make_key(api, anna, [Scope.FILES_READ, Scope.SECURITY_MANAGE])
    weak = make_key(api, anna, [Scope.KEYS_MANAGE])
    before = world.rows("api-keys")
    for by, lacking in ((admin, Scope.SECURITY_MANAGE), (weak, Scope.FILES_READ)):
        api.get("/auth/me", by)
        before = world.rows("api-keys")
        for answer in (
            change(api, by, powerful, name="mine"),
            change(api, by, powerful, scopes=["files:read"]),
            rotate(api, by, powerful),
            delete(api, by, powerful),
        ):
            assert lacking in check_error(answer, 403)
        assert world.rows("api-keys") == before


def test_key_of_another_organization_is_404(api: Api, anna: Session, berta: Session, world: World) -> None:
    key = make_key(api, anna)
    before = world.snapshot()
    told = {
        check_error(answer, 404)
        for answer in (
            change(api, berta, key, name="mine"),
            change(api, berta, key),
            rotate(api, berta, key),
            rotate(api, berta, key, "x"),
            delete(api, berta, key),
        )
    }
    assert len(told) == 1
    assert listed(api, berta) == {}
    assert world.snapshot() == before


def test_key_does_not_reach_another_organization(api: Api, anna: Session, berta: Session) -> None:
    file_id = api.upload(anna).json["id"]
    key = make_key(api, berta, set(Scope))
    check_error(api.get(f"/files/{file_id}", key), 404)
    check_error(api.delete(f"/files/{file_id}", key), 404)
    check_error(api.get(f"/users/{anna.caller.user_id}", key), 404)
    assert api.get("/files", key).json["total"] == 0


# ---- rotation ----------------------------------------------------------------------------------------------------
def test_old_secret_lives_on_for_the_chosen_time(api: Api, anna: Session, later: Any) -> None:
    key = make_key(api, anna)
    answer = rotate(api, anna, key, 600)
    check_success(answer)
    renewed = as_session(answer)
    assert renewed.caller == key.caller
    assert renewed.token != key.token
    assert listed(api, anna)[key.caller.user_id]["old_secret_expires_at"] is not None
    later(595)
    for session in (key, renewed):
        check_success(api.get("/auth/me", session))
    later(601)
    check_error(api.get("/auth/me", key), 401)
    check_success(api.get("/auth/me", renewed))


def test_rotation_without_a_time_ends_the_old_secret_at_once(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    renewed = as_session(rotate(api, anna, key, 0))
    check_error(api.get("/auth/me", key), 401)
    check_success(api.get("/auth/me", renewed))
    assert listed(api, anna)[key.caller.user_id]["old_secret_expires_at"] is None


def test_never_more_than_two_secrets_live(api: Api, anna: Session) -> None:
    secrets = [make_key(api, anna)]
    for _ in range(2):
        secrets.append(as_session(rotate(api, anna, secrets[0], 600)))
    assert [api.get("/auth/me", secret).status for secret in secrets] == [401, 200, 200]


def test_rotation_does_not_move_the_end(api: Api, anna: Session, world: World, sign_in: SignIn, later: Any) -> None:
    key = make_key(api, anna, expires_in_days=1)
    later(DAY_SECONDS - 10)
    renewed = as_session(rotate(api, sign_in("anna"), key, 600))
    later(DAY_SECONDS + 1)
    for session in (key, renewed):
        check_error(api.get("/auth/me", session), 401)
    with pytest.raises(Conflict, match="expired"):
        api_keys.rotate_key(world.stores, anna.caller, key.caller.user_id, 0)


@pytest.mark.parametrize("seconds", [-1, 7 * DAY_SECONDS + 1, None, "60", 1.5, True])
def test_rotation_with_a_wrong_time_is_400(api: Api, anna: Session, world: World, seconds: Any) -> None:
    key = make_key(api, anna)
    before = world.snapshot()
    check_error(rotate(api, anna, key, seconds), 400)
    assert world.snapshot() == before


def test_one_of_two_rotations_at_the_same_moment_is_told_so(api: Api, anna: Session, world: World) -> None:
    """Else it would be given a secret that the other one is about to end."""
    key = make_key(api, anna)
    others: list[str] = []

    def rotate_too() -> None:
        others.append(api_keys.rotate_key(world.stores, anna.caller, key.caller.user_id, 0).text)

    with just_before("dynamodb.TransactWriteItems", rotate_too):
        check_error(rotate(api, anna, key), 409)
    check_success(api.get("/auth/me", headers={"Authorization": f"Bearer {others[0]}"}))


def test_key_rotates_itself_and_goes_on(api: Api, anna: Session) -> None:
    key = make_key(api, anna, [Scope.KEYS_MANAGE])
    renewed = as_session(rotate(api, key, key, 0))
    check_success(api.get("/api-keys", renewed))
    check_error(api.get("/api-keys", key), 401)


def test_rotation_gives_a_key_no_secret_of_one_that_it_could_not_have_made(api: Api, anna: Session) -> None:
    """Whoever rotates a key gets its secret: with the same scopes, but perhaps for longer and from elsewhere."""
    api.transport = "gateway"
    scopes = [Scope.KEYS_MANAGE]
    asking = make_key(api, anna, scopes, expires_in_days=10, networks=["203.0.113.0/24"])
    for more in (
        {"expires_in_days": 10},
        {"expires_in_days": 10, "networks": ["0.0.0.0/0"]},
        {"expires_in_days": 11, "networks": ["203.0.113.0/24"]},
    ):
        other = make_key(api, anna, scopes, **more)
        check_error(rotate(api, asking, other), 403)
        check_success(api.get("/auth/me", other))
        check_success(delete(api, asking, other), 204)
    within = make_key(api, anna, scopes, expires_in_days=9, networks=["203.0.113.7"])
    check_success(rotate(api, asking, within))


def test_rotating_a_key_without_an_end_needs_what_owners_have(api: Api, anna: Session, world: World) -> None:
    admin = somebody(world, api, Role.ADMIN)
    endless = make_key(api, anna, [Scope.FILES_READ], expires_in_days="never")
    assert Scope.SECURITY_MANAGE in check_error(rotate(api, admin, endless), 403)
    check_success(rotate(api, anna, endless))
    check_success(delete(api, admin, endless), 204)


# ---- the end of a key --------------------------------------------------------------------------------------------
def test_deleted_key_is_dead_at_once(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    check_success(api.get("/auth/me", key))
    check_success(delete(api, anna, key), 204)
    check_error(api.get("/auth/me", key), 401)
    check_error(delete(api, anna, key), 404)
    assert listed(api, anna) == {}


def test_whoever_holds_a_key_may_end_it(any_api: Api, anna: Session) -> None:
    key, other = make_key(any_api, anna), make_key(any_api, anna)
    check_success(revoke(any_api, key.token), 204)
    check_error(any_api.get("/auth/me", key), 401)
    check_success(any_api.get("/auth/me", other))
    shown = listed(any_api, anna)[key.caller.user_id]
    assert ISO_UTC.fullmatch(shown["revoked_at"])
    check_error(rotate(any_api, anna, key), 409)
    check_success(delete(any_api, anna, key), 204)


def test_revoking_tells_nothing(api: Api, anna: Session, world: World) -> None:
    key = make_key(api, anna)
    old = make_key(api, anna)
    rotate(api, anna, old, 0)
    guesses = [
        "x",
        "sr_",
        key.token[:-1],
        key_text.new_text(key.caller.user_id),
        key_text.new_text(key_text.new_key_id(anna.caller.organization_id)),
        old.token,
    ]
    before = world.snapshot()
    answers = [revoke(api, guess) for guess in guesses]
    assert world.snapshot() == before, "a secret that has died by a rotation ends nothing"
    real = revoke(api, key.token)
    again = revoke(api, key.token)
    told = {(answer.status, answer.body, *sorted(answer.headers)) for answer in (*answers, real, again)}
    assert len(told) == 1


def test_revoking_works_from_anywhere(api: Api, anna: Session) -> None:
    api.transport = "gateway"
    key = make_key(api, anna, networks=["198.51.100.0/24"])
    check_success(revoke(api, key.token), 204)
    assert listed(api, anna)[key.caller.user_id]["revoked_at"] is not None


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": None}, {"key": 1}])
def test_revoking_without_a_key_is_400(api: Api, body: dict[str, Any]) -> None:
    check_error(api.post("/api-keys/revoke", json_body=body), 400)


def test_revoking_is_limited_by_address(api: Api, anna: Session, configure: Configure) -> None:
    key = make_key(api, anna)
    configure(RATE_LIMIT_ANONYMOUS="2/hour")
    for _ in range(2):
        check_success(revoke(api, "x"), 204)
    with aws_calls() as made:
        check_error(revoke(api, key.token), 429)
    assert made == []


@pytest.mark.parametrize("how", ["delete", "revoke"])
def test_ending_a_key_ends_its_open_uploads(api: Api, anna: Session, world: World, how: str) -> None:
    key, other = make_key(api, anna), make_key(api, anna)
    file_id, others = begun(api, key, 5), begun(api, other, 5)
    check_success(delete(api, anna, key) if how == "delete" else revoke(api, key.token), 204)
    for upload in (file_id, others):
        arrive(world, upload, b"hello")
    world.drain()
    file = world.file(file_id)
    assert file is not None
    assert file.status == "failed"
    assert "API key" in str(file.error_message)
    assert list(world.permanent().values()) == [b"hello"], "those of other keys go on"
    assert not world.objects(TEMP_BUCKET)


def test_upload_that_starts_while_its_key_is_ended_is_refused(api: Api, anna: Session, world: World) -> None:
    key = make_key(api, anna)
    api.get("/auth/me", key)
    with just_before("dynamodb.TransactWriteItems", lambda: api_keys.revoke_by_id(world.stores, key.caller.user_id)):
        assert begin(api, key).status == 401
    assert world.organization().usage.files_used == 0


def test_deletion_that_stopped_half_way_is_finished_by_the_next(api: Api, anna: Session, world: World) -> None:
    key = make_key(api, anna)
    file_id = begun(api, key, 5)
    with unreachable("s3"):
        check_error(delete(api, anna, key), 503)
    check_error(api.get("/auth/me", key), 401)
    check_success(delete(api, anna, key), 204)
    file = world.file(file_id)
    assert file is not None
    assert file.status == "failed"
    assert listed(api, anna) == {}


def test_ended_key_vanishes_a_month_later(api: Api, anna: Session, world: World) -> None:
    expiring, revoked_one = make_key(api, anna, expires_in_days=1), make_key(api, anna)
    endless = make_key(api, anna, expires_in_days="never")
    revoke(api, revoked_one.token)
    rows = {row["key_id"]["S"]: row for row in world.rows("api-keys")}
    now = time.time()
    for key, ends in ((expiring, now + DAY_SECONDS), (revoked_one, now)):
        vanishes_at = int(rows[key.caller.user_id]["vanishes_at"]["N"])
        assert abs(vanishes_at - ends - LISTED_AFTER_END_SECONDS) < 60
    assert "vanishes_at" not in rows[endless.caller.user_id]


# ---- networks ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("address", "works"),
    [
        ("203.0.113.7", True),
        ("203.0.114.7", False),
        ("2001:db8:1::5", True),
        ("2001:db9::5", False),
        ("::ffff:203.0.113.9", True),
        ("::ffff:198.51.100.1", False),
        ("fe80::1%eth0", False),
        ("unknown", False),
    ],
)
def test_key_works_from_its_networks_only(api: Api, anna: Session, world: World, address: str, works: bool) -> None:
    api.transport = "gateway"
    key = make_key(api, anna, networks=NETWORKS)
    api.address = address
    answer = api.get("/auth/me", key)
    if works:
        check_success(answer)
        return
    assert address in check_error(answer, 403)
    assert answer.json["code"] == "missing_permission"
    assert listed(api, anna)[key.caller.user_id]["last_used_at"] is None, "that was no use"


def test_requests_from_elsewhere_use_up_nothing_of_the_key(api: Api, anna: Session, configure: Configure) -> None:
    api.transport = "gateway"
    key = make_key(api, anna, networks=["203.0.113.7"])
    configure(RATE_LIMIT_API_KEY="3/minute", RATE_LIMIT_ANONYMOUS="5/hour")
    api.address = "198.51.100.1"
    assert [api.get("/auth/me", key).status for _ in range(6)] == [403] * 5 + [429]
    api.address = "203.0.113.7"
    assert [api.get("/auth/me", key).status for _ in range(4)] == [200] * 3 + [429]


# ---- last use ----------------------------------------------------------------------------------------------------
def test_last_use_is_known_to_the_hour_and_written_once_in_it(api: Api, anna: Session, later: Any) -> None:
    key = make_key(api, anna)
    assert listed(api, anna)[key.caller.user_id]["last_used_at"] is None
    writes: list[int] = []
    for seconds in (0, 1, 3600, 3601, 7200):
        later(seconds)
        with aws_calls() as made:
            check_success(api.get("/auth/me", key))
        writes.append(made.count("dynamodb.UpdateItem"))
    assert writes == [1, 0, 1, 0, 1]
    assert listed(api, anna)[key.caller.user_id]["last_used_at"].endswith(":00:00.000Z")


def test_use_that_can_not_be_noted_is_no_reason_to_refuse(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    with refused("dynamodb.UpdateItem"):
        check_success(api.get("/auth/me", key))
    check_success(api.get("/auth/me", key))


def test_noting_a_use_does_not_bring_a_deleted_key_back(api: Api, anna: Session, world: World) -> None:
    key = make_key(api, anna)
    kept = world.stores.api_keys.find(key.caller.organization_id, key.caller.user_id)
    assert kept is not None
    with just_before("dynamodb.UpdateItem", lambda: world.stores.api_keys.delete(kept)):
        check_success(api.get("/auth/me", key))
    assert listed(api, anna) == {}


def test_noting_a_use_and_a_change_do_not_undo_each_other(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    with just_before("dynamodb.TransactWriteItems", lambda: api.get("/auth/me", key)):
        check_success(change(api, anna, key, name="other"))
    shown = listed(api, anna)[key.caller.user_id]
    assert shown["name"] == "other"
    assert shown["last_used_at"] is not None


# ---- uploads -----------------------------------------------------------------------------------------------------
def test_file_says_which_key_has_uploaded_it(api: Api, anna: Session, world: World) -> None:
    key = make_key(api, anna, [Scope.FILES_WRITE])
    by_form, direct = api.upload(key).json["id"], begun(api, key, 5)
    check_error(api.get(f"/files/{by_form}", key), 403)
    wanted = {"type": "api_key", "id": key.caller.user_id, "name": "robot"}
    for file_id in (by_form, direct):
        assert api.get(f"/files/{file_id}", anna).json["uploaded_by"] == wanted
    delete(api, anna, key)
    assert api.get(f"/files/{by_form}", anna).json["uploaded_by"] == wanted


def test_key_changes_its_own_files_and_no_others(api: Api, anna: Session) -> None:
    scopes = [Scope.FILES_WRITE, Scope.FILES_DELETE]
    key, other = make_key(api, anna, scopes), make_key(api, anna, scopes)
    file_id, annas = api.upload(key).json["id"], api.upload(anna).json["id"]
    check_error(api.delete(f"/files/{annas}", key), 403)
    check_error(api.delete(f"/files/{file_id}", other), 403)
    check_success(api.delete(f"/files/{file_id}", key), 204)


def test_uppys_routes_work_with_a_key(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    body = {"filename": "a.bin", "type": "x/y", "metadata": {"size": 20_000_000}}
    started = api.post("/s3/multipart", key, json_body=body).json
    path = f"/s3/multipart/{started['uploadId']}/1?key={started['key']}"
    check_success(api.get(path, key))
    check_error(api.get(path, make_key(api, anna)), 404)
    check_success(api.get("/s3/params?filename=a.txt&type=text/plain", key))


# ---- tickets -----------------------------------------------------------------------------------------------------
PARAMS = "/s3/params?filename=a.txt&type=text/plain"


def ticket_of(api: Api, session: Session) -> str:
    answer = api.post("/auth/ticket", session)
    check_success(answer, 201)
    return str(answer.json["base_path"])


def test_ticket_of_a_key_uploads_as_the_key(any_api: Api, anna: Session, world: World) -> None:
    key = make_key(any_api, anna)
    answer = any_api.get(ticket_of(any_api, key) + PARAMS)
    check_success(answer)
    file = world.file(answer.json["fields"]["key"].partition("/")[2])
    assert file is not None
    assert (file.uploaded_by_type, file.uploaded_by_id) == ("api_key", key.caller.user_id)


def test_ticket_dies_with_its_key(api: Api, anna: Session, later: Any) -> None:
    deleted, revoked_one, expiring = (make_key(api, anna, expires_in_days=1) for _ in range(3))
    paths = [ticket_of(api, key) for key in (deleted, revoked_one)]
    delete(api, anna, deleted)
    revoke(api, revoked_one.token)
    for path in paths:
        check_error(api.get(path + PARAMS), 401)
    later(DAY_SECONDS - 60)
    path = ticket_of(api, expiring)
    later(DAY_SECONDS + 1)
    check_error(api.get(path + PARAMS), 401)


def test_ticket_dies_with_the_secret_that_drew_it(api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    path = ticket_of(api, key)
    renewed = as_session(rotate(api, anna, key, 600))
    check_success(api.get(path + PARAMS))
    rotate(api, anna, renewed, 0)
    check_error(api.get(path + PARAMS), 401)


def test_ticket_has_no_more_than_its_key_has_now(api: Api, anna: Session) -> None:
    key = make_key(api, anna, [Scope.FILES_READ, Scope.FILES_WRITE])
    path = ticket_of(api, key)
    check_success(change(api, anna, key, scopes=["files:read"]))
    check_error(api.get(path + PARAMS), 403)


def test_ticket_works_from_the_networks_of_its_key_only(api: Api, anna: Session) -> None:
    api.transport = "gateway"
    key = make_key(api, anna, networks=["203.0.113.0/24"])
    path = ticket_of(api, key)
    api.address = "198.51.100.1"
    assert api.address in check_error(api.get(path + PARAMS), 403)
    api.address = "203.0.113.1"
    check_success(api.get(path + PARAMS))


def test_ticket_of_a_key_is_no_session(api: Api, anna: Session) -> None:
    token = ticket_of(api, make_key(api, anna)).removeprefix("/t/")
    check_error(api.get("/auth/me", headers={"Authorization": f"Bearer {token}"}), 401)
