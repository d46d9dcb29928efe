"""Each function's role allows what its code was seen to call, and nothing else: simulated, from the recorded calls.

`tests/roles/recorded.json` is what all unit tests together have needed. On an emulator the stack then runs with these
roles (tests/e2e), which shows the one way; that nothing is superfluous shows only here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from chalicelib.sweep.sweeping import sweep
from chalicelib.webhooks import logic
from infra import functions
from infra.template import data_plane, function_roles
from tests.roles import recording
from tests.roles.actions import Request, needed
from tests.unit.cloud import NAMES
from tests.unit.world import World

RESOURCES = data_plane("prod")["Resources"]
ROLES = function_roles()
NO_VALUE = {"Ref": "AWS::NoValue"}
#: On AWS, with mail and with the stack's own cache.
CONDITIONS = {"TlsIsRequired": True, "SendsMail": True, "CreateCache": True, "CountsInTable": True}

LOGS = {("logs:CreateLogStream", "logs"), ("logs:PutLogEvents", "logs")}
# What Lambda's service does by the role, before or after our code: AWS's managed policies
# AWSLambdaSQSQueueExecutionRole, AWSLambdaDynamoDBExecutionRole and AWSLambdaVPCAccessExecutionRole name it.
_POLLS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
BY_LAMBDA: dict[str, set[tuple[str, str]]] = {
    "api": {
        (f"ec2:{name}", "*")
        for name in (
            "CreateNetworkInterface",
            "DescribeNetworkInterfaces",
            "DescribeSubnets",
            "DeleteNetworkInterface",
            "AssignPrivateIpAddresses",
            "UnassignPrivateIpAddresses",
        )
    },
    "process": {(f"sqs:{name}", "queue/uploads") for name in _POLLS},
    "deliver": {(f"sqs:{name}", "queue/webhooks") for name in _POLLS},
    "publish": {
        *(
            (f"dynamodb:{name}", "event-outbox/stream/*")
            for name in ("DescribeStream", "GetRecords", "GetShardIterator")
        ),
        ("dynamodb:ListStreams", "*"),
    },
}


def resolved(node: Any) -> Any:
    """With the conditions decided."""
    if isinstance(node, dict) and "Fn::If" in node:
        condition, yes, no = node["Fn::If"]
        return resolved(yes if CONDITIONS[condition] else no)
    if isinstance(node, list):
        return [resolved(item) for item in node if resolved(item) != NO_VALUE]
    return node


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def short(resource: Any) -> str:
    """As tests/roles/actions.py names it."""
    if resource == "*":
        return "*"
    if "Fn::GetAtt" in resource:
        return _named(resource["Fn::GetAtt"][0])
    text: str = resource["Fn::Sub"]
    if ":logs:" in text:
        return "logs"
    if ":ses:" in text:
        return text.rsplit(":", 1)[-1]
    if match := re.fullmatch(r"\$\{(\w+)\.Arn\}/(.+)", text):
        return f"{_named(match[1])}/{match[2]}"
    match = re.search(r"s3:::\$\{AWS::StackName\}-(\w+)-[^/]*(/.*)?$", text)
    assert match is not None, text
    return match[1] + (match[2] or "")


def _named(logical_id: str) -> str:
    properties = RESOURCES[logical_id]["Properties"]
    name: str = properties.get("TableName", properties.get("QueueName"))["Fn::Sub"]
    return ("queue/" if "QueueName" in properties else "") + name.removeprefix("${AWS::StackName}-")


def allowed(role: str) -> Iterator[tuple[str, str]]:
    [policy] = ROLES[role]["Properties"]["Policies"]
    for statement in resolved(policy["PolicyDocument"]["Statement"]):
        if statement["Effect"] == "Allow":
            for action in listed(resolved(statement["Action"])):
                for resource in listed(resolved(statement["Resource"])):
                    yield action, short(resource)


def called(function: functions.Function) -> set[tuple[str, str]]:
    return {(action, resource) for name, action, resource in recording.recorded() if name == function.name}


@pytest.mark.parametrize("function", functions.FUNCTIONS, ids=lambda function: function.name)
def test_role_allows_what_the_function_calls(function: functions.Function) -> None:
    wanted = called(function) | LOGS | BY_LAMBDA.get(function.name, set())
    assert wanted - set(allowed(function.role)) == set()


@pytest.mark.parametrize("function", functions.FUNCTIONS, ids=lambda function: function.name)
def test_role_allows_nothing_else(function: functions.Function) -> None:
    wanted = called(function) | LOGS | BY_LAMBDA.get(function.name, set())
    assert set(allowed(function.role)) - wanted == set()


def test_sweep_wakes_webhooks_by_their_queue(world: World) -> None:
    """Recorded too: elsewhere the wake-ups of tests stay in memory."""
    created = logic.create_webhook(world.stores, world.caller("anna"), "https://hooks.example.com/", None)
    with time_machine.travel(time.time() + 2 * 3600, tick=False):
        assert sweep(world.stores)["webhooks_woken"] == 1
    [message] = world.cloud.messages(NAMES.webhooks_queue)
    assert created.webhook.webhook_id in message.body
    assert ("sweep", "sqs:SendMessage", "queue/webhooks") in recording.seen()


# ---- The simulation itself -------------------------------------------------------------------------------------------


def asked(service: str, operation: str, **what: Any) -> list[tuple[str, str]]:
    standing = {"url": "", "headers": {}, "body": "", "presigned": False}
    return list(needed(Request(service, operation, **{**standing, **what}), "stack"))


PUT, DELETE = '{"Put": {"TableName": "stack-a"}}', '{"Delete": {"TableName": "stack-b"}}'
BUCKET = "https://s3.eu-central-1.amazonaws.com/stack-permanent-123456789012"


@pytest.mark.parametrize(
    ("request_", "needs"),
    [
        (("s3", "GetObject", {"url": f"{BUCKET}/a?versionId=1"}), ["s3:GetObjectVersion", "s3:ListBucket"]),
        (("s3", "GetObject", {"url": f"{BUCKET}/a?versionId=1", "presigned": True}), ["s3:GetObjectVersion"]),
        (("s3", "DeleteObject", {"url": f"{BUCKET}/a?versionId=1"}), ["s3:DeleteObjectVersion"]),
        (("s3", "DeleteObject", {"url": f"{BUCKET}/a"}), ["s3:DeleteObject"]),
        (("s3", "PutObject", {"url": "https://s3.amazonaws.com/other/a"}), []),
        (("dynamodb", "PutItem", {"body": '{"TableName": "other-files"}'}), []),
        (
            (
                "s3",
                "CopyObject",
                {"url": f"{BUCKET}/a", "headers": {"x-amz-copy-source": "stack-temp-123456789012/a?versionId=1"}},
            ),
            ["s3:GetObjectVersion", "s3:PutObject"],
        ),
        (
            (
                "s3",
                "PutObject",
                {"url": f"{BUCKET}/a", "headers": {"x-amz-object-lock-mode": "GOVERNANCE"}},
            ),
            ["s3:PutObject", "s3:PutObjectRetention"],
        ),
        (
            ("dynamodb", "TransactWriteItems", {"body": f'{{"TransactItems": [{PUT}, {DELETE}]}}'}),
            ["dynamodb:PutItem", "dynamodb:DeleteItem"],
        ),
    ],
)
def test_request_needs_the_actions_of_the_reference(
    request_: tuple[str, str, dict[str, Any]], needs: list[str]
) -> None:
    service, operation, what = request_
    assert [action for action, _ in asked(service, operation, **what)] == needs
