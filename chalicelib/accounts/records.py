"""Users and their sessions; plain frozen records, no storage in them."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from chalicelib.kernel.caller import Caller
from chalicelib.kernel.permissions import Role


class SignInMethod(StrEnum):
    """How somebody showed who they are when a session started."""

    PASSWORD = "password"  # noqa: S105 - a word, not one
    #: The password, and a code of the authenticator; or one of the codes for when it is lost.
    AUTHENTICATOR = "authenticator"
    RECOVERY_CODE = "recovery_code"
    SIGN_UP = "sign_up"
    INVITATION = "invitation"


class EndReason(StrEnum):
    """Why a session ended before its time. Who ended it is the actor of the event."""

    SIGNED_OUT = "signed_out"
    USER_DISABLED = "user_disabled"
    USER_DELETED = "user_deleted"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a word, not one
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    #: By the organisation, of somebody who has none.
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    #: The oldest had to make room for a new one.
    TOO_MANY = "too_many"


@dataclass(frozen=True)
class SecondFactor:
    secret: str = field(repr=False)
    #: The time step of the last code that was taken: neither it nor an earlier one counts again.
    last_step: int
    #: Hashes of those that are not used yet.
    recovery_codes: tuple[str, ...] = field(repr=False)


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
    second_factor: SecondFactor | None = field(default=None, repr=False)
    #: Of a second factor that is being set up.
    pending_secret: str | None = field(default=None, repr=False)

    @property
    def caller(self) -> Caller:
        caller = Caller.of_user(self.organization_id, self.user_id, self.username, self.role)
        return replace(caller, has_second_factor=True) if self.second_factor else caller

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
    #: What a login that waits for its second factor is bound to; None for a session itself.
    challenge_of: str | None = field(default=None, repr=False)
    #: Where it was started from; None where that was not noted.
    address: str | None = None
    program: str | None = None
    #: Epoch seconds of the last use, to ten minutes.
    used_at: int | None = None

    @property
    def is_session(self) -> bool:
        """Upload tickets and logins that wait for a code lie in the same table."""
        return self.ticket_of is None and self.challenge_of is None

    @property
    def last_used(self) -> float:
        """Epoch seconds; the start of a session whose use was never noted."""
        return self.used_at if self.used_at is not None else datetime.fromisoformat(self.created_at).timestamp()

    def is_live(self, now: float, idle_seconds: int) -> bool:
        """Whether it is in time. DynamoDB's TTL deletes up to days late (AWS documentation), so a row says little."""
        return self.expires_at > now and self.last_used + idle_seconds > now


def details(user: User) -> dict[str, Any]:
    """The user as the API shows them to others of the organisation, and as events tell of them."""
    return {
        "id": user.user_id,
        "username": user.username,
        "role": user.role.value,
        "disabled": user.disabled,
        "second_factor": user.second_factor is not None,
        "created_at": user.created_at,
    }
