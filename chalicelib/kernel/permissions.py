"""The one table of permissions: the scopes that there are, and which of them each role has.

Which scope a route needs is told where the route is (``needs=``). The check, the OpenAPI document, the page in docs/
and the test that walks every route with every role all read these two.
"""

from enum import StrEnum


class Scope(StrEnum):
    """A noun and a verb. What an API key can be given, one by one; people have those of their role."""

    FILES_READ = "files:read"
    #: Upload; rename and retry what one has uploaded oneself.
    FILES_WRITE = "files:write"
    #: Delete what one has uploaded oneself.
    FILES_DELETE = "files:delete"
    #: Rename, retry and delete what others have uploaded, and give up their open uploads.
    FILES_MANAGE = "files:manage"
    ORGANIZATION_READ = "organization:read"
    #: Name and file policy.
    ORGANIZATION_MANAGE = "organization:manage"
    #: What protects the organisation from its own people: whether a second factor is required, keys without an end.
    SECURITY_MANAGE = "security:manage"
    USERS_READ = "users:read"
    #: Invite, change roles, disable, remove and sign out, of those with no more than one's own scopes.
    USERS_MANAGE = "users:manage"
    KEYS_MANAGE = "keys:manage"
    #: Who did what, from where, when: events of everything in the organisation, and their export.
    AUDIT_READ = "audit:read"
    WEBHOOKS_MANAGE = "webhooks:manage"


class Role(StrEnum):
    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


_VIEWER = frozenset({Scope.FILES_READ, Scope.ORGANIZATION_READ})
_MEMBER = _VIEWER | {Scope.FILES_WRITE, Scope.FILES_DELETE, Scope.USERS_READ}
_ADMIN = _MEMBER | {
    Scope.FILES_MANAGE,
    Scope.USERS_MANAGE,
    Scope.KEYS_MANAGE,
    Scope.ORGANIZATION_MANAGE,
    Scope.AUDIT_READ,
    Scope.WEBHOOKS_MANAGE,
}

#: Each role has all that the one before has, so "no more than one's own" orders the roles as well.
ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | {Scope.SECURITY_MANAGE},
}
#: Of rows that were written before there were roles, until the migration has been over them.
ROLE_BEFORE_ROLES = Role.MEMBER
