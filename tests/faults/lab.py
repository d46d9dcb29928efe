"""A whole Strongroom whose wire, clock and queue the test holds: moto for AWS, a real Valkey, virtual time.

Here are the consumer, with Lambda's and SQS's semantics, the sweep, and coming back to a kept state. People are in
people.py; audit.py says what is wrong.
"""

from __future__ import annotations

import copy
import itertools
import logging
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
from botocore.exceptions import BotoCoreError, ClientError
from chalice.test import Client

import app as application
from chalicelib import keys, wiring
from chalicelib.accounts import users as accounts
from chalicelib.files.rows import FileRow
from chalicelib.kernel import config
from chalicelib.platform.objects import MAX_SINGLE_COPY_BYTES
from chalicelib.tenants import organizations as tenants
from infra.local.cache import cache_url, start_cache
from infra.local.lambda_events import LambdaContext, lambda_event, stream_event
from infra.local.processes import free_port
from tests import faster, moto_gaps
from tests.faults import cloud as aws
from tests.faults import following, webhook_queue
from tests.faults.clock import Clock, really_sleep, virtual_clock
from tests.faults.endpoint import Endpoint
from tests.faults.endpoint import Kept as EndpointKept
from tests.faults.people import PASSWORD, Accepted, Person
from tests.faults.tokens import Tokens
from tests.faults.wire import SimulatedCrash, Wire, tapped
from tests.receiver import receiver

#: Four times as long as in the stack: what recovers with a lazy sweep does so with a busy one, and sooner.
SWEEP_INTERVAL_SECONDS = 3600
#: Rounds of "deliver, wait, sweep" after which everything must be at rest: more than the queue's visibility of 90
#: minutes and the lease take together.
MAX_ROUNDS = 7
LONGEST_BACKOFF_SECONDS = 10
#: What a process gives up with its memory: its settings are read anew, and these stores keep what they have heard.
REMEMBERING = ("settings", "counters", "files", "feed")
ORGANIZATIONS = {"Acme": ("anna", "albert"), "Bolt": ("berta", "boris")}


@dataclass(frozen=True)
class State:
    """A moment to come back to."""

    stored: aws.Kept
    moment: float
    accepted: dict[str, Accepted]
    tokens: dict[str, str | None]
    ids: int
    endpoint: EndpointKept


class Lab:
    """One Strongroom; :meth:`start_over` gives an empty one with two organisations of two users."""

    def __init__(self, cloud: aws.Cloud, wire: Wire, clock: Clock, cache: redis.Redis, endpoint: Endpoint) -> None:
        self.cloud = cloud
        self.endpoint = endpoint
        self.wire = wire
        self.clock = clock
        self.cache = cache
        self.client = Client(application.app)
        self._ids = itertools.count(1)
        self.people: dict[str, Person] = {}
        #: By organisation, when following its events begins.
        self.known_at_start: dict[str, following.Known] = {}
        self.accepted: dict[str, Accepted] = {}
        self.swept: list[dict[str, int]] = []
        self.lifecycle_used = False
        #: What the scenarios have made ready, by title.
        self.prepared: dict[str, Any] = {}
        self.deliveries = 0
        #: The stream has forgotten everything; only the upkeep can find it.
        self.stream_is_lost = False

    @property
    def stores(self) -> wiring.Stores:
        return wiring.stores()

    def start_over(self, state: State | None = None) -> None:
        """Come back to a kept state; by default to the organisations and their signed-in users and nothing else."""
        if not self.people:
            self._populate()
            self._forget_events()
            self.known_at_start = following.known(self)
            self._empty = self.keep()
        state = state or self._empty
        self.clock.back_to(state.moment)
        self.cloud.rewind(state.stored)
        self.cache.flushall()
        self.wire.tokens = Tokens()
        self.accepted = copy.deepcopy(state.accepted)
        self._ids = itertools.count(state.ids)
        self.swept, self.deliveries, self.lifecycle_used = [], 0, False
        self.endpoint.back_to(state.endpoint)
        self.stream_is_lost = False
        for person in self.people.values():
            person.token = state.tokens[person.username]
        self.new_process()
        self.copy_in_parts_above(MAX_SINGLE_COPY_BYTES)
        self._set(config.settings())

    def keep(self) -> State:
        """Making a state takes a hundred times longer than coming back to it."""
        return State(
            stored=self.cloud.keep(),
            moment=time.time(),
            accepted=copy.deepcopy(self.accepted),
            tokens={person.username: person.token for person in self.people.values()},
            ids=next(self._ids),
            endpoint=self.endpoint.keep(),
        )

    def _populate(self) -> None:
        for number, (name, usernames) in enumerate(ORGANIZATIONS.items(), start=1):
            # A scan returns them by id, and the order of the upkeep's calls depends on it.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("uuid.uuid4", lambda number=number: uuid.UUID(int=number << 96, version=4))
                organization = tenants.create_organization(self.stores, name, quota_bytes=10**9, quota_files=1000)
            for username in usernames:
                accounts.create_user(self.stores, organization.organization_id, username, PASSWORD)
                person = self.people[username] = Person(self, username, organization)
                assert person.login().status == 200

    def _forget_events(self) -> None:
        """Of the set-up: their ids, and so their order, differ from run to run, and with it the publisher's calls."""
        outbox = self._outbox()
        outbox.items.clear()
        outbox.stream_shard.items.clear()

    def _outbox(self) -> Any:
        return self.cloud.backend_of_tables().tables[f"{aws.STACK}-event-outbox"]

    def next_id(self) -> uuid.UUID:
        """File ids that are the same in every run, because the order in which the sweep goes depends on them."""
        return uuid.UUID(int=(0x01A0_0000_0000 << 80) | (0x7 << 76) | (0x2 << 62) | next(self._ids))

    def new_process(self) -> None:
        """What was only in memory is gone. The clients stay: they hold connections, nothing that we said or heard."""
        kept = {name: store for name, store in vars(self.stores).items() if name not in REMEMBERING}
        wiring.install(wiring.Stores(self.stores.settings, **kept))

    def copy_in_parts_above(self, size_bytes: int) -> None:
        objects: Any = self.stores.objects
        objects._max_single_copy_bytes = size_bytes

    def work_in_steps(self) -> None:
        """No upload in parts is hashed at once, and each invocation has time for one piece of a file."""
        self._set(replace(self.stores.settings, hash_at_once_bytes=0, processing_step_seconds=0))

    def _set(self, settings: config.Settings) -> None:
        kept = {name: store for name, store in vars(self.stores).items() if name != "settings"}
        wiring.install(wiring.Stores(settings, **kept))

    def sign_in_expired(self) -> None:
        """Recovery may have taken longer than a session lasts."""
        for person in self.people.values():
            if person.token is not None and person.me().status == 401:
                assert person.login().status == 200

    # ---- the queue, as Lambda polls it ---------------------------------------------------------------------------
    def receive(self) -> list[dict[str, Any]]:
        found = self.cloud.sqs.receive_message(
            QueueUrl=aws.QUEUE_URL, MaxNumberOfMessages=1, AttributeNames=["All"], WaitTimeSeconds=0
        )
        messages: list[dict[str, Any]] = found.get("Messages", [])
        return messages

    def handle(self, messages: list[dict[str, Any]]) -> bool:
        """Pass a batch to the function and delete what it is done with. False: the function died."""
        self.deliveries += 1
        event = lambda_event(aws.QUEUE_ARN, aws.REGION, messages)
        try:
            answer = application.process_uploads(event, LambdaContext(messages[0]["MessageId"]))
            kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for message in messages:
                if message["MessageId"] not in kept:
                    self._delete(message)
        except SimulatedCrash:
            self.new_process()
            return False
        return True

    def _delete(self, message: dict[str, Any]) -> None:
        # Lambda's poller does this; when it can't, the message shows up again.
        with suppress(ClientError, BotoCoreError):
            self.cloud.sqs.delete_message(QueueUrl=aws.QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])

    def deliver(self) -> int:
        """Hand over every message that can be seen. How many there were."""
        count = 0
        while messages := self.receive():
            self.handle(messages)
            count += 1
        return count

    def sweep(self) -> dict[str, int] | None:
        """The scheduled sweep. None: it died, or gave up; the schedule comes round again."""
        try:
            done: dict[str, int] = application.sweep(_SCHEDULED, LambdaContext("sweep"))
        except SimulatedCrash:
            self.new_process()
            return None
        except Exception:
            return None
        self.swept.append(done)
        return done

    # ---- the stream of new events, as Lambda reads it --------------------------------------------------------------
    def stream_records(self) -> list[dict[str, Any]]:
        """All that the outbox's stream has told since the start."""
        told = [record.to_json() for record in self._outbox().stream_shard.items]
        return list(stream_event("arn:aws:dynamodb:stream", aws.REGION, told)["Records"])

    def publish(self) -> bool:
        """Hand all of it to the publisher. False: it died or failed, and the stream will hand it out again."""
        records = self.stream_records()
        try:
            application.publish_events({"Records": records}, LambdaContext("publish"))
        except SimulatedCrash:
            self.new_process()
            return False
        except Exception:
            return False
        return True

    def keep_up(self) -> bool:
        """The hourly upkeep of the events. False: it died or failed; the schedule comes round again."""
        try:
            done = application.audit(_SCHEDULED, LambdaContext("audit"))
        except SimulatedCrash:
            self.new_process()
            return False
        except Exception:
            return False
        return "errors" not in done

    def redrive(self) -> int:
        """Put the dead letters back into the queue, as the operator does."""
        count = 0
        while messages := self.cloud.sqs.receive_message(
            QueueUrl=aws.DEAD_LETTER_QUEUE_URL, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                self.cloud.sqs.send_message(QueueUrl=aws.QUEUE_URL, MessageBody=message["Body"])
                self.cloud.sqs.delete_message(
                    QueueUrl=aws.DEAD_LETTER_QUEUE_URL, ReceiptHandle=message["ReceiptHandle"]
                )
                count += 1
        return count

    def queued(self) -> int:
        return len(self.cloud.messages(aws.QUEUE))

    def dead_letters(self) -> list[str]:
        return [message.body for message in self.cloud.messages(aws.DEAD_LETTER_QUEUE)]

    def recover(self) -> None:
        """What happens by itself after a fault: back-offs and leases end, messages show up again, the sweep."""
        for number in range(MAX_ROUNDS):
            self._deliver_with_backoff()
            if self.at_rest():
                self.lifecycle_used = self.cloud.run_lifecycle()
                publish = self.keep_up if self.stream_is_lost else self.publish
                assert publish(), "the publisher fails without a fault"
                webhook_queue.settle(self)
                # Whatever it told of itself meanwhile.
                assert publish(), "the publisher fails without a fault"
                return
            # The last rounds are a day long: then direct uploads that nobody finished have expired.
            self.clock.forward(SWEEP_INTERVAL_SECONDS if number < MAX_ROUNDS - 2 else 24 * 3600)
            self.sweep()
        raise AssertionError(f"still not at rest: {self.queued()} messages queued, open: {_open_rows(self.rows())}")

    def _deliver_with_backoff(self) -> None:
        """Deliver, and wait for what is only backing off; what a dead worker still hides takes longer."""
        self.deliver()
        while messages := self.cloud.messages(aws.QUEUE):
            if min(message.visible_at for message in messages) / 1000 - time.time() > LONGEST_BACKOFF_SECONDS:
                return
            # A message that was sent for later is waited for, however long.
            seen_at = min(max(message.visible_at, message.delayed_until) for message in messages) / 1000
            self.clock.forward(max(0.0, seen_at - time.time()) + 0.01)
            self.deliver()

    def at_rest(self) -> bool:
        if self.queued():
            return False
        rows = self.rows()
        return not (_open_rows(rows) or self._strays(rows))

    def _strays(self, rows: list[FileRow]) -> list[str]:
        failed = {
            keys.temp_key(row.organization_id, row.file_id)
            for row in rows
            if row.status == "failed" and not row.unrecoverable
        }
        return [key for key in self.temp() if key not in failed]

    # ---- what is stored ------------------------------------------------------------------------------------------
    def rows(self) -> list[FileRow]:
        rows = self.cloud.rows(FileRow)
        return [row for row in rows if not keys.is_open_uploads_partition(row.organization_id)]

    def row(self, file_id: str) -> FileRow | None:
        return next((row for row in self.rows() if row.file_id == file_id), None)

    def temp(self) -> dict[str, bytes]:
        return self._objects(aws.TEMP_BUCKET)

    def permanent(self) -> dict[str, bytes]:
        return self._objects(aws.PERMANENT_BUCKET)

    def _objects(self, bucket: str) -> dict[str, bytes]:
        return {key: found.value for key, found in self.cloud.bucket(bucket).keys.items() if hasattr(found, "value")}


@contextmanager
def laboratory() -> Iterator[Lab]:
    """Everything up: moto, Valkey on a free port, the hooks, the clock. All of it down again afterwards."""
    faster.speed_up_moto()
    moto_gaps.fill_gaps()
    with ExitStack() as stack:
        port = free_port()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        valkey = start_cache(port, Path(folder), lambda name, line: None)
        stack.callback(valkey.stop)
        _wait_for(port)
        _set_environment(stack, {**aws.ENVIRONMENT, "CACHE_URL": cache_url(port)})
        # Thousands of failures are meant; what they log is of no use here.
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, logging.NOTSET)
        cache = redis.Redis(host="127.0.0.1", port=port)
        stack.callback(cache.close)
        # A client stops retrying where nearly everything fails. Each run has to be as that of a new process.
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda *_: True)
        clock = stack.enter_context(virtual_clock())
        wire = stack.enter_context(tapped(clock))
        cloud = aws.Cloud()
        stack.callback(cloud.stop)
        wiring.install(wiring.Stores(config.settings(), tables=cloud.tables))
        lab = Lab(cloud, wire, clock, cache, Endpoint(stack.enter_context(receiver())))
        patch.setattr("uuid6.uuid7", lab.next_id)
        yield lab


def _open_rows(rows: list[FileRow]) -> list[str]:
    return [
        f"{row.organization_id}/{row.file_id} {row.status}"
        for row in rows
        if row.unfinished_shard or row.status in ("pending", "processing")
    ]


def _set_environment(stack: ExitStack, environment: dict[str, str]) -> None:
    before = dict(os.environ)

    def restore() -> None:
        os.environ.clear()
        os.environ.update(before)
        config.settings.cache_clear()
        wiring.install(None)

    stack.callback(restore)
    os.environ.update(environment)
    config.settings.cache_clear()
    wiring.install(None)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            really_sleep(0.02)
    raise AssertionError("Valkey did not start")


_SCHEDULED = {
    "version": "0",
    "account": "123456789012",
    "region": aws.REGION,
    "detail": {},
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "time": "2026-01-01T00:00:00Z",
    "id": "sweep",
    "resources": [],
}
