"""The audit bucket: sealed events, which are written once, and exports, which are gone after a day."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib import keys
from chalicelib.platform import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NDJSON = "application/x-ndjson"
#: How long the address of an export can be used.
EXPORT_URL_TTL_SECONDS = 300
#: The answers to a write of an object that is there already, and to one during another.
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True)
class SealVersion:
    """One version of a sealed file. There is never a second, unless somebody has written past us."""

    key: str
    version_id: str
    is_deletion: bool


class ArchiveStore:
    def __init__(
        self,
        bucket: str,
        lock_days: int,
        public_endpoint_url: str | None,
        addressing_style: aws.AddressingStyle = "virtual",
    ) -> None:
        """:param lock_days: how long nobody may delete or replace a sealed file (S3 Object Lock); 0 for not at all."""
        self._bucket = bucket
        self._lock_days = lock_days
        self._s3: S3Client = aws.s3_client(addressing_style)
        self._signer: S3Client = (
            aws.s3_client(addressing_style, public_endpoint_url) if public_endpoint_url else self._s3
        )

    def seal(self, organization_id: str, first_sequence: int, body: bytes) -> bool:
        """Write a sealed file.

        :returns: False when there is one already; nothing is written then.
        """
        options: dict[str, Any] = {}
        if self._lock_days:
            until = datetime.now(UTC) + timedelta(days=self._lock_days)
            options = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=keys.seal_key(organization_id, first_sequence),
                Body=body,
                ContentType=NDJSON,
                # S3 asks for one where an object is locked.
                ChecksumAlgorithm="SHA256",
                IfNoneMatch="*",
                **options,
            )
        except ClientError as error:
            if aws.error_code(error) in _TAKEN:
                return False
            raise
        return True

    def sealed(self, organization_id: str, first_sequence: int) -> bytes:
        """The file as it was written first, whatever came over it since."""
        key = keys.seal_key(organization_id, first_sequence)
        oldest = [version for version in self.versions(organization_id, first_sequence) if not version.is_deletion][-1]
        return self._s3.get_object(Bucket=self._bucket, Key=key, VersionId=oldest.version_id)["Body"].read()

    def versions(self, organization_id: str, first_sequence: int | None = None) -> Iterator[SealVersion]:
        """Every version of an organisation's sealed files, or of one, newest first, by key."""
        prefix = keys.seal_prefix(organization_id)
        if first_sequence is not None:
            prefix = keys.seal_key(organization_id, first_sequence)
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for version in page.get("Versions", []):
                yield SealVersion(version["Key"], version["VersionId"], is_deletion=False)
            for marker in page.get("DeleteMarkers", []):
                yield SealVersion(marker["Key"], marker["VersionId"], is_deletion=True)

    def put_export(self, organization_id: str, export_id: str, body: IO[bytes]) -> None:
        size_bytes = body.seek(0, io.SEEK_END)
        body.seek(0)
        key = keys.export_key(organization_id, export_id)
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentLength=size_bytes, ContentType=NDJSON)

    def export_url(self, organization_id: str, export_id: str, filename: str) -> str:
        return self._signer.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": keys.export_key(organization_id, export_id),
                "ResponseContentDisposition": f'attachment; filename="{filename}"',
            },
            ExpiresIn=EXPORT_URL_TTL_SECONDS,
        )
