"""Deliveries: one row an event and endpoint, and one more for each that is to be tried again, in the order of time."""

import time
from collections.abc import Iterator
from dataclasses import asdict

from pynamodb.exceptions import DoesNotExist
from pynamodb.transactions import TransactWrite

from chalicelib import keys
from chalicelib.platform.tables import Tables
from chalicelib.webhooks.records import Delivery, DeliveryStatus, Due, Try, Webhook
from chalicelib.webhooks.rows import DeliveryRow, DueRow

#: After the last change.
KEPT_SECONDS = 30 * 24 * 3600


class DeliveryStore:
    """Every method takes the webhook, or a record that names it and its organisation, first."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.bind(DeliveryRow)
        self._due = tables.bind(DueRow)

    def find(self, webhook: Webhook, sequence: int) -> Delivery | None:
        partition = keys.deliveries_partition(webhook.organization_id, webhook.webhook_id)
        try:
            return _to_delivery(webhook, self._rows.get(partition, keys.delivery_place(sequence), consistent_read=True))
        except DoesNotExist:
            return None

    def page(self, webhook: Webhook, before: int | None, limit: int) -> list[Delivery]:
        """The newest events first, from the one before ``before`` on."""
        partition = keys.deliveries_partition(webhook.organization_id, webhook.webhook_id)
        bound = DeliveryRow.place < keys.delivery_place(before) if before is not None else None
        rows = self._rows.query(partition, bound, consistent_read=True, scan_index_forward=False, limit=limit)
        return [_to_delivery(webhook, row) for row in rows]

    def save(self, delivery: Delivery, due: Due | None = None) -> None:
        """Write a delivery, and note when it is to be tried again. Repeatable.

        :param due: why it was tried, which is forgotten.
        """
        row = self._to_row(delivery)
        next_due = self._next_due(delivery)
        if due is None and next_due is None:
            row.save()
            return

        def fill(transaction: TransactWrite) -> None:
            if due is not None and (next_due is None or keys.due_place(due.at, due.sequence) != next_due.place):
                transaction.delete(self._due_row(due), add_version_condition=False)
            transaction.save(row)
            if next_due is not None:
                transaction.save(next_due)

        self._tables.transact(fill)

    def forget(self, due: Due) -> None:
        """Repeatable."""
        self._due_row(due).delete(add_version_condition=False)

    def due(self, webhook: Webhook, limit: int) -> Iterator[Due]:
        """The earliest ones first, those included whose moment has not come."""
        partition = keys.due_partition(webhook.organization_id, webhook.webhook_id)
        for row in self._due.query(partition, consistent_read=True, limit=limit):
            at, sequence = keys.parse_due_place(row.place)
            yield Due(webhook.organization_id, webhook.webhook_id, sequence, at)

    def _due_row(self, due: Due) -> DueRow:
        partition = keys.due_partition(due.organization_id, due.webhook_id)
        return self._due(partition, keys.due_place(due.at, due.sequence), expires_at=int(time.time()) + KEPT_SECONDS)

    def _next_due(self, delivery: Delivery) -> DueRow | None:
        if delivery.next_try_at is None:
            return None
        d = delivery
        return self._due_row(Due(d.organization_id, d.webhook_id, d.sequence, delivery.next_try_at))

    def _to_row(self, delivery: Delivery) -> DeliveryRow:
        return self._rows(
            keys.deliveries_partition(delivery.organization_id, delivery.webhook_id),
            keys.delivery_place(delivery.sequence),
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            created_at=delivery.created_at,
            status=delivery.status.value,
            attempts=delivery.attempts,
            tries=[asdict(one) for one in delivery.tries],
            next_try_at=delivery.next_try_at,
            expires_at=int(time.time()) + KEPT_SECONDS,
        )


def _to_delivery(webhook: Webhook, row: DeliveryRow) -> Delivery:
    return Delivery(
        organization_id=webhook.organization_id,
        webhook_id=webhook.webhook_id,
        sequence=int(row.place),
        event_id=row.event_id,
        event_type=row.event_type,
        created_at=row.created_at,
        status=DeliveryStatus(row.status),
        attempts=int(row.attempts),
        tries=tuple(Try(**one) for one in row.tries),
        next_try_at=int(row.next_try_at) if row.next_try_at is not None else None,
    )
