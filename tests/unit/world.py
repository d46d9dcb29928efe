"""A whole Strongroom in this process: the template's tables, buckets and queues in moto, two organisations, and a queue
consumer that works step by step under the test's control.

One mock and one set of AWS clients serve the whole run, because making them is what costs time. The data of each test
starts as a copy of one populated state.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import boto3
from chalice.test import Client
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeKey, FakeMultipart, s3_backends
from moto.sqs.models import sqs_backends

import app as application
from chalicelib import keys, wiring
from chalicelib.accounts import administration as accounts
from chalicelib.accounts import sessions
from chalicelib.files.record import File
from chalicelib.kernel import config
from chalicelib.kernel.caller import Caller
from chalicelib.platform.tables import Tables
from chalicelib.tenants.organization import Organization
from infra import template

Made = TypeVar("Made")

REGION = "eu-central-1"
ACCOUNT = "123456789012"
STACK = "strongroom-test"
TEMP_BUCKET = f"{STACK}-temp-{ACCOUNT}"
PERMANENT_BUCKET = f"{STACK}-permanent-{ACCOUNT}"
QUEUE = f"{STACK}-uploads"
DEAD_LETTER_QUEUE = f"{STACK}-uploads-dead"

#: What the functions would find in their environment. bcrypt's cheapest cost; one test proves the default of 12.
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "STAGE": "test",
    "TABLE_PREFIX": STACK,
    "TEMP_BUCKET": TEMP_BUCKET,
    "PERMANENT_BUCKET": PERMANENT_BUCKET,
    "UPLOADS_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{QUEUE}",
    "COOKIE_SECURE": "false",
    "BCRYPT_COST": "4",
    "S3_ADDRESSING_STYLE": "path",
    # Out of the way of every test but those that are about them.
    "RATE_LIMIT_LOGIN_PER_ADDRESS": "1000/minute",
    "RATE_LIMIT_LOGIN_PER_USERNAME": "1000/hour",
    "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_DEVICE": "1000000/hour",
    "RATE_LIMIT_PASSWORD": "1000000/hour",
    "RATE_LIMIT_TICKETS": "1000000/hour",
    "RATE_LIMIT_HEALTH": "1000000/hour",
    "RATE_LIMIT_UPLOADS": "1000/minute",
    "RATE_LIMIT_ANONYMOUS": "1000/hour",
}

#: username -> (organisation, password). No password is part of another, so that a leak of any can be seen.
USERS = {
    "anna": ("Acme", "correct-horse-anna"),
    "albert": ("Acme", "battery-staple-albert"),
    "berta": ("Bolt", "rosebud-berta-1941"),
}


class Cloud:
    """The AWS side, alive for the whole run."""

    def __init__(self) -> None:
        self.mock = mock_aws()
        self.mock.start()
        self.dynamodb = boto3.client("dynamodb")
        self.s3 = boto3.client("s3")
        self.sqs = boto3.client("sqs")
        self.tables = Tables(STACK)
        self.chalice = Client(application.app)
        self._sessions: dict[str, tuple[str, Any, Any]] = {}
        self._remembered: dict[str, tuple[Any, Any, Any]] = {}
        self._resources = template.data_plane("test")["Resources"]
        self.callers: dict[str, Caller] = {}
        self.build()
        self.organizations = self._populate()
        self.keep_state()

    def _populate(self) -> list[Organization]:
        stores = wiring.Stores(config.settings(), tables=self.tables)
        organizations = {name: accounts.create_organization(stores, name) for name in ("Acme", "Bolt")}
        for username, (name, password) in USERS.items():
            user = accounts.create_user(stores, organizations[name].organization_id, username, password)
            self.callers[username] = Caller(user.organization_id, user.user_id, user.username)
        self._start_sessions(stores)
        return list(organizations.values())

    def stop(self) -> None:
        self.mock.stop()

    def keep_state(self) -> None:
        """From now on :meth:`rewind` comes back to this."""
        self._kept_tables = copy.deepcopy(self._tables().tables)
        self._kept_buckets = copy.deepcopy(self._objects().buckets)
        self._kept_names = dict(s3_backends.bucket_accounts)
        self._kept_queues = dict(self._queues().queues)

    def rewind(self) -> None:
        kinds: tuple[Any, ...] = (FakeMultipart, FakeKey)
        for kind in kinds:
            for held in kind.instances_tracked:
                held.dispose()  # its temporary file
            kind.instances_tracked.clear()
        self._tables().tables = copy.deepcopy(self._kept_tables)
        self._objects().buckets = copy.deepcopy(self._kept_buckets)
        s3_backends.bucket_accounts.update(self._kept_names)
        self._queues().queues = dict(self._kept_queues)
        for queue in self._kept_queues.values():
            queue._messages, queue._pending_messages, queue.deleted_messages = [], set(), set()

    def remember(self, name: str, make: Callable[[], Made], tables: Sequence[str], buckets: bool = False) -> Made:
        """Make something once, and from then on only bring back what these tables, and the buckets, held then."""
        if name not in self._remembered:
            made = make()
            rows = {table: self._tables().tables[f"{STACK}-{table}"] for table in tables}
            self._remembered[name] = made, copy.deepcopy(rows), copy.deepcopy(self._objects().buckets)
            return made
        made, rows, objects = self._remembered[name]
        for table, held in copy.deepcopy(rows).items():
            self._tables().tables[f"{STACK}-{table}"] = held
        if buckets:
            self._objects().buckets = copy.deepcopy(objects)
        return cast(Made, made)

    def bring_session(self, username: str) -> str:
        """The token of a session that was started before the first test, now live in the tables."""
        token, (organization_key, user_key, user), sessions = self._sessions[username]
        tables = self._tables().tables
        tables[f"{STACK}-users"].items[organization_key][user_key] = copy.deepcopy(user)
        tables[f"{STACK}-sessions"].items.update(copy.deepcopy(sessions))
        return token

    def _start_sessions(self, stores: wiring.Stores) -> None:
        """One of each user, none of them left in the state that tests start from."""
        before = copy.deepcopy(self._tables().tables)
        for username, (_, password) in USERS.items():
            token = sessions.login(stores, username, password).token
            tables = self._tables().tables
            (row,) = [
                (organization_key, user_key, item)
                for organization_key, users in tables[f"{STACK}-users"].items.items()
                for user_key, item in users.items()
                if user_key.value == self.callers[username].user_id
            ]
            self._sessions[username] = token, copy.deepcopy(row), copy.deepcopy(tables[f"{STACK}-sessions"].items)
            self._tables().tables = copy.deepcopy(before)

    @staticmethod
    def _tables() -> Any:
        return dynamodb_backends[ACCOUNT][REGION]

    @staticmethod
    def _objects() -> Any:
        return s3_backends[ACCOUNT]["aws"]

    @staticmethod
    def _queues() -> Any:
        return sqs_backends[ACCOUNT][REGION]

    def build(self) -> None:
        """Everything empty, in the form that the template gives it."""
        self.mock.reset()
        for resource in self._resources.values():
            properties = resource["Properties"]
            if resource["Type"] == "AWS::DynamoDB::Table":
                wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
                self.dynamodb.create_table(
                    TableName=properties["TableName"]["Fn::Sub"].replace("${AWS::StackName}", STACK),
                    **{name: properties[name] for name in wanted if name in properties},
                )
        location: Any = {"LocationConstraint": REGION}
        for bucket in (TEMP_BUCKET, PERMANENT_BUCKET):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        versioning: Any = self._resources["PermanentBucket"]["Properties"]["VersioningConfiguration"]
        self.s3.put_bucket_versioning(Bucket=PERMANENT_BUCKET, VersioningConfiguration=versioning)
        self.sqs.create_queue(QueueName=DEAD_LETTER_QUEUE)
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD_LETTER_QUEUE}"
        receives = self._resources["UploadsQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
        self.sqs.create_queue(QueueName=QUEUE, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "5400"})
        self.s3.put_bucket_notification_configuration(
            Bucket=TEMP_BUCKET,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}", "Events": ["s3:ObjectCreated:*"]}
                ]
            },
        )
        # S3 says hello to the queue when the notification is set.
        sqs_backends[ACCOUNT][REGION].queues[QUEUE]._messages = []


class World:
    """What a test sees."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.s3 = cloud.s3
        self.sqs = cloud.sqs
        self.queue_url = ENVIRONMENT["UPLOADS_QUEUE_URL"]
        self.organizations: dict[str, Organization] = {o.name: o for o in cloud.organizations}

    @property
    def stores(self) -> wiring.Stores:
        return wiring.stores()

    def restart(self) -> None:
        """As a new process: settings read again, nothing in memory; only the tables' client is kept."""
        config.settings.cache_clear()
        wiring.install(wiring.Stores(config.settings(), tables=self.cloud.tables))

    def use(self, **given: Any) -> None:
        """Put other stores in the place of those of this process."""
        wiring.install(wiring.Stores(config.settings(), **{"tables": self.cloud.tables, **given}))

    def token(self, username: str) -> str:
        """Of a session of this user that was started once for the whole run."""
        return self.cloud.bring_session(username)

    # ---- what is there -------------------------------------------------------------------------------------------
    def organization(self, name: str = "Acme") -> Organization:
        found = self.stores.organizations.find(self.organizations[name].organization_id)
        assert found is not None
        return found

    def caller(self, username: str = "anna") -> Caller:
        return self.cloud.callers[username]

    def file(self, file_id: str, name: str = "Acme") -> File | None:
        return self.stores.files.find(self.organizations[name].organization_id, file_id)

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = dynamodb_backends[ACCOUNT][REGION].tables[f"{STACK}-{table}"].all_items()
        return sorted((item.to_json()["Attributes"] for item in found), key=str)

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Key -> bytes of what can be read there now."""
        kept = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys
        return {key: item.value for key, item in sorted(kept.items()) if isinstance(item, FakeKey)}

    def temp(self) -> dict[str, bytes]:
        return self.objects(TEMP_BUCKET)

    def permanent(self) -> dict[str, bytes]:
        return self.objects(PERMANENT_BUCKET)

    def snapshot(self) -> dict[str, Any]:
        """All that is stored, for "nothing changed". Asks the mock itself: it is needed often, and calls cost time."""
        tables = dynamodb_backends[ACCOUNT][REGION].tables
        return {
            **{table: self.rows(table.removeprefix(f"{STACK}-")) for table in tables},
            "temp": self.temp(),
            "permanent": self.permanent(),
        }

    def spoil(self, file_id: str, name: str = "Acme") -> None:
        """Leave a row that the application can't read, which stands for any bug of ours."""
        self.cloud.dynamodb.update_item(
            TableName=f"{STACK}-files",
            Key={"organization_id": {"S": self.organizations[name].organization_id}, "file_id": {"S": file_id}},
            UpdateExpression="SET file_size = :unreadable",
            ExpressionAttributeValues={":unreadable": {"S": "secret detail of the inside"}},
        )

    def put_temp(self, key: str, body: bytes, **options: Any) -> None:
        self.s3.put_object(Bucket=TEMP_BUCKET, Key=key, Body=body, **options)

    def temp_key(self, file_id: str, name: str = "Acme") -> str:
        return keys.temp_key(self.organizations[name].organization_id, file_id)

    # ---- the queue -----------------------------------------------------------------------------------------------
    def send(self, body: Any) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=text)

    def announce(self, *object_keys: str, bucket: str = TEMP_BUCKET) -> None:
        """A message as S3 sends it; the keys must be URL-encoded already."""
        self.send(s3_notification(*object_keys, bucket=bucket))

    def receive(self, count: int = 10) -> dict[str, Any] | None:
        """Up to ``count`` messages as the event that Lambda makes of them, None when there is none to be seen."""
        messages = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=count, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", [])
        if not messages:
            return None
        return {
            "Records": [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                    "messageAttributes": {},
                    "md5OfBody": message["MD5OfBody"],
                    "eventSource": "aws:sqs",
                    "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}",
                    "awsRegion": REGION,
                }
                for message in messages
            ]
        }

    def handle(self, event: dict[str, Any]) -> list[str]:
        """Call the function as Lambda does, and delete what it is done with. The ids of what it is not."""
        answer = self.cloud.chalice.lambda_.invoke("process_uploads", event).payload
        kept = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        for record in event["Records"]:
            if record["messageId"] not in kept:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=record["receiptHandle"])
        return kept

    def work(self, batch: int = 1) -> list[list[str]]:
        """Handle all messages that can be seen; those that failed stay hidden until :meth:`forward`."""
        failures = []
        while (event := self.receive(batch)) is not None:
            failures.append(self.handle(event))
        return failures

    def hidden_for_seconds(self) -> list[int]:
        """How long each message that failed, or was sent for later, stays out of sight from now."""
        now_ms = time.time() * 1000
        seen_at = [max(message.visible_at, message.delayed_until) for message in self._queue()._messages]
        return sorted(round((moment - now_ms) / 1000) for moment in seen_at if moment > now_ms)

    def forward(self) -> None:
        """Let the time pass that hidden messages are to wait, without waiting."""
        for message in self._queue()._messages:
            message.visible_at = message.delayed_until = 0

    def hidden_seconds(self) -> float:
        """How long the one message of the queue stays hidden from now on."""
        (message,) = self._queue()._messages
        return float(message.visible_at / 1000 - time.time())

    def drain(self) -> None:
        """Work until the queue is empty: retries included, each after its wait."""
        for _ in range(20):
            self.work()
            if not self._queue()._messages:
                return
            self.forward()
        raise AssertionError("the queue never got empty")

    def forget_messages(self) -> None:
        """As if S3's announcements had been lost."""
        self._queue()._messages.clear()

    def queued(self) -> int:
        return len(self._queue()._messages)

    def dead_letters(self) -> list[str]:
        url = self.queue_url.replace(QUEUE, DEAD_LETTER_QUEUE)
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in found.get("Messages", [])]

    @staticmethod
    def _queue() -> Any:
        return sqs_backends[ACCOUNT][REGION].queues[QUEUE]


def s3_notification(*object_keys: str, bucket: str = TEMP_BUCKET, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": event,
                "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}},
            }
            for key in object_keys
        ]
    }
