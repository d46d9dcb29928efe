"""Upload tickets: a short-lived right to upload as one user, for pages that can send neither cookie nor header.

A ticket stands in a path, so it may do nothing but upload, lives an hour at most, and dies with the session that it was
drawn from.
"""

import secrets
import time
from dataclasses import dataclass, replace

from chalicelib.accounts.records import Session
from chalicelib.accounts.sessions import MAX_TOKEN_CHARACTERS, TOKEN_BYTES, is_live, note_use
from chalicelib.accounts.tokens import token_digest
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotSignedIn
from chalicelib.kernel.permissions import Scope
from chalicelib.wiring import Stores

TICKET_TTL_SECONDS = 3600
#: All that a ticket can do, whoever has drawn it.
TICKET_SCOPES = frozenset({Scope.FILES_WRITE, Scope.FILES_DELETE})


@dataclass(frozen=True)
class Ticket:
    token: str
    expires_at: int


def draw_ticket(stores: Stores, caller: Caller, session_token: str) -> Ticket:
    """A new ticket for the user of this session."""
    ticket = Ticket(secrets.token_urlsafe(TOKEN_BYTES), int(time.time()) + TICKET_TTL_SECONDS)
    stores.sessions.create(
        Session(
            token_hash=token_digest(ticket.token),
            caller=caller,
            created_at=timestamp(),
            expires_at=ticket.expires_at,
            ticket_of=token_digest(session_token),
        )
    )
    return ticket


def redeem_ticket(stores: Stores, token: str) -> Caller:
    """Who may upload with this ticket.

    :raises NotSignedIn: it is unknown or expired, or the session that it was drawn from has ended.
    """
    if not token or len(token) > MAX_TOKEN_CHARACTERS:
        raise NotSignedIn
    ticket = stores.sessions.find(token_digest(token))
    if ticket is None or ticket.ticket_of is None or ticket.expires_at <= time.time():
        raise NotSignedIn
    session = stores.sessions.find(ticket.ticket_of)
    if session is None or not is_live(stores, session):
        raise NotSignedIn
    note_use(stores, session)
    # The session's, because its role is kept up to date.
    return replace(session.caller, scopes=session.caller.scopes & TICKET_SCOPES)
