"""Organisations: name, policy, quota and counters, one row each."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pynamodb.exceptions import DoesNotExist, PynamoDBException, TransactWriteError
from pynamodb.expressions.operand import Path
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.errors import LastOwner, SecondFactorRequired
from chalicelib.platform.tables import Tables, contention_on_condition, failed_conditions
from chalicelib.tenants.organization import NewOrganization, Organization, Policy, Usage
from chalicelib.tenants.rows import OrganizationRow

#: What an organisation's own people can change.
CHANGEABLE = frozenset({"name", "allowed_types", "refused_types", "max_file_bytes", "match_extension"})


class OrganizationStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._organizations = tables.bind(OrganizationRow)

    def create(self, new: NewOrganization) -> Organization:
        """:raises VersionConflict: the organisation exists."""
        row = self._new_row(new, owners=0)
        with contention_on_condition():
            row.save(condition=OrganizationRow.organization_id.does_not_exist())
        return to_organization(row)

    def add_to(self, transaction: TransactWrite, new: NewOrganization) -> None:
        """The action that creates an organisation together with its first owner."""
        row = self._new_row(new, owners=1)
        transaction.save(row, condition=OrganizationRow.organization_id.does_not_exist())

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
        try:
            return to_organization(self._organizations.get(organization_id, consistent_read=True))
        except DoesNotExist:
            return None

    def is_reachable(self) -> bool:
        """Whether the tables answer. An absent organisation counts as an answer."""
        try:
            self.find("health")
        except PynamoDBException:
            return False
        return True

    def all(self) -> Iterator[Organization]:
        """Every organisation: a scan, for operators only."""
        return (to_organization(row) for row in self._organizations.scan())

    def ids(self) -> Iterator[str]:
        """Of every organisation: a scan, for what runs once an hour."""
        scanned = self._organizations.scan(attributes_to_get=["organization_id"])
        return (row.organization_id for row in scanned)

    def set_quota(self, organization_id: str, quota_bytes: int, quota_files: int) -> None:
        """Available bytes and files move with the quota; used ones stay, even when they exceed the new quota.

        :raises VersionConflict: the quota was changed by someone else meanwhile, or there is no such organisation.
        """
        with contention_on_condition():
            try:
                row = self._organizations.get(organization_id, consistent_read=True)
            except DoesNotExist:
                return
            row.update(
                actions=[
                    OrganizationRow.quota_bytes.set(quota_bytes),
                    OrganizationRow.quota_files.set(quota_files),
                    OrganizationRow.bytes_available.add(quota_bytes - int(row.quota_bytes)),
                    OrganizationRow.files_available.add(quota_files - int(row.quota_files)),
                ],
                condition=(OrganizationRow.quota_bytes == row.quota_bytes)
                & (OrganizationRow.quota_files == row.quota_files),
            )

    def set_policy(self, organization_id: str, policy: Policy) -> None:
        """:raises VersionConflict: there is no such organisation."""
        with contention_on_condition():
            self._organizations(organization_id).update(
                actions=[
                    OrganizationRow.allowed_types.set(list(policy.allowed_types)),
                    OrganizationRow.refused_types.set(list(policy.refused_types)),
                    OrganizationRow.max_file_bytes.set(policy.max_file_bytes)
                    if policy.max_file_bytes is not None
                    else OrganizationRow.max_file_bytes.remove(),
                    OrganizationRow.match_extension.set(policy.match_extension),
                ],
                condition=OrganizationRow.organization_id.exists(),
            )

    def change(self, organization_id: str, changes: Mapping[str, Any]) -> Organization:
        """Write these columns and no others, in one call; None removes.

        :param changes: ``name``, and the fields of Policy.
        :raises VersionConflict: there is no such organisation.
        """
        actions = []
        for field in sorted(changes.keys() & CHANGEABLE):
            column, value = getattr(OrganizationRow, field), changes[field]
            actions.append(column.remove() if value is None else column.set(value))
        row = self._organizations(organization_id)
        with contention_on_condition():
            # Afterwards the row has all its columns, as they are now.
            row.update(actions=actions, condition=OrganizationRow.organization_id.exists())
        return to_organization(row)

    def set_require_second_factor(self, organization_id: str, required: bool) -> None:
        """:raises VersionConflict: there is no such organisation."""
        with contention_on_condition():
            self._organizations(organization_id).update(
                actions=[OrganizationRow.require_second_factor.set(required)],
                condition=OrganizationRow.organization_id.exists(),
            )

    def set_counters(
        self,
        as_read: Organization,
        bytes_used: int,
        files_used: int,
        counts: dict[str, int],
        also: Callable[[TransactWrite], None],
    ) -> None:
        """Replace the counters; available bytes and files are computed from the quota at that moment.

        :param also: adds what has to be written in the same transaction, at most 99 actions (AWS limit).
        :raises VersionConflict: they are not as read any more.
        """
        unchanged = OrganizationRow.counter_changes == as_read.counter_changes
        if not as_read.counter_changes:
            # Rows written before this number existed get it at their first change.
            unchanged |= OrganizationRow.counter_changes.does_not_exist()

        def fill(transaction: TransactWrite) -> None:
            transaction.update(
                self._organizations(as_read.organization_id),
                actions=[
                    OrganizationRow.bytes_used.set(bytes_used),
                    OrganizationRow.files_used.set(files_used),
                    OrganizationRow.bytes_available.set(OrganizationRow.quota_bytes - bytes_used),
                    OrganizationRow.files_available.set(OrganizationRow.quota_files - files_used),
                    Path("counts").set({key: count for key, count in counts.items() if count}),
                    OrganizationRow.counter_changes.add(1),
                ],
                condition=unchanged,
            )
            also(transaction)

        with contention_on_condition():
            self._tables.transact(fill)


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
        owners=int(row.owners),
        require_second_factor=bool(row.require_second_factor),
        counts={key: int(count) for key, count in row.counts.attribute_values.items()},
    )
