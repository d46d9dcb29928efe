"""Users, their unique usernames and their live sessions. Each change of a user is written with the events that tell it.

The user's row lists the live sessions, so that disabling a user or changing a password ends every one of them in the
same transaction: nothing eventually consistent decides who is signed in.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from pynamodb.exceptions import DoesNotExist, TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import keys
from chalicelib.accounts.event_records import event_of_creation, events_of_change, events_of_deletion, events_of_start
from chalicelib.accounts.records import EndReason, SecondFactor, Session, SignInMethod, User
from chalicelib.accounts.rows import SessionRow, UsernameRow, UserRow
from chalicelib.accounts.session_store import role_of, to_session_row
from chalicelib.events.outbox_store import Outbox
from chalicelib.kernel.errors import UsernameLooksTaken, UsernameTaken
from chalicelib.kernel.permissions import Role
from chalicelib.platform.tables import Tables, contention_on_condition, failed_conditions
from chalicelib.tenants.rows import OrganizationRow
from chalicelib.tenants.store import (
    ask_for_no_second_factor,
    count_owners,
    last_owner_kept,
    second_factor_asked,
)


class UserStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._users = tables.bind(UserRow)
        self._usernames = tables.bind(UsernameRow)
        self._sessions = tables.bind(SessionRow)
        self._organizations = tables.bind(OrganizationRow)
        self._outbox = Outbox(tables)

    def create(self, user: User) -> None:
        """
        :raises UsernameTaken: or one that looks like it.
        :raises VersionConflict: there is no such organisation.
        """
        with contention_on_condition(), names_free(user.username, position=0):
            self._tables.transact(lambda transaction: self.add_to(transaction, user))

    def create_with_organization(self, user: User, add_organization: Callable[[TransactWrite], None]) -> None:
        """An organisation and its first owner, in one transaction.

        :raises UsernameTaken: or one that looks like it.
        """

        def fill(transaction: TransactWrite) -> None:
            self.add_to(transaction, user, with_organization=True)
            add_organization(transaction)

        with contention_on_condition(), names_free(user.username, position=0):
            self._tables.transact(fill)

    def check_role(
        self, transaction: TransactWrite, organization_id: str, user_id: str, roles: Collection[Role]
    ) -> None:
        """Add to a transaction the condition that a user has one of these roles and is not disabled."""
        has_role = UserRow.role.is_in(*(role.value for role in roles))
        enabled = UserRow.disabled == False  # noqa: E712
        transaction.condition_check(self._users, organization_id, user_id, condition=has_role & enabled)

    def add_to(self, transaction: TransactWrite, user: User, *, with_organization: bool = False) -> None:
        """The actions that create a user, four or five, for a transaction that writes more than that.

        Among the puts the name comes first, which :func:`names_free` wants to know.

        :param with_organization: the transaction creates the organisation, with its count of owners.
        """
        name = self._usernames(user.username, organization_id=user.organization_id, user_id=user.user_id)
        transaction.save(name, condition=UsernameRow.username.does_not_exist())
        transaction.save(self._skeleton(user), condition=UsernameRow.username.does_not_exist())
        transaction.save(_to_row(self._users, user), condition=UserRow.user_id.does_not_exist())
        self._outbox.add(transaction, event_of_creation(user))
        if user.is_active_owner and not with_organization:
            count_owners(transaction, self._organizations, user.organization_id, +1)

    def claim_skeleton(self, user: User) -> bool:
        """For names from before look-alikes were refused. Whether nobody else's name looks like it; repeatable."""
        own = UsernameRow.user_id == user.user_id

        def fill(transaction: TransactWrite) -> None:
            # A user who is removed meanwhile must leave nothing behind.
            transaction.condition_check(self._usernames, user.username, condition=own)
            transaction.save(self._skeleton(user), condition=UsernameRow.username.does_not_exist() | own)

        try:
            self._tables.transact(fill)
        except TransactWriteError as error:
            failed = failed_conditions(error)
            if not failed:
                raise
            return 0 in failed
        return True

    def _skeleton(self, user: User) -> UsernameRow:
        key = keys.skeleton_key(user.username)
        return self._usernames(key, organization_id=user.organization_id, user_id=user.user_id)

    def _owns_skeleton(self, user: User) -> bool:
        """Whether its row is this user's, or nobody's yet. One of two look-alikes from before has none."""
        try:
            row = self._usernames.get(keys.skeleton_key(user.username), consistent_read=True)
        except DoesNotExist:
            return True
        return row.user_id == user.user_id

    def find_by_username(self, username: str) -> User | None:
        """Two calls whether the user exists or not, so that the answer's time does not tell."""
        try:
            name = self._usernames.get(username, consistent_read=True)
            organization_id, user_id = name.organization_id, name.user_id
        except DoesNotExist:
            organization_id, user_id = "nobody", "nobody"
        return self.find(organization_id, user_id)

    def find(self, organization_id: str, user_id: str) -> User | None:
        try:
            return _to_user(self._users.get(organization_id, user_id, consistent_read=True))
        except DoesNotExist:
            return None

    def of_organization(self, organization_id: str) -> Iterator[User]:
        return (_to_user(row) for row in self._users.query(organization_id, consistent_read=True))

    def start_session(
        self,
        user: User,
        session: Session,
        live_sessions: tuple[str, ...],
        ended: list[str],
        *,
        how: SignInMethod,
        second_factor: SecondFactor | None = None,
        challenge: str | None = None,
    ) -> None:
        """Add a session to a user who is still as read, and end those that had to make room.

        :param ended: token hashes, at most 90 (a transaction takes 100 actions).
        :param second_factor: as it is after the code that was used.
        :param challenge: token hash of the login that this completes, which ends with it.
        :raises VersionConflict: the user was changed meanwhile: disabled, a new password, another login; or the
            challenge was used.
        :raises SecondFactorRequired: the organisation requires one, and the session was started without.
        """
        events = events_of_start(user, session, how, ended, str(user.version + 1))
        # So that a session without never begins after the requirement, whenever that is set.
        asked = not (session.caller.has_second_factor or session.caller.must_set_up_second_factor)

        def fill(transaction: TransactWrite) -> None:
            if asked:
                ask_for_no_second_factor(transaction, self._organizations, user.organization_id)
            transaction.update(
                self._users(user.organization_id, user.user_id),
                actions=[
                    UserRow.live_sessions.set(list(live_sessions)),
                    UserRow.version.set(user.version + 1),
                    *_use_of(second_factor),
                ],
                condition=(UserRow.version == user.version) & (UserRow.disabled == False),  # noqa: E712
                add_version_condition=False,
            )
            transaction.save(to_session_row(self._sessions, session))
            self._outbox.add(transaction, *events)
            if challenge is not None:
                condition = SessionRow.token_hash.exists()
                transaction.delete(self._sessions(challenge), condition=condition, add_version_condition=False)
            for token_hash in ended:
                transaction.delete(self._sessions(token_hash), add_version_condition=False)

        with contention_on_condition(), second_factor_asked(asked):
            self._tables.transact(fill)

    def page(self, organization_id: str, limit: int, after_user_id: str | None) -> list[User]:
        """In the order of their ids.

        :param after_user_id: the last of the page before; None for the first page.
        """
        after = UserRow.user_id > after_user_id if after_user_id is not None else None
        rows = self._users.query(organization_id, after, consistent_read=True, limit=limit)
        return [_to_user(row) for row in rows]

    def replace(
        self,
        user: User,
        changed: User,
        ended: list[str],
        *,
        even_last_owner: bool = False,
        unless_required: bool = False,
        reason: EndReason | None = None,
    ) -> None:
        """Write the user anew, end sessions, and tell what they need to those that go on, all in one transaction.

        :param even_last_owner: leave the organisation without an owner if need be.
        :param unless_required: only if the organisation requires no second factor.
        :param reason: why sessions end, where the change of the user does not say it.
        :raises VersionConflict: the user was changed meanwhile.
        :raises LastOwner: it would leave the organisation without one.
        :raises SecondFactorRequired: the organisation requires one.
        """
        lost_owner = user.is_active_owner and not changed.is_active_owner
        told = _told_to_sessions(user, changed)
        going_on = [entry.partition(":")[2] for entry in changed.live_sessions] if told else []
        events = events_of_change(user, changed, ended, reason)

        def fill(transaction: TransactWrite) -> None:
            if unless_required:
                ask_for_no_second_factor(transaction, self._organizations, user.organization_id)
            transaction.save(_to_row(self._users, changed), condition=UserRow.version == user.version)
            self._outbox.add(transaction, *events)
            if changed.is_active_owner != user.is_active_owner:
                organization_id, change = user.organization_id, -1 if lost_owner else +1
                count_owners(transaction, self._organizations, organization_id, change, even_last=even_last_owner)
            for token_hash in ended:
                transaction.delete(self._sessions(token_hash), add_version_condition=False)
            for token_hash in going_on:
                transaction.update(
                    self._sessions(token_hash),
                    actions=told,
                    condition=SessionRow.token_hash.exists(),
                    add_version_condition=False,
                )

        # PynamoDB sends checks first, then deletions, puts, updates.
        position = unless_required + len(ended) + 1 + len(events) if lost_owner else None
        with contention_on_condition(), last_owner_kept(position), second_factor_asked(unless_required):
            self._tables.transact(fill)

    def remove(self, user: User, ended: list[str]) -> None:
        """Delete the user, the name and the sessions, all in one transaction. The name can be taken again.

        :raises VersionConflict: the user was changed meanwhile.
        :raises LastOwner: it would leave the organisation without one.
        """
        lost_owner = user.is_active_owner
        owns_skeleton = self._owns_skeleton(user)
        events = events_of_deletion(user, ended)

        def fill(transaction: TransactWrite) -> None:
            row = self._users(user.organization_id, user.user_id)
            transaction.delete(row, condition=UserRow.version == user.version, add_version_condition=False)
            self._outbox.add(transaction, *events)
            if lost_owner:
                count_owners(transaction, self._organizations, user.organization_id, -1)
            transaction.delete(self._usernames(user.username), add_version_condition=False)
            if owns_skeleton:
                unchanged = UsernameRow.username.does_not_exist() | (UsernameRow.user_id == user.user_id)
                transaction.delete(self._skeleton(user), condition=unchanged, add_version_condition=False)
            for token_hash in ended:
                transaction.delete(self._sessions(token_hash), add_version_condition=False)

        # After the deletions of the user, the name, its skeleton and the sessions, and after the events.
        counted_at = 2 + owns_skeleton + len(ended) + len(events)
        with contention_on_condition(), last_owner_kept(position=counted_at if lost_owner else None):
            self._tables.transact(fill)


@contextmanager
def names_free(username: str, position: int) -> Iterator[None]:
    """Turns failed conditions of :meth:`UserStore.add_to` into the error that says which name is not free.

    :param position: of the first put in the transaction.
    :raises UsernameTaken: or one that looks like it.
    """
    try:
        yield
    except TransactWriteError as error:
        failed = failed_conditions(error)
        if position in failed:
            raise UsernameTaken(f"The username '{username}' is taken.") from error
        if position + 1 in failed:
            sentence = f"The username '{username}' looks like one that is taken. Choose one that nobody takes for it."
            raise UsernameLooksTaken(sentence) from error
        raise


def _to_row(model: type[UserRow], user: User) -> UserRow:
    return model(
        user.organization_id,
        user.user_id,
        username=user.username,
        password_hash=user.password_hash,
        disabled=user.disabled,
        created_at=user.created_at,
        role=user.role.value,
        live_sessions=list(user.live_sessions),
        version=user.version,
        totp_secret=user.second_factor.secret if user.second_factor else None,
        totp_pending_secret=user.pending_secret,
        totp_last_step=user.second_factor.last_step if user.second_factor else None,
        recovery_codes=list(user.second_factor.recovery_codes) if user.second_factor else None,
    )


def _use_of(second_factor: SecondFactor | None) -> list[Action]:
    """What a used code changes of its user's row."""
    if second_factor is None:
        return []
    return [
        UserRow.totp_last_step.set(second_factor.last_step),
        UserRow.recovery_codes.set(list(second_factor.recovery_codes)),
    ]


def _told_to_sessions(user: User, changed: User) -> list[Action]:
    """What a change of the user changes of the user's sessions."""
    told: list[Action] = []
    if changed.role != user.role:
        told.append(SessionRow.role.set(changed.role.value))
    if (changed.second_factor is None) != (user.second_factor is None):
        told.append(SessionRow.has_second_factor.set(changed.second_factor is not None))
        told.append(SessionRow.must_set_up_second_factor.remove())
    return told


def _to_user(row: UserRow) -> User:
    return User(
        organization_id=row.organization_id,
        user_id=row.user_id,
        username=row.username,
        password_hash=row.password_hash,
        disabled=row.disabled,
        created_at=row.created_at,
        role=role_of(row.role),
        live_sessions=tuple(row.live_sessions),
        version=int(row.version),
        second_factor=_second_factor(row),
        pending_secret=row.totp_pending_secret,
    )


def _second_factor(row: UserRow) -> SecondFactor | None:
    if row.totp_secret is None:
        return None
    return SecondFactor(row.totp_secret, int(row.totp_last_step), tuple(row.recovery_codes))
