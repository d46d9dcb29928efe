"""Makes the first user of each organisation its owner, and the others members, where rows come from before there were
roles; and counts the owners.

Repeatable from any line: who has a role keeps it, and an owner is counted in the same transaction that makes one.
"""

from __future__ import annotations

from chalicelib.accounts.records import User
from chalicelib.accounts.rows import UserRow
from chalicelib.accounts.users import write_user
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.permissions import Role
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.wiring import Stores
from infra.migrations.runner import Context

DESCRIPTION = "the first user of each organisation becomes its owner, the others members"


def apply(context: Context) -> None:
    rows = context.stores.tables.bind(UserRow)
    given = 0
    for organization in context.stores.organizations.all():
        people = sorted(
            rows.query(organization.organization_id, consistent_read=True),
            key=lambda row: (row.created_at, row.user_id),
        )
        wanted = {row.user_id: Role.MEMBER for row in people if row.role is None}
        if not any(row.role == Role.OWNER for row in people):
            # A disabled one could not act as an owner.
            wanted |= {row.user_id: Role.OWNER for row in [row for row in people if not row.disabled][:1]}
        for user_id, role in wanted.items():
            given += _give(context.stores, organization.organization_id, user_id, role)
    context.report(f"  {given} users given a role")


def _give(stores: Stores, organization_id: str, user_id: str, role: Role) -> bool:
    def write(user: User | None) -> bool:
        if user is not None:
            write_user(stores, user, ended=(), role=role)
        return user is not None

    return compare_and_swap(
        lambda: stores.users.find(organization_id, user_id),
        write,
        exhausted=Conflict(f"User {user_id} kept changing; run the migrations again."),
        waits=True,
    )
