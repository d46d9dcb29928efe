"""The two sides that one contract is held to: S3 and SQS as moto plays them, and the memory twins.

What a side offers beside the ports is outside of the product: clients, the consumer of the queue, and what goes wrong.
Where moto does not check what S3 checks, :class:`OnMoto` does.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ResponseStreamingError
from botocore.response import StreamingBody

from chalicelib.platform import aws, large_copy
from chalicelib.platform.objects import ObjectStore
from chalicelib.platform.queue import UploadsQueue
from chalicelib.processing.announcements import Message, read_batch
from chalicelib.processing.ports import Objects, Queue
from chalicelib.uploads.parts import PresignedPost
from chalicelib.uploads.ports import DirectUploads
from chalicelib.uploads.store import DirectUploadStore
from tests.aws_calls import listening, unreachable
from tests.memory import Memory
from tests.memory.storage import Download, checksum_of
from tests.moto_aws import backend_of_objects
from tests.moto_gaps import aws_answer
from tests.unit.cloud import PERMANENT_BUCKET, TEMP_BUCKET
from tests.unit.stores.signatures import form_is_valid, url_is_valid
from tests.unit.world import World

#: What is larger than the first is copied in parts of the second, the smallest that S3 takes.
COPY_WHOLE_BYTES = 4 * 1024 * 1024
COPY_PART_BYTES = 5 * 1024 * 1024
#: How many keys or parts storage lists at a time, where it has pages. S3 lists 1,000.
PAGE = 2


class Clients(Protocol):
    """What is in storage, and what others than the product do there; see ``tests.memory.storage.Storage``."""

    def temp(self) -> dict[str, bytes]: ...
    def permanent(self) -> dict[str, bytes]: ...
    def headers(self, key: str) -> tuple[str, str]: ...
    def put(self, key: str, body: bytes) -> None: ...
    def send_form(self, form: PresignedPost, body: bytes, **changed: str) -> bool: ...
    def send_part(self, url: str, body: bytes, headers: Mapping[str, str] = ...) -> bool: ...
    def download(self, url: str, http_method: str = "GET") -> Download | None: ...


class Consumer(Protocol):
    """Of the queue; see ``tests.memory.queue.MemoryQueue``."""

    def receive(self) -> list[Message]: ...
    def delete(self, receipt_handle: str) -> None: ...


class Faults(Protocol):
    """See ``tests.memory.wire.Wire``."""

    def away(self) -> AbstractContextManager[object]: ...
    def breaking_connections(self) -> AbstractContextManager[object]: ...
    def slow_to_assemble(self) -> AbstractContextManager[Callable[[], None]]: ...
    def another_completes(self) -> AbstractContextManager[object]: ...


class Side(Protocol):
    @property
    def objects(self) -> Objects: ...
    @property
    def direct_uploads(self) -> DirectUploads: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def storage(self) -> Clients: ...
    @property
    def messages(self) -> Consumer: ...
    @property
    def wire(self) -> Faults: ...


@contextmanager
def in_memory() -> Iterator[Side]:
    yield Memory(copy_whole_bytes=COPY_WHOLE_BYTES, copy_part_bytes=COPY_PART_BYTES)


@contextmanager
def on_moto(world: World) -> Iterator[Side]:
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(large_copy, "PREFERRED_PART_BYTES", COPY_PART_BYTES)
        patch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(PAGE))
        # The clients' waits between attempts.
        patch.setattr("time.sleep", lambda seconds: None)
        yield OnMoto(world, stack)


class OnMoto:
    def __init__(self, world: World, stack: ExitStack) -> None:
        objects = ObjectStore(TEMP_BUCKET, PERMANENT_BUCKET, None, "path", max_single_copy_bytes=COPY_WHOLE_BYTES)
        direct_uploads = DirectUploadStore(TEMP_BUCKET, None, "path")
        _register(stack, objects._s3, "before-send.s3.PutObject", _checked_put)
        _register(stack, direct_uploads._s3, "provide-client-params.s3.ListParts", _pages_of_parts)
        for client, operation in (
            (direct_uploads._s3, "ListParts"),
            (direct_uploads._s3, "AbortMultipartUpload"),
            (direct_uploads._completer, "CompleteMultipartUpload"),
            (objects._s3, "AbortMultipartUpload"),
            (objects._copier, "ListParts"),
            (objects._copier, "UploadPartCopy"),
            (objects._copier, "CompleteMultipartUpload"),
        ):
            _register(stack, client, f"before-send.s3.{operation}", _known_upload)
        self.objects: Objects = objects
        self.direct_uploads: DirectUploads = direct_uploads
        self.queue: Queue = UploadsQueue(world.queue_url, TEMP_BUCKET)
        self.storage: Clients = ClientsOfMoto(world)
        self.messages: Consumer = ConsumerOfMoto(world)
        self.wire: Faults = FaultsOfMoto(world, objects, direct_uploads)


def _register(stack: ExitStack, client: Any, event: str, handler: Callable[..., Any]) -> None:
    client.meta.events.register_first(event, handler)
    stack.callback(client.meta.events.unregister, event, handler)


def _checked_put(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
    """S3 compares a checksum that is sent with the bytes, and keeps it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    told = headers.get("x-amz-checksum-sha256")
    if told is None:
        return None
    body: Any = request.body
    body = body if isinstance(body, bytes) else body.getvalue()
    if base64.b64encode(hashlib.sha256(body).digest()).decode() != (told if isinstance(told, str) else told.decode()):
        return _refusal(request, 400, "BadDigest")
    request.headers["x-amz-sdk-checksum-algorithm"] = "SHA256"
    return None


def _pages_of_parts(params: dict[str, Any], **_: Any) -> None:
    params["MaxParts"] = PAGE


def _known_upload(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
    bucket, key, query = _named_by(request.url)
    return None if _is_open(key, query["uploadId"], bucket) else _refusal(request, 404, "NoSuchUpload")


def _is_open(key: str, upload_id: str, bucket: str = TEMP_BUCKET) -> bool:
    """S3 knows an upload by its key and until it is over. Moto looks at no key, and fails at one that is over."""
    kept = backend_of_objects().buckets.get(bucket)
    upload = kept.multiparts.get(upload_id) if kept is not None else None
    return upload is not None and upload.key_name == key


def _refusal(request: AWSPreparedRequest, status: int, code: str) -> AWSResponse:
    """What S3 answers in moto's place. Moto is asked all the same, so it must find nothing to do."""
    for bucket in (TEMP_BUCKET, PERMANENT_BUCKET):
        request.url = request.url.replace(bucket, "no-such-bucket")
    return aws_answer(status, f"<Error><Code>{code}</Code></Error>".encode())


class ClientsOfMoto:
    def __init__(self, world: World) -> None:
        self._world = world

    def temp(self) -> dict[str, bytes]:
        return self._world.temp()

    def permanent(self) -> dict[str, bytes]:
        return self._world.permanent()

    def headers(self, key: str) -> tuple[str, str]:
        kept = self._world.s3.head_object(Bucket=PERMANENT_BUCKET, Key=key)
        return kept["ContentType"], kept["ContentDisposition"]

    def put(self, key: str, body: bytes) -> None:
        self._world.put_temp(key, body)

    def send_form(self, form: PresignedPost, body: bytes, **changed: str) -> bool:
        fields = {**form.fields, **changed}
        bucket = urlsplit(form.url).path.strip("/")
        if not form_is_valid(bucket, fields, len(body)):
            return False
        checksum = fields.get("x-amz-checksum-sha256")
        if checksum not in (None, base64.b64encode(hashlib.sha256(body).digest()).decode()):
            return False
        named = {"ChecksumAlgorithm": "SHA256"} if checksum else {}
        self._world.put_temp(fields["key"], body, ContentType=fields["Content-Type"], **named)
        return True

    def send_part(self, url: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bool:
        if not url_is_valid("PUT", url, body, headers):
            return False
        if headers.get("x-amz-checksum-crc64nvme") not in (None, checksum_of(body)):
            return False
        bucket, key, query = _named_by(url)
        if not _is_open(key, query["uploadId"]):
            return False
        self._world.s3.upload_part(
            Bucket=bucket, Key=key, UploadId=query["uploadId"], PartNumber=int(query["partNumber"]), Body=body
        )
        return True

    def download(self, url: str, http_method: str = "GET") -> Download | None:
        if not url_is_valid(http_method, url, b""):
            return None
        bucket, key, query = _named_by(url)
        pinned = {"VersionId": query["versionId"]} if "versionId" in query else {}
        try:
            answer = self._world.s3.get_object(
                Bucket=bucket,
                Key=key,
                ResponseContentType=query["response-content-type"],
                ResponseContentDisposition=query["response-content-disposition"],
                **pinned,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                return None
            raise
        body = answer["Body"].read() if http_method == "GET" else b""
        return Download(body, answer["ContentType"], answer["ContentDisposition"])


def _named_by(url: str) -> tuple[str, str, dict[str, str]]:
    """Bucket, key and query of a URL in path style."""
    parts = urlsplit(url)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    return bucket, key, {name: values[0] for name, values in parse_qs(parts.query).items()}


class ConsumerOfMoto:
    def __init__(self, world: World) -> None:
        self._world = world

    def receive(self) -> list[Message]:
        event = self._world.receive()
        return read_batch(event) if event is not None else []

    def delete(self, receipt_handle: str) -> None:
        self._world.delete_message(receipt_handle)


class FaultsOfMoto:
    def __init__(self, world: World, objects: ObjectStore, direct_uploads: DirectUploadStore) -> None:
        self._world = world
        self._objects = objects
        self._direct_uploads = direct_uploads

    def away(self) -> AbstractContextManager[object]:
        return unreachable("s3", "sqs")

    @contextmanager
    def breaking_connections(self) -> Iterator[None]:
        def break_off(parsed: dict[str, Any], **_: Any) -> None:
            if "Body" in parsed:
                parsed["Body"] = _BreaksOff(parsed["Body"]._raw_stream, parsed["Body"]._content_length)

        with ExitStack() as stack:
            _register(stack, self._objects._reader, "after-call.s3.GetObject", break_off)
            yield

    @contextmanager
    def slow_to_assemble(self) -> Iterator[Callable[[], None]]:
        go_on, gone_on = threading.Event(), threading.Event()

        def hold(operation: str, _: AWSPreparedRequest) -> None:
            if operation == "s3.CompleteMultipartUpload":
                go_on.wait(30)

        def finish() -> None:
            go_on.set()
            deadline = time.monotonic() + 10
            while not self._world.temp():
                assert time.monotonic() < deadline, "the object was never assembled"
                gone_on.wait(0.01)

        with pytest.MonkeyPatch.context() as patch, listening(hold):
            patch.setattr(aws, "COMPLETE_PATIENCE_SECONDS", 0.1)
            yield finish
            go_on.set()

    @contextmanager
    def another_completes(self) -> Iterator[None]:
        def refuse(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            return _refusal(request, 409, "ConditionalRequestConflict")

        with ExitStack() as stack:
            _register(stack, self._direct_uploads._completer, "before-send.s3.CompleteMultipartUpload", refuse)
            yield


class _BreaksOff(StreamingBody):
    """Gives one piece, and then the connection breaks."""

    given = False

    def read(self, amt: int | None = None) -> bytes:
        if self.given:
            raise ResponseStreamingError(error="connection broken")
        self.given = True
        piece: bytes = super().read(amt)
        return piece
