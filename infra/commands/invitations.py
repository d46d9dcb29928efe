"""Invitations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from infra.commands.accounts import ROLE
from infra.commands.options import (
    json_option,
    organization_argument,
    organization_id_of,
    print_result,
    print_rows,
    stage_option,
)

if TYPE_CHECKING:
    from chalicelib.invitations.logic import Sent

HEADINGS = ["Id", "Role", "Name", "Email", "Invited by", "Created", "Expires"]


@click.group()
def invitations() -> None:
    """Invite people to an organisation, list, revoke and resend invitations.

    \b
    Examples:
      strongroom invitations create "Acme Corp" owner --email jane@example.com
      strongroom invitations list "Acme Corp" --json
      strongroom invitations revoke "Acme Corp" INVITATION_ID
    """


@invitations.command("create")
@organization_argument
@click.argument("role", type=ROLE)
@click.option("--name", help="Of whoever is invited.")
@click.option("--email", help="There is one invitation for one address. With MAIL_FROM it is sent there.")
@click.option("--expires-in-days", type=click.IntRange(1, 30), default=7, show_default=True)
@stage_option
@json_option
def create(
    organization: str,
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
    stores = open_stores(stage)
    _print_sent(logic.invite_as_operator(stores, organization_id_of(stores, organization), wanted), as_json)


@invitations.command("list")
@organization_argument
@stage_option
@json_option
def list_invitations(organization: str, stage: str, as_json: bool) -> None:
    """List the open invitations of an organisation."""
    from chalicelib.invitations import logic
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization)
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
@organization_argument
@click.argument("invitation_id")
@stage_option
@json_option
def revoke(organization: str, invitation_id: str, stage: str, as_json: bool) -> None:
    """Delete an invitation: its token is dead at once."""
    from chalicelib.invitations import logic
    from infra.environment import open_stores

    stores = open_stores(stage)
    logic.revoke_as_operator(stores, organization_id_of(stores, organization), invitation_id)
    print_result(f"Invitation {invitation_id} is deleted.", {"id": invitation_id, "deleted": True}, as_json)


@invitations.command("resend")
@organization_argument
@click.argument("invitation_id")
@stage_option
@json_option
def resend(organization: str, invitation_id: str, stage: str, as_json: bool) -> None:
    """Give an invitation another token and its time anew. The token before is dead at once."""
    from chalicelib.invitations import logic
    from infra.environment import open_stores

    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization)
    _print_sent(logic.resend_as_operator(stores, organization_id, invitation_id), as_json)


def _print_sent(sent: Sent, as_json: bool) -> None:
    rows = [[sent.invitation.invitation_id, sent.token, sent.url or "", sent.mailed, _time(sent.invitation.expires_at)]]
    print_rows(["Id", "Token", "Url", "Mailed", "Expires"], rows, as_json)


def _time(epoch_seconds: int) -> str:
    from chalicelib.kernel.clock import timestamp

    return timestamp(datetime.fromtimestamp(epoch_seconds, UTC))


COMMANDS = (invitations,)
