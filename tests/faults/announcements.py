"""Announcements as S3 sends them, and others."""

from __future__ import annotations

import json
import uuid
from typing import Any

from chalicelib import keys
from tests.faults import cloud as aws
from tests.faults.lab import Lab
from tests.moto_aws import s3_notification

NOWHERE = str(uuid.UUID(int=0xDEAD))


def announce(lab: Lab, key: str, *, bucket: str = aws.TEMP_BUCKET, event: str = "ObjectCreated:Put") -> None:
    """:param key: as S3 writes it, URL-encoded."""
    send(lab, s3_notification(key, bucket=bucket, event=event))


def send(lab: Lab, body: Any) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    lab.cloud.sqs.send_message(QueueUrl=aws.QUEUE_URL, MessageBody=text)


def upload(lab: Lab, body: bytes = b"the bytes", username: str = "anna") -> tuple[str, str]:
    """``(file id, temp key)``"""
    person = lab.people[username]
    file_id: str = person.upload(body).body["id"]
    return file_id, keys.temp_key(person.organization.organization_id, file_id)


def status(lab: Lab, file_id: str) -> str:
    row = lab.row(file_id)
    return row.status if row is not None else "absent"
