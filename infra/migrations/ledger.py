"""What was applied, in the deployment's own migrations table, and the lock that lets one runner work at a time.

Every write to the ledger is in one transaction with a check that we still hold the lock, so a runner that was thought
dead and wakes up again can't write into the work of the next.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, PutError, TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.clock import timestamp
from chalicelib.platform.tables import ClientLimits, Tables

LOCK_ID = "lock"
#: A runner renews at every step; one that is silent for longer than this is taken for dead.
LOCK_SECONDS = 120
APPLIED = "applied"
RUNNING = "running"


class MigrationError(Exception):
    """The sentence says what is in the way and what to do."""


class LedgerRow(Model):
    class Meta(ClientLimits):
        table_name = "migrations"

    migration_id = UnicodeAttribute(hash_key=True)
    state = UnicodeAttribute(null=True)
    position = JSONAttribute(null=True)
    changed_at = UnicodeAttribute(null=True)
    owner = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)


@dataclass(frozen=True)
class Entry:
    migration_id: str
    state: str
    changed_at: str
    position: Any


class Ledger:
    def __init__(self, table_prefix: str) -> None:
        tables = Tables(table_prefix)
        self._rows = tables.bind(LedgerRow)
        self._owner = str(uuid.uuid4())
        self._connection = tables.connection

    def entries(self) -> dict[str, Entry]:
        """Everything recorded, by migration id."""
        return {
            row.migration_id: Entry(row.migration_id, row.state or RUNNING, row.changed_at or "", row.position)
            for row in self._rows.scan(consistent_read=True)
            if row.migration_id != LOCK_ID
        }

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        :raises MigrationError: somebody else does.
        """
        free = LedgerRow.migration_id.does_not_exist() | (LedgerRow.expires_at < int(time.time()))
        try:
            self._lock_row().save(condition=free)
        except PutError as error:
            # The second is what DynamoDB says while the holder's own transaction is at the lock.
            if error.cause_response_code not in ("ConditionalCheckFailedException", "TransactionConflictException"):
                raise
            raise MigrationError(
                "Another runner is applying migrations right now. Wait for it; if it died, its lock ends by itself "
                f"within {LOCK_SECONDS} seconds."
            ) from None
        try:
            yield
        finally:
            # Taken over by another runner after ours had run out, it is theirs to delete.
            with suppress(DeleteError):
                self._rows(LOCK_ID).delete(condition=LedgerRow.owner == self._owner)

    def record(self, migration_id: str, state: str, position: Any = None) -> None:
        """Write an entry and renew the lock, on the condition that it is still ours.

        :raises MigrationError: it is not.
        """
        row = self._rows(migration_id, state=state, position=position, changed_at=timestamp())
        try:
            with TransactWrite(connection=self._connection, client_request_token=str(uuid.uuid4())) as transaction:
                transaction.save(self._lock_row(), condition=LedgerRow.owner == self._owner)
                transaction.save(row)
        except TransactWriteError as error:
            if any(reason and reason.code == "ConditionalCheckFailed" for reason in error.cancellation_reasons):
                raise MigrationError(
                    "The lock was lost to another runner, so this one stops. Nothing is half done: run migrate again."
                ) from None
            raise

    def _lock_row(self) -> LedgerRow:
        return self._rows(LOCK_ID, owner=self._owner, expires_at=int(time.time()) + LOCK_SECONDS)
