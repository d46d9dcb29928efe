"""Users and their sessions; plain frozen records, no storage in them."""

from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.kernel.caller import Caller
from chalicelib.kernel.permissions import Role


@dataclass(frozen=True)
class User:
    """``live_sessions`` are ``<expiry epoch seconds>:<token hash>``, so that ending them all needs no search."""

    organization_id: str
    user_id: str
    username: str
    password_hash: str = field(repr=False)
    disabled: bool
    created_at: str
    role: Role
    live_sessions: tuple[str, ...] = field(default=(), repr=False)
    version: int = 1

    @property
    def caller(self) -> Caller:
        return Caller.of_user(self.organization_id, self.user_id, self.username, self.role)

    @property
    def is_active_owner(self) -> bool:
        """Whether the organisation counts on this one: there is always at least one such."""
        return self.role is Role.OWNER and not self.disabled


@dataclass(frozen=True)
class Session:
    token_hash: str = field(repr=False)
    caller: Caller
    created_at: str
    expires_at: int
    #: Token hash of the session that this upload ticket was drawn from; None for a session itself.
    ticket_of: str | None = None
    #: Where it was started from; None where that was not noted.
    address: str | None = None
    program: str | None = None
    #: Epoch seconds of the last use, to ten minutes.
    used_at: int | None = None

    @property
    def last_used(self) -> float:
        """Epoch seconds; the start of a session whose use was never noted."""
        return self.used_at if self.used_at is not None else datetime.fromisoformat(self.created_at).timestamp()

    def is_live(self, now: float, idle_seconds: int) -> bool:
        """Whether it is in time. DynamoDB's TTL deletes up to days late (AWS documentation), so a row says little."""
        return self.expires_at > now and self.last_used + idle_seconds > now
