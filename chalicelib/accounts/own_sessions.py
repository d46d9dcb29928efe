"""The sessions of a user, as that user sees and ends them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from chalicelib.accounts.records import Session, User
from chalicelib.accounts.sessions import is_live, open_sessions
from chalicelib.accounts.users import write_user
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict, NotSignedIn, SessionNotFound
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.kernel.tokens import session_id, token_digest
from chalicelib.wiring import Stores

T = TypeVar("T")


@dataclass(frozen=True)
class OwnSession:
    id: str
    created_at: str
    last_used_at: str
    expires_at: str
    address: str | None
    program: str | None
    current: bool


def list_own(stores: Stores, caller: Caller, token: str) -> list[OwnSession]:
    """Newest first, at most 20.

    :param token: of the session that asks.
    """
    user = _find(stores, caller)
    token_hash = token_digest(token)
    rows = stores.sessions.find_many(open_sessions(user))
    # Their rows say more than the user's list: when each was used last.
    live = [session for session in rows if is_live(stores, session)]
    live.sort(key=lambda session: session.created_at, reverse=True)
    return [_shown(session, token_hash) for session in live]


def end_own(stores: Stores, caller: Caller, session: str) -> None:
    """End one session, which may be the one that asks.

    :param session: as :func:`list_own` names it.
    :raises SessionNotFound: absent, ended already, or another user's.
    """

    def end(user: User) -> None:
        ended = [token_hash for token_hash in open_sessions(user) if session_id(token_hash) == session]
        if not ended:
            raise SessionNotFound
        write_user(stores, user, ended=ended)

    _change(stores, caller, end)


def end_others(stores: Stores, caller: Caller, token: str) -> int:
    """End all sessions but the one that asks.

    :returns: how many there were.
    """
    token_hash = token_digest(token)

    def end(user: User) -> int:
        others = [other for other in open_sessions(user) if other != token_hash]
        if others:
            write_user(stores, user, ended=others)
        return len(others)

    return _change(stores, caller, end)


def _find(stores: Stores, caller: Caller) -> User:
    """:raises NotSignedIn: removed meanwhile."""
    user = stores.users.find(caller.organization_id, caller.user_id)
    if user is None:
        raise NotSignedIn
    return user


def _change(stores: Stores, caller: Caller, change: Callable[[User], T]) -> T:
    return compare_and_swap(
        lambda: _find(stores, caller),
        change,
        exhausted=Conflict("Your account is being changed by others; try again."),
    )


def _shown(session: Session, token_hash: str) -> OwnSession:
    return OwnSession(
        id=session_id(session.token_hash),
        created_at=session.created_at,
        last_used_at=_moment(session.last_used),
        expires_at=_moment(session.expires_at),
        address=session.address,
        program=session.program,
        current=session.token_hash == token_hash,
    )


def _moment(epoch_seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(epoch_seconds, UTC))
