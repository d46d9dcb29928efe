"""What the application counts of itself comes out as CloudWatch reads it, and what the alarms read is counted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from chalicelib import wiring
from chalicelib.kernel import config, metrics
from chalicelib.processing.processing import GAVE_UP, end_as_failed
from chalicelib.sweep.sweeping import sweep
from chalicelib.tenants import organizations
from chalicelib.tenants.organization import Policy
from infra.packaging import ROOT
from infra.template import everything_but_chalice
from tests.aws_calls import listening
from tests.moto_gaps import aws_answer
from tests.unit.api import Api, Session
from tests.unit.conftest import Configure
from tests.unit.world import World


@pytest.fixture(autouse=True)
def for_programs(configure: Configure) -> None:
    configure(LOG_FORMAT="json")


class Counted:
    """What was counted since the last look."""

    def __init__(self, output: pytest.CaptureFixture[str]) -> None:
        self._output = output

    def __call__(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for line in self._output.readouterr().out.splitlines():
            told = json.loads(line)
            for described in told.get("_aws", {}).get("CloudWatchMetrics", []):
                assert described["Namespace"] == metrics.NAMESPACE
                assert described["Dimensions"] == [["Stage"]]
                assert told["Stage"] == "test"
                for metric in described["Metrics"]:
                    found.setdefault(metric["Name"], []).extend(told[metric["Name"]])
        return found


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Counted:
    return Counted(capsys)


def test_upload_counts_when_it_is_accepted_and_when_it_is_completed(
    world: World, api: Api, anna: Session, counted: Counted
) -> None:
    api.upload(anna)
    counted()
    world.work()
    found = counted()
    assert found.pop("UploadsAccepted") == [1]
    [milliseconds] = found.pop("AcceptedToCompleted")
    assert milliseconds >= 0
    assert found == {}


def test_refused_upload_is_no_fault_of_ours(world: World, api: Api, anna: Session, counted: Counted) -> None:
    organization = world.organizations["Acme"]
    organizations.set_policy(world.stores, organization.organization_id, Policy(allowed_types=("image/png",)))
    api.upload(anna)
    world.work()
    assert set(counted()) == {"UploadsAccepted", "UploadsRefused"}


def test_upload_that_is_given_up_is_one(world: World, api: Api, anna: Session, counted: Counted) -> None:
    file = world.file(api.upload(anna).json["id"])
    assert file is not None
    end_as_failed(world.stores, file, GAVE_UP, "w")
    assert counted() == {"UploadsFailed": [1]}


def test_bytes_that_are_gone_are_one(world: World, api: Api, anna: Session, counted: Counted) -> None:
    file_id = api.upload(anna).json["id"]
    world.s3.delete_object(Bucket=world.cloud.names.temp_bucket, Key=world.temp_key(file_id))
    world.work()
    assert counted()["UploadsFailed"] == [1]


def test_sweep_tells_that_it_came_to_its_end(world: World, counted: Counted) -> None:
    sweep(world.stores)
    assert counted()["SweepRan"] == [1]


def test_contended_transaction_counts_each_time(
    world: World, api: Api, anna: Session, counted: Counted, unhurried: list[float]
) -> None:
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled",
        "CancellationReasons": [{"Code": "TransactionConflict"}],
    }
    refusals = [aws_answer(400, json.dumps(body).encode())] * 2

    def refuse(operation: str, _: AWSPreparedRequest) -> AWSResponse | None:
        return refusals.pop() if operation == "dynamodb.TransactWriteItems" and refusals else None

    # As in a process of its own, with all that wiring.py puts together.
    wiring.install(wiring.Stores(config.settings()))
    with listening(refuse):
        assert api.upload(anna).status == 201
    assert counted()["Contention"] == [1, 1]
    assert len(unhurried) == 2, "one wait for each refusal"


# ---- The template reads them -----------------------------------------------------------------------------------------


def emitted() -> set[str]:
    """Names that the code gives to metrics."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "chalicelib").rglob("*.py"))
    calls = re.findall(r"put_(?:count|milliseconds|values)[(,][^)]*?\)", sources)
    names = {name for call in calls for name in re.findall(r'"([A-Z]\w+)"', call)}
    return names - set(get_args(metrics.Unit))


def read_by(nodes: Iterator[dict[str, Any]]) -> set[str]:
    return {node["MetricName"] for node in nodes if node.get("Namespace") == metrics.NAMESPACE}


def test_alarms_read_what_is_counted_and_the_dashboard_shows_all_of_it() -> None:
    resources = everything_but_chalice("prod")["Resources"]
    alarms = (r["Properties"] for r in resources.values() if r.get("Type") == "AWS::CloudWatch::Alarm")
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert read_by(alarms) <= emitted()
    assert {"UploadsAccepted", "AcceptedToCompleted", "Contention", "SweepRan", "CacheFallback"} <= emitted()
    assert [name for name in emitted() if f'"{name}"' not in body] == []
