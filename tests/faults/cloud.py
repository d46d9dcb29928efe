"""AWS in this process, by moto: the template's tables, buckets and queues, put back in milliseconds."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from pynamodb.models import Model

from chalicelib.platform.tables import Tables
from infra import template
from tests.faults.moto_gaps import ACCOUNT

REGION = "eu-central-1"
STACK = "strongroom-faults"
TEMP_BUCKET = f"{STACK}-temp-{ACCOUNT}"
PERMANENT_BUCKET = f"{STACK}-permanent-{ACCOUNT}"
QUEUE = f"{STACK}-uploads"
DEAD_LETTER_QUEUE = f"{STACK}-uploads-dead"
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{QUEUE}"
DEAD_LETTER_QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{DEAD_LETTER_QUEUE}"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}"

#: The functions' environment, but for the cache. Limits are out of the way, bcrypt is at its cheapest.
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "STAGE": "test",
    "TABLE_PREFIX": STACK,
    "TEMP_BUCKET": TEMP_BUCKET,
    "PERMANENT_BUCKET": PERMANENT_BUCKET,
    "UPLOADS_QUEUE_URL": QUEUE_URL,
    "DEAD_LETTER_QUEUE_URL": DEAD_LETTER_QUEUE_URL,
    "COOKIE_SECURE": "false",
    "BCRYPT_COST": "4",
    "S3_ADDRESSING_STYLE": "path",
    "LOG_LEVEL": "ERROR",
    # The least that the setting takes: what is above goes in parts.
    "MULTIPART_THRESHOLD_BYTES": str(5 * 1024 * 1024),
    "RATE_LIMIT_LOGIN_PER_ADDRESS": "1000000/minute",
    "RATE_LIMIT_LOGIN_PER_USERNAME": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_DEVICE": "1000000/hour",
    "RATE_LIMIT_PASSWORD": "1000000/hour",
    "RATE_LIMIT_TICKETS": "1000000/hour",
    "RATE_LIMIT_HEALTH": "1000000/hour",
    "RATE_LIMIT_UPLOADS": "1000000/minute",
    "RATE_LIMIT_ANONYMOUS": "1000000/hour",
    "RATE_LIMIT_SIGNED_IN": "1000000/minute",
}


M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Kept:
    tables: Any
    buckets: Any
    messages: dict[str, list[Any]]


class Cloud:
    def __init__(self) -> None:
        self._mock = mock_aws()
        self._mock.start()
        self.s3: Any = boto3.client("s3")
        self.sqs: Any = boto3.client("sqs")
        self.tables = Tables(STACK)
        self._resources = template.data_plane("test")["Resources"]
        self._build()

    def stop(self) -> None:
        self._mock.stop()

    def _build(self) -> None:
        resources = self._resources
        dynamodb: Any = boto3.client("dynamodb")
        for resource in resources.values():
            properties = resource["Properties"]
            if resource["Type"] == "AWS::DynamoDB::Table":
                wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
                dynamodb.create_table(
                    TableName=properties["TableName"]["Fn::Sub"].replace("${AWS::StackName}", STACK),
                    **{name: properties[name] for name in wanted if name in properties},
                )
        location: Any = {"LocationConstraint": REGION}
        for bucket in (TEMP_BUCKET, PERMANENT_BUCKET):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        versioning: Any = resources["PermanentBucket"]["Properties"]["VersioningConfiguration"]
        self.s3.put_bucket_versioning(Bucket=PERMANENT_BUCKET, VersioningConfiguration=versioning)
        queue = resources["UploadsQueue"]["Properties"]
        redrive = {
            "deadLetterTargetArn": f"{QUEUE_ARN}-dead",
            "maxReceiveCount": queue["RedrivePolicy"]["maxReceiveCount"],
        }
        self.sqs.create_queue(QueueName=DEAD_LETTER_QUEUE)
        self.sqs.create_queue(
            QueueName=QUEUE,
            Attributes={"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": str(queue["VisibilityTimeout"])},
        )
        events: Any = {"QueueConfigurations": [{"QueueArn": QUEUE_ARN, "Events": ["s3:ObjectCreated:*"]}]}
        self.s3.put_bucket_notification_configuration(Bucket=TEMP_BUCKET, NotificationConfiguration=events)
        # S3 says hello to the queue when the notification is set.
        self.sqs.purge_queue(QueueUrl=QUEUE_URL)
        # Kept here too: other tests in this process may empty moto.
        self._queues = {name: _queues().queues[name] for name in (QUEUE, DEAD_LETTER_QUEUE)}

    def keep(self) -> Kept:
        """All that is stored, to come back to."""
        return Kept(
            tables=copy.deepcopy(_tables().tables),
            buckets=copy.deepcopy(_objects().buckets),
            messages={name: copy.deepcopy(self.messages(name)) for name in (QUEUE, DEAD_LETTER_QUEUE)},
        )

    def rewind(self, kept: Kept) -> None:
        for bucket in _objects().buckets.values():
            for _, versions in bucket.keys.lists():
                for version in versions:
                    if hasattr(version, "dispose"):
                        version.dispose()
        _tables().tables = copy.deepcopy(kept.tables)
        _objects().buckets = copy.deepcopy(kept.buckets)
        for name, queue in self._queues.items():
            _queues().queues[name] = queue
            queue._messages = copy.deepcopy(kept.messages[name])
            queue._pending_messages, queue.deleted_messages = set(), set()

    def run_lifecycle(self) -> bool:
        """What S3 does a day later, where the template's buckets ask for it: unfinished multipart uploads go."""
        used = False
        for name, resource in ((TEMP_BUCKET, "TempBucket"), (PERMANENT_BUCKET, "PermanentBucket")):
            rules = self._resources[resource]["Properties"]["LifecycleConfiguration"]["Rules"]
            if any(rule["Status"] == "Enabled" and "AbortIncompleteMultipartUpload" in rule for rule in rules):
                used = used or bool(self.bucket(name).multiparts)
                self.bucket(name).multiparts.clear()
        return used

    def rows(self, model: type[M]) -> list[M]:
        """All rows of a table, read past the API, which takes ten times longer."""
        model = self.tables.bind(model)
        table = _tables().tables[model.Meta.table_name]
        return [model.from_raw_data(item.to_json()["Attributes"]) for item in table.all_items()]

    def bucket(self, name: str) -> Any:
        return _objects().buckets[name]

    def messages(self, queue: str) -> list[Any]:
        """All messages, those that can't be seen at the moment included."""
        found: list[Any] = self._queues[queue]._messages
        return found


def _tables() -> Any:
    return dynamodb_backends[ACCOUNT][REGION]


def _objects() -> Any:
    return s3_backends[ACCOUNT]["aws"]


def _queues() -> Any:
    return sqs_backends[ACCOUNT][REGION]
