"""Server-side copy of objects too large for one call: in parts, several at once. The bytes never pass through us."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PARALLEL_PARTS = 16
#: S3 takes at most 10,000 parts of at most 5 GiB, and at least 5 MiB but for the last (AWS limits).
MAX_PARTS = 10_000
PREFERRED_PART_BYTES = 512 * 1024 * 1024


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
    part_bytes: int | None = None,
) -> str | None:
    """Copy, each part pinned to the ETag. A failed copy leaves nothing behind.

    :returns: the version id of the new object.
    :raises botocore.exceptions.ClientError: ``PreconditionFailed`` when the source changed meanwhile.
    """
    part_bytes = part_bytes or max(PREFERRED_PART_BYTES, -(-size_bytes // MAX_PARTS))
    upload_id = s3.create_multipart_upload(
        Bucket=target_bucket, Key=target_key, ContentType=content_type, ContentDisposition=disposition
    )["UploadId"]

    def copy_part(number: int, first: int, last: int) -> str:
        answer = s3.upload_part_copy(
            Bucket=target_bucket,
            Key=target_key,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": source_bucket, "Key": source_key},
            CopySourceRange=f"bytes={first}-{last}",
            CopySourceIfMatch=etag,
        )
        return answer["CopyPartResult"]["ETag"]

    try:
        with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
            copies = [
                pool.submit(copy_part, number, first, last)
                for number, (first, last) in enumerate(part_ranges(size_bytes, part_bytes), start=1)
            ]
            etags = [copy.result() for copy in copies]
        answer = s3.complete_multipart_upload(
            Bucket=target_bucket,
            Key=target_key,
            UploadId=upload_id,
            MultipartUpload={"Parts": [{"PartNumber": n, "ETag": e} for n, e in enumerate(etags, start=1)]},
        )
    except BaseException:
        s3.abort_multipart_upload(Bucket=target_bucket, Key=target_key, UploadId=upload_id)
        raise
    return answer.get("VersionId")
