"""The removal of a deployment, ended at any call and run again, leaves what it would have left without that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from infra.artifacts import artifacts_bucket, s3_client
from infra.release_history import Record, read_all, write
from infra.teardown import destroy, what_exists
from infra.template import KEPT_STAGES
from tests.unit.crashes import Crash, crashing_at, moments
from tests.unit.operator.simulated import REGION, SimulatedSession

#: No other test's, so that nothing of theirs is here: moto knows accounts apart.
ACCOUNT = "210987654323"
ARTIFACTS = artifacts_bucket(ACCOUNT, REGION)
PACKAGE, NEVER = "code/package.zip", 10_000
LOCATION: Any = {"LocationConstraint": REGION}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield
        forget()


def forget() -> None:
    for backends in (dynamodb_backends, s3_backends, sqs_backends, logs_backends):
        for backend in backends[ACCOUNT].values():
            backend.reset()


class Deployed:
    """A stage with something of each kind, and another stage beside it."""

    def __init__(self, session: SimulatedSession, stage: str) -> None:
        session.start_anew()
        self.session, self.stage, self.name = session, stage, f"strongroom-{stage}"
        self.dynamodb, self.sqs = self.session.client("dynamodb"), self.session.client("sqs")
        self.s3, self.logs = s3_client(self.session), self.session.client("logs")
        self.session.stacks.stack = {
            "StackName": self.name,
            "StackId": self.name,
            "StackStatus": "CREATE_COMPLETE",
            "EnableTerminationProtection": stage in KEPT_STAGES,
        }
        self.session.stacks.when_deleted = self._delete_resources
        self.tables = [f"{self.name}-files", f"{self.name}-users"]
        self.buckets = [f"{self.name}-temp-{ACCOUNT}", f"{self.name}-permanent-{ACCOUNT}"]
        for table in [*self.tables, "strongroom-other-files"]:
            self.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                DeletionProtectionEnabled=stage in KEPT_STAGES,
            )
            self.dynamodb.put_item(TableName=table, Item={"id": {"S": "1"}})
        for bucket in [*self.buckets, f"strongroom-other-temp-{ACCOUNT}", ARTIFACTS]:
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=LOCATION)
            if bucket != ARTIFACTS:
                self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            for body in (b"old", b"new"):
                self.s3.put_object(Bucket=bucket, Key="x/y", Body=body)
            self.s3.delete_object(Bucket=bucket, Key="x/y")
        self.s3.create_multipart_upload(Bucket=self.buckets[0], Key="x/z")
        self.s3.put_object(Bucket=ARTIFACTS, Key=PACKAGE, Body=b"zip")
        for queue in ("uploads", "uploads-dead"):
            self.sqs.create_queue(QueueName=f"{self.name}-{queue}")
        for function in ("api", "process"):
            # One is the stack's; Lambda makes the other anew, when the function still runs.
            self.logs.create_log_group(logGroupName=f"/aws/lambda/{self.name}-{function}")
        for one in (stage, "other"):
            write(self.s3, ARTIFACTS, one, Record("1", "1.0", "d" * 64, "templates/a.json", {}))

    def _delete_resources(self) -> None:
        """As CloudFormation does: what is kept stays, and what holds something or is protected can't be deleted."""
        self.logs.delete_log_group(logGroupName=f"/aws/lambda/{self.name}-api")
        self.sqs.delete_queue(QueueUrl=self.sqs.get_queue_url(QueueName=f"{self.name}-uploads")["QueueUrl"])
        if self.stage in KEPT_STAGES:
            return
        self.sqs.delete_queue(QueueUrl=self.sqs.get_queue_url(QueueName=f"{self.name}-uploads-dead")["QueueUrl"])
        for table in self.tables:
            self.dynamodb.delete_table(TableName=table)
        for bucket in self.buckets:
            self.s3.delete_bucket(Bucket=bucket)

    def destroy(self, *, data: bool) -> None:
        """As the command does, which says that there is nothing when it sees nothing."""
        if any(what_exists(self.session, self.stage).values()):
            destroy(self.session, self.stage, data=data, bypass_lock=False, report=lambda line: None)

    def left(self) -> dict[str, Any]:
        """Everything of the account."""
        objects = {}
        for bucket in [one["Name"] for one in self.s3.list_buckets()["Buckets"]]:
            found = self.s3.list_object_versions(Bucket=bucket)
            objects[bucket] = sorted(
                one["Key"] for kind in ("Versions", "DeleteMarkers") for one in found.get(kind, [])
            )
            objects[bucket] += [one["Key"] for one in self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
        return {
            "tables": self.dynamodb.list_tables()["TableNames"],
            "objects": objects,
            "queues": [url.rsplit("/", 1)[-1] for url in self.sqs.list_queues().get("QueueUrls", [])],
            "logs": [group["logGroupName"] for group in self.logs.describe_log_groups()["logGroups"]],
            "stack": self.session.stacks.stack is not None
            and self.session.stacks.stack["StackStatus"] != "DELETE_COMPLETE",
            "releases": [one.release_id for one in read_all(self.s3, ARTIFACTS, self.stage)],
        }


@pytest.mark.parametrize(("stage", "data"), [("test", False), ("prod", True), ("prod", False)])
def test_removal_is_finished_by_the_next_run(account: None, stage: str, data: bool) -> None:
    session = SimulatedSession()
    deployed = Deployed(session, stage)
    with crashing_at(NEVER) as calls:
        deployed.destroy(data=data)
    wanted = deployed.left()
    assert not wanted["stack"]
    assert PACKAGE in wanted["objects"][ARTIFACTS]
    assert "strongroom-other-files" in wanted["tables"]
    if data or stage not in KEPT_STAGES:
        assert [name for name in (*wanted["tables"], *wanted["objects"]) if name.startswith(deployed.name)] == []
        assert (wanted["queues"], wanted["logs"], wanted["releases"]) == ([], [], [])
    else:
        assert set(deployed.tables) < set(wanted["tables"])
        assert wanted["objects"][deployed.buckets[1]] == ["x/y"] * 3
        assert wanted["queues"] == ["strongroom-prod-uploads-dead"]
    assert len(calls) > 30
    for number in moments(calls):
        forget()
        deployed = Deployed(session, stage)
        with crashing_at(number), pytest.raises(Crash):
            deployed.destroy(data=data)
        deployed.destroy(data=data)
        assert deployed.left() == wanted, f"ended at {calls[number - 1]}, call {number}"
