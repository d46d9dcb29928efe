"""Hears what is really sent to AWS: each request that a client makes, repeated attempts included; and can break it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from tests.faults.moto_gaps import part_sha256

#: Gets ``service.Operation``; an answer of its own stands in the place of AWS's, an exception in that of the network's.
Listener = Callable[[str], AWSResponse | None]
_listeners: list[Listener] = []
#: The URL of the request that this thread has sent last.
_sending = threading.local()
_silent: list[bool] = []


def _heard(event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
    operation = event_name.removeprefix("before-send.")
    _sending.url = request.url
    answers = [listener(operation) for listener in list(_listeners)]
    answers.append(_refused_copy(request) if operation in ("s3.CopyObject", "s3.UploadPartCopy") else None)
    return next((answer for answer in answers if answer is not None), None)


def _refused_copy(request: AWSPreparedRequest) -> AWSResponse | None:
    """S3 honours CopySourceIfMatch, moto does not: what rests on it could not be seen to work."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    bucket, _, key = unquote(_text(headers["x-amz-copy-source"])).lstrip("/").partition("/")
    source = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key)
    wanted = headers.get("x-amz-copy-source-if-match")
    if wanted is None or source is None or source.etag == _text(wanted):
        return None
    # Moto is asked all the same, and only its answer passed over: it must find nothing to copy.
    del request.headers["x-amz-copy-source"]
    request.headers["x-amz-copy-source"] = f"{bucket}/nothing"
    body = b"<Error><Code>PreconditionFailed</Code><Message>At least one condition failed.</Message></Error>"
    return aws_answer(412, body)


def aws_answer(status: int, body: bytes) -> AWSResponse:
    """What AWS would answer."""
    return AWSResponse("https://aws.example", status, HTTPHeaders(), MockRawResponse(body))


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def _add_checksum_of_part(response_dict: dict[str, Any], **_: Any) -> None:
    """S3 tells the checksum of each copied part when the upload was started with an algorithm; moto does not."""
    if response_dict["status_code"] == 200:
        told = f"<ChecksumSHA256>{part_sha256(_sending.url)}</ChecksumSHA256></CopyPartResult>"
        response_dict["body"] = response_dict["body"].replace(b"</CopyPartResult>", told.encode())


def _hide_checksums(response_dict: dict[str, Any], **_: Any) -> None:
    if _silent:
        response_dict["headers"].pop("x-amz-checksum-sha256", None)
        if isinstance(response_dict["body"], bytes):
            response_dict["body"] = re.sub(rb"<ChecksumSHA256>.*?</ChecksumSHA256>", b"", response_dict["body"])


@contextmanager
def without_checksums() -> Iterator[None]:
    """As an endpoint that computes no checksums, which some emulators are."""
    _silent.append(True)
    try:
        yield
    finally:
        _silent.pop()


def listen_to_all_clients() -> None:
    """Has to run before the first client is made; moto puts its own answer in the same place."""
    handlers.BUILTIN_HANDLERS.insert(0, ("before-send", _heard))
    handlers.BUILTIN_HANDLERS.append(("before-parse.s3.UploadPartCopy", _add_checksum_of_part))
    handlers.BUILTIN_HANDLERS.append(("before-parse.s3", _hide_checksums))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def aws_calls() -> Iterator[list[str]]:
    """The calls made meanwhile, as ``service.Operation``."""
    made: list[str] = []

    def note(operation: str) -> None:
        made.append(operation)

    with listening(note):
        yield made


@contextmanager
def unreachable(*operations: str) -> Iterator[list[str]]:
    """No connection for these operations (``s3.PutObject``; ``s3`` for all of a service). Which ones were tried."""
    tried: list[str] = []

    def refuse(operation: str) -> None:
        if operation in operations or operation.partition(".")[0] in operations:
            tried.append(operation)
            raise EndpointConnectionError(endpoint_url="https://away.example")

    with listening(refuse):
        yield tried


@contextmanager
def refused(*operations: str) -> Iterator[None]:
    """AWS says no to these operations, and would say so again: no outage."""

    def refuse(operation: str) -> None:
        if operation in operations:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation.partition(".")[2])

    with listening(refuse):
        yield


@contextmanager
def refused_at(operation: str, words: str) -> Iterator[None]:
    """AWS says no to this operation where these words are in the path: one prefix of a bucket."""

    def refuse(heard: str) -> None:
        if heard == operation and words in unquote(_sending.url):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation.partition(".")[2])

    with listening(refuse):
        yield


@contextmanager
def just_before(operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Do something once, at the moment before this operation reaches AWS: what another process might do just then."""
    pending = [act]

    def interrupt(heard: str) -> None:
        if heard == operation and pending:
            pending.pop()()

    with listening(interrupt):
        yield
    assert not pending, f"{operation} was never called"
