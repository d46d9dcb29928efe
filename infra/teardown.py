"""Removes a deployment: its stack, and with the data also what the stack leaves behind.

Each step can be repeated: what is gone already is passed over. Knows which resources outlive a stack; must not be
reachable by anything but an operator's command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.platform.aws import error_code
from infra import release_history
from infra.artifacts import artifacts_bucket, s3_client
from infra.deployment import DeploymentError, Report, delete_stack, find_stack
from infra.functions import FUNCTIONS
from infra.stages import stack_name_of
from infra.template import KEPT_STAGES
from infra.template.tables import table_names

#: S3 takes so many in one call (AWS limit).
OBJECTS_AT_ONCE = 1000


def what_exists(session: Any, stage: str) -> dict[str, list[str]]:
    """Kind -> names of what there is of a stage: the stack, what its data is in, and all else that can outlive it."""
    name, account = stack_name_of(stage), _account(session)
    s3 = s3_client(session)
    artifacts = artifacts_bucket(account, session.region_name)
    return {
        "stack": [name] if find_stack(session.client("cloudformation"), name) else [],
        "tables": [table for table in _tables(name) if _table_exists(session.client("dynamodb"), table)],
        "buckets": _buckets(s3, name, account, session.region_name),
        "queues": _queues(session.client("sqs"), name),
        "logs": list(_logs(session.client("logs"), name)),
        "releases": release_history.ids(s3, artifacts, stage),
    }


def destroy(session: Any, stage: str, *, data: bool, bypass_lock: bool, report: Report) -> None:
    """Delete the stack; for a stage whose data outlives it, the data only if told so.

    :param data: delete tables, buckets and queues as well. A stage that is not kept loses them with its stack anyway.
    :param bypass_lock: delete sealed events even while they are locked, which takes s3:BypassGovernanceRetention.
    :raises DeploymentError: something could not be deleted; what came before it is.
    """
    name, account = stack_name_of(stage), _account(session)
    cloudformation = session.client("cloudformation")
    stack = find_stack(cloudformation, name)
    data = data or stage not in KEPT_STAGES
    s3 = s3_client(session)
    if stack is not None:
        # Nothing may write into the buckets while they are emptied.
        cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
        _stop_functions(session, name)
    if data:
        for bucket in _buckets(s3, name, account, session.region_name):
            empty_bucket(s3, bucket, bypass_lock=bypass_lock, report=report)
        for table in _tables(name):
            _allow_deletion(session.client("dynamodb"), table)
    if stack is not None:
        delete_stack(cloudformation, name, report=report)
    if data:
        _delete_what_stayed(session, s3, name, account, report)
        release_history.delete_all(s3, artifacts_bucket(account, session.region_name), stage)
    report(f"{name} is deleted." if data else f"{name} is deleted; its tables, buckets and dead letters stay.")


def empty_bucket(s3: Any, bucket: str, *, bypass_lock: bool = False, report: Report = print) -> None:
    """Delete each version of each object, each mark of a deletion and each upload in parts.

    :raises DeploymentError: S3 keeps some, as those that are locked.
    """
    deleted = 0
    options = {"BypassGovernanceRetention": True} if bypass_lock else {}
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": OBJECTS_AT_ONCE}
    ):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        if not objects:
            continue
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}, **options)
        if errors := answer.get("Errors"):
            raise DeploymentError(
                f"{len(errors)} objects of {bucket} can't be deleted ({errors[0].get('Code')}: "
                f"{errors[0].get('Message')}). Sealed events are locked for AuditLockDays; --bypass-audit-lock deletes "
                "them all the same."
            )
        deleted += len(objects)
    report(f"  {bucket}: {deleted} objects and versions deleted")


def _delete_what_stayed(session: Any, s3: Any, name: str, account: str, report: Report) -> None:
    dynamodb, sqs = session.client("dynamodb"), session.client("sqs")
    for table in _tables(name):
        if _table_exists(dynamodb, table):
            dynamodb.delete_table(TableName=table)
            dynamodb.get_waiter("table_not_exists").wait(TableName=table)
            report(f"  {table} deleted")
    for bucket in _buckets(s3, name, account, session.region_name):
        # What was on its way when it was emptied first.
        empty_bucket(s3, bucket, report=report)
        s3.delete_bucket(Bucket=bucket)
        report(f"  {bucket} deleted")
    for url in _queues(sqs, name):
        sqs.delete_queue(QueueUrl=url)
        report(f"  {url.rsplit('/', 1)[-1]} deleted")
    logs = session.client("logs")
    for group in list(_logs(logs, name)):
        _pass_over(partial(logs.delete_log_group, logGroupName=group), "ResourceNotFoundException")


def _stop_functions(session: Any, name: str) -> None:
    client = session.client("lambda")
    for function in FUNCTIONS:
        stop = partial(client.put_function_concurrency, ReservedConcurrentExecutions=0)
        _pass_over(partial(stop, FunctionName=f"{name}-{function.name}"), "ResourceNotFoundException")


def _allow_deletion(dynamodb: Any, table: str) -> None:
    try:
        protected = dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled")
    except dynamodb.exceptions.ResourceNotFoundException:
        return
    if protected:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)


def _tables(name: str) -> list[str]:
    return [f"{name}-{table}" for table in table_names()]


def _buckets(s3: Any, name: str, account: str, region: str) -> list[str]:
    """Those that there are. By their names, because after the stack is gone nothing else tells of them."""
    pattern = re.compile(rf"{name}-(temp|permanent|audit)-{account}(-{region})?")
    names = (bucket["Name"] for bucket in s3.list_buckets().get("Buckets", []))
    return sorted(bucket for bucket in names if pattern.fullmatch(bucket))


def _queues(sqs: Any, name: str) -> list[str]:
    """Addresses of the queues that are there."""
    found: list[str] = sqs.list_queues(QueueNamePrefix=f"{name}-").get("QueueUrls", [])
    return found


def _logs(logs: Any, name: str) -> Iterator[str]:
    """Lambda makes a group anew when a function still ran while its own was deleted."""
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/aws/lambda/{name}-"):
        yield from (group["logGroupName"] for group in page["logGroups"])


def _table_exists(dynamodb: Any, table: str) -> bool:
    try:
        dynamodb.describe_table(TableName=table)
    except dynamodb.exceptions.ResourceNotFoundException:
        return False
    return True


def _pass_over(call: Callable[[], object], *codes: str) -> None:
    try:
        call()
    except ClientError as error:
        if error_code(error) not in codes:
            raise


def _account(session: Any) -> str:
    account: str = session.client("sts").get_caller_identity()["Account"]
    return account


def lines_of(found: Mapping[str, list[str]]) -> list[str]:
    """For people."""
    return [
        f"  {kind}: {', '.join(name.rsplit('/', 1)[-1] for name in names)}" for kind, names in found.items() if names
    ]
