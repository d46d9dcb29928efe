"""A :class:`World` whose storage and queue are the memory twins; its tables are on moto as ever.

For tests of logic: they say ``copy_to_permanent`` where those on moto say ``s3.CopyObject``, and need neither S3's
answers nor its clients' retries. What S3 and SQS do themselves is shown in ``tests/unit/stores`` and over HTTP.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from chalicelib import wiring
from chalicelib.kernel import config
from tests.memory import Memory, storage
from tests.unit.cloud import TEMP_BUCKET, Cloud
from tests.unit.world import World


class MemoryWorld(World):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.memory = Memory()
        self.s3 = self.sqs = _NotHere()

    def restart(self) -> None:
        config.settings.cache_clear()
        self.use()

    def use(self, **given: Any) -> None:
        memory = self.memory
        twins = {"objects": memory.objects, "direct_uploads": memory.direct_uploads, "queue": memory.queue}
        super().use(**{**twins, **given})

    def leave(self) -> None:
        """Give the process the stores back that it has without us."""
        config.settings.cache_clear()
        wiring.install(wiring.Stores(config.settings(), tables=self.cloud.tables))

    def objects(self, bucket: str) -> dict[str, bytes]:
        return self.memory.storage.temp() if bucket == TEMP_BUCKET else self.memory.storage.permanent()

    def put_temp(self, key: str, body: bytes, **options: Any) -> None:
        self.memory.storage.put(key, body, **options)

    def send(self, body: Any) -> None:
        self.memory.messages.send(body if isinstance(body, str) else json.dumps(body))

    def announce(self, *object_keys: str, bucket: str = storage.TEMP_BUCKET) -> None:
        super().announce(*object_keys, bucket=bucket)

    def receive(self, count: int = 10) -> dict[str, Any] | None:
        received = self.memory.messages.receive(count)
        if not received:
            return None
        records = [
            {
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receives)},
            }
            for message in received
        ]
        return {"Records": records}

    def delete_message(self, receipt_handle: str) -> None:
        self.memory.messages.delete(receipt_handle)

    def forward(self) -> None:
        for message in self.memory.messages.kept:
            message.visible_at = 0.0

    def forget_messages(self) -> None:
        self.memory.messages.kept.clear()

    def queued(self) -> int:
        return len(self.memory.messages.kept)

    def dead_letters(self) -> list[str]:
        return self.memory.messages.dead_letters


class _NotHere:
    """Whoever asked moto would be answered by a storage in which nothing is."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"storage and queue are twins here; {name} of AWS knows nothing of them")
