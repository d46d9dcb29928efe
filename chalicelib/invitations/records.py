"""An invitation; plain frozen records, no storage in them."""

from dataclasses import dataclass, field

from chalicelib.kernel.caller import ActorType
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
