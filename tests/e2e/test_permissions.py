"""Permissions are enforced, and each function has only its own.

The functions' roles are assumed and used directly: what a function may not do is shown by doing it with its rights.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from .stack import DeployedStack, Member

DENIED = {"AccessDenied", "AccessDeniedException", "AccessDeniedFault", "403"}


@pytest.fixture(scope="module")
def member(stack: DeployedStack) -> Member:
    return stack.sign_up("Permits")


def role_of(stack: DeployedStack, logical_id: str) -> str:
    detail = stack.session.client("cloudformation").describe_stack_resource(
        StackName=stack.release.stack_name, LogicalResourceId=logical_id
    )
    name: str = detail["StackResourceDetail"]["PhysicalResourceId"]
    return name


def as_role(stack: DeployedStack, logical_id: str) -> boto3.Session:
    """A session with the rights of a function's role, and no others."""
    arn = stack.session.client("iam").get_role(RoleName=role_of(stack, logical_id))["Role"]["Arn"]
    given = stack.session.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def is_denied(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] in DENIED
    return False


Probe = Callable[[boto3.Session, dict[str, str]], Any]


def get_row(table: str) -> Probe:
    keys = {
        "users": {"organization_id": {"S": "x"}, "user_id": {"S": "x"}},
        "usernames": {"username": {"S": "x"}},
        "sessions": {"token_hash": {"S": "x"}},
        "api-keys": {"organization_id": {"S": "x"}, "key_id": {"S": "x"}},
        "invitations": {"organization_id": {"S": "x"}, "invitation_id": {"S": "x"}},
        "files": {"organization_id": {"S": "x"}, "file_id": {"S": "x"}},
        "organizations": {"organization_id": {"S": "x"}},
        "migrations": {"migration_id": {"S": "x"}},
        "webhooks": {"organization_id": {"S": "x"}, "webhook_id": {"S": "x"}},
        "webhook-deliveries": {"partition": {"S": "x"}, "place": {"S": "x"}},
        "event-outbox": {"partition": {"S": "x"}, "moment": {"S": "x"}},
    }
    return lambda s, o: s.client("dynamodb").get_item(TableName=f"{o['TablePrefix']}-{table}", Key=keys[table])


def scan(table: str) -> Probe:
    return lambda s, o: s.client("dynamodb").scan(TableName=f"{o['TablePrefix']}-{table}")


def query_unfinished(session: boto3.Session, outputs: dict[str, str]) -> Any:
    return session.client("dynamodb").query(
        TableName=f"{outputs['TablePrefix']}-files",
        IndexName="unfinished",
        KeyConditionExpression="unfinished_shard = :s",
        ExpressionAttributeValues={":s": {"S": "shard-0"}},
    )


def s3_call(method: str, bucket: str, **arguments: Any) -> Probe:
    return lambda s, o: getattr(s.client("s3"), method)(Bucket=o[bucket], **arguments)


def sqs_call(method: str, queue: str, **arguments: Any) -> Probe:
    return lambda s, o: getattr(s.client("sqs"), method)(QueueUrl=o[queue], **arguments)


EVERY_ROLE_MAY_NOT: dict[str, Probe] = {
    "read migrations": get_row("migrations"),
    "scan files": scan("files"),
    "list all buckets": lambda s, o: s.client("s3").list_buckets(),
    "list roles": lambda s, o: s.client("iam").list_roles(),
    "read its own code": lambda s, o: s.client("lambda").get_function(FunctionName="strongroom-prod-api"),
    "read the cache's password": lambda s, o: s.client("secretsmanager").list_secrets(),
}
MAY_NOT: dict[str, dict[str, Probe]] = {
    "ApiRole": {
        "read a temp object": s3_call("get_object", "TempBucket", Key="x/y"),
        "write a permanent object": s3_call("put_object", "PermanentBucket", Key="x/y", Body=b""),
        "scan users": scan("users"),
        "scan API keys": scan("api-keys"),
        "scan invitations": scan("invitations"),
        "send mail": lambda s, o: s.client("sesv2").send_email(
            FromEmailAddress="a@example.com",
            Destination={"ToAddresses": ["b@example.com"]},
            Content={"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}},
        ),
        "scan sessions": scan("sessions"),
        "read the sweep's index": query_unfinished,
        "take messages": sqs_call("receive_message", "UploadsQueueUrl"),
        "take wake-ups": sqs_call("receive_message", "WebhooksQueueUrl"),
        "read dead letters": sqs_call("receive_message", "DeadLetterQueueUrl"),
    },
    "ProcessRole": {
        "read users": get_row("users"),
        "read user names": get_row("usernames"),
        "read sessions": get_row("sessions"),
        "read API keys": get_row("api-keys"),
        "read invitations": get_row("invitations"),
        "read the sweep's index": query_unfinished,
        "write a temp object": s3_call("put_object", "TempBucket", Key="x/y", Body=b""),
    },
    "DeliverRole": {
        **{
            f"read {table}": get_row(table)
            for table in ("users", "usernames", "sessions", "api-keys", "invitations", "files", "organizations")
        },
        "read the outbox": get_row("event-outbox"),
        "scan webhooks": scan("webhooks"),
        "read a temp object": s3_call("get_object", "TempBucket", Key="x/y"),
        "read a permanent object": s3_call("get_object", "PermanentBucket", Key="x/y"),
        "announce an upload": sqs_call("send_message", "UploadsQueueUrl", MessageBody="x"),
    },
    "SweepRole": {
        "read webhooks": get_row("webhooks"),
        "read deliveries": get_row("webhook-deliveries"),
        "read users": get_row("users"),
        "read user names": get_row("usernames"),
        "read sessions": get_row("sessions"),
        "read API keys": get_row("api-keys"),
        "read invitations": get_row("invitations"),
        "read a permanent object": s3_call("get_object", "PermanentBucket", Key="x/y"),
        "take messages": sqs_call("receive_message", "UploadsQueueUrl"),
    },
}


@pytest.mark.parametrize("role", sorted(MAY_NOT))
def test_role_may_not_do_what_is_not_its_work(stack: DeployedStack, role: str) -> None:
    session = as_role(stack, role)
    allowed = [
        what
        for what, probe in {**EVERY_ROLE_MAY_NOT, **MAY_NOT[role]}.items()
        if not is_denied(lambda probe=probe: probe(session, stack.outputs))  # type: ignore[misc]
    ]
    assert allowed == []


def test_presigned_upload_is_held_to_the_rights_of_its_signer(stack: DeployedStack) -> None:
    """A URL signed with the API's rights can put into the temp bucket, and cannot read from it."""
    import httpx
    from botocore.config import Config

    signer = as_role(stack, "ApiRole").client("s3", config=Config(signature_version="s3v4"))
    params = {"Bucket": stack.outputs["TempBucket"], "Key": "nobody/signed.txt"}
    put = httpx.put(signer.generate_presigned_url("put_object", Params=params), content=b"bytes")
    assert put.status_code == 200, put.text
    got = httpx.get(signer.generate_presigned_url("get_object", Params=params))
    assert got.status_code == 403, got.text


@contextmanager
def without_statement(stack: DeployedStack, role: str, sid: str) -> Iterator[None]:
    """The role lacks one statement of its policy for a while."""
    iam = stack.session.client("iam")
    name = role_of(stack, role)
    [policy] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    before = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    less = copy.deepcopy(before)
    less["Statement"] = [statement for statement in less["Statement"] if statement.get("Sid") != sid]
    assert len(less["Statement"]) == len(before["Statement"]) - 1
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(less))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(before))


def test_api_without_its_permission_on_sessions_fails_and_recovers(stack: DeployedStack, member: Member) -> None:
    assert stack.api.get("/auth/me", headers=member.headers).status_code == 200
    with without_statement(stack, "ApiRole", "Sessions"):
        answer = stack.api.get("/auth/me", headers=member.headers)
        assert answer.status_code == 500, answer.text
        assert set(answer.json()) == {"error", "message", "code", "request_id"}
    assert stack.api.get("/auth/me", headers=member.headers).status_code == 200


def test_processing_without_its_permission_to_copy_does_not_complete_and_recovers(
    stack: DeployedStack, member: Member
) -> None:
    with without_statement(stack, "ProcessRole", "PermanentObjects"):
        record = stack.upload(member, "stuck.txt", b"cannot be copied\n")
        seen = stack.wait_for(member, record["id"], "processing", "failed", "completed")
        assert seen["status"] != "completed"
    # The message comes back after its back-off, and then the copy is allowed.
    assert stack.wait_for(member, record["id"], "completed", "failed")["status"] == "completed"
