"""Decisions of a deployment, on a simulated CloudFormation where they need a stack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deployment import Change, DeploymentError, deploy_stack, moved_into_bounds, refusal_of, standing_stack

DECLARED = {
    "OldVersionDays": {"Type": "Number", "MinValue": 36, "MaxValue": 3650},
    "MaxUploadBytes": {"Type": "Number", "MinValue": 1, "MaxValue": 4_500_000},
    "ApiRateLimit": {"Type": "Number"},
    "CacheUrl": {"Type": "String"},
}
TEMPLATE = {"Resources": {"Waiting": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "waiting"}}}}


@pytest.mark.parametrize(
    ("kept", "moved"),
    [
        ({"OldVersionDays": "30"}, {"OldVersionDays": "36"}),
        ({"MaxUploadBytes": "4718592"}, {"MaxUploadBytes": "4500000"}),
        ({"OldVersionDays": "36", "MaxUploadBytes": "4500000"}, {}),
        ({"ApiRateLimit": "7", "CacheUrl": "redis://x"}, {}),
    ],
)
def test_kept_number_that_the_new_template_refuses_is_moved(kept: dict[str, str], moved: dict[str, str]) -> None:
    assert moved_into_bounds(DECLARED, kept) == moved


@pytest.mark.parametrize(
    ("action", "kind", "replacement", "loses"),
    [
        ("Modify", "AWS::DynamoDB::Table", "False", False),
        ("Modify", "AWS::DynamoDB::Table", "True", True),
        ("Modify", "AWS::DynamoDB::Table", "Conditional", True),
        ("Remove", "AWS::S3::Bucket", "", True),
        ("Modify", "AWS::SQS::Queue", "True", True),
        ("Remove", "AWS::SQS::Queue", "", True),
        ("Modify", "AWS::Lambda::Function", "Conditional", False),
        ("Add", "AWS::SQS::Queue", "", False),
    ],
)
def test_change_that_may_lose_data_counts_as_one_that_does(
    action: str, kind: str, replacement: str, loses: bool
) -> None:
    assert Change(action, "X", kind, replacement).loses_data == loses


@pytest.mark.parametrize(
    ("kind", "properties", "loses"),
    [
        ("AWS::S3::Bucket", ("CorsConfiguration",), False),
        ("AWS::S3::Bucket", ("BucketName", "CorsConfiguration"), True),
        ("AWS::SQS::Queue", ("RedrivePolicy",), False),
        ("AWS::SQS::Queue", (), True),
        ("AWS::DynamoDB::Table", ("StreamSpecification",), True),
    ],
)
def test_perhaps_replaced_is_judged_by_what_changes(kind: str, properties: tuple[str, ...], loses: bool) -> None:
    assert Change("Modify", "Thing", kind, "Conditional", properties).loses_data is loses


def test_refusal_says_whether_the_loss_is_certain() -> None:
    sure = Change("Modify", "FilesTable", "AWS::DynamoDB::Table", "True")
    perhaps = Change("Modify", "UsersTable", "AWS::DynamoDB::Table", "Conditional")
    assert "may replace them" in refusal_of([perhaps])
    assert "may replace them" not in refusal_of([sure, perhaps])


class SimulatedCloudFormation:
    """One stack; a change set adds what is new, and is made at once when it is executed."""

    def __init__(self) -> None:
        self.status = ""
        self.resources: list[str] = []
        self.planned: list[str] = []

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        if not self.status:
            gone: Any = {"Error": {"Code": "ValidationError", "Message": "Stack does not exist"}}
            raise ClientError(gone, "DescribeStacks")
        return {"Stacks": [{"StackStatus": self.status, "StackId": "id", "Outputs": []}]}

    def create_change_set(self, TemplateBody: str, **_: Any) -> dict[str, str]:
        self.planned = [name for name in json.loads(TemplateBody)["Resources"] if name not in self.resources]
        self.status = self.status or "REVIEW_IN_PROGRESS"
        return {"StackId": "id"}

    def describe_change_set(self, **_: Any) -> dict[str, Any]:
        changes = [{"Action": "Add", "LogicalResourceId": name, "ResourceType": "x"} for name in self.planned]
        if not changes:
            return {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": change} for change in changes]}

    def execute_change_set(self, **_: Any) -> None:
        self.resources += self.planned
        self.status = "CREATE_COMPLETE"

    def delete_change_set(self, **_: Any) -> None:
        self.planned = []

    def get_paginator(self, _: str) -> SimulatedCloudFormation:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"StackEvents": []}]


@pytest.fixture
def cloudformation() -> SimulatedCloudFormation:
    return SimulatedCloudFormation()


def deploy(cloudformation: Any, **options: Any) -> list[str]:
    said: list[str] = []
    deploy_stack(cloudformation, "strongroom-x", TEMPLATE, {}, report=said.append, **options)
    return said


def test_nothing_is_made_before_it_is_confirmed(cloudformation: SimulatedCloudFormation) -> None:
    asked: list[list[Change]] = []

    def no(changes: list[Change]) -> bool:
        asked.append(changes)
        return False

    with pytest.raises(DeploymentError, match="not confirmed"):
        deploy(cloudformation, confirm=no)
    assert [change.logical_id for change in asked[0]] == ["Waiting"]
    assert cloudformation.resources == []
    assert standing_stack(cloudformation, "strongroom-x") is None
    deploy(cloudformation, confirm=lambda _: True)
    assert cloudformation.resources == ["Waiting"]
    assert standing_stack(cloudformation, "strongroom-x") is not None


def test_way_is_cleared_before_a_creation_and_not_before_an_update(cloudformation: SimulatedCloudFormation) -> None:
    cleared: list[str] = []
    deploy(cloudformation, before_creation=lambda: cleared.append("once"))
    deploy(cloudformation, before_creation=lambda: cleared.append("again"))
    assert cleared == ["once"]
