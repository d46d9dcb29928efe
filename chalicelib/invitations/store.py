"""Open invitations, one row each. Everything is read strongly consistently: what was deleted a moment ago is gone."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pynamodb.exceptions import DoesNotExist, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from chalicelib.accounts.records import User
from chalicelib.accounts.store import UserStore, names_free
from chalicelib.api_keys.store import ApiKeyStore
from chalicelib.events.outbox_store import Outbox
from chalicelib.events.records import Event
from chalicelib.invitations.event_records import (
    event_of_acceptance,
    event_of_creation,
    event_of_deletion,
    event_of_renewal,
)
from chalicelib.invitations.records import Invitation, Inviter
from chalicelib.invitations.rows import InvitationRow
from chalicelib.kernel.caller import ActorType
from chalicelib.kernel.errors import InvitationNotFound, InvitationWithdrawn
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.platform.tables import Tables, contention_on_condition, failed_conditions


class InvitationStore:
    def __init__(self, tables: Tables, users: UserStore, api_keys: ApiKeyStore) -> None:
        self._tables = tables
        self._users = users
        self._api_keys = api_keys
        self._invitations = tables.bind(InvitationRow)
        self._outbox = Outbox(tables)

    def create(self, invitation: Invitation, now: int) -> None:
        """In the place of an expired one, too: DynamoDB's TTL deletes up to days late (AWS documentation).

        :raises VersionConflict: there is an open one with this id, so for the same address.
        """
        free = InvitationRow.invitation_id.does_not_exist() | (InvitationRow.expires_at <= now)
        # Or it is this one, and only the answer to its first writing was lost.
        free |= InvitationRow.token_hash == invitation.token_hash
        self._save(invitation, free, event_of_creation(invitation))

    def find(self, organization_id: str, invitation_id: str) -> Invitation | None:
        try:
            return _to_invitation(self._invitations.get(organization_id, invitation_id, consistent_read=True))
        except DoesNotExist:
            return None

    def of_organization(self, organization_id: str, limit: int) -> list[Invitation]:
        """Expired ones included, until DynamoDB's TTL has deleted them."""
        rows = self._invitations.query(organization_id, consistent_read=True, limit=limit)
        return [_to_invitation(row) for row in rows]

    def count(self, organization_id: str) -> int:
        return self._invitations.count(organization_id, consistent_read=True)

    def renew(self, invitation: Invitation, token_hash: str, expires_at: int, invited_by: Inviter) -> Invitation:
        """Put another token in the place of the one before.

        :raises VersionConflict: it was accepted, deleted or renewed meanwhile.
        """
        renewed = replace(invitation, token_hash=token_hash, expires_at=expires_at, invited_by=invited_by)
        as_read = InvitationRow.token_hash.is_in(invitation.token_hash, token_hash)
        self._save(renewed, as_read, event_of_renewal(invitation, renewed))
        return renewed

    def delete(self, invitation: Invitation) -> None:
        """:raises VersionConflict: it was accepted, deleted or renewed meanwhile."""

        def fill(transaction: TransactWrite) -> None:
            row = self._invitations(invitation.organization_id, invitation.invitation_id)
            as_read = InvitationRow.token_hash == invitation.token_hash
            transaction.delete(row, condition=as_read, add_version_condition=False)
            self._outbox.add(transaction, event_of_deletion(invitation))

        with contention_on_condition():
            self._tables.transact(fill)

    def accept(self, invitation: Invitation, user: User, givers: Collection[Role], now: int) -> None:
        """Create the user and use up the invitation, all in one transaction.

        :param givers: the roles of which whoever invited must have one still.
        :raises InvitationNotFound: it is not as read any more, or has expired.
        :raises InvitationWithdrawn: whoever invited may not give this role any more.
        :raises UsernameTaken: or one that looks like it.
        :raises VersionConflict: there is no such organisation any more.
        """
        checks = self._checks_on(invitation, givers, now)

        def fill(transaction: TransactWrite) -> None:
            for add_check in checks:
                add_check(transaction)
            row = self._invitations(invitation.organization_id, invitation.invitation_id)
            as_read = (InvitationRow.token_hash == invitation.token_hash) & (InvitationRow.expires_at > now)
            transaction.delete(row, condition=as_read, add_version_condition=False)
            self._users.add_to(transaction, user)
            self._outbox.add(transaction, event_of_acceptance(invitation))

        # PynamoDB sends condition checks first, then deletions, then puts.
        deleted_at = len(checks)
        with contention_on_condition(), names_free(user.username, deleted_at + 1), _acceptable(deleted_at):
            self._tables.transact(fill)

    def _save(self, invitation: Invitation, condition: Condition, event: Event) -> None:
        """:raises VersionConflict: the condition is not met."""

        def fill(transaction: TransactWrite) -> None:
            transaction.save(_to_row(self._invitations, invitation), condition=condition)
            self._outbox.add(transaction, event)

        with contention_on_condition():
            self._tables.transact(fill)

    def _checks_on(
        self, invitation: Invitation, givers: Collection[Role], now: int
    ) -> list[Callable[[TransactWrite], None]]:
        """What adds the condition checks that whoever invited may still do so; each kind of inviter has its own.

        :raises InvitationWithdrawn: of this kind there is nothing that could be checked.
        """
        inviter, organization_id = invitation.invited_by, invitation.organization_id
        if inviter.is_operator:
            return []
        if inviter.is_user:
            return [lambda transaction: self._users.check_role(transaction, organization_id, inviter.id, givers)]
        if inviter.type == ActorType.API_KEY:
            needed = ROLE_SCOPES[invitation.role] | {Scope.USERS_MANAGE}
            return [
                lambda transaction: self._api_keys.check_scopes(transaction, organization_id, inviter.id, needed, now)
            ]
        raise InvitationWithdrawn


@contextmanager
def _acceptable(deleted_at: int) -> Iterator[None]:
    """Turns failed conditions of whoever invited, and of the invitation, into the errors that say so.

    :param deleted_at: position of the deletion of the invitation; the checks on whoever invited come before it.
    """
    try:
        yield
    except TransactWriteError as error:
        failed = failed_conditions(error)
        if deleted_at in failed:
            raise InvitationNotFound from error
        if any(position < deleted_at for position in failed):
            raise InvitationWithdrawn from error
        raise


def _to_row(model: type[InvitationRow], invitation: Invitation) -> InvitationRow:
    return model(
        invitation.organization_id,
        invitation.invitation_id,
        token_hash=invitation.token_hash,
        role=invitation.role.value,
        name=invitation.name,
        email=invitation.email,
        invited_by_type=invitation.invited_by.type,
        invited_by_id=invitation.invited_by.id,
        invited_by_name=invitation.invited_by.name,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
        lifetime_seconds=invitation.lifetime_seconds,
    )


def _to_invitation(row: InvitationRow) -> Invitation:
    return Invitation(
        organization_id=row.organization_id,
        invitation_id=row.invitation_id,
        token_hash=row.token_hash,
        role=Role(row.role),
        name=row.name,
        email=row.email,
        invited_by=Inviter(row.invited_by_type, row.invited_by_id, row.invited_by_name),
        created_at=row.created_at,
        expires_at=int(row.expires_at),
        lifetime_seconds=int(row.lifetime_seconds),
    )
