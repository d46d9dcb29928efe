"""An invitation; plain frozen records, no storage in them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chalicelib.kernel.caller import ActorType
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.permissions import Role


@dataclass(frozen=True)
class Inviter:
    """Who answers for an invitation: the last who created it or sent it again.

    :param type: an ActorType, or ``operator``.
    """

    type: str
    id: str
    name: str

    @property
    def is_user(self) -> bool:
        return self.type == ActorType.USER

    @property
    def is_operator(self) -> bool:
        return self == OPERATOR


#: Somebody at the command line, who may do everything.
OPERATOR = Inviter("operator", "operator", "operator")


@dataclass(frozen=True)
class Invitation:
    """An open one. Once it is accepted or deleted there is nothing left of it."""

    organization_id: str
    invitation_id: str
    token_hash: str = field(repr=False)
    role: Role
    name: str | None
    email: str | None
    invited_by: Inviter
    created_at: str
    #: In epoch seconds, ``lifetime_seconds`` after it was sent last.
    expires_at: int
    lifetime_seconds: int


def details(invitation: Invitation) -> dict[str, Any]:
    """The invitation as the API lists it, and as events tell of it: without its token."""
    by = invitation.invited_by
    return {
        "id": invitation.invitation_id,
        "role": invitation.role.value,
        "name": invitation.name,
        "email": invitation.email,
        "invited_by": {"type": by.type, "id": by.id, "name": by.name},
        "created_at": invitation.created_at,
        "expires_at": timestamp(datetime.fromtimestamp(invitation.expires_at, UTC)),
    }
