"""What an earlier stack has left is removed when it is empty, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from infra.deployment import DeploymentError
from infra.leftovers import QUEUE_NAME_SECONDS, clear_leftovers, outliving
from infra.stages import protect_tables
from infra.template import data_plane
from tests.aws_calls import listening
from tests.moto_gaps import aws_answer

#: No other test's, so that nothing of theirs is here: moto knows accounts apart.
ACCOUNT = "210987654321"
NAMES = {"AWS::StackName": "strongroom-prod", "AWS::AccountId": ACCOUNT, "AWS::Region": "eu-central-1"}
TABLE, BUCKET, QUEUE = "strongroom-prod-files", f"strongroom-prod-permanent-{ACCOUNT}", "strongroom-prod-uploads-dead"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        session = boto3.Session(region_name="eu-central-1")
        session.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        session.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        session.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        session.client("sqs").create_queue(QueueName=QUEUE)
        yield session
        for backends in (dynamodb_backends, s3_backends, sqs_backends):
            for backend in backends[ACCOUNT].values():
                backend.reset()


def left(session: Any) -> list[str]:
    tables: list[str] = session.client("dynamodb").list_tables()["TableNames"]
    buckets = [bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]]
    queues = [url.rsplit("/", 1)[-1] for url in session.client("sqs").list_queues().get("QueueUrls", [])]
    return tables + buckets + queues


def clear(session: Any) -> tuple[list[str], list[float]]:
    said: list[str] = []
    waited: list[float] = []
    clear_leftovers(session, data_plane("prod"), NAMES, said.append, waited.append)
    return said, waited


def test_empty_leftovers_are_removed_though_protected(session: Any) -> None:
    protect_tables(session.client("dynamodb"), [TABLE], print)
    said, waited = clear(session)
    assert left(session) == []
    assert len(said) == 4
    assert waited == [QUEUE_NAME_SECONDS]
    assert clear(session) == ([], [])


@pytest.mark.parametrize("full", [TABLE, BUCKET, QUEUE])
def test_nothing_is_removed_where_one_holds_data(session: Any, full: str) -> None:
    if full == TABLE:
        session.client("dynamodb").put_item(TableName=TABLE, Item={"id": {"S": "x"}})
    elif full == BUCKET:
        # What was deleted can still be brought back: it is data.
        session.client("s3").put_object(Bucket=BUCKET, Key="x", Body=b"")
        session.client("s3").delete_object(Bucket=BUCKET, Key="x")
    else:
        url = session.client("sqs").get_queue_url(QueueName=QUEUE)["QueueUrl"]
        session.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    with pytest.raises(DeploymentError, match=full):
        clear(session)
    assert left(session) == [TABLE, BUCKET, QUEUE]


def test_bucket_of_the_same_stage_in_another_region_is_left_alone(session: Any) -> None:
    other = f"strongroom-prod-temp-{ACCOUNT}"
    boto3.client("s3", region_name="us-west-2").create_bucket(
        Bucket=other, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    before = left(session)
    with pytest.raises(DeploymentError, match=f"{other} exists in us-west-2"):
        clear(session)
    assert left(session) == before


def test_bucket_of_another_account_is_told(session: Any) -> None:
    with refused_by_status(403), pytest.raises(DeploymentError, match="exists in another account"):
        clear(session)


@contextmanager
def refused_by_status(status: int) -> Iterator[None]:
    def refuse(operation: str, _: AWSPreparedRequest) -> AWSResponse | None:
        return aws_answer(status, b"") if operation == "s3.HeadBucket" else None

    with listening(refuse):
        yield


def test_all_that_outlives_a_production_stack_is_looked_for() -> None:
    template = data_plane("prod")
    kept = [
        name
        for name, resource in template["Resources"].items()
        if resource.get("DeletionPolicy") not in (None, "Delete")
    ]
    assert len(list(outliving(template, NAMES))) == len(kept) > 14
    assert list(outliving(data_plane("staging"), NAMES)) == []


def test_tables_are_protected_once(session: Any) -> None:
    client = session.client("dynamodb")
    said: list[str] = []
    protect_tables(client, [TABLE], said.append)
    protect_tables(client, [TABLE], said.append)
    assert client.describe_table(TableName=TABLE)["Table"]["DeletionProtectionEnabled"] is True
    assert said == [f"Protected {TABLE} from deletion."]
