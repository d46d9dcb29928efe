"""Who is asking."""

from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope


class ActorType(StrEnum):
    USER = "user"
    API_KEY = "api_key"


@dataclass(frozen=True)
class Caller:
    """Who is asking, made once by authentication; everything that reads a row or an object starts from it.

    Of an API key, ``user_id`` and ``username`` are the key's id and name, and there is no role.
    """

    organization_id: str
    user_id: str
    username: str
    scopes: frozenset[Scope] = frozenset()
    role: Role | None = None
    type: ActorType = ActorType.USER
    has_second_factor: bool = False
    #: The organisation requires a second factor that this person does not have yet: nothing else may be done before.
    must_set_up_second_factor: bool = False

    @classmethod
    def of_user(cls, organization_id: str, user_id: str, username: str, role: Role) -> "Caller":
        return cls(organization_id, user_id, username, ROLE_SCOPES[role], role)

    def before_second_factor(self) -> "Caller":
        return replace(self, scopes=frozenset(), must_set_up_second_factor=True)

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def may_give(self, role: Role) -> bool:
        """Whether the role has no more than the caller: only such can be given, and only such people be changed."""
        return ROLE_SCOPES[role] <= self.scopes
