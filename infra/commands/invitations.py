"""Invitations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from infra.commands.accounts import ROLE
from infra.commands.options import json_option, print_rows, stage_option

if TYPE_CHECKING:
    from chalicelib.invitations.logic import Sent

HEADINGS = ["Id", "Role", "Name", "Email", "Invited by", "Created", "Expires"]


@click.group()
def invitations() -> None:
    """Invite people to an organisation, list, revoke and resend invitations.

    \b
    Examples:
      python -m infra invitations create ORGANIZATION_ID owner --email jane@example.com
      python -m infra invitations list ORGANIZATION_ID --json
      python -m infra invitations revoke ORGANIZATION_ID INVITATION_ID
    """


@invitations.command("create")
@click.argument("organization_id")
@click.argument("role", type=ROLE)
@click.option("--name", help="Of whoever is invited.")
@click.option("--email", help="There is one invitation for one address. With MAIL_FROM it is sent there.")
@click.option("--expires-in-days", type=click.IntRange(1, 30), default=7, show_default=True)
@stage_option
@json_option
def create(
    organization_id: str,
    role: str,
    name: str | None,
    email: str | None,
    expires_in_days: int,
    stage: str,
    as_json: bool,
) -> None:
    """Invite somebody. Prints the token, which is not stored and so is shown this once."""
    from chalicelib.invitations import logic
    from chalicelib.kernel.permissions import Role
    from infra.environment import open_stores

    wanted = logic.Wanted(Role(role), name, email, expires_in_days * logic.DAY_SECONDS)
    _print_sent(logic.invite_as_operator(open_stores(stage), organization_id, wanted), as_json)


@invitations.command("list")
@click.argument("organization_id")
@stage_option
@json_option
def list_invitations(organization_id: str, stage: str, as_json: bool) -> None:
    """List the open invitations of an organisation."""
    from chalicelib.invitations import logic
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    tenants.get_organization(stores, organization_id)
    rows = [
        [
            invitation.invitation_id,
            str(invitation.role),
            invitation.name or "",
            invitation.email or "",
            f"{invitation.invited_by.type} {invitation.invited_by.name}",
            invitation.created_at,
            _time(invitation.expires_at),
        ]
        for invitation in logic.list_invitations(stores, organization_id)
    ]
    print_rows(HEADINGS, rows, as_json)


@invitations.command("revoke")
@click.argument("organization_id")
@click.argument("invitation_id")
@stage_option
def revoke(organization_id: str, invitation_id: str, stage: str) -> None:
    """Delete an invitation: its token is dead at once."""
    from chalicelib.invitations import logic
    from infra.environment import open_stores

    logic.revoke_as_operator(open_stores(stage), organization_id, invitation_id)
    click.echo(f"Invitation {invitation_id} is deleted.")


@invitations.command("resend")
@click.argument("organization_id")
@click.argument("invitation_id")
@stage_option
@json_option
def resend(organization_id: str, invitation_id: str, stage: str, as_json: bool) -> None:
    """Give an invitation another token and its time anew. The token before is dead at once."""
    from chalicelib.invitations import logic
    from infra.environment import open_stores

    _print_sent(logic.resend_as_operator(open_stores(stage), organization_id, invitation_id), as_json)


def _print_sent(sent: Sent, as_json: bool) -> None:
    rows = [[sent.invitation.invitation_id, sent.token, sent.url or "", sent.mailed, _time(sent.invitation.expires_at)]]
    print_rows(["Id", "Token", "Url", "Mailed", "Expires"], rows, as_json)


def _time(epoch_seconds: int) -> str:
    from chalicelib.kernel.clock import timestamp

    return timestamp(datetime.fromtimestamp(epoch_seconds, UTC))


COMMANDS = (invitations,)
