"""What the operations of the fast path look like on the wire, without signature and without address.

A call is put into the form only if every parameter of it is one that is written down here; any other is botocore's.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from chalicelib.platform.fast_path.signing import EMPTY_SHA256

#: A larger body is botocore's: it asks S3 first whether to send it (``Expect``).
MAX_BODY_BYTES = 1024 * 1024
DYNAMODB_OPERATIONS = frozenset(
    {
        "GetItem",
        "Query",
        "BatchGetItem",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "TransactGetItems",
        "TransactWriteItems",
    }
)
_JSON_HEADERS = {"Content-Type": "application/x-amz-json-1.0"}


class Form(NamedTuple):
    """A request without address and signature. ``path`` and ``query`` are percent-encoded."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    payload_sha256: str
    #: What the address depends on: the bucket, or nothing.
    bucket: str | None


def dynamodb_form(operation: str, params: Mapping[str, Any]) -> Form | None:
    """The JSON protocol of DynamoDB, version 2012-08-10 (AWS: "DynamoDB low-level API")."""
    if operation not in DYNAMODB_OPERATIONS:
        return None
    if operation == "TransactWriteItems" and "ClientRequestToken" not in params:
        # botocore makes one.
        return None
    # A table's ARN may lead elsewhere.
    if ":" in params.get("TableName", ""):
        return None
    try:
        body = json.dumps(params).encode()
    except TypeError:
        # Bytes, which botocore encodes.
        return None
    headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", **_JSON_HEADERS}
    return Form("POST", "/", "", headers, body, hashlib.sha256(body).hexdigest(), None)


def _copy_source(value: Any) -> str | None:
    if isinstance(value, dict) and value.keys() == {"Bucket", "Key"}:
        return _quote(f"{value['Bucket']}/{value['Key']}")
    return None


def _plain(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isascii() and value.isprintable() and value else None


def _quote(text: str, safe: str = "/~") -> str:
    return quote(text, safe=safe)


class _Shape(NamedTuple):
    method: str
    #: Parameter -> header, and what makes its value, or None of one that is not taken.
    headers: Mapping[str, tuple[str, Callable[[Any], str | None]]]
    needs: frozenset[str] = frozenset()


#: (AWS: "Amazon S3 API Reference"). ``VersionId`` of reading and deleting is in the query.
_S3: Mapping[str, _Shape] = {
    # Without a checksum that is given, botocore computes one.
    "PutObject": _Shape("PUT", {"ChecksumSHA256": ("x-amz-checksum-sha256", _plain)}, frozenset({"ChecksumSHA256"})),
    "GetObject": _Shape(
        "GET",
        {
            "ChecksumMode": ("x-amz-checksum-mode", _plain),
            "Range": ("Range", _plain),
            "IfMatch": ("If-Match", _plain),
        },
        # It adds this, too, when it is not given.
        frozenset({"ChecksumMode"}),
    ),
    "CopyObject": _Shape(
        "PUT",
        {
            "CopySource": ("x-amz-copy-source", _copy_source),
            "CopySourceIfMatch": ("x-amz-copy-source-if-match", _plain),
            "ContentType": ("Content-Type", _plain),
            "ContentDisposition": ("Content-Disposition", _plain),
            "MetadataDirective": ("x-amz-metadata-directive", _plain),
            "ChecksumAlgorithm": ("x-amz-checksum-algorithm", _plain),
        },
        frozenset({"CopySource", "ChecksumAlgorithm"}),
    ),
    "DeleteObject": _Shape("DELETE", {}),
}
_ADDRESS = frozenset({"Bucket", "Key", "Body", "VersionId"})


def s3_form(operation: str, params: Mapping[str, Any]) -> Form | None:
    """The path is that of a bucket named by its host; whoever addresses it by path puts the bucket in front."""
    shape = _S3.get(operation)
    if shape is None or not shape.needs <= params.keys():
        return None
    bucket, key = params.get("Bucket"), params.get("Key")
    # An access point's ARN leads elsewhere; whatever else is wrong, botocore tells.
    if not _plain(bucket) or ":" in str(bucket) or not isinstance(key, str) or not key:
        return None
    headers: dict[str, str] = {}
    for name, value in params.items():
        if name in _ADDRESS:
            continue
        header, make = shape.headers.get(name, ("", _refuse))
        text = make(value)
        if text is None:
            return None
        headers[header] = text
    body, query = _body(operation, params), _query(operation, params)
    if body is None or query is None:
        return None
    payload_sha256 = hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256
    return Form(shape.method, f"/{_quote(key)}", query, headers, body, payload_sha256, bucket)


def _refuse(_: Any) -> None:
    return None


def _body(operation: str, params: Mapping[str, Any]) -> bytes | None:
    body = params.get("Body", b"")
    if operation != "PutObject":
        return b"" if "Body" not in params else None
    return body if isinstance(body, bytes) and len(body) <= MAX_BODY_BYTES else None


def _query(operation: str, params: Mapping[str, Any]) -> str | None:
    if "VersionId" not in params:
        return ""
    version = params["VersionId"]
    if operation not in ("GetObject", "DeleteObject") or not _plain(version):
        return None
    return f"versionId={_quote(version, safe='-._~')}"
