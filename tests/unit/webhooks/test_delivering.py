"""From an event to an endpoint: order of work, tries, failing and disabled endpoints, replays."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import EndpointConnectionError
from pynamodb.exceptions import PynamoDBException

from chalicelib.events.records import EventType
from chalicelib.kernel.permissions import Scope
from chalicelib.webhooks import deliveries, delivering, logic
from chalicelib.webhooks.batches import deliver_batch
from chalicelib.webhooks.logic import WebhookChange
from chalicelib.webhooks.ports import Answer
from chalicelib.webhooks.records import DeliveryStatus
from chalicelib.webhooks.tries import JITTER, MAX_RETRY_AFTER_SECONDS, WAITS_SECONDS
from chalicelib.webhooks.wakeups import FAILING_SECONDS, FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS
from tests.aws_calls import just_before, listening, unreachable
from tests.memory.endpoints import OK, Post, answering, silent
from tests.unit.webhooks.lab import URL, Lab

DAY = 24 * 3600


def test_event_is_posted_once_in_the_form_of_the_feed(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    (event_id,) = lab.happen()
    lab.work()
    (post,) = lab.posts()
    assert post.event_id == event_id
    told = json.loads(post.body)
    assert (told["id"], told["type"], told["data"]) == (event_id, "file.completed", {"number": 1})
    assert told["timestamp"] == told["time"]
    assert post.headers["Content-Type"] == "application/json"
    (delivery,) = lab.deliveries(webhook)
    assert (delivery.status, delivery.attempts, delivery.next_try_at) == (DeliveryStatus.DELIVERED, 1, None)
    assert [(one.status, one.answer, one.error) for one in delivery.tries] == [(200, "thanks", None)]
    lab.pass_time(2 * DAY, step=3600)
    assert lab.posted() == [event_id]


def test_only_what_happens_after_it_was_made(lab: Lab) -> None:
    lab.happen(3)
    lab.webhook(types=["file.completed"])
    events = lab.happen(2)
    lab.work()
    assert sorted(lab.posted()) == sorted(events)


def test_types_choose(lab: Lab) -> None:
    lab.webhook(types=["file.deleted"])
    lab.happen(2)
    (deleted,) = lab.happen(kind=EventType.FILE_DELETED)
    lab.happen(2)
    lab.work()
    assert lab.posted() == [deleted]


def test_all_types_leave_out_what_is_for_auditors_only(lab: Lab) -> None:
    webhook = lab.webhook()
    lab.happen(kind=EventType.FILE_DOWNLOADED)
    (deleted,) = lab.happen(kind=EventType.FILE_DELETED)
    lab.work()
    assert [one.event_type for one in lab.deliveries(webhook)] == ["webhook.created", "file.deleted"]
    assert lab.posted()[-1] == deleted


def test_events_of_another_organization_are_not_for_us(lab: Lab) -> None:
    lab.webhook()
    lab.webhook("https://bolt.example.com", by="berta")
    mine, theirs = lab.happen(3), lab.happen(2, of="Bolt")
    lab.work()
    assert set(mine) <= set(lab.posted())
    assert not set(theirs) & set(lab.posted())
    assert set(theirs) <= set(lab.posted("https://bolt.example.com"))


def test_many_events_are_sent_all(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    events = lab.happen(delivering.NEW_EVENTS + 20)
    lab.work()
    assert sorted(lab.posted()) == sorted(events)
    assert lab.now(webhook).progress.position == lab.world.stores.feed.last_sequence(webhook.organization_id)


# ---- tries -----------------------------------------------------------------------------------------------------------


def test_failed_event_is_tried_over_three_days_and_then_failed(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(answering(500, "x" * 2000))
    (event_id,) = lab.happen()
    lab.work()
    waits: list[float] = []
    while (delivery := lab.deliveries(webhook)[0]).next_try_at is not None:
        assert delivery.attempts == len(waits) + 1, "it was not tried when it was due"
        waits.append(delivery.next_try_at - time.time())
        lab.forward(max(waits[-1], lab.now(webhook).progress.quiet_until - time.time(), 0) + 1)
        lab.sweep()
        lab.work()
    assert len(waits) == len(WAITS_SECONDS)
    for wait, wanted in zip(waits, WAITS_SECONDS, strict=True):
        assert wanted * (1 - JITTER) - 2 <= wait <= wanted * (1 + JITTER) + 2
    assert 2.5 * DAY < sum(WAITS_SECONDS) < 3.5 * DAY
    assert lab.posted() == [event_id] * (len(WAITS_SECONDS) + 1)
    assert delivery.status == DeliveryStatus.FAILED
    assert delivery.attempts == len(WAITS_SECONDS) + 1


def test_each_try_is_signed_anew_with_the_same_id(lab: Lab) -> None:
    lab.webhook(types=["file.completed"])
    lab.behave(answering(500))
    lab.happen()
    lab.work()
    lab.behave(OK)
    lab.pass_time(60, step=6)
    first, second = lab.posts()
    assert first.event_id == second.event_id
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
def test_whatever_is_no_2xx_is_tried_again(lab: Lab, status: int) -> None:
    lab.webhook(types=["file.completed"])
    lab.behave(answering(status))
    (event_id,) = lab.happen()
    lab.work()
    lab.behave(answering(204))
    lab.pass_time(30, step=6)
    assert lab.posted() == [event_id, event_id]


def test_endpoint_that_says_when_to_come_again_is_sent_nothing_before(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(lambda _: Answer(429, 1, "", None, retry_after_seconds=3000))
    (event_id,) = lab.happen()
    lab.work()
    (delivery,) = lab.deliveries(webhook)
    assert delivery.next_try_at is not None
    assert 2990 < delivery.next_try_at - time.time() <= 3001
    lab.behave(OK)
    later = lab.happen(3)
    lab.pass_time(2900, step=50)
    assert lab.posted() == [event_id]
    lab.pass_time(400, step=50)
    assert sorted(lab.posted()) == sorted([event_id, event_id, *later])
    assert lab.now(webhook).progress.failing_since is None


def test_endpoint_is_believed_for_some_hours_and_the_schedule_goes_on(lab: Lab) -> None:
    """Neither later than the bound nor sooner than the schedule, and each time counts as a try."""
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(lambda _: Answer(503, 1, "", None, retry_after_seconds=10**12))
    lab.happen()
    lab.work()
    waits: list[float] = []
    while (delivery := lab.deliveries(webhook)[0]).next_try_at is not None:
        waits.append(delivery.next_try_at - time.time())
        assert delivery.attempts == len(waits)
        lab.forward(waits[-1] + 1)
        lab.sweep()
        lab.work()
    assert len(waits) == len(WAITS_SECONDS)
    for wait, wanted in zip(waits, WAITS_SECONDS, strict=True):
        assert max(wanted * (1 - JITTER), MAX_RETRY_AFTER_SECONDS) - 2 <= wait
        assert wait <= max(wanted * (1 + JITTER), MAX_RETRY_AFTER_SECONDS) + 2


def test_what_is_asked_for_by_people_does_not_wait_for_the_endpoint(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(lambda _: Answer(429, 1, "", None, retry_after_seconds=3000))
    lab.happen()
    lab.work()
    lab.behave(OK)
    lab.forward(10)
    deliveries.send_test(lab.world.stores, lab.world.caller("anna"), webhook.webhook_id)
    lab.publish()
    lab.work()
    assert len(lab.posts()) == 2


def test_failing_endpoint_is_asked_with_one_event_at_a_time_and_less_and_less_often(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(silent)
    events = lab.happen(50)
    lab.work()
    at_first = len(lab.posts())
    assert at_first <= 2 * delivering.PARALLEL_TRIES
    for _ in range(4):
        before = len(lab.posts())
        events += lab.happen(5)
        lab.pass_time(MAX_PAUSE_SECONDS, step=5)
        assert (
            len(lab.posts()) - before <= MAX_PAUSE_SECONDS / FAILING_SECONDS + FAILING_SECONDS / FIRST_PAUSE_SECONDS + 1
        )
    lab.behave(OK)
    lab.pass_time(3 * DAY, step=3600)
    assert set(lab.posted()) == set(events)
    assert {one.status for one in lab.deliveries(webhook)} == {DeliveryStatus.DELIVERED}
    assert lab.now(webhook).progress.failing_since is None


def test_fifty_dead_endpoints_keep_nothing_from_the_one_that_lives(lab: Lab) -> None:
    """The dead ones answer when the living one has all its events, and not before: if it had to wait for one of them,
    neither would ever end.
    """
    released, stuck = threading.Event(), threading.Event()

    def wait_for_the_living(post: Post) -> Answer:
        if not released.wait(60):
            stuck.set()
        return silent(post)

    lab.webhook(types=["file.completed"])
    dead = [f"https://dead-{number}.example.com" for number in range(50)]
    for number, url in enumerate(dead):
        lab.webhook(url, ["file.completed"], by=lab.owner(f"Organisation {number % 5}"))
        lab.behave(wait_for_the_living, url)
    for number in range(5):
        lab.happen(8, of=f"Organisation {number}")
    events = lab.happen(20)

    def live(post: Post) -> Answer:
        if len(lab.posts()) == len(events):
            released.set()
        return OK(post)

    lab.behave(live)
    batches = []
    while messages := lab.wakeups.receive():
        batches.append(messages)
    assert sum(map(len, batches)) >= 51
    # As Lambda runs them: each batch by a function of its own, at the same time.
    with ThreadPoolExecutor(len(batches)) as functions:
        answers = list(functions.map(lambda batch: deliver_batch(lab.world.stores, batch), batches))
    assert not stuck.is_set()
    assert sorted(lab.posted()) == sorted(events)
    assert answers == [{"batchItemFailures": []}] * len(batches)
    assert all(lab.posts(url) for url in dead)


def test_endpoint_that_fails_for_five_days_is_disabled_with_an_event(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(answering(503))
    for _ in range(6 * 4):
        lab.happen()
        lab.pass_time(DAY / 4, step=2 * 3600)
    disabled = lab.now(webhook)
    assert not disabled.enabled
    assert disabled.disabled_reason == delivering.FAILED_TOO_LONG
    assert disabled.progress.wake_at is None
    told = [event for event in lab.world.events() if event["type"] == "webhook.disabled"]
    assert [event["data"]["disabled_reason"] for event in told] == [delivering.FAILED_TOO_LONG]
    assert told[0]["actor"] == {"type": "system"}
    tried = len(lab.posts())
    lab.happen(3)
    lab.pass_time(DAY, step=3600)
    assert len(lab.posts()) == tried


def test_one_success_in_five_days_keeps_it_enabled(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    for quarter in range(8 * 4):
        lab.behave(OK if quarter % 16 == 15 else answering(503))
        lab.happen()
        lab.pass_time(DAY / 4, step=2 * 3600)
    assert lab.now(webhook).enabled


def test_success_after_the_last_of_many_failures_keeps_it_enabled(lab: Lab) -> None:
    """An endpoint starts anew: one post is taken, slowly, while the eight after it are refused."""
    webhook = lab.webhook(types=["file.completed"])
    slow, *_ = events = lab.happen(delivering.PARALLEL_TRIES + 1)

    def refuses_all_but_the_slow(post: Post) -> Answer:
        if post.event_id != slow:
            return answering(503)(post)
        while len(lab.deliveries(webhook)) < delivering.PARALLEL_TRIES:
            time.sleep(0.01)
        return OK(post)

    lab.behave(refuses_all_but_the_slow)
    lab.work()
    assert lab.now(webhook).enabled
    lab.behave(OK)
    lab.pass_time(DAY / 4)
    assert {one.event_id for one in lab.deliveries(webhook) if one.status == "delivered"} == set(events)


def test_gone_disables_at_once(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(answering(410))
    lab.happen()
    lab.work()
    assert not lab.now(webhook).enabled
    assert lab.now(webhook).disabled_reason == delivering.ANSWERED_GONE
    assert [event["type"] for event in lab.world.events()][-1] == "webhook.disabled"
    lab.happen()
    lab.pass_time(DAY, step=3600)
    assert len(lab.posts()) == 1


def test_enabled_again_it_goes_on_from_the_end_and_a_replay_brings_the_rest(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    caller = lab.world.caller("anna")
    logic.change_webhook(lab.world.stores, caller, webhook.webhook_id, WebhookChange(enabled=False))
    missed = lab.happen(3)
    lab.pass_time(DAY, step=3600)
    logic.change_webhook(lab.world.stores, caller, webhook.webhook_id, WebhookChange(enabled=True))
    (later,) = lab.happen()
    lab.work()
    assert lab.posted() == [later]
    deliveries.replay_after(lab.world.stores, caller, webhook.webhook_id, webhook.progress.position)
    lab.work()
    assert sorted(lab.posted()) == sorted([later, later, *missed])


# ---- asked for by people ---------------------------------------------------------------------------------------------


def test_new_events_go_before_a_replay_and_the_replay_ends_where_it_was_asked_for(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    old = lab.happen(2 * delivering.REPLAYED_EVENTS)
    lab.work()
    lab.endpoints.posts.clear()
    caller = lab.world.caller("anna")
    deliveries.replay_after(lab.world.stores, caller, webhook.webhook_id, 0)
    new = lab.happen(3)
    lab.work()
    assert sorted(lab.posted()[:3]) == sorted(new)
    assert sorted(lab.posted()[3:]) == sorted(old)
    assert lab.now(webhook).progress.replay is None
    assert {one.attempts for one in lab.deliveries(webhook)} == {1}
    assert len(lab.deliveries(webhook)[0].tries) == 2


def test_replay_from_a_time(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.happen(7)
    lab.forward(3600)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lab.forward(1)
    later = lab.happen(4)
    lab.work()
    lab.endpoints.posts.clear()
    deliveries.replay_since(lab.world.stores, lab.world.caller("anna"), webhook.webhook_id, since)
    lab.work()
    assert sorted(lab.posted()) == sorted(later)


def test_delivery_is_made_again_at_once_even_to_one_that_fails(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    first, _ = lab.happen(2)
    lab.work()
    lab.behave(answering(500))
    lab.happen()
    lab.work()
    lab.forward(1800)
    lab.sweep()
    lab.work()
    assert lab.now(webhook).progress.quiet_until > time.time()
    lab.behave(OK)
    delivery = lab.deliveries(webhook)[0]
    deliveries.redeliver(lab.world.stores, lab.world.caller("anna"), webhook.webhook_id, str(delivery.sequence))
    lab.work()
    assert first in lab.posted()[3:]
    assert lab.now(webhook).progress.failing_since is None
    assert lab.deliveries(webhook)[0].status == DeliveryStatus.DELIVERED


def test_test_goes_to_the_endpoint_that_is_tested_and_to_no_other(lab: Lab) -> None:
    webhook, url = lab.webhook(types=["file.completed"]), "https://other.example.com"
    lab.webhook(url)
    lab.publish()
    lab.work()
    lab.endpoints.posts.clear()
    event_id = deliveries.send_test(lab.world.stores, lab.world.caller("anna"), webhook.webhook_id)
    lab.publish()
    lab.work()
    assert [(post.url, post.event_id) for post in lab.endpoints.posts] == [(URL, event_id)]
    assert json.loads(lab.posts()[0].body)["type"] == "webhook.test"


def test_both_secrets_sign_while_the_old_one_lives(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    caller = lab.world.caller("anna")
    new = logic.rotate_secret(lab.world.stores, caller, webhook.webhook_id, 3600).secret
    assert new != webhook.secret
    for seconds, signatures in ((0, 2), (3500, 2), (200, 1)):
        lab.forward(seconds)
        lab.happen()
        lab.work()
        assert len(lab.posts()[-1].headers["webhook-signature"].split()) == signatures


# ---- workers that meet, die, or are overtaken ------------------------------------------------------------------------


def test_wake_up_that_meets_a_worker_is_seen_to_by_that_worker(lab: Lab) -> None:
    lab.webhook(types=["file.completed"])
    (first,) = lab.happen()
    second: list[str] = []

    def happens_meanwhile(post: Post) -> object:
        lab.behave(OK)
        second.extend(lab.happen())
        (message,) = lab.wakeups.receive()
        ended = delivering.deliver(lab.world.stores, *told(message.body))
        assert ended == delivering.Delivered.HANDED_OVER
        lab.wakeups.delete(message.receipt_handle)
        return OK(post)

    lab.behave(happens_meanwhile)  # type: ignore[arg-type]
    lab.work()
    assert lab.posted() == [first, *second]
    assert lab.wakeups.kept == []


def told(body: str) -> tuple[str, str]:
    names = json.loads(body)
    return names["organization_id"], names["webhook_id"]


def test_two_workers_never_deliver_to_one_endpoint_at_once(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.happen()
    lab.wakeups.kept *= 3
    lab.work()
    assert len(lab.posts()) == 1
    assert lab.now(webhook).progress.lease is None


def test_after_an_outage_the_message_comes_again_and_nothing_is_lost(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    (event_id,) = lab.happen()
    with unreachable("dynamodb.PutItem"):
        assert len(lab.work()) == 1
    assert lab.now(webhook).progress.position == webhook.progress.position
    lab.pass_time(300, step=61)
    assert set(lab.posted()) == {event_id}
    assert [one.status for one in lab.deliveries(webhook)] == [DeliveryStatus.DELIVERED]


def test_sweep_wakes_what_every_message_was_lost_of(lab: Lab) -> None:
    lab.webhook(types=["file.completed"])
    (event_id,) = lab.happen()
    lab.wakeups.kept.clear()
    lab.pass_time(2 * 3600)
    assert lab.posted() == [event_id]


def test_lease_of_a_worker_that_died_ends_and_the_sweep_sees_to_the_rest(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    (event_id,) = lab.happen()
    now = int(time.time())
    names = (webhook.organization_id, webhook.webhook_id)
    lab.world.stores.webhooks.lease(*names, "died", now, now + delivering.LEASE_SECONDS)
    lab.work()
    assert lab.posted() == []
    lab.pass_time(delivering.LEASE_SECONDS + 300, step=60)
    assert lab.posted() == [event_id]


def test_endpoint_that_has_taken_what_it_failed_at_fails_no_more_though_the_worker_dies(lab: Lab) -> None:
    """Nothing would be left to tell so, and the next failure, after more than five days, would disable it."""
    webhook = lab.webhook(types=["file.completed"])
    lab.behave(answering(503))
    (event_id,) = lab.happen()
    lab.work()
    lab.behave(OK)
    lab.forward(10)
    done: list[str] = []

    def die_after_the_delivery(operation: str, _: AWSPreparedRequest) -> None:
        if "dynamodb.TransactWriteItems" in done:
            raise EndpointConnectionError(endpoint_url="https://away.example")
        done.append(operation)

    with listening(die_after_the_delivery), pytest.raises(PynamoDBException):
        delivering.deliver(lab.world.stores, webhook.organization_id, webhook.webhook_id)
    lab.pass_time(3600)
    assert lab.posted() == [event_id] * 2
    assert lab.now(webhook).progress.failing_since is None
    lab.forward(6 * DAY)
    lab.behave(answering(503))
    lab.happen()
    lab.work()
    assert lab.now(webhook).enabled


def test_worker_that_lost_its_lease_moves_nothing(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.happen()
    names = (webhook.organization_id, webhook.webhook_id)

    def overtake() -> None:
        now = int(time.time()) + delivering.LEASE_SECONDS
        lab.world.stores.webhooks.lease(*names, "other", now, now + delivering.LEASE_SECONDS)

    with just_before("dynamodb.PutItem", overtake):
        lab.work()
    assert lab.now(webhook).progress.lease == "other"
    assert lab.now(webhook).progress.position == webhook.progress.position


def test_disabled_while_it_is_posted_to_it_gets_no_more(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.happen(3)

    def disable(post: Post) -> object:
        lab.behave(OK)
        logic.disable_webhook(lab.world.stores, lab.now(webhook), "test")
        return OK(post)

    lab.behave(disable)  # type: ignore[arg-type]
    lab.work()
    sent = len(lab.posts())
    lab.happen(3)
    lab.pass_time(3600, step=600)
    assert len(lab.posts()) == sent
    assert not lab.now(webhook).enabled


def test_deleted_webhook_gets_no_more_and_is_not_written_again(lab: Lab) -> None:
    webhook = lab.webhook(types=["file.completed"])
    lab.happen(2)
    logic.delete_webhook(lab.world.stores, lab.world.caller("anna"), webhook.webhook_id)
    lab.pass_time(3600, step=600)
    assert lab.posts() == []
    assert lab.world.stores.webhooks.of_organization(webhook.organization_id).webhooks == []


def test_message_that_is_no_wake_up_goes_to_the_dead_letters(lab: Lab) -> None:
    lab.webhook(types=["file.completed"])
    lab.happen()
    lab.wakeups.kept[0].body = "[1"
    lab.work()
    assert lab.wakeups.dead_letters == ["[1"]


def test_all_means_all_that_the_maker_sees(lab: Lab) -> None:
    webhook = lab.webhook()
    assert webhook.types is None
    assert Scope.AUDIT_READ not in webhook.scopes or Scope.AUDIT_READ in lab.world.caller("anna").scopes
    assert not webhook.wants("file.downloaded", "x")
    assert not webhook.wants("webhook.test", "another")


# ---- metrics ---------------------------------------------------------------------------------------------------------


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, list[Any]]:
    """Values by name of what was written since the last look, in the form that CloudWatch reads."""
    found: dict[str, list[Any]] = {}
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line)
        for described in told.get("_aws", {}).get("CloudWatchMetrics", []):
            assert described["Namespace"] == "Strongroom"
            assert described["Dimensions"] == [["Stage"]]
            for metric in described["Metrics"]:
                found.setdefault(metric["Name"], []).append(told[metric["Name"]])
    return found


def test_time_from_completed_to_delivered_is_measured_where_an_endpoint_is_well(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.webhook()
    lab.happen(3)
    lab.happen(kind=EventType.FILE_RENAMED)
    lab.forward(20)
    lab.work()
    ((*measured,),) = metrics(capsys)["CompletedToDelivered"]
    assert len(measured) == 3, "of completed files only"
    assert all(20_000 <= milliseconds < 60_000 for milliseconds in measured)


def test_endpoint_that_was_away_counts_as_failed_tries_and_not_as_our_slowness(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.webhook(types=["file.completed"])
    lab.behave(silent)
    lab.happen()
    lab.work()
    assert metrics(capsys)["FailedTries"] == [[1]]
    lab.happen(3)
    lab.behave(OK)
    lab.pass_time(600)
    assert metrics(capsys).keys() == {"ChangeToReadable"}
    lab.behave(answering(410))
    lab.happen()
    lab.work()
    told = metrics(capsys)
    assert (told["FailedTries"], told["WebhooksDisabled"]) == ([[1]], [[1]])
