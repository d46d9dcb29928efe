"""Failed logins: who learns of them, and that nothing of what was typed can be read back."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from chalicelib.events.records import NOBODYS_ORGANIZATION
from chalicelib.kernel.permissions import Role, Scope
from tests.aws_calls import unreachable
from tests.unit.api import Api, Session
from tests.unit.contract import check_error
from tests.unit.events.test_feed import seen
from tests.unit.http.test_permissions import somebody
from tests.unit.keys import make_key
from tests.unit.world import World

PROBE = "correct-horse-typed-as-name"


def trail(api: Api, session: Session, query: str = "") -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = api.get(f"/audit{query}", session).json["events"]
    return events


def nobodys(world: World) -> list[dict[str, Any]]:
    world.publish()
    return [event.to_json() for event in world.stores.feed.before(NOBODYS_ORGANIZATION, None)]


def fail(api: Api, name: str) -> dict[str, Any]:
    answer = api.login(name, "not-the-password")
    check_error(answer, 401)
    body: dict[str, Any] = answer.json
    return body


@pytest.mark.parametrize("typed", ["anna", " ANNA\t"])
def test_failure_of_a_known_name_is_in_the_trail_of_its_organisation_only(
    any_api: Api, anna: Session, berta: Session, world: World, typed: str
) -> None:
    request_id = fail(any_api, typed)["request_id"]
    world.publish()
    [event] = trail(any_api, anna)
    assert (event["type"], event["target"]) == ("session.failed", {"type": "user", "id": anna.caller.user_id})
    assert event["actor"]["type"] == "anonymous"
    assert event["actor"]["address"]
    assert event["request_id"] == request_id
    assert event["data"] == {"username_hash": hashlib.sha256(b"anna").hexdigest()[:4], "step": "password"}
    assert trail(any_api, berta) == nobodys(world) == []
    assert seen(any_api, anna) == [], "whoever has no account does not fill the feed"


@pytest.mark.parametrize("typed", [PROBE, "what is this?", "ghost\U0001f600"])
def test_failure_of_a_name_that_nobody_has_is_the_operators(
    api: Api, anna: Session, berta: Session, world: World, typed: str
) -> None:
    fail(api, typed)
    [event] = nobodys(world)
    hashed = hashlib.sha256(typed.encode()).hexdigest()
    assert event["data"] == {"username_hash": hashed[:4], "step": "password"}
    assert event["target"] == {"type": "username", "id": hashed[:4]}
    for session in (anna, berta):
        assert trail(api, session) == []
        [summary] = api.get("/audit/export", session).body.splitlines()
        assert json.loads(summary)["export"]["events"] == 0
        assert api.get("/events", session).json["events"] == []


def test_of_a_name_no_more_than_four_digits_are_stored(api: Api, world: World) -> None:
    for name in (PROBE, "anna"):
        fail(api, name)
        hashed = hashlib.sha256(name.encode()).hexdigest()
        stored = json.dumps(world.rows("event-outbox"))
        assert hashed[:4] in stored
        assert hashed[:5] not in stored
    assert PROBE not in stored


def test_answer_does_not_tell_whose_feed_it_went_to(api: Api, world: World) -> None:
    answers = [fail(api, name) for name in ("anna", PROBE)]
    assert {answer["error"] for answer in answers} == {answers[0]["error"]}
    assert len(world.rows("event-outbox")) == 2


def test_each_failure_is_an_event_of_its_own(api: Api, anna: Session, world: World) -> None:
    for _ in range(3):
        fail(api, "anna")
    world.publish()
    assert len({event["id"] for event in trail(api, anna)}) == 3


def test_failure_that_can_not_be_told_is_answered_all_the_same(api: Api, world: World) -> None:
    with unreachable("dynamodb.PutItem") as tried:
        fail(api, "anna")
    assert tried
    assert world.rows("event-outbox") == []


def test_login_that_a_limit_refuses_is_not_told(api: Api, world: World, configure: Any) -> None:
    configure(RATE_LIMIT_LOGIN_PER_USERNAME="2/hour")
    for _ in range(2):
        fail(api, "anna")
    check_error(api.login("anna", "correct-horse-anna"), 429)
    assert len(world.rows("event-outbox")) == 2


def test_who_may_not_read_the_trail_reads_no_failed_login(api: Api, anna: Session, world: World) -> None:
    fail(api, "anna")
    world.publish()
    member, key = somebody(world, api, Role.MEMBER), make_key(api, anna, [Scope.FILES_READ, Scope.USERS_READ])
    for session in (member, key):
        check_error(api.get("/audit", session), 403)
        check_error(api.get("/audit/export", session), 403)
    for session in (member, key, anna):
        check_error(api.get("/events?types=session.failed", session), 400)
    assert api.get("/audit", make_key(api, anna, [Scope.AUDIT_READ])).json["events"] != []


def test_nobodys_organisation_is_no_organisation(world: World) -> None:
    """A caller comes from a row, and a row's organisation is a UUID."""
    assert world.stores.organizations.find(NOBODYS_ORGANIZATION) is None
    assert all(len(organization.organization_id) == 36 for organization in world.organizations.values())
