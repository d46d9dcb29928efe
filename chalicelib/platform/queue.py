"""The uploads queue in SQS. What each method promises is told by its port, ``chalicelib.processing.ports.Queue``."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import keys
from chalicelib.platform import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class UploadsQueue:
    def __init__(self, queue_url: str, temp_bucket: str) -> None:
        self._queue_url = queue_url
        self._temp_bucket = temp_bucket
        self._sqs: SQSClient = aws.sqs_client()

    def announce(self, organization_id: str, file_id: str, delay_seconds: int = 0) -> None:
        record = {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Announced",
            "s3": {
                "bucket": {"name": self._temp_bucket},
                "object": {"key": keys.temp_key(organization_id, file_id)},
            },
        }
        body = json.dumps({"Records": [record]})
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body, DelaySeconds=delay_seconds)

    def delay(self, receipt_handle: str, seconds: int) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
        )

    def is_reachable(self) -> bool:
        try:
            self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["ApproximateNumberOfMessages"])
        except (ClientError, BotoCoreError):
            return False
        return True
