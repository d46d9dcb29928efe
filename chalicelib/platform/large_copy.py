"""Server-side copy of objects too large for one call: in parts, several at once. The bytes never pass through us."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PARALLEL_PARTS = 16
#: S3 takes at most 10,000 parts of at most 5 GiB, and at least 5 MiB but for the last (AWS limits).
MAX_PARTS = 10_000
PREFERRED_PART_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class PartsCopied:
    """``sha256``: hex SHA-256 of each part, as S3 computed it of the bytes that it copied; None where it told none."""

    version: str | None
    sha256: list[str] | None


def part_size(size_bytes: int) -> int:
    """Bytes of each part but the last."""
    return max(PREFERRED_PART_BYTES, -(-size_bytes // MAX_PARTS))


def part_ranges(size_bytes: int, part_bytes: int) -> list[tuple[int, int]]:
    """First and last byte of each part."""
    return [(start, min(start + part_bytes, size_bytes) - 1) for start in range(0, size_bytes, part_bytes)]


def copy_in_parts(
    s3: "S3Client",
    source_bucket: str,
    source_key: str,
    target_bucket: str,
    target_key: str,
    *,
    etag: str,
    size_bytes: int,
    content_type: str,
    disposition: str,
    part_bytes: int,
) -> PartsCopied:
    """Copy, each part pinned to the ETag. A failed copy leaves nothing behind.

    :raises botocore.exceptions.ClientError: ``PreconditionFailed`` when the source changed meanwhile.
    """
    upload_id = s3.create_multipart_upload(
        Bucket=target_bucket,
        Key=target_key,
        ContentType=content_type,
        ContentDisposition=disposition,
        ChecksumAlgorithm="SHA256",
    )["UploadId"]

    def copy_part(number: int, first: int, last: int) -> "CompletedPartTypeDef":
        answer = s3.upload_part_copy(
            Bucket=target_bucket,
            Key=target_key,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": source_bucket, "Key": source_key},
            CopySourceRange=f"bytes={first}-{last}",
            CopySourceIfMatch=etag,
        )
        part: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}
        checksum = answer["CopyPartResult"].get("ChecksumSHA256")
        # S3 wants the checksums of the parts back when it puts them together.
        return {**part, "ChecksumSHA256": checksum} if checksum else part

    try:
        with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
            copies = [
                pool.submit(copy_part, number, first, last)
                for number, (first, last) in enumerate(part_ranges(size_bytes, part_bytes), start=1)
            ]
            parts = [copy.result() for copy in copies]
        answer = s3.complete_multipart_upload(
            Bucket=target_bucket,
            Key=target_key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
        )
    except BaseException:
        s3.abort_multipart_upload(Bucket=target_bucket, Key=target_key, UploadId=upload_id)
        raise
    checksums = [part["ChecksumSHA256"] for part in parts if "ChecksumSHA256" in part]
    told = [base64.b64decode(checksum).hex() for checksum in checksums] if len(checksums) == len(parts) else None
    return PartsCopied(answer.get("VersionId"), told)
