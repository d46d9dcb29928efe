"""Webhooks over HTTP: making, changing, deleting; secrets that are shown once; deliveries, tests, replays."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from chalicelib.kernel.permissions import Scope
from chalicelib.webhooks import logic
from chalicelib.webhooks.records import Webhook
from chalicelib.webhooks.signatures import new_secret
from chalicelib.webhooks.wakeups import wake_overdue
from tests.aws_calls import unreachable
from tests.memory.endpoints import answering
from tests.unit.api import Answer, Api, Session
from tests.unit.contract import ISO_UTC, UUID7, check_error, check_success
from tests.unit.keys import make_key
from tests.unit.webhooks.lab import URL, Lab
from tests.unit.world import World

ABSENT = "01890000-0000-7000-8000-000000000000"
KEYS = {
    *("id", "url", "types", "description", "enabled", "disabled_at", "disabled_reason", "failing_since", "position"),
    *("created_at", "old_secret_expires_at"),
}


def create(api: Api, session: Session, **body: Any) -> Answer:
    return api.post("/webhooks", session, json_body={"url": URL, **body})


def patch(api: Api, session: Session, webhook_id: str, **body: Any) -> Answer:
    return api.request("PATCH", f"/webhooks/{webhook_id}", session=session, json_body=body)


def stored(world: World, webhook_id: str) -> Webhook:
    found = world.stores.webhooks.find(world.caller("anna").organization_id, webhook_id)
    assert found is not None
    return found


def told(world: World) -> list[dict[str, Any]]:
    return [event for event in world.events() if event["type"].startswith("webhook.")]


def test_webhook_is_made_and_its_secret_shown_once(any_api: Api, anna: Session, world: World) -> None:
    answer = create(any_api, anna, types=["file.completed", "file.failed"], description=" Invoices ")
    check_success(answer, 201)
    made = answer.json
    assert set(made) == KEYS | {"secret"}
    assert UUID7.fullmatch(made["id"])
    assert ISO_UTC.fullmatch(made["created_at"])
    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["types"]) == (URL, ["file.completed", "file.failed"])
    assert (made["description"], made["enabled"]) == ("Invoices", True)
    for seen in (any_api.get(f"/webhooks/{made['id']}", anna), any_api.get("/webhooks", anna)):
        check_success(seen)
        assert made["secret"].encode() not in seen.body
    assert any_api.get("/webhooks", anna).json["webhooks"] == [{k: v for k, v in made.items() if k != "secret"}]
    assert stored(world, made["id"]).secret == made["secret"]


def test_list_is_of_the_own_organization_and_in_order(api: Api, anna: Session, berta: Session) -> None:
    ids = [create(api, anna).json["id"] for _ in range(3)]
    theirs = create(api, berta).json["id"]
    assert [one["id"] for one in api.get("/webhooks", anna).json["webhooks"]] == ids
    assert [one["id"] for one in api.get("/webhooks", berta).json["webhooks"]] == [theirs]


WRONG = [
    ({}, "url"),
    ({"url": 7}, "url"),
    ({"url": ""}, "url"),
    ({"url": "http://hooks.example.com/"}, "https"),
    ({"url": "https://private.example.com/"}, "https"),
    ({"url": "https://hooks.example.com/" + "x" * 2000}, "2000"),
    ({"url": URL, "types": []}, "types"),
    ({"url": URL, "types": "file.completed"}, "types"),
    ({"url": URL, "types": [1]}, "types"),
    ({"url": URL, "types": ["file.exploded"]}, "file.exploded"),
    ({"url": URL, "types": ["file.downloaded"]}, "file.downloaded"),
    ({"url": URL, "types": ["webhook.test"]}, "webhook.test"),
    ({"url": URL, "description": 3}, "description"),
    ({"url": URL, "description": "x" * 201}, "description"),
    ({"url": URL, "description": "a\u202eb"}, "description"),
]


@pytest.mark.parametrize(("body", "named"), WRONG)
def test_what_can_not_be_one_is_told(api: Api, anna: Session, world: World, body: dict[str, Any], named: str) -> None:
    before = world.snapshot()
    assert named in check_error(api.post("/webhooks", anna, json_body=body), 400)
    webhook_id = None
    if "url" in body and body["url"] != URL:
        webhook_id = create(api, anna).json["id"]
        before = world.snapshot()
        assert named in check_error(patch(api, anna, webhook_id, url=body["url"]), 400)
    assert world.snapshot() == before


def test_organization_has_at_most_twenty(api: Api, anna: Session, berta: Session) -> None:
    ids = [create(api, anna).json["id"] for _ in range(logic.MAX_WEBHOOKS)]
    assert create(api, anna).json["code"] == "too_many_webhooks"
    check_success(create(api, berta), 201)
    check_success(api.delete(f"/webhooks/{ids[0]}", anna), 204)
    check_success(create(api, anna), 201)


def test_types_are_those_that_the_maker_may_see(api: Api, anna: Session, world: World) -> None:
    key = make_key(api, anna, [Scope.WEBHOOKS_MANAGE, Scope.FILES_READ])
    check_success(create(api, key, types=["file.completed"]), 201)
    blind = make_key(api, anna, [Scope.WEBHOOKS_MANAGE])
    assert Scope.FILES_READ in check_error(create(api, blind, types=["file.completed"]), 403)
    of_all = stored(world, create(api, blind).json["id"])
    assert of_all.types is None
    assert not of_all.wants("file.completed", "x")
    assert of_all.wants("webhook.deleted", "x")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"url": "https://elsewhere.example.com/"}),
        ("DELETE", "", None),
        ("POST", "/rotate-secret", {"old_secret_seconds": 0}),
        ("POST", "/replay", {"after": 0}),
        ("POST", "/test", None),
        ("POST", "/deliveries/1/redeliver", None),
    ],
)
def test_nobody_changes_what_is_told_more_than_they_may_see(
    api: Api, anna: Session, world: World, method: str, path: str, body: Any
) -> None:
    webhook_id = create(api, anna, types=["file.completed"]).json["id"]
    blind = make_key(api, anna, [Scope.WEBHOOKS_MANAGE])
    api.get("/auth/me", blind)
    before = world.snapshot()
    answer = api.request(method, f"/webhooks/{webhook_id}{path}", session=blind, json_body=body)
    assert Scope.FILES_READ in check_error(answer, 403)
    assert world.snapshot() == before


def test_changes_are_made_and_told_without_path_and_query(api: Api, anna: Session, world: World) -> None:
    webhook_id = create(api, anna).json["id"]
    url = "https://other.example.com:8443/other?key=hidden"
    answer = patch(api, anna, webhook_id, url=url, types=["file.failed"], description="B")
    check_success(answer)
    assert (answer.json["url"], answer.json["types"], answer.json["description"]) == (url, ["file.failed"], "B")
    check_success(patch(api, anna, webhook_id, types=None))
    check_success(patch(api, anna, webhook_id, enabled=False))
    check_success(patch(api, anna, webhook_id, enabled=True))
    check_success(api.delete(f"/webhooks/{webhook_id}", anna), 204)
    events = told(world)
    kinds = ["created", "changed", "changed", "disabled", "enabled", "deleted"]
    assert sorted(event["type"] for event in events) == sorted(f"webhook.{kind}" for kind in kinds)
    assert {event["target"]["id"] for event in events} == {webhook_id}
    assert {event["actor"]["name"] for event in events} == {"anna"}
    changes = [
        event["changes"] for event in events if event["type"] == "webhook.changed" and "origin" in event["changes"]
    ]
    assert changes[0]["origin"] == {"from": "https://hooks.example.com", "to": "https://other.example.com:8443"}
    for hidden in ("hidden", "of-the-customer", "whsec_"):
        assert hidden not in json.dumps(events)


def test_change_of_nothing_writes_nothing(api: Api, anna: Session, world: World) -> None:
    webhook_id = create(api, anna, types=["file.failed"]).json["id"]
    before = world.snapshot()
    check_success(patch(api, anna, webhook_id, url=URL, types=["file.failed"], enabled=True, description=""))
    assert world.snapshot() == before
    assert "url, types" in check_error(patch(api, anna, webhook_id), 400)
    assert "enabled" in check_error(patch(api, anna, webhook_id, enabled=1), 400)


def test_rotation_gives_a_new_secret_and_says_how_long_the_old_one_lives(api: Api, anna: Session, world: World) -> None:
    made = create(api, anna).json
    path = f"/webhooks/{made['id']}/rotate-secret"
    answer = api.post(path, anna, json_body={"old_secret_seconds": 3600})
    check_success(answer)
    assert answer.json["secret"] != made["secret"]
    assert ISO_UTC.fullmatch(answer.json["old_secret_expires_at"])
    assert (stored(world, made["id"]).secret, stored(world, made["id"]).old_secret) == (
        answer.json["secret"],
        made["secret"],
    )
    at_once = api.post(path, anna, json_body={"old_secret_seconds": 0}).json
    assert at_once["old_secret_expires_at"] is None
    assert stored(world, made["id"]).old_secret is None
    assert [event["type"] for event in told(world)].count("webhook.secret_rotated") == 2
    for wrong in (-1, logic.MAX_OLD_SECRET_SECONDS + 1, "1", None, True, 1.5):
        assert "old_secret_seconds" in check_error(api.post(path, anna, json_body={"old_secret_seconds": wrong}), 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate-secret"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/1/redeliver"),
        ("POST", "/replay"),
    ],
)
def test_webhook_of_another_organization_is_404_and_stays_as_it_is(
    api: Api, anna: Session, berta: Session, world: World, method: str, path: str
) -> None:
    webhook_id = create(api, anna).json["id"]
    before = world.snapshot()
    sentences = {
        check_error(api.request(method, f"/webhooks/{one}{path}", session=berta, json_body={"nonsense": 1}), 404)
        for one in (webhook_id, ABSENT, "nonsense")
    }
    assert sentences == {"There is no such webhook."}
    assert world.snapshot() == before


# ---- deliveries ------------------------------------------------------------------------------------------------------


def test_deliveries_are_listed_with_their_tries_newest_first(api: Api, anna: Session, lab: Lab) -> None:
    webhook_id = create(api, anna, types=["file.completed"]).json["id"]
    path = f"/webhooks/{webhook_id}/deliveries"
    assert api.get(path, anna).json == {"deliveries": [], "next_cursor": None}
    lab.behave(answering(500, "broken"))
    (first,) = lab.happen()
    lab.work()
    lab.behave(answering(200))
    lab.pass_time(60, step=6)
    (second,) = lab.happen()
    lab.work()
    answer = api.get(path, anna)
    check_success(answer)
    newest, oldest = answer.json["deliveries"]
    assert (newest["event_id"], oldest["event_id"]) == (second, first)
    assert (oldest["status"], oldest["event_type"], oldest["next_try_at"]) == ("delivered", "file.completed", None)
    assert [(one["status"], one["answer"]) for one in oldest["tries"]] == [(200, ""), (500, "broken")]
    assert all(ISO_UTC.fullmatch(one["time"]) for one in oldest["tries"])
    page = api.get(f"{path}?limit=1", anna).json
    assert [one["event_id"] for one in page["deliveries"]] == [second]
    rest = api.get(f"{path}?limit=1&cursor={page['next_cursor']}", anna).json
    assert [one["event_id"] for one in rest["deliveries"]] == [first]
    assert api.get(f"{path}?cursor={rest['next_cursor']}", anna).json == {"deliveries": [], "next_cursor": None}
    for wrong in ("cursor=x", "cursor=0", f"cursor={10**17}", "limit=0", "limit=x"):
        check_error(api.get(f"{path}?{wrong}", anna), 400)


def test_delivery_is_made_again(api: Api, anna: Session, lab: Lab) -> None:
    webhook_id = create(api, anna, types=["file.completed"]).json["id"]
    (event_id,) = lab.happen()
    lab.work()
    path = f"/webhooks/{webhook_id}/deliveries"
    (delivery,) = api.get(path, anna).json["deliveries"]
    answer = api.post(f"{path}/{delivery['id']}/redeliver", anna)
    check_success(answer, 202)
    assert answer.json["status"] == "pending"
    lab.work()
    assert lab.posted() == [event_id, event_id]
    (delivery,) = api.get(path, anna).json["deliveries"]
    assert (delivery["status"], len(delivery["tries"])) == ("delivered", 2)
    for absent in ("999", "0", "x", "9" * 30, "1e3"):
        assert check_error(api.post(f"{path}/{absent}/redeliver", anna), 404) == "There is no such delivery."


def test_replay_sends_old_events_again(api: Api, anna: Session, lab: Lab) -> None:
    webhook_id = create(api, anna, types=["file.completed"]).json["id"]
    events = lab.happen(3)
    lab.work()
    path = f"/webhooks/{webhook_id}/replay"
    check_success(api.post(path, anna, json_body={"after": 0}), 202)
    lab.work()
    check_success(api.post(path, anna, json_body={"since": "2020-01-01T00:00:00Z"}), 202)
    lab.work()
    assert sorted(lab.posted()) == sorted(events * 3)
    for wrong in (
        {},
        {"after": 0, "since": "2020-01-01T00:00:00Z"},
        {"after": -1},
        {"after": "1"},
        {"after": True},
        {"after": 10**15},
        {"since": "yesterday"},
        {"since": "2020-01-01T00:00:00"},
        {"since": "0001-01-01T00:00:00Z"},
    ):
        check_error(api.post(path, anna, json_body=wrong), 400)


def test_disabled_one_sends_nothing_on_request(api: Api, anna: Session, lab: Lab, world: World) -> None:
    webhook_id = create(api, anna, types=["file.completed"]).json["id"]
    lab.happen()
    lab.work()
    answer = patch(api, anna, webhook_id, enabled=False)
    assert (answer.json["enabled"], answer.json["disabled_reason"]) == (False, logic.BY_PEOPLE)
    before = world.snapshot()
    path = f"/webhooks/{webhook_id}"
    sequence = api.get(f"{path}/deliveries", anna).json["deliveries"][0]["id"]
    for what, body in (("test", None), ("replay", {"after": 0}), (f"deliveries/{sequence}/redeliver", None)):
        answer = api.post(f"{path}/{what}", anna, json_body=body)
        check_error(answer, 409)
        assert answer.json["code"] == "webhook_disabled"
    assert world.snapshot() == before


def test_test_is_accepted_and_arrives(api: Api, anna: Session, lab: Lab) -> None:
    webhook_id = create(api, anna, types=["file.completed"]).json["id"]
    answer = api.post(f"/webhooks/{webhook_id}/test", anna)
    check_success(answer, 202)
    lab.publish()
    lab.work()
    assert lab.posted() == [answer.json["event_id"]]


def test_secrets_are_random() -> None:
    assert len({new_secret() for _ in range(50)}) == 50


def test_queue_that_is_away_does_not_refuse_what_is_written(api: Api, anna: Session, world: World) -> None:
    """The sweep wakes the webhook; whoever asks again would only have its events sent once more."""
    webhook_id = create(api, anna).json["id"]
    check_success(patch(api, anna, webhook_id, enabled=False))
    with unreachable("sqs") as tried:
        answer = patch(api, anna, webhook_id, enabled=True)
    check_success(answer)
    assert answer.json["enabled"]
    assert tried
    assert wake_overdue(world.stores, int(time.time()) + 1) == 1
