"""Live sessions, upload tickets and logins that wait for their code: all found by the hash of a token."""

from dataclasses import replace

from pynamodb.exceptions import DoesNotExist
from pynamodb.transactions import TransactWrite

from chalicelib.accounts.event_records import event_of_end
from chalicelib.accounts.records import Session
from chalicelib.accounts.rows import SessionRow
from chalicelib.events.outbox_store import Outbox
from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.errors import VersionConflict
from chalicelib.kernel.permissions import ROLE_BEFORE_ROLES, Role
from chalicelib.platform.tables import Tables, contention_on_condition


class SessionStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._sessions = tables.bind(SessionRow)
        self._outbox = Outbox(tables)

    def find(self, token_hash: str) -> Session | None:
        try:
            row = self._sessions.get(token_hash, consistent_read=True)
        except DoesNotExist:
            return None
        return _to_session(row)

    def find_many(self, token_hashes: list[str]) -> list[Session]:
        """In any order; what is absent is left out. One call for up to 100."""
        return [_to_session(row) for row in self._sessions.batch_get(token_hashes, consistent_read=True)]

    def note_use(self, session: Session, used_at: int) -> None:
        """:raises VersionConflict: the session has ended, or its use has been noted since it was read."""
        as_read = SessionRow.used_at == session.used_at if session.used_at else SessionRow.used_at.does_not_exist()
        with contention_on_condition():
            self._sessions(session.token_hash).update(
                actions=[SessionRow.used_at.set(used_at)],
                condition=SessionRow.token_hash.exists() & as_read,
                add_version_condition=False,
            )

    def create(self, session: Session) -> None:
        to_session_row(self._sessions, session).save()

    def end(self, caller: Caller, token_hash: str) -> None:
        """End a session that is on no user's list. Repeatable."""

        def fill(transaction: TransactWrite) -> None:
            there = SessionRow.token_hash.exists()
            transaction.delete(self._sessions(token_hash), condition=there, add_version_condition=False)
            user = caller.organization_id, caller.user_id, caller.username
            self._outbox.add(transaction, event_of_end(*user, token_hash))

        try:
            with contention_on_condition():
                self._tables.transact(fill)
        except VersionConflict:
            # It has ended, and whoever ended it has told so.
            pass


def to_session_row(model: type[SessionRow], session: Session) -> SessionRow:
    return model(
        session.token_hash,
        organization_id=session.caller.organization_id,
        user_id=session.caller.user_id,
        username=session.caller.username,
        created_at=session.created_at,
        expires_at=session.expires_at,
        role=session.caller.role,
        ticket_of=session.ticket_of,
        challenge_of=session.challenge_of,
        has_second_factor=session.caller.has_second_factor or None,
        must_set_up_second_factor=session.caller.must_set_up_second_factor or None,
        address=session.address,
        program=session.program,
        used_at=session.used_at,
        actor_type=session.caller.type.value if session.caller.type is ActorType.API_KEY else None,
    )


def _to_session(row: SessionRow) -> Session:
    return Session(
        token_hash=row.token_hash,
        caller=_caller(row),
        created_at=row.created_at,
        expires_at=int(row.expires_at),
        ticket_of=row.ticket_of,
        challenge_of=row.challenge_of,
        address=row.address,
        program=row.program,
        used_at=int(row.used_at) if row.used_at is not None else None,
    )


def _caller(row: SessionRow) -> Caller:
    if row.actor_type == ActorType.API_KEY:
        # A ticket's. What the key may do is read with the key.
        return Caller(row.organization_id, row.user_id, row.username, type=ActorType.API_KEY)
    caller = Caller.of_user(row.organization_id, row.user_id, row.username, role_of(row.role))
    if row.must_set_up_second_factor:
        return caller.before_second_factor()
    return replace(caller, has_second_factor=True) if row.has_second_factor else caller


def role_of(stored: str | None) -> Role:
    return Role(stored) if stored is not None else ROLE_BEFORE_ROLES
