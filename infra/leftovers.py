"""What a stack leaves behind that outlives it, and what that means for the next stack of the same name.

Tables, buckets and the dead-letter queue of a kept stage have names of their own, and stay when a creation fails
half-way or a stack is deleted. A new stack could not be created beside them ("already exists"). Empty ones are deleted
here; where there is data nothing is touched. Knows the template's names; must not know CloudFormation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.platform.aws import error_code
from infra.deployment import DeploymentError, Report
from infra.template import Template

_TABLE, _BUCKET, _QUEUE = "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"
_NAMED_BY = {_TABLE: "TableName", _BUCKET: "BucketName", _QUEUE: "QueueName"}
_MISSING = {
    "404",
    "NoSuchBucket",
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}


#: SQS takes a name again a minute after its queue was deleted (AWS: CreateQueue, QueueDeletedRecently).
QUEUE_NAME_SECONDS = 61


def clear_leftovers(
    session: Any,
    template: Template,
    names: Mapping[str, str],
    report: Report,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Delete the empty tables, buckets and queues that would stand in the way of a new stack.

    :param names: `AWS::StackName`, `AWS::AccountId`, `AWS::Region`.
    :raises DeploymentError: one of them holds data. Nothing was deleted.
    """
    found = [(kind, name) for kind, name in outliving(template, names) if _OF[kind].exists(session, name)]
    full = [f"{kind} {name}" for kind, name in found if not _OF[kind].is_empty(session, name)]
    if full:
        raise DeploymentError(
            f"There is no stack {names['AWS::StackName']}, but data of an earlier one: {', '.join(full)}. Nothing was "
            "changed. See docs/operations.md, 'Removing a deployment': import what is there, or delete it."
        )
    for kind, name in found:
        _OF[kind].delete(session, name)
        report(f"Removed {name}, an empty left-over of an earlier creation.")
    if any(kind == _QUEUE for kind, _ in found):
        report(f"Waiting {QUEUE_NAME_SECONDS} s, until SQS takes the queue's name again.")
        pause(QUEUE_NAME_SECONDS)


def outliving(template: Template, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Type and name of what stays when the stack goes."""
    for resource in template["Resources"].values():
        kind = resource["Type"]
        if kind in _NAMED_BY and resource.get("DeletionPolicy", "Delete") != "Delete":
            pattern: str = resource["Properties"][_NAMED_BY[kind]]["Fn::Sub"]
            yield kind, re.sub(r"\$\{([^}]+)\}", lambda match: names[match[1]], pattern)


#: What S3 says of a bucket that is not ours.
_FORBIDDEN = "403"


class _Kind:
    """What can be asked of one kind of thing, each by its name."""

    def __init__(
        self,
        look: Callable[[Any, str], Any],
        is_empty: Callable[[Any, str], bool],
        delete: Callable[[Any, str], None],
    ) -> None:
        self._look = look
        self.is_empty = is_empty
        self.delete = delete

    def exists(self, session: Any, name: str) -> bool:
        try:
            self._look(session, name)
        except ClientError as error:
            code = error_code(error)
            if code in _MISSING:
                return False
            if code == _FORBIDDEN:
                raise _taken(name, "another account") from error
            raise
        return True


def _table_is_empty(session: Any, name: str) -> bool:
    # Its count of items is hours old; a scan is not.
    return not session.client("dynamodb").scan(TableName=name, Limit=1, ConsistentRead=True)["Items"]


def _delete_table(session: Any, name: str) -> None:
    client = session.client("dynamodb")
    if client.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        client.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.delete_table(TableName=name)
    client.get_waiter("table_not_exists").wait(TableName=name)


def _taken(name: str, where: str) -> DeploymentError:
    return DeploymentError(
        f"The bucket {name} exists in {where}, and bucket names are those of all of S3. Deploy a stage of another name "
        "here, or delete that one. Nothing was changed."
    )


def _look_for_bucket(session: Any, name: str) -> None:
    """:raises DeploymentError: it is in another region, where it belongs to the stack of this name there."""
    region = session.client("s3").head_bucket(Bucket=name).get("BucketRegion") or session.region_name
    if region != session.region_name:
        raise _taken(name, region)


def _bucket_is_empty(session: Any, name: str) -> bool:
    # Old versions are data too.
    found = session.client("s3").list_object_versions(Bucket=name, MaxKeys=1)
    return not found.get("Versions") and not found.get("DeleteMarkers")


def _queue_is_empty(session: Any, name: str) -> bool:
    client = session.client("sqs")
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    return all(int(counts[attribute]) == 0 for attribute in wanted)


def _delete_queue(session: Any, name: str) -> None:
    client = session.client("sqs")
    client.delete_queue(QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"])


_OF = {
    _TABLE: _Kind(
        lambda session, name: session.client("dynamodb").describe_table(TableName=name), _table_is_empty, _delete_table
    ),
    _BUCKET: _Kind(
        _look_for_bucket,
        _bucket_is_empty,
        lambda session, name: session.client("s3").delete_bucket(Bucket=name),
    ),
    _QUEUE: _Kind(
        lambda session, name: session.client("sqs").get_queue_url(QueueName=name), _queue_is_empty, _delete_queue
    ),
}
