"""Server-side copy of an object that takes longer than one process has: each goes on with the parts that are missing.

S3 keeps what has been copied as an open multipart upload, and is asked what is there. The bytes never pass through us.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from botocore.exceptions import ClientError

from chalicelib.kernel.errors import CopyGone
from chalicelib.platform import aws
from chalicelib.platform.large_copy import PARALLEL_PARTS, part_ranges, part_size

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PartTypeDef


class Target(TypedDict):
    """Where the copy goes, as S3's calls name it."""

    Bucket: str
    Key: str


@dataclass(frozen=True)
class Origin:
    """What is copied. ``etag``: another object under the key is refused."""

    bucket: str
    key: str
    etag: str
    size_bytes: int


def begin(s3: "S3Client", target: Target, *, content_type: str, disposition: str) -> str:
    """The parts' CRC64NVME add up to that of the whole, which a SHA-256 of parts does not (AWS: FULL_OBJECT).

    :returns: the upload id.
    """
    answer = s3.create_multipart_upload(
        **target,
        ContentType=content_type,
        ContentDisposition=disposition,
        ChecksumAlgorithm="CRC64NVME",
        ChecksumType="FULL_OBJECT",
    )
    return answer["UploadId"]


def copy_parts(s3: "S3Client", origin: Origin, target: Target, upload_id: str, time_is_up: Callable[[], bool]) -> bool:
    """Copy missing parts, several at once, each pinned to the ETag; after the time is up none is begun but the first.

    :returns: whether all are there.
    :raises CopyGone: there is no such upload any more.
    :raises botocore.exceptions.ClientError: ``PreconditionFailed``, the source changed; ``NoSuchKey``, it is gone.
    """
    ranges = part_ranges(origin.size_bytes, part_size(origin.size_bytes))
    with _gone_as_error():
        there = {part["PartNumber"]: part["Size"] for part in _parts(s3, target, upload_id)}
    missing = [
        (number, first, last)
        for number, (first, last) in enumerate(ranges, start=1)
        if there.get(number) != last - first + 1
    ]

    def copy_part(wanted: tuple[int, int, int]) -> bool:
        if wanted is not missing[0] and time_is_up():
            return False
        number, first, last = wanted
        s3.upload_part_copy(
            **target,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": origin.bucket, "Key": origin.key},
            CopySourceRange=f"bytes={first}-{last}",
            CopySourceIfMatch=origin.etag,
        )
        return True

    with _gone_as_error(), ThreadPoolExecutor(PARALLEL_PARTS) as pool:
        return all(list(pool.map(copy_part, missing)))


def finish(s3: "S3Client", target: Target, upload_id: str, size_bytes: int) -> Any:
    """Put the parts together.

    :returns: S3's answer, with the version written and the checksum of the whole.
    :raises CopyGone: there is no such upload any more.
    """
    planned = len(part_ranges(size_bytes, part_size(size_bytes)))
    with _gone_as_error():
        return s3.complete_multipart_upload(
            **target,
            UploadId=upload_id,
            MultipartUpload={
                "Parts": [
                    {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
                    for part in _parts(s3, target, upload_id)
                    # Those beyond were copied by a version that cut otherwise.
                    if part["PartNumber"] <= planned
                ]
            },
            MpuObjectSize=size_bytes,
        )


def abort(s3: "S3Client", target: Target, upload_id: str) -> None:
    """Repeatable."""
    try:
        with _gone_as_error():
            s3.abort_multipart_upload(**target, UploadId=upload_id)
    except CopyGone:
        return


def _parts(s3: "S3Client", target: Target, upload_id: str) -> Iterator["PartTypeDef"]:
    for page in s3.get_paginator("list_parts").paginate(**target, UploadId=upload_id):
        yield from page.get("Parts", [])


@contextmanager
def _gone_as_error() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if aws.error_code(error) == "NoSuchUpload":
            raise CopyGone from error
        raise
