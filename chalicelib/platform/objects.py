"""The objects in S3: the temp bucket where uploads arrive, the permanent bucket where checked files stay.

What each method promises is told by its port, ``chalicelib.processing.ports.Objects``; here is how S3 does it. Every
method names an organisation first; keys are made in chalicelib.keys and nowhere else.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import keys
from chalicelib.kernel.content import Content, rewound
from chalicelib.kernel.errors import ObjectChanged, ObjectMissing
from chalicelib.platform import aws
from chalicelib.platform.streams import CHUNK_BYTES, read_through
from chalicelib.processing.ports import CheckedBytes, TempObject

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

    from chalicelib.platform.long_copy import Target

#: CopyObject takes at most 5 GiB (AWS limit); above it the copy goes part by part.
MAX_SINGLE_COPY_BYTES = 5 * 1024 * 1024 * 1024
#: Of one copy. More than workers could have written over it while one of them completed it.
MAX_LATER_VERSIONS = 10
_MISSING = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})
_CHANGED = frozenset({"PreconditionFailed", "412"})


class ObjectStore:
    def __init__(
        self,
        temp_bucket: str,
        permanent_bucket: str,
        public_endpoint_url: str | None,
        addressing_style: aws.AddressingStyle = "virtual",
        max_single_copy_bytes: int = MAX_SINGLE_COPY_BYTES,
        *,
        fast_path: bool = True,
    ) -> None:
        self._temp_bucket = temp_bucket
        self._permanent_bucket = permanent_bucket
        self._max_single_copy_bytes = max_single_copy_bytes
        self._addressing_style = addressing_style
        self._fast_path = fast_path
        self._s3: S3Client = aws.s3_client(addressing_style, fast_path=fast_path)
        # Signing sends nothing; it needs the address that the client will use, which may not be ours.
        self._signer: S3Client = (
            aws.s3_client(addressing_style, public_endpoint_url) if public_endpoint_url else self._s3
        )

    @cached_property
    def _reader(self) -> "S3Client":
        """For reading an upload from its first byte to its last."""
        return aws.s3_client(
            self._addressing_style,
            read_timeout_seconds=aws.STREAM_READ_TIMEOUT_SECONDS,
            max_attempts=aws.STREAM_MAX_ATTEMPTS,
            fast_path=self._fast_path,
        )

    @cached_property
    def _copier(self) -> "S3Client":
        """A copy answers only when it is done, so its client waits longer for the first byte."""
        return aws.s3_client(
            self._addressing_style,
            read_timeout_seconds=aws.COPY_READ_TIMEOUT_SECONDS,
            fast_path=self._fast_path,
        )

    def is_temp_bucket(self, name: str) -> bool:
        return name == self._temp_bucket

    def put_temp(self, organization_id: str, file_id: str, body: Content, sha256_hex: str) -> None:
        """S3 verifies the checksum, so processing need not hash the bytes again."""
        self._s3.put_object(
            Bucket=self._temp_bucket,
            Key=keys.temp_key(organization_id, file_id),
            Body=rewound(body),
            ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256_hex)).decode(),
        )

    @contextmanager
    def open_temp(
        self, organization_id: str, file_id: str, *, first_byte: int = 0, etag: str | None = None
    ) -> Iterator[TempObject]:
        bucket, key = self._temp_bucket, keys.temp_key(organization_id, file_id)
        wanted: dict[str, Any] = {"ChecksumMode": "ENABLED"}
        if first_byte:
            # S3 tells no checksum of a range.
            wanted = {"Range": f"bytes={first_byte}-"}
        if etag is not None:
            wanted["IfMatch"] = etag
        with _missing_as_error(), _changed_as_error():
            answer = self._reader.get_object(Bucket=bucket, Key=key, **wanted)

        def reopen(position: int) -> "StreamingBody":
            with _missing_as_error(), _changed_as_error():
                rest = self._reader.get_object(
                    Bucket=bucket, Key=key, Range=f"bytes={first_byte + position}-", IfMatch=answer["ETag"]
                )
            return rest["Body"]

        chunks = read_through(answer["Body"], answer["ContentLength"], reopen)
        try:
            yield TempObject(
                etag=answer["ETag"],
                size_bytes=first_byte + answer["ContentLength"],
                verified_sha256=_verified_sha256(answer),
                chunks=chunks,
                copy_part_bytes=self._copy_part_bytes(first_byte + answer["ContentLength"]),
                verified_crc64nvme=_verified(answer, "CRC64NVME"),
            )
        finally:
            chunks.close()

    def temp_exists(self, organization_id: str, file_id: str) -> bool:
        try:
            with _missing_as_error():
                self._s3.head_object(Bucket=self._temp_bucket, Key=keys.temp_key(organization_id, file_id))
        except ObjectMissing:
            return False
        return True

    def delete_temp(self, organization_id: str, file_id: str) -> None:
        self._s3.delete_object(Bucket=self._temp_bucket, Key=keys.temp_key(organization_id, file_id))

    def delete_stray(self, key: str) -> None:
        self._s3.delete_object(Bucket=self._temp_bucket, Key=key)

    def temp_keys_before(self, moment: datetime) -> Iterator[str]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._temp_bucket):
            for item in page.get("Contents", []):
                if item["LastModified"] < moment:
                    yield item["Key"]

    def copy_to_permanent(
        self,
        organization_id: str,
        file_id: str,
        name: str,
        source: TempObject,
        checked: CheckedBytes,
        *,
        content_type: str,
        disposition: str,
    ) -> str | None:
        """Inside S3, under the organisation's prefix of the permanent bucket.

        The ETag is MD5 under SSE-S3, of which collisions are public: it saves a copy of other bytes, and proves
        nothing. What proves is the SHA-256 that S3 computes of the bytes it copies.
        """
        target = keys.permanent_key(organization_id, file_id, name)
        version, told = self._copy(
            target, keys.temp_key(organization_id, file_id), source, content_type=content_type, disposition=disposition
        )
        wanted = checked.part_sha256 if source.copy_part_bytes is not None else (checked.sha256,)
        if not told:
            # An endpoint that computes no checksums. On AWS the answer always has them.
            told, wanted = (self._sha256_of_copy(target, version),), (checked.sha256,)
        if told != wanted:
            self._take_back_copy(target, version)
            raise ObjectChanged("the upload was overwritten with other bytes of the same ETag before it was copied")
        return version

    def _copy(
        self, target: str, temp_key: str, source: TempObject, *, content_type: str, disposition: str
    ) -> tuple[str | None, tuple[str, ...]]:
        """:returns: the version written; the hex SHA-256 of its bytes, or of each part of them, where S3 told it."""
        with _missing_as_error(), _changed_as_error():
            if source.copy_part_bytes is not None:
                from chalicelib.platform.large_copy import copy_in_parts

                copied = copy_in_parts(
                    self._copier,
                    self._temp_bucket,
                    temp_key,
                    self._permanent_bucket,
                    target,
                    etag=source.etag,
                    size_bytes=source.size_bytes,
                    content_type=content_type,
                    disposition=disposition,
                    part_bytes=source.copy_part_bytes,
                )
                return copied.version, tuple(copied.sha256 or ())
            answer = self._copier.copy_object(
                Bucket=self._permanent_bucket,
                Key=target,
                CopySource={"Bucket": self._temp_bucket, "Key": temp_key},
                CopySourceIfMatch=source.etag,
                ContentType=content_type,
                ContentDisposition=disposition,
                MetadataDirective="REPLACE",
                ChecksumAlgorithm="SHA256",
            )
        checksum = answer["CopyObjectResult"].get("ChecksumSHA256")
        return answer.get("VersionId"), (base64.b64decode(checksum).hex(),) if checksum else ()

    def begin_copy(self, organization_id: str, file_id: str, name: str, *, content_type: str, disposition: str) -> str:
        from chalicelib.platform import long_copy

        target = self._permanent(organization_id, file_id, name)
        return long_copy.begin(self._s3, target, content_type=content_type, disposition=disposition)

    def copy_parts(
        self,
        organization_id: str,
        file_id: str,
        name: str,
        copy_id: str,
        source: TempObject,
        time_is_up: Callable[[], bool],
    ) -> bool:
        from chalicelib.platform import long_copy

        origin = long_copy.Origin(
            self._temp_bucket, keys.temp_key(organization_id, file_id), source.etag, source.size_bytes
        )
        with _missing_as_error(), _changed_as_error():
            return long_copy.copy_parts(
                self._copier, origin, self._permanent(organization_id, file_id, name), copy_id, time_is_up
            )

    def finish_copy(
        self, organization_id: str, file_id: str, name: str, copy_id: str, source: TempObject
    ) -> str | None:
        """The ETag was a condition of every part; the CRC64NVME proves that none is missing or out of its place.

        A CRC is no proof against who makes collisions. Who could is kept away: an upload in parts is put together once,
        and nothing that was signed for it writes the object.
        """
        from chalicelib.platform import long_copy

        target = self._permanent(organization_id, file_id, name)
        answer = long_copy.finish(self._copier, target, copy_id, source.size_bytes)
        version: str | None = answer.get("VersionId")
        if _verified(answer, "CRC64NVME") != source.verified_crc64nvme:
            self._take_back_copy(target["Key"], version)
            raise ObjectChanged("the copy has another CRC64NVME than the upload")
        return version

    def abort_copy(self, organization_id: str, file_id: str, name: str, copy_id: str) -> None:
        from chalicelib.platform import long_copy

        long_copy.abort(self._s3, self._permanent(organization_id, file_id, name), copy_id)

    def _permanent(self, organization_id: str, file_id: str, name: str) -> "Target":
        return {"Bucket": self._permanent_bucket, "Key": keys.permanent_key(organization_id, file_id, name)}

    def _copy_part_bytes(self, size_bytes: int) -> int | None:
        if size_bytes <= self._max_single_copy_bytes:
            return None
        from chalicelib.platform.large_copy import part_size

        return part_size(size_bytes)

    def _sha256_of_copy(self, key: str, version: str | None) -> str:
        pinned: dict[str, Any] = {"VersionId": version} if version else {}
        answer = self._reader.get_object(Bucket=self._permanent_bucket, Key=key, ChecksumMode="ENABLED", **pinned)
        with closing(answer["Body"]) as body:
            verified = _verified_sha256(answer)
            if verified is not None:
                return verified
            digest = hashlib.sha256()
            for chunk in body.iter_chunks(CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def _take_back_copy(self, key: str, version: str | None) -> None:
        pinned: dict[str, Any] = {"VersionId": version} if version else {}
        self._s3.delete_object(Bucket=self._permanent_bucket, Key=key, **pinned)

    def delete_permanent(self, organization_id: str, file_id: str, name: str) -> str | None:
        """The bucket's lifecycle keeps the old version for its retention time, then it is gone."""
        key = keys.permanent_key(organization_id, file_id, name)
        return self._s3.delete_object(Bucket=self._permanent_bucket, Key=key).get("VersionId")

    def delete_permanent_version(self, organization_id: str, file_id: str, name: str, version: str) -> None:
        self._s3.delete_object(
            Bucket=self._permanent_bucket, Key=keys.permanent_key(organization_id, file_id, name), VersionId=version
        )

    def make_current(self, organization_id: str, file_id: str, name: str, version: str) -> int:
        key = keys.permanent_key(organization_id, file_id, name)
        for taken_back in range(MAX_LATER_VERSIONS):
            is_latest = self._versions_of(key)
            if is_latest.get(version, True):
                return taken_back
            latest = next(one for one in is_latest if is_latest[one])
            self.delete_permanent_version(organization_id, file_id, name, latest)
        return MAX_LATER_VERSIONS

    def _versions_of(self, key: str) -> dict[str, bool]:
        """Version -> whether it is the current one; of copies and of deletions."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._permanent_bucket, Prefix=key)
        listed = [one for page in pages for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]
        return {one["VersionId"]: one["IsLatest"] for one in listed if one["Key"] == key}

    def delete_permanent_of(self, organization_id: str, file_id: str) -> None:
        found = self._s3.list_objects_v2(
            Bucket=self._permanent_bucket, Prefix=keys.permanent_prefix(organization_id, file_id)
        )
        for item in found.get("Contents", []):
            self._s3.delete_object(Bucket=self._permanent_bucket, Key=item["Key"])

    def download_url(
        self,
        organization_id: str,
        file_id: str,
        name: str,
        *,
        version: str | None,
        disposition: str,
        content_type: str,
        ttl_seconds: int,
        method: str = "get_object",
    ) -> str:
        """A presigned GET (or HEAD) by SigV4."""
        params: dict[str, Any] = {
            "Bucket": self._permanent_bucket,
            "Key": keys.permanent_key(organization_id, file_id, name),
            "ResponseContentDisposition": disposition,
            "ResponseContentType": content_type,
        }
        if version is not None:
            params["VersionId"] = version
        return self._signer.generate_presigned_url(method, Params=params, ExpiresIn=ttl_seconds)

    @cached_property
    def download_origin(self) -> str:
        any_object = {"Bucket": self._permanent_bucket, "Key": "-", "VersionId": "-"}
        address = urlsplit(self._signer.generate_presigned_url("get_object", Params=any_object))
        return f"{address.scheme}://{address.netloc}"

    def is_reachable(self) -> bool:
        try:
            self._s3.head_bucket(Bucket=self._temp_bucket)
            self._s3.head_bucket(Bucket=self._permanent_bucket)
        except (ClientError, BotoCoreError):
            return False
        return True


def _verified_sha256(answer: Any) -> str | None:
    checksum = _verified(answer, "SHA256")
    return base64.b64decode(checksum).hex() if checksum else None


def _verified(answer: Any, algorithm: Literal["SHA256", "CRC64NVME"]) -> str | None:
    """Base64. A checksum of type COMPOSITE is one over the parts' checksums, and says nothing of the whole."""
    checksum: str | None = answer.get(f"Checksum{algorithm}")
    if not checksum or answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT" or "-" in checksum:
        return None
    return checksum


@contextmanager
def _missing_as_error() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if aws.error_code(error) in _MISSING:
            raise ObjectMissing from error
        raise


@contextmanager
def _changed_as_error() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if aws.error_code(error) in _CHANGED:
            raise ObjectChanged from error
        raise
