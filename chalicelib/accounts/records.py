"""Users and their sessions; plain frozen records, no storage in them."""

from dataclasses import dataclass, field

from chalicelib.kernel.caller import Caller


@dataclass(frozen=True)
class User:
    """``live_sessions`` are ``<expiry epoch seconds>:<token hash>``, so that ending them all needs no search."""

    organization_id: str
    user_id: str
    username: str
    password_hash: str = field(repr=False)
    disabled: bool
    created_at: str
    live_sessions: tuple[str, ...] = field(default=(), repr=False)
    version: int = 1


@dataclass(frozen=True)
class Session:
    token_hash: str = field(repr=False)
    caller: Caller
    created_at: str
    expires_at: int
    #: Token hash of the session that this upload ticket was drawn from; None for a session itself.
    ticket_of: str | None = None
