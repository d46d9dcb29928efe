"""What Lambda hands to a handler: the events of queues and streams, and the context."""

from __future__ import annotations

from typing import Any

from infra.functions import PROCESS, Function


def lambda_event(queue_arn: str, region: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The event that Lambda makes of a batch of messages (AWS: "Using Lambda with Amazon SQS", example event)."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": region,
            }
            for message in messages
        ]
    }


def stream_event(stream_arn: str, region: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The event that Lambda makes of a stream's records (AWS: "Using Lambda with Amazon DynamoDB", example event)."""
    return {
        "Records": [
            {
                "eventID": record["eventID"],
                "eventName": record["eventName"],
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": region,
                "dynamodb": {
                    **record["dynamodb"],
                    "ApproximateCreationDateTime": record["dynamodb"]["ApproximateCreationDateTime"].timestamp(),
                },
                "eventSourceARN": stream_arn,
            }
            for record in records
        ]
    }


class LambdaContext:
    """The little of Lambda's context that Chalice passes on."""

    def __init__(self, request_id: str, function: Function = PROCESS) -> None:
        self.aws_request_id = request_id
        self.function_name = function.handler
        self.memory_limit_in_mb = function.memory_mb
        self._timeout_seconds = function.timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        return self._timeout_seconds * 1000
