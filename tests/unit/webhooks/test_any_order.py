"""Endpoints that come and go, workers that die at any call, messages lost and doubled, and hypothesis in search of an
order that breaks it: in the end each endpoint has taken each event that it is told, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import app as application
from chalicelib.events.records import EventType
from chalicelib.kernel.errors import StrongroomError
from chalicelib.webhooks import deliveries, logic
from chalicelib.webhooks.delivering import LEASE_SECONDS
from chalicelib.webhooks.ports import Answer
from chalicelib.webhooks.records import Webhook
from infra.local.consumer import LambdaContext, lambda_event
from tests.faults.clock import Clock
from tests.faults.wire import Call, Mode, SimulatedCrash, Wire, tapped
from tests.memory.endpoints import Post
from tests.unit.cloud import NAMES, REGION
from tests.unit.webhooks.lab import Lab
from tests.unit.world import World

EXAMPLES, STEPS = (200, 40) if os.environ.get("FAULTS_LONG") else (15, 25)
QUEUE = NAMES.webhooks_queue
MODES = [mode for mode in Mode if mode not in (Mode.HANGS, Mode.REFUSED)]
#: Who makes it, and what it is told.
WEBHOOKS = (
    ("anna", ("file.completed",)),
    ("anna", ("file.completed", "file.deleted")),
    ("berta", ("file.completed",)),
)
ORGANIZATION_OF = {"anna": "Acme", "berta": "Bolt"}
#: The whole of an example is shorter than the three days after which an event is given up.
WAITS_SECONDS = (4, 40, 400, 3 * 3600)

faults = st.one_of(st.none(), st.tuples(st.integers(0, 25), st.sampled_from(MODES)))
numbers = st.sampled_from(range(len(WEBHOOKS)))
Fault = tuple[int, Mode] | None


def plan_of(fault: Fault) -> Any:
    def plan(call: Call) -> Mode | None:
        return fault[1] if fault is not None and call.position == fault[0] else None

    return plan if fault is not None else None


def url_of(number: int) -> str:
    return f"https://{number}.example.com/"


class Endpoints(RuleBasedStateMachine):
    world: World
    wire: Wire
    travel: time_machine.Traveller

    def __init__(self) -> None:
        super().__init__()
        self.world.cloud.start_anew()
        self.world.endpoints.posts.clear()
        self.world.endpoints.behaviours.clear()
        self.world.restart()
        self.lab = Lab(self.world, self.travel)
        # The queue of moto in place of the twin, so that its calls are among those at which a worker can die.
        self.world.restart()
        self.told: list[tuple[str, str, str]] = []
        self.taken: Counter[tuple[str, str]] = Counter()
        self.webhooks: list[Webhook] = []
        self.secrets: list[list[str]] = []
        self.up = [True] * len(WEBHOOKS)
        self.overlap = False
        self.wrong: list[AssertionError] = []
        for number, (username, types) in enumerate(WEBHOOKS):
            made = logic.create_webhook(self.world.stores, self.world.caller(username), url_of(number), types)
            self.webhooks.append(made.webhook)
            self.secrets.append([made.secret])
            self.world.endpoints.behaviours[url_of(number)] = self.take

    def take(self, post: Post) -> Answer:
        number = int(post.url.split("//")[1].split(".")[0])
        try:
            self.check(number, post)
        except AssertionError as error:
            # A worker takes it for an outage and goes on.
            self.wrong.append(error)
        if self.overlap:
            # While this is on its way, another worker is woken.
            self.overlap = False
            self.work_once(None)
        if not self.up[number]:
            return Answer(503, 1, "", None)
        self.taken[post.url, post.event_id] += 1
        return Answer(200, 1, "", None)

    def check(self, number: int, post: Post) -> None:
        """Signed with a secret of this endpoint over what arrives; and it is told this kind, of this organisation."""
        username, types = WEBHOOKS[number]
        body = json.loads(post.body)
        assert body["id"] == post.event_id
        assert body["type"] in types
        assert (body["id"], body["type"], ORGANIZATION_OF[username]) in self.told
        stamp = post.headers["webhook-timestamp"]
        assert abs(int(stamp) - time.time()) < 60
        signed = f"{post.event_id}.{stamp}.".encode() + post.body
        good = {
            base64.b64encode(hmac.new(base64.b64decode(one[6:]), signed, hashlib.sha256).digest()).decode()
            for one in self.secrets[number]
        }
        assert good & {one.removeprefix("v1,") for one in post.headers["webhook-signature"].split()}

    def restart(self) -> None:
        """The process has died: a new one knows nothing."""
        self.world.restart()

    # ---- what happens --------------------------------------------------------------------------------------------
    @rule(
        count=st.sampled_from([1, 3, 12]),
        kind=st.sampled_from([EventType.FILE_COMPLETED, EventType.FILE_DELETED, EventType.FILE_RENAMED]),
        of=st.sampled_from(["Acme", "Bolt"]),
        fault=faults,
    )
    def happen(self, count: int, kind: EventType, of: str, fault: Fault) -> None:
        ids = self.lab.happen(count, kind, of, publish=False)
        self.told += [(event_id, kind.value, of) for event_id in ids]
        self.publish(fault)

    def publish(self, fault: Fault) -> None:
        """As the stream does: what has failed comes again."""
        told = self.lab.told
        try:
            with self.wire.watched(plan_of(fault)):
                self.lab.publish()
        except SimulatedCrash:
            self.lab.told = told
            self.restart()
        except (StrongroomError, ClientError, BotoCoreError, Exception):
            self.lab.told = told

    @rule(fault=faults)
    def work(self, fault: Fault) -> None:
        self.work_once(fault)

    @rule(fault=faults)
    def work_while_another_does(self, fault: Fault) -> None:
        self.overlap = True
        self.work_once(fault)
        self.overlap = False

    def work_once(self, fault: Fault) -> bool:
        found = self.world.sqs.receive_message(
            QueueUrl=NAMES.queue_url(QUEUE), MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        )
        messages = found.get("Messages", [])
        if not messages:
            return False
        event = lambda_event(NAMES.queue_arn(QUEUE), REGION, messages)
        try:
            if fault is None:
                answer = application.deliver_webhooks(event, LambdaContext("deliver"))
            else:
                with self.wire.watched(plan_of(fault)):
                    answer = application.deliver_webhooks(event, LambdaContext("deliver"))
        except SimulatedCrash:
            self.restart()
            return True
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in kept:
                self.world.sqs.delete_message(QueueUrl=NAMES.queue_url(QUEUE), ReceiptHandle=message["ReceiptHandle"])
        return True

    @rule(fault=faults)
    def sweep(self, fault: Fault) -> None:
        try:
            with self.wire.watched(plan_of(fault)):
                self.lab.sweep()
        except SimulatedCrash:
            self.restart()
        except Exception:
            pass

    @rule()
    def lose_messages(self) -> None:
        self.world.cloud.messages(QUEUE).clear()

    @rule()
    def double_messages(self) -> None:
        for message in list(self.world.cloud.messages(QUEUE))[:5]:
            self.world.sqs.send_message(QueueUrl=NAMES.queue_url(QUEUE), MessageBody=message.body)

    @rule(seconds=st.sampled_from(WAITS_SECONDS))
    def wait(self, seconds: int) -> None:
        self.lab.forward(seconds)

    @rule(number=numbers)
    def break_or_mend(self, number: int) -> None:
        self.up[number] = not self.up[number]

    # ---- what people do ------------------------------------------------------------------------------------------
    @rule(number=numbers, seconds=st.sampled_from([0, 3600]))
    def rotate(self, number: int, seconds: int) -> None:
        caller = self.world.caller(WEBHOOKS[number][0])
        made = logic.rotate_secret(self.world.stores, caller, self.webhooks[number].webhook_id, seconds)
        self.secrets[number].append(made.secret)

    @rule(number=numbers, after=st.integers(0, 20))
    def replay(self, number: int, after: int) -> None:
        caller = self.world.caller(WEBHOOKS[number][0])
        deliveries.replay_after(self.world.stores, caller, self.webhooks[number].webhook_id, after)

    @rule(number=numbers)
    def redeliver(self, number: int) -> None:
        for delivery in self.lab.deliveries(self.webhooks[number])[:2]:
            caller = self.world.caller(WEBHOOKS[number][0])
            names = (self.webhooks[number].webhook_id, str(delivery.sequence))
            deliveries.redeliver(self.world.stores, caller, *names)

    # ---- what has to hold ----------------------------------------------------------------------------------------
    @invariant()
    def what_is_posted_is_right(self) -> None:
        assert self.wrong == []

    @invariant()
    def what_is_said_to_be_delivered_was_taken(self) -> None:
        for number, webhook in enumerate(self.webhooks):
            for delivery in self.lab.deliveries(webhook):
                if delivery.status == "delivered":
                    assert self.taken[url_of(number), delivery.event_id]
                assert (delivery.status == "pending") == (delivery.next_try_at is not None)

    def teardown(self) -> None:
        """All is well again, and time passes: enough for the longest wait between two tries."""
        self.up, self.overlap = [True] * len(WEBHOOKS), False
        self.publish(None)
        for seconds in [1, LEASE_SECONDS + 1, 720, *[3600] * 3, *[13 * 3600] * 2, *[3600] * 2]:
            self.lab.forward(seconds)
            self.lab.sweep()
            while self.work_once(None):
                pass
        for number, (username, types) in enumerate(WEBHOOKS):
            wanted = {event_id for event_id, kind, of in self.told if kind in types and of == ORGANIZATION_OF[username]}
            taken = {event_id for url, event_id in self.taken if url == url_of(number)}
            assert taken == wanted
            now = self.lab.now(self.webhooks[number])
            assert (now.enabled, now.progress.failing_since, now.progress.lease) == (True, None, None)
            assert now.progress.replay is None
            assert {one.status for one in self.lab.deliveries(now)} <= {"delivered"}


@pytest.fixture
def unhurried_wire(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # A client stops retrying where nearly everything fails.
    monkeypatch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda *_: True)
    with time_machine.travel(time.time(), tick=True) as travel:
        clock = Clock(travel)
        monkeypatch.setattr("time.sleep", clock.forward)
        with tapped(clock) as wire:
            Endpoints.world, Endpoints.wire, Endpoints.travel = world, wire, travel
            yield


@pytest.mark.usefixtures("unhurried_wire")
def test_whatever_the_order() -> None:
    run_state_machine_as_test(
        Endpoints,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
