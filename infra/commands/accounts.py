"""Users."""

from __future__ import annotations

import click

from infra.commands.options import (
    dry_run_option,
    json_option,
    organization_argument,
    organization_id_of,
    password_options,
    print_result,
    print_rows,
    read_password,
    require_yes,
    stage_option,
    yes_option,
)

# As in chalicelib/kernel/permissions.py, which is loaded when a command runs; a test compares them.
ROLE = click.Choice(["viewer", "member", "admin", "owner"])


@click.group()
def users() -> None:
    """Create, list, disable, enable and delete users, set roles and passwords, reset second factors.

    \b
    Examples:
      strongroom users create "Acme Corp" jane@example.com
      echo "$PASSWORD" | strongroom users set-password jane@example.com --password-stdin
      strongroom users set-role jane@example.com admin
      strongroom users disable jane@example.com
      strongroom users reset-second-factor jane@example.com
    """


@users.command("create")
@organization_argument
@click.argument("username")
@click.option("--role", type=ROLE, help="Default: owner for the first user of the organisation, else member.")
@password_options
@stage_option
@json_option
def create_user(
    organization: str, username: str, role: str | None, password_stdin: bool, stage: str, as_json: bool
) -> None:
    """Create a user of an organisation. Asks for the password."""
    from chalicelib.accounts import users as accounts
    from chalicelib.kernel.permissions import Role
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization)
    tenants.get_organization(stores, organization_id)
    chosen = Role(role) if role is not None else None
    user = accounts.create_user(stores, organization_id, username, read_password(password_stdin), role=chosen)
    facts = {
        "id": user.user_id,
        "username": user.username,
        "role": str(user.role),
        "organization_id": organization_id,
    }
    print_result(f"Created {user.username} ({user.user_id}), {user.role}.", facts, as_json)


@users.command("list")
@organization_argument
@stage_option
@json_option
def list_users(organization: str, stage: str, as_json: bool) -> None:
    """List the users of an organisation."""
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    stores = open_stores(stage)
    rows = [
        [
            user.user_id,
            user.username,
            str(user.role),
            "disabled" if user.disabled else "active",
            "yes" if user.second_factor else "no",
            len(user.live_sessions),
            user.created_at,
        ]
        for user in accounts.list_users(stores, organization_id_of(stores, organization))
    ]
    print_rows(["Id", "Username", "Role", "State", "Second factor", "Sessions", "Created"], rows, as_json)


@users.command("set-role")
@click.argument("username")
@click.argument("role", type=ROLE)
@stage_option
@json_option
def set_role(username: str, role: str, stage: str, as_json: bool) -> None:
    """Give a user another role. Has effect at the user's next request."""
    from chalicelib.accounts import users as accounts
    from chalicelib.kernel.permissions import Role
    from infra.environment import open_stores

    accounts.set_role(open_stores(stage), username, Role(role))
    print_result(f"{username} is {role} now.", {"username": username, "role": role}, as_json)


@users.command("disable")
@click.argument("username")
@stage_option
@json_option
def disable_user(username: str, stage: str, as_json: bool) -> None:
    """Keep a user from logging in, and end every session and open upload of theirs at once. Repeatable."""
    _set_disabled(username, stage, True)
    sentence = f"{username} is disabled, and signed out everywhere; open uploads are ended."
    print_result(sentence, {"username": username, "state": "disabled"}, as_json)


@users.command("enable")
@click.argument("username")
@stage_option
@json_option
def enable_user(username: str, stage: str, as_json: bool) -> None:
    """Let a disabled user log in again."""
    _set_disabled(username, stage, False)
    print_result(f"{username} may log in again.", {"username": username, "state": "active"}, as_json)


@users.command("set-password")
@click.argument("username")
@password_options
@stage_option
@json_option
def set_password(username: str, password_stdin: bool, stage: str, as_json: bool) -> None:
    """Set a user's password, and end every session of theirs at once."""
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    accounts.set_password(open_stores(stage), username, read_password(password_stdin))
    sentence = f"The password of {username} is set; they are signed out everywhere."
    print_result(sentence, {"username": username, "sessions": 0}, as_json)


@users.command("reset-second-factor")
@click.argument("username")
@stage_option
@json_option
def reset_second_factor(username: str, stage: str, as_json: bool) -> None:
    """Take the second factor off a user who has lost it, and end every session of theirs at once.

    The next login takes the password alone; where the organisation requires a second factor, it sets up another.
    """
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    accounts.reset_second_factor(open_stores(stage), username)
    sentence = f"{username} has no second factor now; they are signed out everywhere."
    print_result(sentence, {"username": username, "second_factor": "no", "sessions": 0}, as_json)


@users.command("delete")
@click.argument("username")
@yes_option
@dry_run_option
@stage_option
@json_option
def delete_user(username: str, yes: bool, dry_run: bool, stage: str, as_json: bool) -> None:
    """Delete a user. Their files stay; the username can be taken again. The last owner can't be deleted."""
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    stores = open_stores(stage)
    user = accounts.find_user(stores, username)
    what = f"{user.username} ({user.user_id}), {user.role} of {user.organization_id}"
    facts = {
        "id": user.user_id,
        "username": user.username,
        "organization_id": user.organization_id,
        "deleted": not dry_run,
    }
    if dry_run:
        print_result(f"This would delete {what}.", facts, as_json)
        return
    require_yes(f"Delete {what}, on the stage {stage}?", yes)
    accounts.delete_user(stores, username)
    print_result(f"{user.username} is deleted.", facts, as_json)


def _set_disabled(username: str, stage: str, disabled: bool) -> None:
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    accounts.set_disabled(open_stores(stage), username, disabled)


COMMANDS = (users,)
