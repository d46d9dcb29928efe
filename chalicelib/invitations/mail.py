"""What an invitation says when it is sent by e-mail. Plain text: names that others chose are in it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.invitations.records import Invitation


@dataclass(frozen=True)
class Mail:
    subject: str
    text: str


def compose_mail(invitation: Invitation, organization_name: str, link_or_token: str) -> Mail:
    """:param link_or_token: the page that accepts the invitation, or where there is none, the token to enter."""
    greeting = f"Hello {invitation.name}," if invitation.name else "Hello,"
    who = "You have been" if invitation.invited_by.is_operator else f"{invitation.invited_by.name} has"
    invited = f"{who} invited {'' if invitation.invited_by.is_operator else 'you '}to the organisation"
    do = "Open this page" if link_or_token.startswith("http") else "To accept, enter this token"
    until = datetime.fromtimestamp(invitation.expires_at, UTC)
    text = (
        f"{greeting}\n\n"
        f'{invited} "{organization_name}", as {invitation.role}.\n\n'
        f"{do} and choose a username and a password:\n\n"
        f"{link_or_token}\n\n"
        f"It can be used once, until {until:%d %B %Y, %H:%M} UTC. If you did not expect this, do nothing: no account "
        "is made without it.\n"
    )
    return Mail(f"Invitation to {organization_name}", text)
