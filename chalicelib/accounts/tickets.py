"""Upload tickets: a short-lived right to upload as one user, for pages that can send neither cookie nor header.

A ticket stands in a path, so it may do nothing but upload, lives an hour at most, and dies with the session that it was
drawn from. One that was drawn with an API key dies with that secret of the key, and works from the key's networks only.
"""

import secrets
import time
from dataclasses import dataclass, replace

from chalicelib.accounts.records import Session
from chalicelib.accounts.sessions import MAX_TOKEN_CHARACTERS, TOKEN_BYTES, is_live, note_use
from chalicelib.api_keys.logic import caller_by_hash
from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotSignedIn
from chalicelib.kernel.permissions import Scope
from chalicelib.kernel.tokens import token_digest
from chalicelib.wiring import Stores

TICKET_TTL_SECONDS = 3600
#: All that a ticket can do, whoever has drawn it.
TICKET_SCOPES = frozenset({Scope.FILES_WRITE, Scope.FILES_DELETE})


@dataclass(frozen=True)
class Ticket:
    token: str
    expires_at: int


def draw_ticket(stores: Stores, caller: Caller, session_token: str) -> Ticket:
    """A new ticket for the user of this session, or for the API key.

    :param session_token: the session's, or the text of the key.
    """
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


def redeem_ticket(stores: Stores, token: str, address: str) -> Caller:
    """Who may upload with this ticket.

    :param address: where it is used.
    :raises NotSignedIn: it is unknown or expired, or the session or key that it was drawn from has ended.
    :raises MissingPermission: it is used outside the networks of its key.
    """
    if not token or len(token) > MAX_TOKEN_CHARACTERS:
        raise NotSignedIn
    ticket = stores.sessions.find(token_digest(token))
    if ticket is None or ticket.ticket_of is None or ticket.expires_at <= time.time():
        raise NotSignedIn
    # Read anew, because role and scopes may have changed since.
    caller = _drawn_by(stores, ticket.caller, ticket.ticket_of, address)
    return replace(caller, scopes=caller.scopes & TICKET_SCOPES)


def _drawn_by(stores: Stores, caller: Caller, token_hash: str, address: str) -> Caller:
    if caller.type is ActorType.API_KEY:
        return caller_by_hash(stores, caller.organization_id, caller.user_id, token_hash, address)
    session = stores.sessions.find(token_hash)
    if session is None or not is_live(stores, session):
        raise NotSignedIn
    note_use(stores, session)
    return session.caller
