"""Signing in and out: opaque tokens, kept server-side as hashes, dead the moment that they are ended."""

import random
import re
import secrets
import time
from dataclasses import dataclass, replace

from chalicelib.accounts.passwords import password_matches
from chalicelib.accounts.records import Session, User
from chalicelib.accounts.tokens import token_digest
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotSignedIn, Unavailable, VersionConflict, WrongCredentials
from chalicelib.kernel.nfc import compose
from chalicelib.wiring import Stores

TOKEN_BYTES = 32
#: A user's oldest session ends when one more is started; also what one transaction can end at once.
MAX_LIVE_SESSIONS = 20
MAX_LOGIN_ATTEMPTS = 8
#: Longer than any token that we make; what is longer is not looked up.
MAX_TOKEN_CHARACTERS = 128
#: Looked up in place of what can't be a username, for the same work; nobody can be called so.
_NOBODYS_NAME = " "


@dataclass(frozen=True)
class SignedIn:
    token: str
    caller: Caller


def login(stores: Stores, username: str, password: str) -> SignedIn:
    """Check the credentials and start a session.

    :raises WrongCredentials: unknown user, wrong password or disabled user: one error, and the same work.
    """
    name = normalize_username(username)
    user = stores.users.find_by_username(name if is_username(name) else _NOBODYS_NAME)
    matches = password_matches(password, user.password_hash if user else None, stores.settings.bcrypt_cost)
    for attempt in range(MAX_LOGIN_ATTEMPTS):
        if user is None or not matches or user.disabled:
            raise WrongCredentials
        try:
            return _start_session(stores, user)
        except VersionConflict:
            # Another login of the same user, or a change of the user: decide anew on what is there now.
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
            checked_hash = user.password_hash
            user = stores.users.find(user.organization_id, user.user_id)
            matches = user is not None and user.password_hash == checked_hash
    raise Unavailable("Too many logins of this user at once; try again.")


def authenticate(stores: Stores, token: str | None) -> Caller:
    """Who this token belongs to. One read, strongly consistent: an ended session is refused at once.

    :raises NotSignedIn: no token, an unknown one, an expired or ended session.
    """
    if not token or len(token) > MAX_TOKEN_CHARACTERS:
        raise NotSignedIn
    session = stores.sessions.find(token_digest(token))
    # DynamoDB's TTL deletes up to days late (AWS documentation), so the time is checked here.
    # An upload ticket lies in the same table, and is no session.
    if session is None or session.ticket_of is not None or session.expires_at <= time.time():
        raise NotSignedIn
    return session.caller


def logout(stores: Stores, caller: Caller, token: str) -> None:
    """End this session, and take it off the user's list, or ended ones would push out living ones."""
    token_hash = token_digest(token)
    for _ in range(MAX_LOGIN_ATTEMPTS):
        user = stores.users.find(caller.organization_id, caller.user_id)
        others = tuple(e for e in user.live_sessions if e.partition(":")[2] != token_hash) if user else ()
        if user is None or others == user.live_sessions:
            break
        try:
            changed = replace(user, live_sessions=others, version=user.version + 1)
            return stores.users.replace(user, changed, [token_hash])
        except VersionConflict:
            continue
    stores.sessions.delete(token_hash)


def normalize_username(username: str) -> str:
    """Usernames are compared without regard to case, surrounding space and how their accents are encoded."""
    return compose(compose(username.strip()).casefold())


def is_username(name: str) -> bool:
    """Whether a user can be called so. What can't be is not looked up either: not every text can be a key."""
    return re.fullmatch(r"[\w.@+-]{1,128}", name) is not None


def open_sessions(user: User) -> list[str]:
    """The token hashes of all that the user has open, to be deleted with a change of the user."""
    return [entry.partition(":")[2] for entry in user.live_sessions]


def _start_session(stores: Stores, user: User) -> SignedIn:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = int(time.time())
    session = Session(
        token_hash=token_digest(token),
        caller=Caller(user.organization_id, user.user_id, user.username),
        created_at=timestamp(),
        expires_at=now + stores.settings.session_ttl_seconds,
    )
    live = [entry for entry in user.live_sessions if int(entry.partition(":")[0]) > now]
    evicted = live[: -(MAX_LIVE_SESSIONS - 1)] if len(live) >= MAX_LIVE_SESSIONS else []
    live_sessions = (*live[len(evicted) :], f"{session.expires_at}:{session.token_hash}")
    stores.users.start_session(user, session, live_sessions, [entry.partition(":")[2] for entry in evicted])
    return SignedIn(token, session.caller)
