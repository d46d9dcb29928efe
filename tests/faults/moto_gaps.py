"""What AWS does and moto does not, without which a protection could not be seen to work.

- ``CopyObject`` and ``UploadPartCopy`` honour ``CopySourceIfMatch``.
- ``UploadPartCopy`` tells the SHA-256 of the part when the upload was started with that algorithm.
- ``TransactWriteItems`` with a client request token that took effect before takes effect no second time.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.s3.models import s3_backends

from tests.moto_aws import ACCOUNT


class MotoGaps:
    def __init__(self) -> None:
        #: Off, a repeated transaction is refused by its own conditions, as ten minutes later on AWS.
        self.tokens_are_kept = True
        self._done: dict[str, Any] = {}

    def answer(self, request: Any, model: Any) -> Any:
        """An answer in moto's place, or None."""
        if model.name in ("CopyObject", "UploadPartCopy"):
            return self._check_source(request)
        if model.name == "TransactWriteItems" and self.tokens_are_kept:
            return self._done.get(_token(request))
        return None

    def note(self, request: Any, model: Any, answer: Any) -> None:
        if model.name == "TransactWriteItems" and answer[0] is not None and answer[0][0].status_code == 200:
            self._done[_token(request)] = answer
        if model.name == "UploadPartCopy" and answer[0] is not None and answer[0][0].status_code == 200:
            answer[0][1]["CopyPartResult"]["ChecksumSHA256"] = part_sha256(request.url)

    def _check_source(self, request: Any) -> Any:
        wanted = _header(request, "x-amz-copy-source-if-match")
        if wanted is None:
            return None
        bucket, _, key = unquote(_header(request, "x-amz-copy-source") or "").lstrip("/").partition("/")
        source = s3_backends[ACCOUNT]["aws"].get_object(bucket, key.partition("?versionId=")[0])
        if source is None or source.etag == wanted:
            return None
        return refusal(request.url, "PreconditionFailed", 412), None


def part_sha256(url: str) -> str:
    """Base64, of the part that this request has copied."""
    query = parse_qs(urlsplit(url).query)
    uploads = [bucket.multiparts.get(query["uploadId"][0]) for bucket in s3_backends[ACCOUNT]["aws"].buckets.values()]
    [upload] = [upload for upload in uploads if upload is not None]
    return base64.b64encode(hashlib.sha256(upload.parts[int(query["partNumber"][0])].value).digest()).decode()


def refusal(url: str, code: str, status: int) -> tuple[AWSResponse, dict[str, Any]]:
    """An answer that says no, as botocore's parser would have it."""
    parsed = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return AWSResponse(url, status, HTTPHeaders(), _NoBody()), parsed


class _NoBody(io.BytesIO):
    def stream(self) -> list[bytes]:
        return []


def _token(request: Any) -> str:
    token: str = json.loads(request.body)["ClientRequestToken"]
    return token


def _header(request: Any, name: str) -> str | None:
    for header, value in request.headers.items():
        if header.lower() == name:
            return value.decode() if isinstance(value, bytes) else str(value)
    return None
