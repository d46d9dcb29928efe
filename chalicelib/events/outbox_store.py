"""The outbox: events in the transaction of the change that they tell of, and what may have been missed of them."""

import time
from collections.abc import Iterator
from typing import Any

from pynamodb.transactions import TransactWrite

from chalicelib import keys
from chalicelib.events.outbox_rows import OutboxRow
from chalicelib.events.records import Event, PendingEvent
from chalicelib.platform.tables import Tables

#: Far longer than a stream keeps its records (24 h, AWS limit), so that what a stream has lost can be found.
KEPT_SECONDS = 7 * 24 * 3600


class Outbox:
    def __init__(self, tables: Tables) -> None:
        self._rows = tables.bind(OutboxRow)

    def add(self, transaction: TransactWrite, *events: Event | None) -> None:
        """Add to a transaction, after its other puts: DynamoDB reports refusals in the order of the request, which
        PynamoDB makes checks, deletions, puts, updates. So only the places of updates move, by one for each event.
        """
        for event in events:
            if event is not None:
                transaction.save(self._row(event))

    def put(self, event: Event) -> None:
        """For what changes nothing else. Repeatable."""
        self._row(event).save()

    def since(self, partition: str, moment: str) -> Iterator[PendingEvent]:
        """Everything of a partition that is dated from this moment on, published or not, in the order of time."""
        rows = self._rows.query(partition, OutboxRow.moment >= moment, consistent_read=True)
        return (_pending(row.partition, row.moment, row.told) for row in rows)

    def _row(self, event: Event) -> OutboxRow:
        return self._rows(
            keys.outbox_partition(event.organization_id, event.target.id),
            keys.outbox_moment(event.time, event.event_id),
            told=event.told,
            expires_at=int(time.time()) + KEPT_SECONDS,
        )


def read_records(records: list[dict[str, Any]]) -> list[PendingEvent]:
    """What records of the table's stream tell of (AWS: "Using Lambda with Amazon DynamoDB", example event)."""
    images = [record["dynamodb"]["NewImage"] for record in records if record["eventName"] == "INSERT"]
    return [_pending(image["partition"]["S"], image["moment"]["S"], image["told"]["S"]) for image in images]


def _pending(partition: str, moment: str, told: str) -> PendingEvent:
    at, event_id = keys.parse_outbox_moment(moment)
    return PendingEvent(keys.organization_of_outbox(partition), event_id, at, told)
