"""Invitations: how somebody without an account comes into an organisation, with a role that another may give.

The token names its organisation and invitation, so that accepting reads one row by its key; what is stored of it is a
hash. Nothing here needs a mail server: who invites gets the token once and hands it on.
"""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from chalicelib import keys
from chalicelib.accounts.records import SignInMethod
from chalicelib.accounts.sessions import UNKNOWN_CLIENT, Client, SignedIn, sign_in_created
from chalicelib.accounts.users import new_user
from chalicelib.invitations import mail as invitation_mail
from chalicelib.invitations.invitation_tokens import new_token, read_token
from chalicelib.invitations.records import OPERATOR, Invitation, Inviter
from chalicelib.kernel.acting import ActorKind, acting_as
from chalicelib.kernel.addresses import is_email_address
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    AlreadyInvited,
    BadInput,
    Conflict,
    InvitationNotFound,
    MissingPermission,
    TooManyInvitations,
    UsernameTaken,
    VersionConflict,
)
from chalicelib.kernel.nfc import compose
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.kernel.tokens import token_digest
from chalicelib.tenants.organizations import get_organization
from chalicelib.wiring import Stores

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
DEFAULT_LIFETIME_SECONDS = 7 * DAY_SECONDS
LIFETIME_BOUNDS = (HOUR_SECONDS, 30 * DAY_SECONDS)
#: Of an organisation at once, so that listing them is one read. Several at the same moment may go beyond it.
MAX_OPEN = 200
MAX_NAME_CHARACTERS = 200
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """Whom to invite."""

    role: Role
    name: str | None = None
    email: str | None = None
    lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS


@dataclass(frozen=True)
class Sent:
    """An invitation with its token, which is told this once."""

    invitation: Invitation
    token: str
    #: The page that accepts it, if there is one.
    url: str | None
    #: Whether it was given to the mail service.
    mailed: bool


def invite(stores: Stores, caller: Caller, wanted: Wanted) -> Sent:
    """
    :raises MissingPermission: the role is more than the caller's.
    :raises BadInput: an unusable name, address or lifetime.
    :raises AlreadyInvited: there is an open invitation for this address.
    :raises TooManyInvitations: the organisation has as many as it can have.
    """
    _check_giver(caller, wanted.role)
    return _invite(stores, caller.organization_id, _inviter(caller), wanted)


def invite_as_operator(stores: Stores, organization_id: str, wanted: Wanted) -> Sent:
    """As :func:`invite`, with any role.

    :raises BadInput: there is no such organisation, and as above.
    """
    get_organization(stores, organization_id)
    return _invite(stores, organization_id, OPERATOR, wanted)


def list_invitations(stores: Stores, organization_id: str) -> list[Invitation]:
    """In the order of their creation; expired ones for as long as their rows are there."""
    found = stores.invitations.of_organization(organization_id, limit=2 * MAX_OPEN)
    return sorted(found, key=lambda invitation: (invitation.created_at, invitation.invitation_id))


def resend(stores: Stores, caller: Caller, invitation_id: str) -> Sent:
    """A new token, good for as long as the first one was; the one before is dead at once. The caller answers for it.

    :raises InvitationNotFound: absent, or another organisation's.
    :raises MissingPermission: its role is more than the caller's.
    """
    return _resend(stores, caller.organization_id, invitation_id, caller)


def resend_as_operator(stores: Stores, organization_id: str, invitation_id: str) -> Sent:
    """:raises InvitationNotFound: there is none with this id in the organisation."""
    return _resend(stores, organization_id, invitation_id, None)


def revoke(stores: Stores, caller: Caller, invitation_id: str) -> None:
    """
    :raises InvitationNotFound: absent, or another organisation's.
    :raises MissingPermission: its role is more than the caller's.
    """
    _revoke(stores, caller.organization_id, invitation_id, caller)


def revoke_as_operator(stores: Stores, organization_id: str, invitation_id: str) -> None:
    """:raises InvitationNotFound: there is none with this id in the organisation."""
    _revoke(stores, organization_id, invitation_id, None)


def accept(stores: Stores, token: str, username: str, password: str, client: Client = UNKNOWN_CLIENT) -> SignedIn:
    """Create the user and sign them in.

    :raises InvitationNotFound: no open invitation has this token.
    :raises InvitationWithdrawn: whoever invited may not give this role any more.
    :raises BadInput: an unusable username or password.
    :raises UsernameTaken: or one that looks like it.
    """
    invitation, now = _find_by_token(stores, token), int(time.time())
    user = new_user(stores, invitation.organization_id, username, password, invitation.role)
    try:
        with acting_as(ActorKind.USER, user.user_id, user.username):
            stores.invitations.accept(invitation, user, _givers(invitation.role), now)
    except (InvitationNotFound, UsernameTaken):
        # Unless it was this very acceptance that used it up, and only the answer was lost.
        if stores.users.find(user.organization_id, user.user_id) is None:
            raise
    except VersionConflict:
        raise InvitationNotFound from None
    return sign_in_created(stores, user, client, SignInMethod.INVITATION)


def _find_by_token(stores: Stores, token: str) -> Invitation:
    named = read_token(token)
    invitation = stores.invitations.find(*named) if named else None
    if invitation is None or not hmac.compare_digest(invitation.token_hash, token_digest(token)):
        raise InvitationNotFound
    if invitation.expires_at <= time.time():
        raise InvitationNotFound
    return invitation


def _givers(role: Role) -> list[Role]:
    """The roles that may give this one."""
    return [
        giver for giver in Role if Scope.USERS_MANAGE in ROLE_SCOPES[giver] and ROLE_SCOPES[role] <= ROLE_SCOPES[giver]
    ]


def _inviter(caller: Caller) -> Inviter:
    return Inviter(caller.type.value, caller.user_id, caller.username)


def _check_giver(caller: Caller, role: Role) -> None:
    if not caller.may_give(role):
        raise MissingPermission(f"The role {role} is more than you may do yourself, so you can't invite anybody to it.")


def _invite(stores: Stores, organization_id: str, invited_by: Inviter, wanted: Wanted) -> Sent:
    name, email = _usable(wanted)
    if stores.invitations.count(organization_id) >= MAX_OPEN:
        raise TooManyInvitations(f"An organisation can have {MAX_OPEN} open invitations. Delete one first.")
    invitation_id = keys.invitation_id_of(organization_id, email) if email else keys.new_invitation_id()
    token, now = new_token(organization_id, invitation_id), int(time.time())
    invitation = Invitation(
        organization_id=organization_id,
        invitation_id=invitation_id,
        token_hash=token_digest(token),
        role=wanted.role,
        name=name,
        email=email,
        invited_by=invited_by,
        created_at=timestamp(),
        expires_at=now + wanted.lifetime_seconds,
        lifetime_seconds=wanted.lifetime_seconds,
    )
    try:
        stores.invitations.create(invitation, now)
    except VersionConflict:
        raise AlreadyInvited from None
    return _send(stores, invitation, token)


def _usable(wanted: Wanted) -> tuple[str | None, str | None]:
    """Name and address as they are kept.

    :raises BadInput: they, or the lifetime, can't be used.
    """
    name = compose(wanted.name.strip()) if wanted.name is not None else None
    if name is not None and not (name and len(name) <= MAX_NAME_CHARACTERS and name.isprintable()):
        raise BadInput(f"name has from 1 to {MAX_NAME_CHARACTERS} characters on one line.")
    email = wanted.email.strip() if wanted.email is not None else None
    if email is not None and not is_email_address(email):
        raise BadInput("email must be an address such as jane@example.com, of ASCII characters, at most 254.")
    low, high = LIFETIME_BOUNDS
    if not low <= wanted.lifetime_seconds <= high:
        raise BadInput(f"expires_in_seconds is from {low} (an hour) to {high} (30 days).")
    return name, email


def _resend(stores: Stores, organization_id: str, invitation_id: str, caller: Caller | None) -> Sent:
    token = new_token(organization_id, invitation_id)

    def renew(invitation: Invitation) -> Invitation:
        expires_at = int(time.time()) + invitation.lifetime_seconds
        answers_for_it = _inviter(caller) if caller else OPERATOR
        return stores.invitations.renew(invitation, token_digest(token), expires_at, answers_for_it)

    return _send(stores, _change(stores, organization_id, invitation_id, caller, renew), token)


def _revoke(stores: Stores, organization_id: str, invitation_id: str, caller: Caller | None) -> None:
    _change(stores, organization_id, invitation_id, caller, stores.invitations.delete)


def _change(
    stores: Stores, organization_id: str, invitation_id: str, caller: Caller | None, change: Callable[[Invitation], T]
) -> T:
    """:param caller: None for an operator."""

    def read() -> Invitation:
        known = keys.is_invitation_id(invitation_id)
        invitation = stores.invitations.find(organization_id, invitation_id) if known else None
        if invitation is None:
            raise InvitationNotFound
        return invitation

    def swap(invitation: Invitation) -> T:
        if caller is not None:
            _check_giver(caller, invitation.role)
        return change(invitation)

    return compare_and_swap(read, swap, exhausted=Conflict("This invitation is being changed by others; try again."))


def _send(stores: Stores, invitation: Invitation, token: str) -> Sent:
    template = stores.settings.invitation_url
    url = template.replace("{token}", token) if template else None
    mailed = False
    if stores.mailer is not None and invitation.email is not None:
        organization = get_organization(stores, invitation.organization_id)
        mail = invitation_mail.compose_mail(invitation, organization.name, url or token)
        mailed = stores.mailer.send(invitation.email, mail.subject, mail.text)
    return Sent(invitation, token, url, mailed)
