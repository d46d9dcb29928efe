"""A whole Strongroom in this process, and a queue consumer that works step by step under the test's control."""

from __future__ import annotations

import json
import time
from typing import Any

from moto.s3.models import FakeKey

from chalicelib import keys, wiring
from chalicelib.events.outbox_store import read_records
from chalicelib.events.records import PublishedEvent
from chalicelib.files.record import File
from chalicelib.kernel import config
from chalicelib.kernel.caller import Caller
from chalicelib.tenants.organization import Organization
from infra.local.lambda_events import lambda_event, stream_event
from tests.memory.endpoints import MemoryEndpoints
from tests.moto_aws import backend_of_objects, s3_notification
from tests.unit.cloud import (
    DEAD_LETTER_QUEUE,
    ENVIRONMENT,
    NAMES,
    PERMANENT_BUCKET,
    QUEUE,
    REGION,
    STACK,
    TEMP_BUCKET,
    Cloud,
)


class World:
    """What a test sees."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.s3 = cloud.s3
        self.sqs = cloud.sqs
        self.queue_url = ENVIRONMENT["UPLOADS_QUEUE_URL"]
        self.endpoints = MemoryEndpoints()
        self.organizations: dict[str, Organization] = {o.name: o for o in cloud.organizations}

    @property
    def stores(self) -> wiring.Stores:
        return wiring.stores()

    def restart(self) -> None:
        """As a new process: settings read again, nothing in memory; only the tables' client is kept."""
        config.settings.cache_clear()
        self.use()

    def use(self, **given: Any) -> None:
        """Put other stores in the place of those of this process."""
        standing = {"tables": self.cloud.tables, "sender": self.endpoints}
        wiring.install(wiring.Stores(config.settings(), **{**standing, **given}))

    def token(self, username: str) -> str:
        """Of a session of this user that was started once for the whole run."""
        return self.cloud.bring_session(username)

    # ---- what is there -------------------------------------------------------------------------------------------
    def organization(self, name: str = "Acme") -> Organization:
        found = self.stores.organizations.find(self.organizations[name].organization_id)
        assert found is not None
        return found

    def caller(self, username: str = "anna") -> Caller:
        return self.cloud.callers[username]

    def file(self, file_id: str, name: str = "Acme") -> File | None:
        return self.stores.files.find(self.organizations[name].organization_id, file_id)

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = self.cloud.backend_of_tables().tables[f"{STACK}-{table}"].all_items()
        return sorted((item.to_json()["Attributes"] for item in found), key=str)

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Key -> bytes of what can be read there now."""
        kept = backend_of_objects().buckets[bucket].keys
        return {key: item.value for key, item in sorted(kept.items()) if isinstance(item, FakeKey)}

    def temp(self) -> dict[str, bytes]:
        return self.objects(TEMP_BUCKET)

    def permanent(self) -> dict[str, bytes]:
        return self.objects(PERMANENT_BUCKET)

    def snapshot(self) -> dict[str, Any]:
        """All that is stored, for "nothing changed". Asks the mock itself: it is needed often, and calls cost time."""
        tables = self.cloud.backend_of_tables().tables
        return {
            **{table: self.rows(table.removeprefix(f"{STACK}-")) for table in tables},
            "temp": self.temp(),
            "permanent": self.permanent(),
            "audit": self.objects(NAMES.audit_bucket),
        }

    def spoil(self, file_id: str, name: str = "Acme") -> None:
        """Leave a row that the application can't read, which stands for any bug of ours."""
        self.cloud.dynamodb.update_item(
            TableName=f"{STACK}-files",
            Key={"organization_id": {"S": self.organizations[name].organization_id}, "file_id": {"S": file_id}},
            UpdateExpression="SET file_size = :unreadable",
            ExpressionAttributeValues={":unreadable": {"S": "secret detail of the inside"}},
        )

    def put_temp(self, key: str, body: bytes, **options: Any) -> None:
        self.s3.put_object(Bucket=TEMP_BUCKET, Key=key, Body=body, **options)

    def put_audit(self, key: str, body: bytes) -> None:
        """Past the application, as somebody who may write into the bucket."""
        self.s3.put_object(Bucket=NAMES.audit_bucket, Key=key, Body=body)

    def temp_key(self, file_id: str, name: str = "Acme") -> str:
        return keys.temp_key(self.organizations[name].organization_id, file_id)

    # ---- the queue -----------------------------------------------------------------------------------------------
    def send(self, body: Any) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=text)

    def announce(self, *object_keys: str, bucket: str = TEMP_BUCKET) -> None:
        """A message as S3 sends it; the keys must be URL-encoded already."""
        self.send(s3_notification(*object_keys, bucket=bucket))

    def receive(self, count: int = 10) -> dict[str, Any] | None:
        """Up to ``count`` messages as the event that Lambda makes of them, None when there is none to be seen."""
        messages = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=count, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", [])
        if not messages:
            return None
        return lambda_event(NAMES.queue_arn(QUEUE), REGION, messages)

    def handle(self, event: dict[str, Any]) -> list[str]:
        """Call the function as Lambda does, and delete what it is done with. The ids of what it is not."""
        answer = self.cloud.chalice.lambda_.invoke("process_uploads", event).payload
        kept = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        for record in event["Records"]:
            if record["messageId"] not in kept:
                self.delete_message(record["receiptHandle"])
        return kept

    def delete_message(self, receipt_handle: str) -> None:
        self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=receipt_handle)

    # ---- events --------------------------------------------------------------------------------------------------
    def stream_records(self) -> list[dict[str, Any]]:
        """What the outbox's stream has told since the start, as Lambda gets it."""
        table = self.cloud.backend_of_tables().tables[f"{STACK}-event-outbox"]
        told = [record.to_json() for record in table.stream_shard.items]
        return list(stream_event("arn:aws:dynamodb:stream", REGION, told)["Records"])

    def publish(self) -> None:
        """Have everything published that the stream has told, by the function that does it."""
        if records := self.stream_records():
            self.cloud.chalice.lambda_.invoke("publish_events", {"Records": records})

    def events(self, name: str = "Acme") -> list[dict[str, Any]]:
        """All events of an organisation, published and as the contract shows them."""
        self.publish()
        feed = self.stores.feed.before(self.organizations[name].organization_id, None)
        return [event.to_json() for event in feed][::-1]

    def written_events(self) -> list[dict[str, Any]]:
        """What has been written since the start, of all organisations and of none, as the contract would show it.

        None has its number yet; each is shown with 1.
        """
        pending = read_records(self.stream_records())
        return [PublishedEvent(event.organization_id, 1, event.time, event.line).to_json() for event in pending]

    def work(self, batch: int = 1) -> list[list[str]]:
        """Handle all messages that can be seen; those that failed stay hidden until :meth:`forward`."""
        failures = []
        while (event := self.receive(batch)) is not None:
            failures.append(self.handle(event))
        return failures

    def hidden_for_seconds(self) -> list[int]:
        """How long each message that failed, or was sent for later, stays out of sight from now."""
        now_ms = time.time() * 1000
        seen_at = [max(message.visible_at, message.delayed_until) for message in self.cloud.messages(QUEUE)]
        return sorted(round((moment - now_ms) / 1000) for moment in seen_at if moment > now_ms)

    def forward(self) -> None:
        """Let the time pass that hidden messages are to wait, without waiting."""
        for message in self.cloud.messages(QUEUE):
            message.visible_at = message.delayed_until = 0

    def hidden_seconds(self) -> float:
        """How long the one message of the queue stays hidden from now on."""
        (message,) = self.cloud.messages(QUEUE)
        return float(message.visible_at / 1000 - time.time())

    def drain(self) -> None:
        """Work until the queue is empty: retries included, each after its wait."""
        for _ in range(20):
            self.work()
            if not self.queued():
                return
            self.forward()
        raise AssertionError("the queue never got empty")

    def forget_messages(self) -> None:
        """As if S3's announcements had been lost."""
        self.cloud.messages(QUEUE).clear()

    def queued(self) -> int:
        return len(self.cloud.messages(QUEUE))

    def dead_letters(self) -> list[str]:
        url = self.queue_url.replace(QUEUE, DEAD_LETTER_QUEUE)
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in found.get("Messages", [])]
