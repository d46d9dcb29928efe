"""What the changes of invitations tell. Their tokens are in none of it."""

from chalicelib.events.records import Event, EventType, Target, changed
from chalicelib.invitations.records import Invitation, details


def event_of_creation(invitation: Invitation) -> Event:
    return _event(EventType.INVITATION_CREATED, invitation)


def event_of_renewal(before: Invitation, after: Invitation) -> Event:
    return _event(EventType.INVITATION_RENEWED, after, changed(details(before), details(after)))


def event_of_deletion(invitation: Invitation) -> Event:
    return _event(EventType.INVITATION_DELETED, invitation)


def event_of_acceptance(invitation: Invitation) -> Event:
    """The user that it makes has an event of its own."""
    return _event(EventType.INVITATION_ACCEPTED, invitation)


def _event(kind: EventType, invitation: Invitation, changes: dict[str, object] | None = None) -> Event:
    return Event(
        organization_id=invitation.organization_id,
        type=kind,
        target=Target("invitation", invitation.invitation_id),
        # An address can be invited again, under the same id, with another token. Of the hash nothing can be read in
        # the event: its id is a hash over it.
        occasion=invitation.token_hash,
        data=details(invitation),
        # Sent again within the second by the same person, only the token is another.
        changes=changes or None,
    )
