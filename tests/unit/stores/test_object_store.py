"""What only S3 has: copies in parts, checksums of several kinds, buckets without versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.kernel.errors import ObjectChanged
from chalicelib.platform.objects import ObjectStore
from tests.aws_calls import aws_calls, unreachable
from tests.moto_gaps import without_checksums
from tests.unit import samples
from tests.unit.cloud import PERMANENT_BUCKET, TEMP_BUCKET
from tests.unit.stores.sides import COPY_PART_BYTES, Side, on_moto
from tests.unit.stores.test_objects import BODY, FILE, KEY, LARGE, ORGANIZATION, TEMP_KEY, copy, opened, stored
from tests.unit.world import World


@pytest.fixture
def side(world: World) -> Iterator[Side]:
    with on_moto(world) as side:
        yield side


@pytest.mark.parametrize("size_bytes", [2 * COPY_PART_BYTES, 2 * COPY_PART_BYTES + 1])
def test_large_object_is_copied_part_by_part(side: Side, size_bytes: int) -> None:
    with aws_calls() as calls:
        stored(side, samples.random_bytes(size_bytes))
    assert calls.count("s3.UploadPartCopy") == -(-size_bytes // COPY_PART_BYTES)
    assert "s3.CopyObject" not in calls


def test_failed_copy_in_parts_leaves_no_parts(side: Side, world: World) -> None:
    with unreachable("s3.CompleteMultipartUpload"), pytest.raises(Exception, match=r"away\.example"):
        stored(side, LARGE)
    assert not world.s3.list_multipart_uploads(Bucket=PERMANENT_BUCKET).get("Uploads")
    assert side.storage.permanent() == {}


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["whole", "in parts"])
def test_etag_saves_the_copy_of_other_bytes(side: Side, world: World, body: bytes) -> None:
    side.storage.put(TEMP_KEY, body)
    source = opened(side.objects)
    side.storage.put(TEMP_KEY, body[::-1])
    with aws_calls() as calls, pytest.raises(ObjectChanged):
        copy(side.objects, source, body)
    assert "s3.DeleteObject" not in calls, "nothing was written that had to be taken back"


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["whole", "in parts"])
def test_copy_whose_checksum_is_not_told_is_read_back(side: Side, body: bytes) -> None:
    with without_checksums(), aws_calls() as calls:
        stored(side, body)
        side.storage.put(TEMP_KEY, body)
        with pytest.raises(ObjectChanged):
            copy(side.objects, opened(side.objects), body + b".")
    assert side.storage.permanent() == {KEY: body}
    assert calls.count("s3.GetObject") == 4, "one for each upload that is opened, one for each copy"


def test_checksum_of_parts_says_nothing_of_the_whole(side: Side, world: World) -> None:
    """S3 gives a multipart object a checksum over its parts' checksums, and marks it so."""
    name = {"Bucket": TEMP_BUCKET, "Key": TEMP_KEY}
    name["UploadId"] = world.s3.create_multipart_upload(**name, ChecksumAlgorithm="SHA256")["UploadId"]
    parts: list[Any] = []
    for number, part in enumerate((LARGE[:COPY_PART_BYTES], LARGE[COPY_PART_BYTES:]), start=1):
        sent = world.s3.upload_part(**name, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]})
    world.s3.complete_multipart_upload(**name, MultipartUpload={"Parts": parts})
    kept = world.s3.get_object(Bucket=TEMP_BUCKET, Key=TEMP_KEY, ChecksumMode="ENABLED")
    assert kept["ChecksumSHA256"].endswith("-2")
    assert opened(side.objects).verified_sha256 is None


def test_bucket_without_versions_tells_none(side: Side, world: World) -> None:
    bucket = "without-versions"
    world.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    objects = ObjectStore(TEMP_BUCKET, bucket, None, "path")
    side.storage.put(TEMP_KEY, BODY)
    source = opened(objects)
    assert copy(objects, source, BODY) is None
    assert world.s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == BODY
    assert objects.delete_permanent(ORGANIZATION, FILE, KEY.partition("_")[2]) is None
    with pytest.raises(world.s3.exceptions.NoSuchKey):
        world.s3.get_object(Bucket=bucket, Key=KEY)
