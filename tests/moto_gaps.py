"""What S3 does and moto does not, without which a protection could not be seen to work.

- ``CopyObject`` and ``UploadPartCopy`` honour ``CopySourceIfMatch``.
- ``UploadPartCopy`` tells the SHA-256 of the part when the upload was started with that algorithm.
- ``CompleteMultipartUpload`` tells the checksum of the whole when the upload was started with one of that kind.
- A CRC64NVME has 8 bytes. Moto needs a library for it and else makes 4; here the start of a SHA-256 stands for it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.s3 import models, responses
from moto.s3.models import s3_backends
from moto.s3.utils import compute_checksum

#: The URL of the request that this thread has sent last.
_sending = threading.local()
_silent: list[bool] = []


@functools.cache
def fill_gaps() -> None:
    """Has to run before the first client is made; moto puts its own answer in the same place."""
    handlers.BUILTIN_HANDLERS.insert(0, ("before-send.s3", _before_sending))
    handlers.BUILTIN_HANDLERS.append(("before-parse.s3.UploadPartCopy", _add_checksum_of_part))
    handlers.BUILTIN_HANDLERS.append(("before-parse.s3.CompleteMultipartUpload", _add_checksum_of_whole))
    handlers.BUILTIN_HANDLERS.append(("before-parse.s3", _hide_checksums))
    for module in (models, responses):
        vars(module)["compute_checksum"] = _compute_checksum


def aws_answer(status: int, body: bytes) -> AWSResponse:
    """What AWS would answer."""
    return AWSResponse("https://aws.example", status, HTTPHeaders(), MockRawResponse(body))


@contextmanager
def without_checksums() -> Iterator[None]:
    """As an endpoint that computes no checksums, which some emulators are."""
    _silent.append(True)
    try:
        yield
    finally:
        _silent.pop()


def _before_sending(event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
    _sending.url = request.url
    copies = event_name in ("before-send.s3.CopyObject", "before-send.s3.UploadPartCopy")
    return _refused_copy(request) if copies and botocore_stubber.enabled else None


def _refused_copy(request: AWSPreparedRequest) -> AWSResponse | None:
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    bucket, _, key = unquote(headers["x-amz-copy-source"]).lstrip("/").partition("/")
    source = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key.partition("?versionId=")[0])
    wanted = headers.get("x-amz-copy-source-if-match")
    if wanted is None or source is None or source.etag == wanted:
        return None
    # Moto is asked all the same, and only its answer passed over: it must find nothing to copy.
    del request.headers["x-amz-copy-source"]
    request.headers["x-amz-copy-source"] = f"{bucket}/nothing"
    body = b"<Error><Code>PreconditionFailed</Code><Message>At least one condition failed.</Message></Error>"
    return aws_answer(412, body)


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def _compute_checksum(body: bytes, algorithm: str, encode_base64: bool = True) -> bytes:
    if algorithm != "CRC64NVME":
        computed: bytes = compute_checksum(body, algorithm, encode_base64)
        return computed
    stand_in = hashlib.sha256(body).digest()[:8]
    return base64.b64encode(stand_in) if encode_base64 else stand_in


def _add_checksum_of_whole(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] == 200 and botocore_stubber.enabled:
        root = ElementTree.fromstring(response_dict["body"])
        bucket, key = (root.findtext(f"{{*}}{name}", "") for name in ("Bucket", "Key"))
        made = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key)
        if made is not None and made.checksum_type == "FULL_OBJECT" and made.checksum_algorithm:
            name = f"Checksum{made.checksum_algorithm}"
            told = f"<{name}>{made.checksum_value}</{name}><ChecksumType>FULL_OBJECT</ChecksumType>"
            end = b"</CompleteMultipartUploadResult>"
            response_dict["body"] = response_dict["body"].replace(end, told.encode() + end)


def _add_checksum_of_part(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] == 200 and botocore_stubber.enabled:
        sha256 = _part_sha256(_sending.url)
        told = f"<ChecksumSHA256>{sha256}</ChecksumSHA256></CopyPartResult>" if sha256 else "</CopyPartResult>"
        response_dict["body"] = response_dict["body"].replace(b"</CopyPartResult>", told.encode())


def _part_sha256(url: str) -> str | None:
    """Base64, of the part that this request has copied."""
    query = parse_qs(urlsplit(url).query)
    buckets = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.values()
    [upload] = [upload for bucket in buckets if (upload := bucket.multiparts.get(query["uploadId"][0])) is not None]
    if upload.metadata.get("x-amz-checksum-algorithm") != "SHA256":
        return None
    return base64.b64encode(hashlib.sha256(upload.parts[int(query["partNumber"][0])].value).digest()).decode()


def _hide_checksums(response_dict: dict[str, Any], **_: Any) -> None:
    if _silent:
        response_dict["headers"].pop("x-amz-checksum-sha256", None)
        if isinstance(response_dict["body"], bytes):
            response_dict["body"] = re.sub(rb"<ChecksumSHA256>.*?</ChecksumSHA256>", b"", response_dict["body"])
