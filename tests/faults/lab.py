"""A whole Strongroom whose wire, clock and queue the test holds: moto for AWS, a real Valkey, virtual time.

What is here: people who use the API, a
consumer with Lambda's and SQS's semantics, the sweep, and :func:`audit`, which looks at all that is stored and names
everything that must not be so.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import logging
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import redis
from botocore.exceptions import BotoCoreError, ClientError
from chalice.test import Client, HTTPResponse

import app as application
from chalicelib import config, keys, wiring
from chalicelib.logic import accounts
from chalicelib.records import Organization
from chalicelib.stores.objects import MAX_SINGLE_COPY_BYTES
from chalicelib.stores.rate_counters import RateCounters
from chalicelib.stores.tables import FileRow, OrganizationRow, SessionRow, UserRow
from infra.local.cache import cache_url, start_cache
from infra.local.consumer import LambdaContext, lambda_event
from infra.local.processes import free_port
from tests.faults import cloud as aws
from tests.faults.clock import Clock, really_sleep, virtual_clock
from tests.faults.moto_gaps import MotoGaps
from tests.faults.wire import SimulatedCrash, Wire, tapped

PASSWORD = "correct-horse-battery"
#: Four times as long as in the stack: what recovers with a lazy sweep does so with a busy one, and sooner.
SWEEP_INTERVAL_SECONDS = 3600
#: Rounds of "deliver, wait, sweep" after which everything must be at rest: more than the queue's visibility of 90
#: minutes and the lease take together.
MAX_ROUNDS = 7
LONGEST_BACKOFF_SECONDS = 10
ORGANIZATIONS = {"Acme": ("anna", "albert"), "Bolt": ("berta", "boris")}


@dataclass
class Answer:
    """What a client got. No status: the connection broke, because the process died."""

    status: int | None
    body: Any = None
    headers: dict[str, Any] = field(default_factory=dict)


@dataclass
class Accepted:
    """An upload that was answered with 201."""

    organization_id: str
    body: bytes
    #: Somebody asked for its deletion, and was told it is done, or was told nothing.
    given_up: bool = False


@dataclass
class Person:
    """A user with a client."""

    lab: Lab
    username: str
    organization: Organization
    token: str | None = None

    def login(self) -> Answer:
        answer = self.request("POST", "/auth/login", json_body={"username": self.username, "password": PASSWORD})
        if answer.status == 200:
            self.token = _cookie(answer.headers)
        return answer

    def logout(self) -> Answer:
        return self.request("POST", "/auth/logout")

    def me(self) -> Answer:
        return self.request("GET", "/auth/me")

    def upload(self, body: bytes, filename: str = "report.txt") -> Answer:
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        form = head.encode() + body + b"\r\n--b--\r\n"
        answer = self.request("POST", "/files", form, "multipart/form-data; boundary=b")
        if answer.status == 201:
            self.lab.accepted[answer.body["id"]] = Accepted(self.organization.organization_id, body)
        return answer

    def start_direct(self, size_bytes: int, filename: str = "direct.txt") -> Answer:
        return self.request("POST", "/files", json_body={"filename": filename, "size": size_bytes})

    def send_bytes(self, started: Answer, body: bytes) -> None:
        """Straight to S3, as the answer says: one object, or one part."""
        file_id, upload = started.body["id"], started.body["upload"]
        key = keys.temp_key(self.organization.organization_id, file_id)
        s3 = self.lab.cloud.s3
        with self.lab.wire.by_somebody_else():
            if upload["method"] == "POST":
                s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=body, ChecksumAlgorithm="CRC32")
                self.lab.accepted[file_id] = Accepted(self.organization.organization_id, body)
                return
            row = self.lab.row(file_id)
            assert row is not None
            s3.upload_part(Bucket=aws.TEMP_BUCKET, Key=key, UploadId=row.multipart_upload_id, PartNumber=1, Body=body)

    def complete(self, file_id: str, body: bytes) -> Answer:
        """Put the parts together, which make this body."""
        answer = self.request("POST", f"/files/{file_id}/complete")
        if answer.status == 200:
            self.lab.accepted[file_id] = Accepted(self.organization.organization_id, body)
        return answer

    def details(self, file_id: str) -> Answer:
        return self.request("GET", f"/files/{file_id}")

    def delete(self, file_id: str) -> Answer:
        if (
            file_id in self.lab.accepted
            and self.lab.accepted[file_id].organization_id == self.organization.organization_id
        ):
            self.lab.accepted[file_id].given_up = True
        return self.request("DELETE", f"/files/{file_id}")

    def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "", json_body: Any = None
    ) -> Answer:
        headers = {"Cookie": f"session={self.token}"} if self.token else {}
        if json_body is not None:
            body, content_type = json.dumps(json_body).encode(), "application/json"
        if content_type:
            headers["Content-Type"] = content_type
        try:
            response: HTTPResponse = self.lab.client.http.request(method, path, headers=headers, body=body)
        except SimulatedCrash:
            return Answer(None)
        answered = json.loads(response.body) if response.body else None
        return Answer(response.status_code, answered, dict(response.headers))


@dataclass(frozen=True)
class State:
    """A moment to come back to."""

    stored: aws.Kept
    moment: float
    accepted: dict[str, Accepted]
    tokens: dict[str, str | None]
    ids: int


class Lab:
    """One Strongroom; :meth:`start_over` gives an empty one with two organisations of two users."""

    def __init__(self, cloud: aws.Cloud, wire: Wire, clock: Clock, cache: redis.Redis) -> None:
        self.cloud = cloud
        self.wire = wire
        self.clock = clock
        self.cache = cache
        self.client = Client(application.app)
        self._ids = itertools.count(1)
        self.people: dict[str, Person] = {}
        self.accepted: dict[str, Accepted] = {}
        self.swept: list[dict[str, int]] = []
        self.lifecycle_used = False
        #: What the scenarios have made ready, by title.
        self.prepared: dict[str, Any] = {}
        self.deliveries = 0

    @property
    def stores(self) -> wiring.Stores:
        return wiring.stores()

    def start_over(self, state: State | None = None) -> None:
        """Come back to a kept state; by default to the organisations and their signed-in users and nothing else."""
        if not self.people:
            self._populate()
            self._empty = self.keep()
        state = state or self._empty
        self.clock.back_to(state.moment)
        self.cloud.rewind(state.stored)
        self.cache.flushall()
        self.wire.gaps = MotoGaps()
        self.accepted = copy.deepcopy(state.accepted)
        self._ids = itertools.count(state.ids)
        self.swept, self.deliveries, self.lifecycle_used = [], 0, False
        for person in self.people.values():
            person.token = state.tokens[person.username]
        self.new_process()
        self.stores.objects._max_single_copy_bytes = MAX_SINGLE_COPY_BYTES

    def keep(self) -> State:
        """Making a state takes a hundred times longer than coming back to it."""
        return State(
            stored=self.cloud.keep(),
            moment=time.time(),
            accepted=copy.deepcopy(self.accepted),
            tokens={person.username: person.token for person in self.people.values()},
            ids=next(self._ids),
        )

    def _populate(self) -> None:
        for name, usernames in ORGANIZATIONS.items():
            organization = accounts.create_organization(self.stores, name, quota_bytes=10**9, quota_files=1000)
            for username in usernames:
                accounts.create_user(self.stores, organization.organization_id, username, PASSWORD)
                person = self.people[username] = Person(self, username, organization)
                assert person.login().status == 200

    def next_id(self) -> uuid.UUID:
        """File ids that are the same in every run, because the order in which the sweep goes depends on them."""
        return uuid.UUID(int=(0x01A0_0000_0000 << 80) | (0x7 << 76) | (0x2 << 62) | next(self._ids))

    def new_process(self) -> None:
        """What was only in memory is gone. The clients stay: they hold connections, nothing that we said or heard."""
        self.stores.__dict__["counters"] = RateCounters(self.stores.settings.cache_url)

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
                return
            # The last rounds are a day long: then direct uploads that nobody finished have expired.
            self.clock.forward(SWEEP_INTERVAL_SECONDS if number < MAX_ROUNDS - 2 else 24 * 3600)
            self.sweep()
        raise AssertionError(f"still not at rest: {self.queued()} messages queued, open: {_open_rows(self.rows())}")

    def _deliver_with_backoff(self) -> None:
        """Deliver, and wait for what is only backing off; what a dead worker still hides takes longer."""
        self.deliver()
        while waiting := [message.visible_at / 1000 - time.time() for message in self.cloud.messages(aws.QUEUE)]:
            if min(waiting) > LONGEST_BACKOFF_SECONDS:
                return
            self.clock.forward(max(0.0, min(waiting)) + 0.01)
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
        return self.cloud.rows(FileRow)

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
        stack.enter_context(mock.patch("botocore.retries.quota.RetryQuota.acquire", return_value=True))
        clock = stack.enter_context(virtual_clock())
        wire = stack.enter_context(tapped(clock))
        cloud = aws.Cloud()
        stack.callback(cloud.stop)
        wiring.stores().__dict__["tables"] = cloud.tables
        lab = Lab(cloud, wire, clock, cache)
        stack.enter_context(mock.patch("uuid6.uuid7", lab.next_id))
        yield lab


def audit(lab: Lab) -> list[str]:
    """Everything that must not be so once all is at rest; empty when the promise was kept."""
    rows = lab.rows()
    return [
        *_wrong_files(lab, rows),
        *_wrong_objects(lab, rows),
        *_lost(lab, rows),
        *wrong_counters(lab, rows),
        *wrong_sessions(lab),
        *_wrong_queue(lab),
    ]


def _wrong_files(lab: Lab, rows: list[FileRow]) -> Iterator[str]:
    for row in rows:
        where = f"file {row.file_id} ({row.status})"
        if row.organization_id.startswith("removed#"):
            yield f"{where}: the note of its deletion was left"
        elif row.status == "failed":
            if not row.error_message:
                yield f"{where}: no reason"
        elif row.status != "completed":
            yield f"{where}: still open"
        else:
            yield from _wrong_completed(lab, row, where)
        if row.unfinished_shard:
            yield f"{where}: still in the index of the unfinished"


def _wrong_completed(lab: Lab, row: FileRow, where: str) -> Iterator[str]:
    key = keys.permanent_key(row.organization_id, row.file_id, row.object_name)
    current = lab.cloud.bucket(aws.PERMANENT_BUCKET).keys.get(key)
    versions = {version.version_id: version for version in lab.cloud.bucket(aws.PERMANENT_BUCKET).keys.getlist(key, [])}
    pinned = versions.get(row.object_version)
    if pinned is None or not hasattr(pinned, "value"):
        yield f"{where}: its object is not there"
        return
    if current is not pinned:
        # Its version is no longer the current one: the bucket's lifecycle would delete it after the retention time.
        yield f"{where}: another version, or a deletion, hides its object"
    if hashlib.sha256(pinned.value).hexdigest() != row.sha256_hash or len(pinned.value) != row.file_size:
        yield f"{where}: its bytes are not what the row says"
    if pinned.metadata.get("Content-Type") != row.mime_type:
        yield f"{where}: the object says it is {pinned.metadata.get('Content-Type')}, the row {row.mime_type}"


def _wrong_objects(lab: Lab, all_rows: list[FileRow]) -> Iterator[str]:
    rows = {(row.organization_id, row.file_id): row for row in all_rows}
    for key in lab.temp():
        row = rows.get(keys.parse_temp_key(key) or ("", ""))
        if row is None or row.status != "failed" or row.unrecoverable:
            yield f"{key} was left in the temp bucket"
    wanted = {
        keys.permanent_key(row.organization_id, row.file_id, row.object_name)
        for row in rows.values()
        if row.status == "completed"
    }
    for key in lab.permanent():
        if key not in wanted:
            yield f"{key} is orphaned in the permanent bucket"
    for bucket in (aws.TEMP_BUCKET, aws.PERMANENT_BUCKET):
        if lab.cloud.bucket(bucket).multiparts:
            yield f"an unfinished multipart upload was left in {bucket}"


def _lost(lab: Lab, all_rows: list[FileRow]) -> Iterator[str]:
    rows = {row.file_id: row for row in all_rows}
    for file_id, accepted in lab.accepted.items():
        row = rows.get(file_id)
        if accepted.given_up:
            continue
        if row is None or row.organization_id != accepted.organization_id:
            yield f"accepted upload {file_id} is lost"
        elif row.status == "failed" and not row.unrecoverable:
            if lab.temp().get(keys.temp_key(row.organization_id, file_id)) != accepted.body:
                yield f"accepted upload {file_id} failed and can't be processed again"
        elif row.status == "completed" and row.sha256_hash != hashlib.sha256(accepted.body).hexdigest():
            yield f"accepted upload {file_id} is completed with other bytes"


def wrong_counters(lab: Lab, rows: list[FileRow]) -> Iterator[str]:
    """The organisations' counters against a recount of the rows."""
    for organization in lab.cloud.rows(OrganizationRow):
        own = [row for row in rows if row.organization_id == organization.organization_id]
        counts: dict[str, int] = {}
        for row in own:
            name = keys.count_key(row.status, row.mime_type)
            counts[name] = counts.get(name, 0) + 1
        told = {key: int(count) for key, count in organization.counts.attribute_values.items() if count}
        if told != counts:
            yield f"{organization.name}: counters {told}, rows {counts}"
        bytes_used = sum(int(row.reserved_bytes) for row in own)
        if int(organization.bytes_used) != bytes_used:
            yield f"{organization.name}: {organization.bytes_used} bytes used, rows hold {bytes_used}"
        files_used = sum(1 for row in own if row.status != "failed")
        if int(organization.files_used) != files_used:
            yield f"{organization.name}: {organization.files_used} files used, rows are {files_used}"
        for what in ("bytes", "files"):
            used, left = getattr(organization, f"{what}_used"), getattr(organization, f"{what}_available")
            if used + left != getattr(organization, f"quota_{what}"):
                yield f"{organization.name}: {what} used and available do not make the quota"


def wrong_sessions(lab: Lab) -> Iterator[str]:
    """Every live session is its user's and listed there, so that a change of password ends it."""
    users = {(user.organization_id, user.user_id): user for user in lab.cloud.rows(UserRow)}
    for session in lab.cloud.rows(SessionRow):
        if session.expires_at <= time.time():
            # Dead already; DynamoDB deletes it when it comes round to it.
            continue
        user = users.get((session.organization_id, session.user_id))
        if user is None or user.username != session.username:
            yield "a session of nobody"
        elif f"{int(session.expires_at)}:{session.token_hash}" not in user.live_sessions:
            yield f"a session of {user.username} that a change of password would not end"


def _wrong_queue(lab: Lab) -> Iterator[str]:
    if lab.queued():
        yield f"{lab.queued()} messages were left in the queue"
    for body in lab.dead_letters():
        try:
            json.loads(body)["Records"][0]["s3"]["object"]["key"]
        except (ValueError, KeyError, TypeError):
            yield "a dead letter that can't be redriven"


def _open_rows(rows: list[FileRow]) -> list[str]:
    return [
        f"{row.organization_id}/{row.file_id} {row.status}"
        for row in rows
        if row.unfinished_shard or row.status in ("pending", "processing")
    ]


def _cookie(headers: dict[str, Any]) -> str:
    raw = headers["Set-Cookie"]
    first: str = raw[0] if isinstance(raw, list) else raw
    return first.partition("=")[2].partition(";")[0]


def _set_environment(stack: ExitStack, environment: dict[str, str]) -> None:
    before = dict(os.environ)

    def restore() -> None:
        os.environ.clear()
        os.environ.update(before)
        config.settings.cache_clear()
        wiring.stores.cache_clear()

    stack.callback(restore)
    os.environ.update(environment)
    config.settings.cache_clear()
    wiring.stores.cache_clear()


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
