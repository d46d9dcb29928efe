"""Users, their unique usernames and their live sessions.

The user's row lists the live sessions, so that disabling a user or changing a password ends every one of them in the
same transaction: nothing eventually consistent decides who is signed in.
"""

from collections.abc import Iterator

from pynamodb.exceptions import DoesNotExist
from pynamodb.transactions import TransactWrite

from chalicelib.accounts.records import Session, User
from chalicelib.accounts.rows import SessionRow, UsernameRow, UserRow
from chalicelib.kernel.caller import Caller
from chalicelib.platform.tables import Tables, contention_on_condition


class UserStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._users = tables.bind(UserRow)
        self._usernames = tables.bind(UsernameRow)
        self._sessions = tables.bind(SessionRow)

    def create(self, user: User) -> None:
        """:raises VersionConflict: the username is taken."""
        name = self._usernames(user.username, organization_id=user.organization_id, user_id=user.user_id)

        def fill(transaction: TransactWrite) -> None:
            transaction.save(name, condition=UsernameRow.username.does_not_exist())
            transaction.save(_to_row(self._users, user), condition=UserRow.user_id.does_not_exist())

        with contention_on_condition():
            self._tables.transact(fill)

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

    def start_session(self, user: User, session: Session, live_sessions: tuple[str, ...], ended: list[str]) -> None:
        """Add a session to a user who is still as read, and end those that had to make room.

        :param ended: token hashes, at most 90 (a transaction takes 100 actions).
        :raises VersionConflict: the user was changed meanwhile: disabled, a new password, another login.
        """

        def fill(transaction: TransactWrite) -> None:
            transaction.update(
                self._users(user.organization_id, user.user_id),
                actions=[
                    UserRow.live_sessions.set(list(live_sessions)),
                    UserRow.version.set(user.version + 1),
                ],
                condition=(UserRow.version == user.version) & (UserRow.disabled == False),  # noqa: E712
                add_version_condition=False,
            )
            transaction.save(_to_session_row(self._sessions, session))
            for token_hash in ended:
                transaction.delete(self._sessions(token_hash), add_version_condition=False)

        with contention_on_condition():
            self._tables.transact(fill)

    def replace(self, user: User, changed: User, ended: list[str]) -> None:
        """Write the user anew and end sessions, all in one transaction.

        :raises VersionConflict: the user was changed meanwhile.
        """

        def fill(transaction: TransactWrite) -> None:
            transaction.save(_to_row(self._users, changed), condition=UserRow.version == user.version)
            for token_hash in ended:
                transaction.delete(self._sessions(token_hash), add_version_condition=False)

        with contention_on_condition():
            self._tables.transact(fill)


class SessionStore:
    def __init__(self, tables: Tables) -> None:
        self._sessions = tables.bind(SessionRow)

    def find(self, token_hash: str) -> Session | None:
        try:
            row = self._sessions.get(token_hash, consistent_read=True)
        except DoesNotExist:
            return None
        return Session(
            token_hash=row.token_hash,
            caller=Caller(row.organization_id, row.user_id, row.username),
            created_at=row.created_at,
            expires_at=int(row.expires_at),
            ticket_of=row.ticket_of,
        )

    def create(self, session: Session) -> None:
        _to_session_row(self._sessions, session).save()

    def delete(self, token_hash: str) -> None:
        self._sessions(token_hash).delete(add_version_condition=False)


def _to_row(model: type[UserRow], user: User) -> UserRow:
    return model(
        user.organization_id,
        user.user_id,
        username=user.username,
        password_hash=user.password_hash,
        disabled=user.disabled,
        created_at=user.created_at,
        live_sessions=list(user.live_sessions),
        version=user.version,
    )


def _to_user(row: UserRow) -> User:
    return User(
        organization_id=row.organization_id,
        user_id=row.user_id,
        username=row.username,
        password_hash=row.password_hash,
        disabled=row.disabled,
        created_at=row.created_at,
        live_sessions=tuple(row.live_sessions),
        version=int(row.version),
    )


def _to_session_row(model: type[SessionRow], session: Session) -> SessionRow:
    return model(
        session.token_hash,
        organization_id=session.caller.organization_id,
        user_id=session.caller.user_id,
        username=session.caller.username,
        created_at=session.created_at,
        expires_at=session.expires_at,
        ticket_of=session.ticket_of,
    )
