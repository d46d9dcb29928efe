"""Protects names from before look-alikes were refused: of those that look alike, the first is kept free of others.

Later ones are reported and stay as they are: they sign in as before, and only new names are compared. Repeatable from
any line. Where a new version of Unicode's table makes other skeletons, another migration can apply this once more.
"""

from __future__ import annotations

from infra.migrations.runner import Context

DESCRIPTION = "names that look like another are found, and no more can be made"


def apply(context: Context) -> None:
    users = context.stores.users
    organizations = context.stores.organizations.all()
    people = [user for organization in organizations for user in users.of_organization(organization.organization_id)]
    claimed = 0
    for user in sorted(people, key=lambda user: (user.created_at, user.user_id)):
        if users.claim_skeleton(user):
            claimed += 1
        else:
            context.report(f"  {user.username} of organisation {user.organization_id} looks like an older name")
    context.report(f"  {claimed} names protected")
