"""What a request to AWS needs: IAM's actions, each with its resource.

From AWS's service authorization reference (dynamodb, s3, sqs, ses). Resources have short names: `files`,
`files/index/unfinished`, `temp`, `temp/*`, `audit/sealed/*`, `queue/uploads`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

#: A transaction has no action of its own: each of its items is checked.
_ITEMS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}
_OF_BUCKETS = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
}
_OF_OBJECTS = {
    "PutObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "ListParts": "ListMultipartUploadParts",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "DeleteObject": "DeleteObject",
}
_OF_QUEUES = {
    "SendMessage": "SendMessage",
    "SendMessageBatch": "SendMessage",
    "GetQueueAttributes": "GetQueueAttributes",
    "ChangeMessageVisibility": "ChangeMessageVisibility",
    "ReceiveMessage": "ReceiveMessage",
    "DeleteMessage": "DeleteMessage",
}


@dataclass(frozen=True)
class Request:
    """What is sent, or signed for somebody else to send.

    :param headers: by their names in lower case.
    """

    service: str
    operation: str
    url: str
    headers: Mapping[str, str]
    body: str
    presigned: bool


def needed(request: Request, stack: str) -> Iterator[tuple[str, str]]:
    """Actions and their resources; nothing where they are not those of this stack.

    :raises KeyError: an operation that this module does not know.
    """
    if request.service == "dynamodb":
        yield from _of_tables(request, stack)
    elif request.service == "s3":
        yield from _of_storage(request, stack)
    elif request.service == "sqs":
        queue = json.loads(request.body).get("QueueUrl", "").rsplit("/", 1)[-1]
        if queue.startswith(f"{stack}-"):
            yield f"sqs:{_OF_QUEUES[request.operation]}", f"queue/{queue.removeprefix(f'{stack}-')}"
    elif request.service in ("sesv2", "ses"):
        yield f"ses:{request.operation}", "identity/*"


def _of_tables(request: Request, stack: str) -> Iterator[tuple[str, str]]:
    body = json.loads(request.body)
    if request.operation in ("TransactWriteItems", "TransactGetItems"):
        asked = [(_ITEMS[kind], item["TableName"]) for one in body["TransactItems"] for kind, item in one.items()]
    elif request.operation in ("BatchGetItem", "BatchWriteItem"):
        asked = [(request.operation, table) for table in body["RequestItems"]]
    else:
        place = body["TableName"] + (f"/index/{body['IndexName']}" if "IndexName" in body else "")
        asked = [(request.operation, place)]
    for action, table in asked:
        if table.startswith(f"{stack}-"):
            yield f"dynamodb:{action}", table.removeprefix(f"{stack}-")


def _of_storage(request: Request, stack: str) -> Iterator[tuple[str, str]]:
    parts = urlsplit(request.url)
    bucket, key = _bucket_and_key(parts.path, stack)
    if bucket is None:
        return
    version = "versionId" in parse_qs(parts.query)
    if request.operation in ("CopyObject", "UploadPartCopy"):
        source, _, of_version = request.headers["x-amz-copy-source"].partition("?versionId=")
        source_bucket, source_key = _bucket_and_key(unquote(source), stack)
        yield "s3:GetObjectVersion" if of_version else "s3:GetObject", f"{source_bucket}/{source_key}"
        yield "s3:PutObject", f"{bucket}/{key}"
    elif request.operation == "DeleteObjects":
        yield "s3:DeleteObject", f"{bucket}/*"
    elif request.operation in _OF_BUCKETS:
        yield f"s3:{_OF_BUCKETS[request.operation]}", bucket
    else:
        action = _OF_OBJECTS[request.operation]
        yield (
            f"s3:{action}{'Version' if version and action in ('GetObject', 'DeleteObject') else ''}",
            f"{bucket}/{key}",
        )
    if "x-amz-object-lock-mode" in request.headers:
        yield "s3:PutObjectRetention", f"{bucket}/{key}"
    if request.operation in ("GetObject", "HeadObject") and not request.presigned:
        # Without it S3 answers 403 for an object that is gone, which the code has to tell from a refusal.
        yield "s3:ListBucket", bucket


def _bucket_and_key(path: str, stack: str) -> tuple[str | None, str]:
    """Short names, by the address of the path style."""
    bucket, _, key = path.lstrip("/").partition("/")
    if not bucket.startswith(f"{stack}-"):
        return None, ""
    short = bucket.removeprefix(f"{stack}-").rsplit("-", 1)[0]
    return short, f"{key.partition('/')[0]}/*" if short == "audit" else "*"
