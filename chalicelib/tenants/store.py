"""Organisations: name, policy, quota and counters, one row each. Each change but the counters' leaves its events."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pynamodb.exceptions import DoesNotExist, PynamoDBException, TransactWriteError
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.events.outbox_store import Outbox
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import LastOwner, SecondFactorRequired
from chalicelib.platform.tables import Tables, contention_on_condition, failed_conditions
from chalicelib.tenants.event_records import event_of_creation, event_of_deletion, event_of_repair, events_of_change
from chalicelib.tenants.organization import NewOrganization, Organization, Policy, Usage
from chalicelib.tenants.rows import OrganizationRow


class OrganizationStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._organizations = tables.bind(OrganizationRow)
        self._outbox = Outbox(tables)

    def create(self, new: NewOrganization) -> Organization:
        """:raises VersionConflict: the organisation exists."""
        with contention_on_condition():
            self._tables.transact(lambda transaction: self.add_to(transaction, new, owners=0))
        return to_organization(self._new_row(new, owners=0))

    def add_to(self, transaction: TransactWrite, new: NewOrganization, *, owners: int = 1) -> None:
        """The actions that create an organisation; without more said, together with its first owner."""
        row = self._new_row(new, owners)
        transaction.save(row, condition=OrganizationRow.organization_id.does_not_exist())
        self._outbox.add(transaction, event_of_creation(to_organization(row)))

    def _new_row(self, new: NewOrganization, owners: int) -> OrganizationRow:
        return self._organizations(
            organization_id=new.organization_id,
            name=new.name,
            created_at=new.created_at,
            quota_bytes=new.quota_bytes,
            quota_files=new.quota_files,
            bytes_available=new.quota_bytes,
            files_available=new.quota_files,
            owners=owners,
        )

    def find(self, organization_id: str) -> Organization | None:
        """None also for a deleted one."""
        try:
            row = self._organizations.get(organization_id, consistent_read=True)
        except DoesNotExist:
            return None
        return to_organization(row) if row.deleted_at is None else None

    def is_reachable(self) -> bool:
        """Whether the tables answer. An absent organisation counts as an answer."""
        try:
            self.find("health")
        except PynamoDBException:
            return False
        return True

    def all(self) -> Iterator[Organization]:
        """Every organisation: a scan, for operators only."""
        return (to_organization(row) for row in self._organizations.scan(OrganizationRow.deleted_at.does_not_exist()))

    def ids(self) -> Iterator[str]:
        """Of every organisation, deleted ones included as long as they have events: a scan, for what runs hourly."""
        scanned = self._organizations.scan(attributes_to_get=["organization_id"])
        return (row.organization_id for row in scanned)

    def replace(self, before: Organization, after: Organization) -> Organization:
        """Write what has changed of name, policy, quota and requirement; counters stay. Nothing, if nothing has.

        Available bytes and files move with the quota; used ones stay, even when they exceed the new quota.

        :returns: the organisation as written.
        :raises VersionConflict: it was changed meanwhile, or is gone.
        """
        written = replace(after, version=before.version + 1)
        actions = _actions(before, written)
        if not actions:
            return before
        as_read = OrganizationRow.version == before.version
        if before.version == 0:
            as_read = OrganizationRow.organization_id.exists() & (as_read | OrganizationRow.version.does_not_exist())

        def fill(transaction: TransactWrite) -> None:
            self._outbox.add(transaction, *events_of_change(before, written))
            transaction.update(
                self._organizations(before.organization_id),
                actions=[*actions, OrganizationRow.version.set(written.version)],
                condition=as_read,
                add_version_condition=False,
            )

        with contention_on_condition():
            self._tables.transact(fill)
        return written

    def delete(self, organization: Organization, forgotten_at: int) -> None:
        """Mark an organisation that has nothing any more as deleted. Its row goes once its events are of no use.

        :param organization: as read, without files.
        :param forgotten_at: epoch seconds, from which DynamoDB may delete the row.
        :raises VersionConflict: it has an owner or was changed, or its counters have moved, since it was read.
        """
        as_read = OrganizationRow.counter_changes == organization.counter_changes
        if not organization.counter_changes:
            as_read |= OrganizationRow.counter_changes.does_not_exist()
        same_version = OrganizationRow.version == organization.version
        if not organization.version:
            same_version |= OrganizationRow.version.does_not_exist()
        no_owner = OrganizationRow.owners.does_not_exist() | (OrganizationRow.owners <= 0)

        def fill(transaction: TransactWrite) -> None:
            self._outbox.add(transaction, event_of_deletion(organization))
            transaction.update(
                self._organizations(organization.organization_id),
                actions=[
                    OrganizationRow.deleted_at.set(timestamp()),
                    OrganizationRow.forgotten_at.set(forgotten_at),
                    OrganizationRow.version.set(organization.version + 1),
                ],
                condition=OrganizationRow.organization_id.exists()
                & OrganizationRow.deleted_at.does_not_exist()
                & as_read
                & same_version
                & no_owner,
                add_version_condition=False,
            )

        with contention_on_condition():
            self._tables.transact(fill)

    def set_counters(
        self,
        as_read: Organization,
        bytes_used: int,
        files_used: int,
        counts: dict[str, int],
        being_hashed: int,
        differences: list[str],
        also: Callable[[TransactWrite], None],
    ) -> None:
        """Replace the counters; available bytes and files are computed from the quota at that moment.

        :param differences: a line for each that was wrong, for the event.
        :param also: adds what has to be written in the same transaction, at most 98 actions (AWS limit).
        :raises VersionConflict: they are not as read any more.
        """
        unchanged = OrganizationRow.counter_changes == as_read.counter_changes
        if not as_read.counter_changes:
            # Rows written before this number existed get it at their first change.
            unchanged |= OrganizationRow.counter_changes.does_not_exist()

        def fill(transaction: TransactWrite) -> None:
            self._outbox.add(transaction, event_of_repair(as_read, differences))
            transaction.update(
                self._organizations(as_read.organization_id),
                actions=[
                    OrganizationRow.bytes_used.set(bytes_used),
                    OrganizationRow.files_used.set(files_used),
                    OrganizationRow.bytes_available.set(OrganizationRow.quota_bytes - bytes_used),
                    OrganizationRow.files_available.set(OrganizationRow.quota_files - files_used),
                    Path("counts").set({key: count for key, count in counts.items() if count}),
                    OrganizationRow.being_hashed.set(being_hashed),
                    OrganizationRow.counter_changes.add(1),
                ],
                condition=unchanged,
            )
            also(transaction)

        with contention_on_condition():
            self._tables.transact(fill)


def _actions(before: Organization, after: Organization) -> list[Action]:
    """What has to be written of name, policy, quota and requirement."""
    old, new = before.policy, after.policy
    columns: tuple[tuple[Any, Any, Any], ...] = (
        (OrganizationRow.name, before.name, after.name),
        (OrganizationRow.allowed_types, list(old.allowed_types), list(new.allowed_types)),
        (OrganizationRow.refused_types, list(old.refused_types), list(new.refused_types)),
        (OrganizationRow.max_file_bytes, old.max_file_bytes, new.max_file_bytes),
        (OrganizationRow.match_extension, old.match_extension, new.match_extension),
        (OrganizationRow.require_second_factor, before.require_second_factor, after.require_second_factor),
        (OrganizationRow.quota_bytes, before.quota_bytes, after.quota_bytes),
        (OrganizationRow.quota_files, before.quota_files, after.quota_files),
    )
    actions: list[Action] = [
        column.set(value) if value is not None else column.remove() for column, was, value in columns if value != was
    ]
    if more_bytes := after.quota_bytes - before.quota_bytes:
        actions.append(OrganizationRow.bytes_available.add(more_bytes))
    if more_files := after.quota_files - before.quota_files:
        actions.append(OrganizationRow.files_available.add(more_files))
    return actions


def count_owners(
    transaction: TransactWrite,
    model: type[OrganizationRow],
    organization_id: str,
    change: int,
    *,
    even_last: bool = False,
) -> None:
    """Add to a transaction that there is one owner more, or less; the last must stay, unless it says otherwise."""
    exists = OrganizationRow.organization_id.exists()
    transaction.update(
        model(organization_id),
        actions=[OrganizationRow.owners.add(change)],
        condition=exists if change > 0 or even_last else exists & (OrganizationRow.owners > 1),
        add_version_condition=False,
    )


def ask_for_no_second_factor(transaction: TransactWrite, model: type[OrganizationRow], organization_id: str) -> None:
    """Add to a transaction that the organisation requires no second factor at that moment. It comes first."""
    transaction.condition_check(
        model,
        organization_id,
        condition=OrganizationRow.require_second_factor.does_not_exist()
        | (OrganizationRow.require_second_factor == False),  # noqa: E712
    )


@contextmanager
def second_factor_asked(asked: bool) -> Iterator[None]:
    """Turns a failed condition of :func:`ask_for_no_second_factor` into SecondFactorRequired.

    :raises SecondFactorRequired: all else is as read, and the organisation requires one.
    """
    try:
        yield
    except TransactWriteError as error:
        if asked and set(failed_conditions(error)) == {0}:
            raise SecondFactorRequired from error
        raise


@contextmanager
def last_owner_kept(position: int | None) -> Iterator[None]:
    """Turns a failed condition of :func:`count_owners` into LastOwner.

    :param position: of that action in the transaction; None when there is none.
    :raises LastOwner: the user is as read, and the last owner.
    """
    try:
        yield
    except TransactWriteError as error:
        if set(failed_conditions(error)) == {position}:
            raise LastOwner from error
        raise


def to_organization(row: OrganizationRow) -> Organization:
    return Organization(
        organization_id=row.organization_id,
        name=row.name,
        created_at=row.created_at,
        quota_bytes=int(row.quota_bytes),
        quota_files=int(row.quota_files),
        usage=Usage(
            bytes_used=int(row.bytes_used),
            bytes_available=int(row.bytes_available),
            files_used=int(row.files_used),
            files_available=int(row.files_available),
        ),
        policy=Policy(
            allowed_types=tuple(row.allowed_types),
            refused_types=tuple(row.refused_types),
            max_file_bytes=int(row.max_file_bytes) if row.max_file_bytes is not None else None,
            # Rows written before this rule existed do not have it.
            match_extension=bool(row.match_extension),
        ),
        counter_changes=int(row.counter_changes),
        being_hashed=int(row.being_hashed or 0),
        owners=int(row.owners),
        require_second_factor=bool(row.require_second_factor),
        version=int(row.version),
        counts={key: int(count) for key, count in row.counts.attribute_values.items()},
    )
