"""Who sees events of which type: by role and by scope, in the feed and in the trail."""

from __future__ import annotations

import pytest

from chalicelib.events.records import AUDIT_ONLY, Event, EventType, Target, scope_of
from chalicelib.kernel.permissions import Role, Scope
from tests.unit.api import Api, Session
from tests.unit.contract import check_error
from tests.unit.http.test_permissions import somebody
from tests.unit.keys import make_key
from tests.unit.world import World

#: Things of which somebody with a role sees events in the feed. A line here is a decision.
FEED_OF = {
    Role.VIEWER: {"file"},
    Role.MEMBER: {"file", "user"},
    Role.ADMIN: {thing.partition(".")[0] for thing in EventType},
    Role.OWNER: {thing.partition(".")[0] for thing in EventType},
}
#: The same for a key with this scope besides files:read.
FEED_WITH = {
    Scope.USERS_READ: {"file", "user"},
    Scope.USERS_MANAGE: {"file", "invitation"},
    Scope.WEBHOOKS_MANAGE: {"file", "webhook"},
    Scope.AUDIT_READ: {"file", "session", "api_key", "organization", "audit", "operator"},
}
IN_FEED = {kind.value for kind in EventType} - AUDIT_ONLY


@pytest.fixture
def one_of_each(world: World) -> None:
    """An event of each type."""
    organization_id = world.organizations["Acme"].organization_id
    for kind in EventType:
        target = Target("file", "1")
        world.stores.outbox.put(Event(organization_id=organization_id, type=kind, target=target, occasion="1", data={}))
    world.publish()


def feed_of(api: Api, session: Session) -> set[str]:
    return {event["type"] for event in api.get("/events?limit=1000", session).json["events"]}


def trail_of(api: Api, session: Session) -> set[str]:
    return {event["type"] for event in api.get("/audit?limit=100", session).json["events"]}


def of(things: set[str]) -> set[str]:
    return {kind for kind in IN_FEED if kind.partition(".")[0] in things}


@pytest.mark.parametrize("role", Role)
def test_feed_of_a_role(api: Api, world: World, role: Role, one_of_each: None) -> None:
    session = somebody(world, api, role)
    assert feed_of(api, session) == of(FEED_OF[role])
    for kind in EventType:
        answer = api.get(f"/events?types={kind}&last=1", session)
        expected = 400 if kind in AUDIT_ONLY else 200 if kind in of(FEED_OF[role]) else 403
        assert answer.status == expected, kind


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.FILES_READ])
def test_feed_of_a_key(api: Api, anna: Session, scope: Scope, one_of_each: None) -> None:
    assert feed_of(api, make_key(api, anna, [Scope.FILES_READ, scope])) == of(FEED_WITH.get(scope, {"file"}))


@pytest.mark.parametrize("role", Role)
def test_trail_shows_all_or_nothing(api: Api, world: World, role: Role, one_of_each: None) -> None:
    session = somebody(world, api, role)
    if role in (Role.ADMIN, Role.OWNER):
        assert trail_of(api, session) >= set(EventType)
    else:
        check_error(api.get("/audit", session), 403)


def test_webhook_is_told_no_more_than_its_maker_sees(api: Api, anna: Session) -> None:
    key = make_key(api, anna, [Scope.WEBHOOKS_MANAGE])
    for kind in IN_FEED:
        answer = api.post("/webhooks", key, json_body={"url": "https://hooks.example.com/", "types": [kind]})
        assert answer.status == (201 if scope_of(kind) is Scope.WEBHOOKS_MANAGE else 403), kind


def test_of_a_thing_that_no_scope_is_named_for_auditors_see_events() -> None:
    assert scope_of("weather.changed") is Scope.AUDIT_READ
