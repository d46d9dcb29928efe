"""Decisions of a deployment, on a simulated CloudFormation where they need a stack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deployment import DeploymentError, Watch, deploy_stack, moved_into_bounds, standing_stack
from infra.stack_changes import Change, refusal_of

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
        self.watched: Any = None
        self.events: list[dict[str, str]] = []
        #: What comes of the next change, the newest first.
        self.next_events: list[dict[str, str]] = []
        #: What an update ends in.
        self.end = "UPDATE_COMPLETE"

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        if not self.status:
            gone: Any = {"Error": {"Code": "ValidationError", "Message": "Stack does not exist"}}
            raise ClientError(gone, "DescribeStacks")
        return {"Stacks": [{"StackStatus": self.status, "StackId": "id", "Outputs": []}]}

    def create_change_set(self, TemplateBody: str, RollbackConfiguration: Any, **_: Any) -> dict[str, str]:
        self.watched = RollbackConfiguration
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
        self.status = "CREATE_COMPLETE" if self.status == "REVIEW_IN_PROGRESS" else self.end
        self.events = self.next_events

    def delete_change_set(self, **_: Any) -> None:
        self.planned = []

    def delete_stack(self, StackName: str) -> None:
        assert self.status == "REVIEW_IN_PROGRESS", "a stack that was never created"
        self.status = ""

    def get_paginator(self, _: str) -> SimulatedCloudFormation:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"StackEvents": self.events}]


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


def test_dry_run_shows_the_changes_and_leaves_nothing(cloudformation: SimulatedCloudFormation) -> None:
    cleared: list[str] = []
    said = deploy(cloudformation, dry_run=True, before_creation=lambda: cleared.append("way"))
    assert said == ["strongroom-x: 1 to add", "  Add     Waiting [x]"]
    assert (cloudformation.status, cloudformation.resources, cleared) == ("", [], [])


def test_unconfirmed_creation_leaves_no_stack(cloudformation: SimulatedCloudFormation) -> None:
    with pytest.raises(DeploymentError, match="not confirmed"):
        deploy(cloudformation, confirm=lambda changes: False)
    assert cloudformation.status == ""


def test_alarms_are_watched_by_an_update_and_forgotten_by_the_next(cloudformation: SimulatedCloudFormation) -> None:
    watch = Watch(("arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a",), 10)
    none = {"RollbackTriggers": [], "MonitoringTimeInMinutes": 0}
    deploy(cloudformation, watch=watch)
    assert cloudformation.watched == none, "a stack that is created has no alarms yet"
    cloudformation.resources = []
    deploy(cloudformation, watch=watch)
    assert cloudformation.watched == {
        "RollbackTriggers": [{"Arn": watch.alarm_arns[0], "Type": "AWS::CloudWatch::Alarm"}],
        "MonitoringTimeInMinutes": 10,
    }
    cloudformation.resources = []
    deploy(cloudformation)
    assert cloudformation.watched == none


def event(name: str, status: str, reason: str = "") -> dict[str, str]:
    return {
        "EventId": f"{name}-{status}",
        "LogicalResourceId": name,
        "ResourceType": "x",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def test_alarm_that_took_an_update_back_is_named(cloudformation: SimulatedCloudFormation) -> None:
    deploy(cloudformation)
    cloudformation.resources, cloudformation.end = [], "UPDATE_ROLLBACK_COMPLETE"
    why = "Alarm arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a went off"
    cloudformation.next_events = [event("strongroom-x", "UPDATE_ROLLBACK_IN_PROGRESS", why)]
    with pytest.raises(DeploymentError) as raised:
        deploy(cloudformation)
    assert str(raised.value).endswith(f"The version that ran before runs again. What failed:\n  {why}")


def test_only_what_changes_is_told(cloudformation: SimulatedCloudFormation) -> None:
    """An emulator tells of ninety resources that stay as they are."""
    cloudformation.next_events = [
        event("Waiting", "CREATE_COMPLETE"),
        event("Waiting", "CREATE_IN_PROGRESS"),
        *(event(f"Other{number}", "UPDATE_COMPLETE") for number in range(90)),
    ]
    assert deploy(cloudformation) == [
        "strongroom-x: 1 to add",
        "  Add     Waiting [x]",
        "  CREATE_COMPLETE              Waiting",
    ]
