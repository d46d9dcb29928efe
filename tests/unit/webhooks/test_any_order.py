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
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pynamodb.exceptions import PynamoDBException

import app as application
from chalicelib.events.records import EventType
from chalicelib.kernel.errors import StrongroomError
from chalicelib.webhooks import deliveries, logic
from chalicelib.webhooks.delivering import LEASE_SECONDS
from chalicelib.webhooks.ports import Answer
from chalicelib.webhooks.records import Webhook
from infra.local.lambda_events import LambdaContext, lambda_event
from tests.faults.clock import Clock
from tests.faults.wire import Call, Mode, SimulatedCrash, Wire, tapped
from tests.memory.endpoints import Post
from tests.unit.cloud import NAMES, REGION
from tests.unit.webhooks.lab import Lab
from tests.unit.world import World

EXAMPLES, STEPS = (200, 12) if os.environ.get("FAULTS_LONG") else (10, 8)
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
WAITS_SECONDS = (1, 6, 40, 400, 3 * 3600)

Fault = tuple[int, Mode] | None


@dataclass(frozen=True)
class Step:
    """
    :param events: type, organisation, how many.
    :param publishing: what goes wrong while they are published; ``sweeping`` likewise.
    :param asked: what people ask for, of which webhook.
    :param work: each time that a worker comes: what goes wrong, and whether another comes while it posts.
    :param seconds: that pass then.
    """

    up: tuple[bool, ...]
    events: list[tuple[EventType, str, int]]
    publishing: Fault
    asked: tuple[str, int] | None
    messages: str
    work: list[tuple[Fault, bool]]
    seconds: int
    sweeps: bool
    sweeping: Fault


def faults(last_call: int) -> st.SearchStrategy[Fault]:
    return st.one_of(st.none(), st.tuples(st.integers(0, last_call), st.sampled_from(MODES)))


steps = st.builds(
    Step,
    up=st.tuples(*[st.sampled_from([True, True, False])] * len(WEBHOOKS)),
    events=st.lists(
        st.tuples(
            st.sampled_from([EventType.FILE_COMPLETED, EventType.FILE_DELETED, EventType.FILE_RENAMED]),
            st.sampled_from(["Acme", "Bolt"]),
            st.sampled_from([1, 2, 12]),
        ),
        min_size=1,
        max_size=2,
    ),
    publishing=faults(6),
    asked=st.one_of(
        st.none(),
        st.tuples(st.sampled_from(["replay", "redeliver", "rotate"]), st.sampled_from(range(len(WEBHOOKS)))),
    ),
    messages=st.sampled_from(["kept", "kept", "lost", "doubled"]),
    work=st.lists(st.tuples(faults(25), st.booleans()), min_size=1, max_size=3),
    seconds=st.sampled_from(WAITS_SECONDS),
    sweeps=st.booleans(),
    sweeping=faults(5),
)


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

    # ---- what happens --------------------------------------------------------------------------------------------
    @rule(step=steps)
    def step(self, step: Step) -> None:
        """Some time of an installation's life; whatever can go wrong in it goes wrong in any mixture."""
        self.up = list(step.up)
        for kind, of, count in step.events:
            ids = self.lab.happen(count, kind, of, publish=False)
            self.told += [(event_id, kind.value, of) for event_id in ids]
        self.publish(step.publishing)
        if step.asked is not None:
            self.ask(*step.asked)
        messages = self.world.cloud.messages(QUEUE)
        if step.messages == "lost":
            messages.clear()
        if step.messages == "doubled":
            for message in list(messages)[:5]:
                self.world.sqs.send_message(QueueUrl=NAMES.queue_url(QUEUE), MessageBody=message.body)
        for fault, overlap in step.work:
            self.overlap = overlap
            self.work_once(fault)
        self.overlap = False
        self.lab.forward(step.seconds)
        if step.sweeps:
            self.sweep(step.sweeping)

    def publish(self, fault: Fault) -> None:
        """As the stream does: what has failed comes again."""
        told = self.lab.told
        try:
            with self.wire.watched(plan_of(fault)):
                self.lab.publish()
        except SimulatedCrash:
            self.lab.told = told
            self.world.restart()
        except (StrongroomError, PynamoDBException, ClientError, BotoCoreError):
            self.lab.told = told

    def sweep(self, fault: Fault) -> None:
        try:
            with self.wire.watched(plan_of(fault)):
                self.lab.sweep()
        except SimulatedCrash:
            self.world.restart()
        except (StrongroomError, PynamoDBException, ClientError, BotoCoreError):
            # It runs again.
            pass

    def work_once(self, fault: Fault) -> bool:
        """One call of the function, as Lambda makes it. Whether there was a message."""
        found = self.world.sqs.receive_message(
            QueueUrl=NAMES.queue_url(QUEUE), MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        )
        messages = found.get("Messages", [])
        if not messages:
            return False
        event = lambda_event(NAMES.queue_arn(QUEUE), REGION, messages)
        try:
            with self.wire.watched(plan_of(fault)) if fault is not None else nullcontext():
                answer = application.deliver_webhooks(event, LambdaContext("deliver"))
        except SimulatedCrash:
            self.world.restart()
            return True
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in kept:
                self.world.sqs.delete_message(QueueUrl=NAMES.queue_url(QUEUE), ReceiptHandle=message["ReceiptHandle"])
        return True

    def ask(self, what: str, number: int) -> None:
        """What people do."""
        stores, caller = self.world.stores, self.world.caller(WEBHOOKS[number][0])
        webhook = self.webhooks[number]
        if what == "replay":
            deliveries.replay_after(stores, caller, webhook.webhook_id, 1)
        if what == "redeliver":
            for delivery in self.lab.deliveries(webhook)[:2]:
                deliveries.redeliver(stores, caller, webhook.webhook_id, str(delivery.sequence))
        if what == "rotate":
            self.secrets[number].append(logic.rotate_secret(stores, caller, webhook.webhook_id, 3600).secret)

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
            # The same each time in the suite; `FAULTS_LONG=1` looks for new ones.
            derandomize="FAULTS_LONG" not in os.environ,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # Making a failing example smaller would take minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
