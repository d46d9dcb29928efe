"""What LocalStack's CloudFormation makes of our template, and what of S3's rules it enforces."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.conftest import Machine


def test_buckets_and_queues_are_as_the_template_says(machine: Machine) -> None:
    s3 = machine.client("s3")
    temp, permanent = machine.environment["TEMP_BUCKET"], machine.environment["PERMANENT_BUCKET"]
    assert s3.get_bucket_versioning(Bucket=permanent)["Status"] == "Enabled"
    for bucket in (temp, permanent):
        assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    [notified] = s3.get_bucket_notification_configuration(Bucket=temp)["QueueConfigurations"]
    assert notified["Events"] == ["s3:ObjectCreated:*"]

    queue = machine.client("sqs").get_queue_attributes(
        QueueUrl=machine.environment["UPLOADS_QUEUE_URL"], AttributeNames=["All"]
    )["Attributes"]
    assert queue["VisibilityTimeout"] == "5400"
    assert '"maxReceiveCount":' in queue["RedrivePolicy"]
    assert notified["QueueArn"] == queue["QueueArn"]


@pytest.mark.parametrize(
    ("sent", "key", "status"),
    [(b"12345", "uploads/exact", 204), (b"123456", "uploads/exact", 400), (b"12345", "uploads/other", 403)],
)
def test_conditions_of_a_presigned_post_are_enforced(machine: Machine, sent: bytes, key: str, status: int) -> None:
    """Its signature is not: no test of upload security may rest on LocalStack alone."""
    s3 = machine.client("s3")
    post = s3.generate_presigned_post(
        machine.environment["TEMP_BUCKET"],
        "uploads/exact",
        Conditions=[["content-length-range", 5, 5]],
        ExpiresIn=60,
    )
    answer = httpx.post(post["url"], data={**post["fields"], "key": key}, files={"file": ("file", sent)})
    assert answer.status_code == status, answer.text
