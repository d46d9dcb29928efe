"""Organisations and users."""

from __future__ import annotations

import click

from infra.commands.options import json_option, password_options, print_rows, read_password, stage_option

# As in chalicelib/kernel/permissions.py, which is loaded when a command runs; a test compares them.
ROLE = click.Choice(["viewer", "member", "admin", "owner"])


@click.group()
def organizations() -> None:
    """Create and list organisations, set their quota and policy.

    \b
    Examples:
      python -m infra organizations create "Acme Corp" --quota-bytes 1000000000
      python -m infra organizations set-quota ORGANIZATION_ID --bytes 5000000000 --files 10000
      python -m infra organizations set-policy ORGANIZATION_ID --allow image/* --allow application/pdf
    """


@organizations.command("create")
@click.argument("name")
@click.option("--quota-bytes", type=int, help="Bytes that it may keep. Default: DEFAULT_QUOTA_BYTES.")
@click.option("--quota-files", type=int, help="Files that it may keep. Default: DEFAULT_QUOTA_FILES.")
@stage_option
@json_option
def create_organization(name: str, quota_bytes: int | None, quota_files: int | None, stage: str, as_json: bool) -> None:
    """Create an organisation."""
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    made = tenants.create_organization(open_stores(stage), name, quota_bytes=quota_bytes, quota_files=quota_files)
    print_rows(["Id", "Name"], [[made.organization_id, made.name]], as_json)


@organizations.command("list")
@stage_option
@json_option
def list_organizations(stage: str, as_json: bool) -> None:
    """List all organisations with what they use."""
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    rows = [
        [
            o.organization_id,
            o.name,
            o.usage.files_used,
            o.usage.files_used + o.usage.files_available,
            o.usage.bytes_used,
            o.usage.bytes_used + o.usage.bytes_available,
            o.created_at,
        ]
        for o in tenants.list_organizations(open_stores(stage))
    ]
    print_rows(["Id", "Name", "Files", "Quota files", "Bytes", "Quota bytes", "Created"], rows, as_json)


@organizations.command("set-quota")
@click.argument("organization_id")
@click.option("--bytes", "quota_bytes", type=int, required=True, help="Bytes that it may keep.")
@click.option("--files", "quota_files", type=int, required=True, help="Files that it may keep.")
@stage_option
def set_quota(organization_id: str, quota_bytes: int, quota_files: int, stage: str) -> None:
    """Set what an organisation may keep. A quota below what it uses stops uploads; nothing is deleted."""
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    tenants.set_quota(open_stores(stage), organization_id, quota_bytes, quota_files)
    click.echo(f"{organization_id} may keep {quota_files} files and {quota_bytes} bytes.")


@organizations.command("set-policy")
@click.argument("organization_id")
@click.option("--allow", multiple=True, help="A type that it takes, such as image/* (repeatable). None: every type.")
@click.option("--refuse", multiple=True, help="A type that it refuses, even if allowed (repeatable).")
@click.option("--max-file-bytes", type=int, help="Largest file. Default: MAX_DIRECT_UPLOAD_BYTES.")
@click.option("--match-extension", is_flag=True, help="Refuse names whose extension is not one of the detected type.")
@stage_option
def set_policy(
    organization_id: str,
    allow: tuple[str, ...],
    refuse: tuple[str, ...],
    max_file_bytes: int | None,
    match_extension: bool,
    stage: str,
) -> None:
    """Replace the rules on which files an organisation takes, by the type that is detected in the bytes."""
    from chalicelib.tenants import organizations as tenants
    from chalicelib.tenants.organization import Policy
    from infra.environment import open_stores

    tenants.set_policy(open_stores(stage), organization_id, Policy(allow, refuse, max_file_bytes, match_extension))
    names = "extensions have to belong to the type" if match_extension else "any name"
    types = f"allows {', '.join(allow) or 'every type'}; refuses {', '.join(refuse) or 'none'}"
    click.echo(f"{organization_id}: {types}; {names}.")


@click.group()
def users() -> None:
    """Create, list, disable and enable users, set roles and passwords, reset second factors.

    \b
    Examples:
      python -m infra users create ORGANIZATION_ID jane@example.com
      echo "$PASSWORD" | python -m infra users set-password jane@example.com --password-stdin
      python -m infra users set-role jane@example.com admin
      python -m infra users disable jane@example.com
      python -m infra users reset-second-factor jane@example.com
    """


@users.command("create")
@click.argument("organization_id")
@click.argument("username")
@click.option("--role", type=ROLE, help="Default: owner for the first user of the organisation, else member.")
@password_options
@stage_option
def create_user(organization_id: str, username: str, role: str | None, password_stdin: bool, stage: str) -> None:
    """Create a user of an organisation. Asks for the password."""
    from chalicelib.accounts import users as accounts
    from chalicelib.kernel.permissions import Role
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    tenants.get_organization(stores, organization_id)
    chosen = Role(role) if role is not None else None
    user = accounts.create_user(stores, organization_id, username, read_password(password_stdin), role=chosen)
    click.echo(f"Created {user.username} ({user.user_id}), {user.role}.")


@users.command("list")
@click.argument("organization_id")
@stage_option
@json_option
def list_users(organization_id: str, stage: str, as_json: bool) -> None:
    """List the users of an organisation."""
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

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
        for user in accounts.list_users(open_stores(stage), organization_id)
    ]
    print_rows(["Id", "Username", "Role", "State", "Second factor", "Sessions", "Created"], rows, as_json)


@users.command("set-role")
@click.argument("username")
@click.argument("role", type=ROLE)
@stage_option
def set_role(username: str, role: str, stage: str) -> None:
    """Give a user another role. Has effect at the user's next request."""
    from chalicelib.accounts import users as accounts
    from chalicelib.kernel.permissions import Role
    from infra.environment import open_stores

    accounts.set_role(open_stores(stage), username, Role(role))
    click.echo(f"{username} is {role} now.")


@users.command("disable")
@click.argument("username")
@stage_option
def disable_user(username: str, stage: str) -> None:
    """Keep a user from logging in, and end every session and open upload of theirs at once. Repeatable."""
    _set_disabled(username, stage, True)
    click.echo(f"{username} is disabled, and signed out everywhere; open uploads are ended.")


@users.command("enable")
@click.argument("username")
@stage_option
def enable_user(username: str, stage: str) -> None:
    """Let a disabled user log in again."""
    _set_disabled(username, stage, False)
    click.echo(f"{username} may log in again.")


@users.command("set-password")
@click.argument("username")
@password_options
@stage_option
def set_password(username: str, password_stdin: bool, stage: str) -> None:
    """Set a user's password, and end every session of theirs at once."""
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    accounts.set_password(open_stores(stage), username, read_password(password_stdin))
    click.echo(f"The password of {username} is set; they are signed out everywhere.")


@users.command("reset-second-factor")
@click.argument("username")
@stage_option
def reset_second_factor(username: str, stage: str) -> None:
    """Take the second factor off a user who has lost it, and end every session of theirs at once.

    The next login takes the password alone; where the organisation requires a second factor, it sets up another.
    """
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    accounts.reset_second_factor(open_stores(stage), username)
    click.echo(f"{username} has no second factor now; they are signed out everywhere.")


def _set_disabled(username: str, stage: str, disabled: bool) -> None:
    from chalicelib.accounts import users as accounts
    from infra.environment import open_stores

    accounts.set_disabled(open_stores(stage), username, disabled)


COMMANDS = (organizations, users)
