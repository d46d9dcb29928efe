"""Permissions are enforced, and each function has only its own.

The functions' roles are assumed and used directly: what a function may not do is shown by doing it with its rights.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.audit import sealing, upkeep
from chalicelib.audit.trail import read_filters
from chalicelib.wiring import Stores
from infra.audit_history import read_history
from infra.functions import FUNCTIONS

from .stack import DeployedStack, Member

#: AWS: "Amazon EventBridge events", a scheduled one.
SCHEDULED = {
    **{"version": "0", "id": "0", "account": "", "region": "", "time": "", "resources": [], "detail": {}},
    **{"detail-type": "Scheduled Event", "source": "aws.events"},
}
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


KEYS: dict[str, dict[str, dict[str, str]]] = {
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
    "events": {"organization_id": {"S": "x"}, "first_sequence": {"N": "1"}},
}


def get_row(table: str) -> Probe:
    return row_call("get_item", table)


def row_call(method: str, table: str) -> Probe:
    def call(session: boto3.Session, outputs: dict[str, str]) -> Any:
        named = {"Item" if method == "put_item" else "Key": KEYS[table]}
        return getattr(session.client("dynamodb"), method)(TableName=f"{outputs['TablePrefix']}-{table}", **named)

    return call


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


#: What is sealed and what is in a feed stays, whatever function is taken over.
SEALED: dict[str, Probe] = {
    "delete a sealed file": s3_call("delete_object", "AuditBucket", Key="sealed/x/1.jsonl"),
    "delete a version of one": s3_call("delete_object", "AuditBucket", Key="sealed/x/1.jsonl", VersionId="x"),
    "delete an export": s3_call("delete_object", "AuditBucket", Key="exports/x/1.jsonl"),
    "stop keeping versions": s3_call(
        "put_bucket_versioning", "AuditBucket", VersioningConfiguration={"Status": "Suspended"}
    ),
    "expire what is sealed": s3_call("delete_bucket_lifecycle", "AuditBucket"),
    "delete an event": row_call("delete_item", "events"),
}
NOT_THE_AUDIT_FUNCTIONS: dict[str, Probe] = {
    "read a sealed file": s3_call("get_object", "AuditBucket", Key="sealed/x/1.jsonl"),
    "write a sealed file": s3_call("put_object", "AuditBucket", Key="sealed/x/1.jsonl", Body=b""),
    "lock a file": s3_call("put_object_retention", "AuditBucket", Key="sealed/x/1.jsonl", Retention={}),
    "list what is sealed": s3_call("list_objects_v2", "AuditBucket", Prefix="sealed/"),
    "list its versions": s3_call("list_object_versions", "AuditBucket", Prefix="sealed/"),
    "change the state of a feed": row_call("update_item", "events"),
}
NO_EXPORTS: dict[str, Probe] = {
    "read an export": s3_call("get_object", "AuditBucket", Key="exports/x/1.jsonl"),
    "write an export": s3_call("put_object", "AuditBucket", Key="exports/x/1.jsonl", Body=b""),
}
EVERY_ROLE_MAY_NOT: dict[str, Probe] = {
    "read migrations": get_row("migrations"),
    "scan files": scan("files"),
    "list all buckets": lambda s, o: s.client("s3").list_buckets(),
    "list roles": lambda s, o: s.client("iam").list_roles(),
    "read its own code": lambda s, o: s.client("lambda").get_function(FunctionName="strongroom-prod-api"),
    "read the cache's password": lambda s, o: s.client("secretsmanager").list_secrets(),
    **SEALED,
}
MAY_NOT: dict[str, dict[str, Probe]] = {
    "ApiRole": {
        "read a temp object": s3_call("get_object", "TempBucket", Key="x/y"),
        "write a permanent object": s3_call("put_object", "PermanentBucket", Key="x/y", Body=b""),
        "delete a version": s3_call("delete_object", "PermanentBucket", Key="x/y", VersionId="1"),
        "look into the dead letters": sqs_call("get_queue_attributes", "DeadLetterQueueUrl"),
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
        **NOT_THE_AUDIT_FUNCTIONS,
        "publish an event": row_call("put_item", "events"),
        "read the outbox": get_row("event-outbox"),
        "take an event out of the outbox": row_call("delete_item", "event-outbox"),
    },
    "ProcessRole": {
        "delete the row of a file": row_call("delete_item", "files"),
        "read users": get_row("users"),
        "read user names": get_row("usernames"),
        "read sessions": get_row("sessions"),
        "read API keys": get_row("api-keys"),
        "read invitations": get_row("invitations"),
        "read the sweep's index": query_unfinished,
        "write a temp object": s3_call("put_object", "TempBucket", Key="x/y", Body=b""),
        **NOT_THE_AUDIT_FUNCTIONS,
        **NO_EXPORTS,
    },
    "PublishRole": {
        **{
            f"read {table}": get_row(table)
            for table in ("users", "usernames", "sessions", "api-keys", "invitations", "files", "organizations")
        },
        # The stream brings what is new of it.
        "read the outbox": get_row("event-outbox"),
        "take an event out of the outbox": row_call("delete_item", "event-outbox"),
        "read deliveries": get_row("webhook-deliveries"),
        "delete a webhook": row_call("delete_item", "webhooks"),
        "read a temp object": s3_call("get_object", "TempBucket", Key="x/y"),
        "read a permanent object": s3_call("get_object", "PermanentBucket", Key="x/y"),
        "announce an upload": sqs_call("send_message", "UploadsQueueUrl", MessageBody="x"),
        "take wake-ups": sqs_call("receive_message", "WebhooksQueueUrl"),
        **NOT_THE_AUDIT_FUNCTIONS,
        **NO_EXPORTS,
    },
    "AuditRole": {
        **{
            f"read {table}": get_row(table)
            for table in ("users", "usernames", "sessions", "api-keys", "invitations", "files", "webhooks")
        },
        "take an event out of the outbox": row_call("delete_item", "event-outbox"),
        "write into the outbox": row_call("put_item", "event-outbox"),
        "change an organisation": row_call("update_item", "organizations"),
        "read a temp object": s3_call("get_object", "TempBucket", Key="x/y"),
        "read a permanent object": s3_call("get_object", "PermanentBucket", Key="x/y"),
        "announce an upload": sqs_call("send_message", "UploadsQueueUrl", MessageBody="x"),
        "wake a webhook": sqs_call("send_message", "WebhooksQueueUrl", MessageBody="x"),
        **NO_EXPORTS,
    },
    "DeliverRole": {
        **{
            f"read {table}": get_row(table)
            for table in ("users", "usernames", "sessions", "api-keys", "invitations", "files", "organizations")
        },
        "read the outbox": get_row("event-outbox"),
        "scan webhooks": scan("webhooks"),
        "make a webhook": row_call("put_item", "webhooks"),
        "delete a webhook": row_call("delete_item", "webhooks"),
        "publish an event": row_call("put_item", "events"),
        **NOT_THE_AUDIT_FUNCTIONS,
        **NO_EXPORTS,
        "read a temp object": s3_call("get_object", "TempBucket", Key="x/y"),
        "read a permanent object": s3_call("get_object", "PermanentBucket", Key="x/y"),
        "announce an upload": sqs_call("send_message", "UploadsQueueUrl", MessageBody="x"),
    },
    "SweepRole": {
        **NOT_THE_AUDIT_FUNCTIONS,
        **NO_EXPORTS,
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


def test_each_function_has_a_role_that_is_probed() -> None:
    assert {function.role for function in FUNCTIONS} == set(MAY_NOT)


@contextmanager
def rights_of(stack: DeployedStack, role: str, patch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """The application's stores, in this process, with the rights of a function."""
    given = as_role(stack, role).get_credentials()
    assert given is not None
    with patch.context() as scope:
        scope.setenv("AWS_ACCESS_KEY_ID", given.access_key)
        scope.setenv("AWS_SECRET_ACCESS_KEY", given.secret_key)
        scope.setenv("AWS_SESSION_TOKEN", given.token or "")
        # boto3 keeps the credentials that it has found first.
        scope.setattr(boto3, "DEFAULT_SESSION", None)
        yield stack.stores()


def test_audit_role_can_seal_and_nobody_can_undo_it(
    stack: DeployedStack, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stack.uploaded(member)
    assert stack.api.delete(f"/files/{record['id']}", headers=member.headers).status_code == 204
    asked = {"target": record["id"], "type": "file.deleted"}
    stack.wait_until(lambda: bool(stack.api.get("/audit", headers=member.headers, params=asked).json()["events"]))
    # What was published this minute is due.
    monkeypatch.setattr(sealing, "SEALED_AFTER", timedelta(minutes=-1))
    with rights_of(stack, "AuditRole", monkeypatch) as stores:
        assert "errors" not in upkeep.keep_up(stores)
    # With the operator's rights again.
    found = read_history(stack.stores(), member.organization_id, read_filters(None, record["id"], None, None, None))
    assert found.checked.faults == []
    deleted = found.entries[-1]
    assert (deleted.event["type"], deleted.event["actor"]["name"]) == ("file.deleted", member.username)
    assert deleted.sealed_in is not None
    bucket = stack.outputs["AuditBucket"]
    [version] = stack.session.client("s3").list_object_versions(Bucket=bucket, Prefix=deleted.sealed_in)["Versions"]
    place = {"Bucket": bucket, "Key": deleted.sealed_in}
    for role in MAY_NOT:
        s3 = as_role(stack, role).client("s3")
        assert is_denied(lambda s3=s3: s3.delete_object(**place)), role  # type: ignore[misc]
        assert is_denied(lambda s3=s3: s3.delete_object(**place, VersionId=version["VersionId"])), role  # type: ignore[misc]
        # The one function that reads what is sealed names the version.
        exactly = {**place, "VersionId": version["VersionId"]}
        assert is_denied(lambda s3=s3, e=exactly: s3.get_object(**e)) == (role != "AuditRole"), role  # type: ignore[misc]


def test_audit_function_runs_with_its_role(stack: DeployedStack) -> None:
    """By its schedule's event. What it may not do would be an error of each organisation."""
    answer = stack.session.client("lambda").invoke(
        FunctionName=f"{stack.release.stack_name}-audit", Payload=json.dumps(SCHEDULED).encode()
    )
    done = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, done
    assert done["feeds"] >= 1
    assert "errors" not in done


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
