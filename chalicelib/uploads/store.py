"""Uploads that go straight to S3: presigned POST forms and multipart uploads into the temp bucket.

Signs and asks; no byte of a file passes here. What each method promises is told by its port,
``chalicelib.uploads.ports.DirectUploads``; here is how S3 does it.
"""

import base64
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib import keys
from chalicelib.kernel.errors import BadInput, Conflict, ObjectMissing
from chalicelib.platform import aws
from chalicelib.uploads.parts import MIN_PART_BYTES, Part, PresignedPost

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_REFUSED_PARTS = {
    "EntityTooSmall": f"Every part but the last needs at least {MIN_PART_BYTES} bytes.",
    "InvalidPart": "A part is missing, or its ETag is not the one that storage gave for it.",
    "InvalidPartOrder": "The parts must be listed in ascending order.",
}


class DirectUploadStore:
    def __init__(
        self,
        temp_bucket: str,
        public_endpoint_url: str | None,
        addressing_style: aws.AddressingStyle = "virtual",
        *,
        part_checksums: bool = True,
    ) -> None:
        """:param part_checksums: whether S3 is asked for the CRC64NVME of all parts of an upload."""
        self._bucket = temp_bucket
        self._part_checksums = part_checksums
        self._s3: S3Client = aws.s3_client(addressing_style)
        self._addressing_style: aws.AddressingStyle = addressing_style
        self._signer: S3Client = (
            aws.s3_client(addressing_style, public_endpoint_url) if public_endpoint_url else self._s3
        )

    @cached_property
    def _completer(self) -> "S3Client":
        # Created when parts are assembled and not before: a client lengthens the cold start.
        return aws.s3_client(
            self._addressing_style,
            read_timeout_seconds=aws.COMPLETE_PATIENCE_SECONDS,
            max_attempts=aws.COMPLETE_MAX_ATTEMPTS,
        )

    @property
    def bucket(self) -> str:
        return self._bucket

    @cached_property
    def origin(self) -> str:
        address = urlsplit(self._signer.generate_presigned_post(self._bucket, "-")["url"])
        return f"{address.scheme}://{address.netloc}"

    def presign_post(
        self,
        organization_id: str,
        file_id: str,
        *,
        least_bytes: int,
        most_bytes: int,
        content_type: str,
        sha256_hex: str | None,
        ttl_seconds: int,
    ) -> PresignedPost:
        """A SigV4 POST policy, of which S3 enforces each condition."""
        fields = {"Content-Type": content_type, "success_action_status": "201"}
        if sha256_hex is not None:
            fields["x-amz-checksum-algorithm"] = "SHA256"
            fields["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(sha256_hex)).decode()
        conditions: list[Any] = [["content-length-range", least_bytes, most_bytes]]
        conditions += [{name: value} for name, value in fields.items()]
        signed = self._signer.generate_presigned_post(
            self._bucket,
            keys.temp_key(organization_id, file_id),
            Fields=dict(fields),
            Conditions=conditions,
            ExpiresIn=ttl_seconds,
        )
        return PresignedPost(signed["url"], signed["fields"])

    def start_multipart(self, organization_id: str, file_id: str, content_type: str) -> str:
        """S3 takes parts with this checksum, computes it of those without, and refuses one of another kind."""
        wanted: dict[str, Any] = (
            {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"} if self._part_checksums else {}
        )
        answer = self._s3.create_multipart_upload(
            Bucket=self._bucket, Key=keys.temp_key(organization_id, file_id), ContentType=content_type, **wanted
        )
        return answer["UploadId"]

    def presign_part(
        self,
        organization_id: str,
        file_id: str,
        upload_id: str,
        number: int,
        *,
        exact_bytes: int | None,
        ttl_seconds: int,
        crc64nvme: str | None = None,
    ) -> str:
        """Nothing but host, length and checksum is signed, so a client's own headers do no harm."""
        params: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": keys.temp_key(organization_id, file_id),
            "UploadId": upload_id,
            "PartNumber": number,
        }
        if exact_bytes is not None:
            params["ContentLength"] = exact_bytes
        if crc64nvme is not None and self._part_checksums:
            params["ChecksumCRC64NVME"] = crc64nvme
        return self._signer.generate_presigned_url("upload_part", Params=params, ExpiresIn=ttl_seconds)

    def parts(self, organization_id: str, file_id: str, upload_id: str) -> list[Part]:
        with _missing_as_error():
            pages = self._s3.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=keys.temp_key(organization_id, file_id), UploadId=upload_id
            )
            return [
                Part(part["PartNumber"], part["Size"], part["ETag"].strip('"'))
                for page in pages
                for part in page.get("Parts", [])
            ]

    def complete(self, organization_id: str, file_id: str, upload_id: str, parts: list[Part]) -> bool:
        """S3 checks the sum of the sizes, and refuses to overwrite an object.

        It keeps the connection alive with white space while it is at work, so that no time-out of the connection's
        would end the wait.
        """
        outcome: Future[None] = Future()

        def work() -> None:
            try:
                self._complete(organization_id, file_id, upload_id, parts)
                outcome.set_result(None)
            except BaseException as error:
                outcome.set_exception(error)

        # A pool's threads would delay the end of the process.
        Thread(target=work, daemon=True).start()
        try:
            outcome.result(timeout=aws.COMPLETE_PATIENCE_SECONDS)
        except (TimeoutError, ReadTimeoutError):
            return False
        return True

    def _complete(self, organization_id: str, file_id: str, upload_id: str, parts: list[Part]) -> None:
        try:
            with _missing_as_error():
                self._completer.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=keys.temp_key(organization_id, file_id),
                    UploadId=upload_id,
                    MultipartUpload={"Parts": [{"PartNumber": p.number, "ETag": f'"{p.etag}"'} for p in parts]},
                    MpuObjectSize=sum(part.size_bytes for part in parts),
                    IfNoneMatch="*",
                )
        except ClientError as error:
            code = aws.error_code(error)
            if code in _REFUSED_PARTS:
                raise BadInput(_REFUSED_PARTS[code]) from error
            if code == "ConditionalRequestConflict":
                raise Conflict("The same upload is being completed at this moment; ask again.") from error
            if code == "PreconditionFailed":
                # An earlier call assembled it, and its answer was lost.
                return
            raise

    def abort(self, organization_id: str, file_id: str, upload_id: str) -> None:
        try:
            with _missing_as_error():
                self._s3.abort_multipart_upload(
                    Bucket=self._bucket, Key=keys.temp_key(organization_id, file_id), UploadId=upload_id
                )
        except ObjectMissing:
            return

    def has_arrived(self, organization_id: str, file_id: str) -> bool:
        """By listing: the API may not read it."""
        return self.arrived_fingerprint(organization_id, file_id) is not None

    def arrived_fingerprint(self, organization_id: str, file_id: str) -> str | None:
        key = keys.temp_key(organization_id, file_id)
        found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        return next((item["ETag"] for item in found.get("Contents", []) if item["Key"] == key), None)


@contextmanager
def _missing_as_error() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if aws.error_code(error) in ("NoSuchUpload", "404"):
            raise ObjectMissing from error
        raise
