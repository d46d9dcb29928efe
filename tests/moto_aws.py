"""AWS in this process, by moto: the template's tables, buckets and queues, put back in milliseconds."""

from __future__ import annotations

import copy
import functools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.s3.models import s3_backends
from moto.s3.utils import _VersionedKeyStore
from moto.sqs.models import sqs_backends
from pynamodb.models import Model

from chalicelib.platform.tables import Tables
from infra import template

ACCOUNT = "123456789012"
M = TypeVar("M", bound=Model)


_TABLES_IN_USE = threading.RLock()


def _one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wait(*arguments: Any, **options: Any) -> Any:
        with _TABLES_IN_USE:
            return call(*arguments, **options)

    return wait


# DynamoDB isolates a transaction from all else. Moto undoes a failed one by putting all tables back as they were, and
# with them what another thread has written meanwhile.
for _name in (
    "transact_write_items",
    "transact_get_items",
    "put_item",
    "update_item",
    "delete_item",
    "get_item",
    "query",
):
    if hasattr(DynamoDBBackend, _name):
        setattr(DynamoDBBackend, _name, _one_at_a_time(getattr(DynamoDBBackend, _name)))


def _copy_of_versions(store: Any, memo: dict[int, Any]) -> Any:
    copied = type(store)()
    for key, versions in store.lists():
        dict.__setitem__(copied, key, copy.deepcopy(versions, memo))
    return copied


# A copy is made item by item, and each item of it is the current version: the old ones and the marks would be lost.
setattr(_VersionedKeyStore, "__deepcopy__", _copy_of_versions)  # noqa: B010


@dataclass(frozen=True)
class Names:
    """What everything is called in a stack of this name."""

    stack: str
    region: str

    @property
    def temp_bucket(self) -> str:
        return f"{self.stack}-temp-{ACCOUNT}"

    @property
    def permanent_bucket(self) -> str:
        return f"{self.stack}-permanent-{ACCOUNT}"

    @property
    def audit_bucket(self) -> str:
        return f"{self.stack}-audit-{ACCOUNT}"

    @property
    def queue(self) -> str:
        return f"{self.stack}-uploads"

    @property
    def dead_letter_queue(self) -> str:
        return f"{self.queue}-dead"

    @property
    def webhooks_queue(self) -> str:
        return f"{self.stack}-webhooks"

    def queue_url(self, queue: str) -> str:
        return f"https://sqs.{self.region}.amazonaws.com/{ACCOUNT}/{queue}"

    def queue_arn(self, queue: str) -> str:
        return f"arn:aws:sqs:{self.region}:{ACCOUNT}:{queue}"

    def environment(self) -> dict[str, str]:
        """The functions' variables that the stack decides, and cheap passwords."""
        return {
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "STAGE": "test",
            "TABLE_PREFIX": self.stack,
            "TEMP_BUCKET": self.temp_bucket,
            "PERMANENT_BUCKET": self.permanent_bucket,
            "AUDIT_BUCKET": self.audit_bucket,
            "UPLOADS_QUEUE_URL": self.queue_url(self.queue),
            "DEAD_LETTER_QUEUE_URL": self.queue_url(self.dead_letter_queue),
            "WEBHOOKS_QUEUE_URL": self.queue_url(self.webhooks_queue),
            "WEBHOOKS_DEAD_LETTER_QUEUE_URL": self.queue_url(f"{self.webhooks_queue}-dead"),
            "BCRYPT_COST": "4",
            "S3_ADDRESSING_STYLE": "path",
        }


@dataclass(frozen=True)
class Kept:
    tables: Any
    buckets: Any
    bucket_accounts: dict[Any, Any]
    messages: dict[str, list[Any]]
    backups: dict[str, Any]


class MotoAws:
    """Moto with the stack in it, from its start to :meth:`stop`."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.mock = mock_aws()
        self.mock.start()
        self.s3: Any = boto3.client("s3")
        self.sqs: Any = boto3.client("sqs")
        self.dynamodb: Any = boto3.client("dynamodb")
        self.tables = Tables(names.stack)
        self.resources = template.data_plane("test")["Resources"]
        self.build()

    def stop(self) -> None:
        self.mock.stop()

    def build(self) -> None:
        """Everything empty, in the form that the template gives it."""
        self.mock.reset()
        for resource in self.resources.values():
            if resource["Type"] == "AWS::DynamoDB::Table":
                self._create_table(resource["Properties"])
        location: Any = {"LocationConstraint": self.names.region}
        for bucket in (self.names.temp_bucket, self.names.permanent_bucket):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        self.s3.create_bucket(
            Bucket=self.names.audit_bucket, CreateBucketConfiguration=location, ObjectLockEnabledForBucket=True
        )
        versioning: Any = self.resources["PermanentBucket"]["Properties"]["VersioningConfiguration"]
        self.s3.put_bucket_versioning(Bucket=self.names.permanent_bucket, VersioningConfiguration=versioning)
        self._create_queues()
        # Kept here too: other tests in this process may empty moto.
        self._queues = dict(backend_of_queues(self.names.region).queues)

    def _create_table(self, properties: dict[str, Any]) -> None:
        wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        stream = properties.get("StreamSpecification")
        options: dict[str, Any] = {"StreamSpecification": {"StreamEnabled": True, **stream}} if stream else {}
        self.dynamodb.create_table(
            TableName=properties["TableName"]["Fn::Sub"].replace("${AWS::StackName}", self.names.stack),
            **{name: properties[name] for name in wanted if name in properties},
            **options,
        )

    def _create_queues(self) -> None:
        for name, resource in ((self.names.queue, "UploadsQueue"), (self.names.webhooks_queue, "WebhooksQueue")):
            queue = self.resources[resource]["Properties"]
            redrive = {
                "deadLetterTargetArn": self.names.queue_arn(f"{name}-dead"),
                "maxReceiveCount": queue["RedrivePolicy"]["maxReceiveCount"],
            }
            self.sqs.create_queue(QueueName=f"{name}-dead")
            self.sqs.create_queue(
                QueueName=name,
                Attributes={"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": str(queue["VisibilityTimeout"])},
            )
        arn = self.names.queue_arn(self.names.queue)
        self.s3.put_bucket_notification_configuration(
            Bucket=self.names.temp_bucket,
            NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
        )
        # S3 says hello to the queue when the notification is set.
        backend_of_queues(self.names.region).queues[self.names.queue]._messages = []

    def keep(self) -> Kept:
        """All that is stored, to come back to."""
        return Kept(
            tables=copy.deepcopy(self.backend_of_tables().tables),
            buckets=copy.deepcopy(backend_of_objects().buckets),
            bucket_accounts=dict(s3_backends.bucket_accounts),
            messages={name: copy.deepcopy(self.messages(name)) for name in self._queues},
            backups=dict(self.backend_of_tables().backups),
        )

    def rewind(self, kept: Kept) -> None:
        for bucket in backend_of_objects().buckets.values():
            dispose(bucket)
        self.backend_of_tables().tables = copy.deepcopy(kept.tables)
        self.backend_of_tables().backups = dict(kept.backups)
        backend_of_objects().buckets = copy.deepcopy(kept.buckets)
        s3_backends.bucket_accounts.update(kept.bucket_accounts)
        queues = backend_of_queues(self.names.region)
        queues.queues = dict(self._queues)
        for name, queue in self._queues.items():
            queue._messages = copy.deepcopy(kept.messages[name])
            queue._pending_messages, queue.deleted_messages = set(), set()

    def messages(self, queue: str) -> list[Any]:
        """All messages, those that can't be seen at the moment included."""
        found: list[Any] = self._queues[queue]._messages
        return found

    def rows(self, model: type[M]) -> list[M]:
        """All rows of a table, read past the API, which takes ten times longer."""
        bound = self.tables.bind(model)
        table = self.backend_of_tables().tables[bound.Meta.table_name]
        return [bound.from_raw_data(item.to_json()["Attributes"]) for item in table.all_items()]

    def bucket(self, name: str) -> Any:
        return backend_of_objects().buckets[name]

    def backend_of_tables(self) -> Any:
        return dynamodb_backends[ACCOUNT][self.names.region]


def backend_of_objects() -> Any:
    return s3_backends[ACCOUNT]["aws"]


def backend_of_queues(region: str) -> Any:
    return sqs_backends[ACCOUNT][region]


def dispose(bucket: Any) -> None:
    """Give back the temporary files that moto keeps the bytes in."""
    for _, versions in bucket.keys.lists():
        for version in versions:
            if hasattr(version, "dispose"):
                version.dispose()
    for upload in bucket.multiparts.values():
        upload.dispose()


def s3_notification(*object_keys: str, bucket: str, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """What S3 writes into the queue. The keys must be URL-encoded already."""
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
