"""API keys: one row each, in the partition of their organisation, so that one read finds a key and one query all.

One more row of the partition counts how many keys were ever made. Whoever makes one has read the list, and writes on
the condition that no other was made since: so there are never more than allowed, however many ask at once.
"""

from collections.abc import Iterable

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.api_keys.event_records import event_of_creation, event_of_deletion, events_of_change
from chalicelib.api_keys.records import ApiKey, ApiKeys, Maker
from chalicelib.api_keys.rows import ApiKeyRow
from chalicelib.events.outbox_store import Outbox
from chalicelib.kernel.errors import VersionConflict
from chalicelib.kernel.permissions import Scope
from chalicelib.platform.tables import Tables, contention_on_condition

#: Sorts before every id of a key, and can't be one.
_COUNT = "#made"
#: How long a key is listed after it has ended.
LISTED_AFTER_END_SECONDS = 30 * 24 * 3600


class ApiKeyStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.bind(ApiKeyRow)
        self._outbox = Outbox(tables)

    def find(self, organization_id: str, key_id: str) -> ApiKey | None:
        try:
            return _to_key(self._rows.get(organization_id, key_id, consistent_read=True))
        except DoesNotExist:
            return None

    def of_organization(self, organization_id: str) -> ApiKeys:
        keys, made = [], 0
        for row in self._rows.query(organization_id, consistent_read=True):
            if row.key_id == _COUNT:
                made = int(row.version)
            else:
                keys.append(_to_key(row))
        return ApiKeys(keys, made)

    def check_scopes(
        self, transaction: TransactWrite, organization_id: str, key_id: str, scopes: Iterable[Scope], now: int
    ) -> None:
        """Add to a transaction the condition that a key is live and has these scopes."""
        live = ApiKeyRow.revoked_at.does_not_exist() & (
            ApiKeyRow.expires_at.does_not_exist() | (ApiKeyRow.expires_at > now)
        )
        for scope in sorted(scopes):
            live &= ApiKeyRow.scopes.contains(scope.value)
        transaction.condition_check(self._rows, organization_id, key_id, condition=live)

    def create(self, key: ApiKey, made: int) -> None:
        """
        :param made: how many were ever made, as read with the list.
        :raises VersionConflict: another was made meanwhile.
        """
        count = ApiKeyRow.version == made
        if made == 0:
            count |= ApiKeyRow.version.does_not_exist()

        def fill(transaction: TransactWrite) -> None:
            transaction.save(_to_row(self._rows, key), condition=ApiKeyRow.key_id.does_not_exist())
            self._outbox.add(transaction, event_of_creation(key))
            transaction.update(
                self._rows(key.organization_id, _COUNT),
                actions=[ApiKeyRow.version.set(made + 1)],
                condition=count,
                add_version_condition=False,
            )

        with contention_on_condition():
            self._tables.transact(fill)

    def replace(self, key: ApiKey, changed: ApiKey) -> None:
        """Write what of a key can change, but for its last use.

        :raises VersionConflict: the key was changed or deleted meanwhile.
        """
        actions: list[Action] = [
            ApiKeyRow.name.set(changed.name),
            ApiKeyRow.scopes.set(sorted(changed.scopes)),
            ApiKeyRow.secret_hash.set(changed.secret_hash),
            _set(ApiKeyRow.old_secret_hash, changed.old_secret_hash),
            ApiKeyRow.old_secret_expires_at.set(changed.old_secret_expires_at),
            _set(ApiKeyRow.revoked_at, changed.revoked_at),
            _set(ApiKeyRow.vanishes_at, _vanishes_at(changed)),
            ApiKeyRow.version.set(changed.version),
        ]
        events = events_of_change(key, changed)

        def fill(transaction: TransactWrite) -> None:
            self._outbox.add(transaction, *events)
            transaction.update(
                self._rows(key.organization_id, key.key_id),
                actions=actions,
                condition=ApiKeyRow.version == key.version,
                add_version_condition=False,
            )

        with contention_on_condition():
            self._tables.transact(fill)

    def note_use(self, key: ApiKey, hour: int) -> None:
        """Repeatable; of those who use a key at the same moment of an hour, one writes.

        :raises VersionConflict: noted already, or the key was deleted.
        """
        unknown = ApiKeyRow.last_used_hour.does_not_exist() | (ApiKeyRow.last_used_hour < hour)
        with contention_on_condition():
            self._rows(key.organization_id, key.key_id).update(
                actions=[ApiKeyRow.last_used_hour.set(hour)], condition=ApiKeyRow.key_id.exists() & unknown
            )

    def forget(self, organization_id: str) -> None:
        """Delete how many keys were ever made, of an organisation that will make no more. Repeatable."""
        self._rows(organization_id, _COUNT).delete(add_version_condition=False)

    def delete(self, key: ApiKey) -> None:
        """Repeatable."""

        def fill(transaction: TransactWrite) -> None:
            row, there = self._rows(key.organization_id, key.key_id), ApiKeyRow.key_id.exists()
            transaction.delete(row, condition=there, add_version_condition=False)
            self._outbox.add(transaction, event_of_deletion(key))

        try:
            with contention_on_condition():
                self._tables.transact(fill)
        except VersionConflict:
            # It is deleted, and whoever deleted it has told so.
            pass


def _set(column: object, value: object) -> Action:
    return column.set(value) if value is not None else column.remove()  # type: ignore[attr-defined, no-any-return]


def _vanishes_at(key: ApiKey) -> int | None:
    ends = [moment for moment in (key.revoked_at, key.expires_at) if moment is not None]
    return min(ends) + LISTED_AFTER_END_SECONDS if ends else None


def _to_row(model: type[ApiKeyRow], key: ApiKey) -> ApiKeyRow:
    return model(
        key.organization_id,
        key.key_id,
        name=key.name,
        scopes=sorted(key.scopes),
        networks=list(key.networks),
        made_by_type=key.made_by.type,
        made_by_id=key.made_by.id,
        made_by_name=key.made_by.name,
        created_at=key.created_at,
        expires_at=key.expires_at,
        vanishes_at=_vanishes_at(key),
        secret_hash=key.secret_hash,
        version=key.version,
    )


def _to_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        organization_id=row.organization_id,
        key_id=row.key_id,
        name=row.name,
        # Another version of the application may know scopes that this one does not.
        scopes=frozenset(scope for scope in Scope if scope in row.scopes),
        networks=tuple(row.networks),
        made_by=Maker(row.made_by_type, row.made_by_id, row.made_by_name),
        created_at=row.created_at,
        expires_at=_number(row.expires_at),
        secret_hash=row.secret_hash,
        old_secret_hash=row.old_secret_hash,
        old_secret_expires_at=int(row.old_secret_expires_at),
        revoked_at=_number(row.revoked_at),
        last_used_hour=_number(row.last_used_hour),
        version=int(row.version),
    )


def _number(stored: float | None) -> int | None:
    return int(stored) if stored is not None else None
