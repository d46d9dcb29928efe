"""The webhooks queue in SQS. Its port, ``chalicelib.webhooks.wakeup_ports``, tells what each method promises."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib.platform import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from chalicelib.webhooks.wakeup_ports import Wakeup

#: Messages of one call (AWS limit).
BATCH = 10


class SqsWakeupQueue:
    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url
        self._sqs: SQSClient = aws.sqs_client()

    def send(self, wakeups: "Sequence[Wakeup]") -> None:
        for start in range(0, len(wakeups), BATCH):
            self._send_some(wakeups[start : start + BATCH])

    def delay(self, receipt_handle: str, seconds: int) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
        )

    def _send_some(self, wakeups: "Sequence[Wakeup]") -> None:
        answer = self._sqs.send_message_batch(
            QueueUrl=self._queue_url,
            Entries=[
                {
                    "Id": str(number),
                    "MessageBody": json.dumps(
                        {"organization_id": wakeup.organization_id, "webhook_id": wakeup.webhook_id}
                    ),
                    "DelaySeconds": wakeup.delay_seconds,
                }
                for number, wakeup in enumerate(wakeups)
            ],
        )
        for failure in answer.get("Failed", []):
            # As SQS would refuse a single message: the batch itself was accepted.
            status = 400 if failure["SenderFault"] else 503
            raise ClientError(
                {
                    "Error": {"Code": failure["Code"], "Message": failure.get("Message", "")},
                    "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
                },
                "SendMessageBatch",
            )
