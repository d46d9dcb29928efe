"""Signing in and out: opaque tokens, kept server-side as hashes, dead the moment that they are ended."""

import re
import secrets
import time
from dataclasses import dataclass, replace

from chalicelib.accounts import limits
from chalicelib.accounts.devices import device_proofs, device_tokens, find_device
from chalicelib.accounts.passwords import password_matches
from chalicelib.accounts.records import Session, User
from chalicelib.accounts.tokens import token_digest
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotSignedIn, Unavailable, VersionConflict, WrongCredentials
from chalicelib.kernel.nfc import compose
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.wiring import Stores

TOKEN_BYTES = 32
#: A user's oldest session ends when one more is started; also what one transaction can end at once.
MAX_LIVE_SESSIONS = 20
#: Longer than any token that we make; what is longer is not looked up.
MAX_TOKEN_CHARACTERS = 128
#: Looked up in place of what can't be a username, for the same work; nobody can be called so.
_NOBODYS_NAME = " "


@dataclass(frozen=True)
class SignedIn:
    token: str
    caller: Caller
    #: For the next login from the same device.
    device: str


def login(
    stores: Stores, username: str, password: str, *, address: str = "unknown", device: str | None = None
) -> SignedIn:
    """Check the credentials and start a session. Only a failure stays counted.

    :param device: what the device sent to be known by.
    :raises WrongCredentials: unknown user, wrong password or disabled user: one error, and the same work.
    :raises LimitReached: too many failures, of this name or this device.
    """
    name = normalize_username(username)
    # Without a token nothing that is read could change the decision, so what is refused costs nothing.
    reserved = None if device_tokens(device) else limits.reserve_failure(stores, address, name)
    try:
        user = stores.users.find_by_username(name if is_username(name) else _NOBODYS_NAME)
        if reserved is None:
            reserved = _reserve_with_device(stores, user, address, name, device)
        signed_in = _login(stores, user, password, device)
    except WrongCredentials:
        raise
    except Exception:
        if reserved is not None:
            reserved.give_back(stores)
        raise
    reserved.give_back(stores)
    return signed_in


def _reserve_with_device(
    stores: Stores, user: User | None, address: str, name: str, device: str | None
) -> limits.Reserved:
    nonce = find_device(user, device)
    if nonce is not None:
        try:
            return limits.reserve_failure_of_device(stores, nonce)
        except limits.LimitReached:
            # Whoever sends none is asked no more than this, so refusing here would keep out nobody.
            pass
    return limits.reserve_failure(stores, address, name)


def _login(stores: Stores, user: User | None, password: str, device: str | None) -> SignedIn:
    matches = password_matches(password, user.password_hash if user else None, stores.settings.bcrypt_cost)
    if user is None or not matches:
        raise WrongCredentials
    checked = user

    def read() -> User | None:
        return stores.users.find(checked.organization_id, checked.user_id)

    def start(now: User | None) -> SignedIn:
        if now is None or now.disabled or now.password_hash != checked.password_hash:
            raise WrongCredentials
        return _start_session(stores, now, device)

    return compare_and_swap(
        read,
        start,
        first=checked,
        waits=True,
        exhausted=Unavailable("Too many logins of this user at once; try again."),
    )


def start_session(stores: Stores, user: User, device: str | None) -> SignedIn:
    """For somebody who was created a moment ago, and so needs no check of a password.

    :param device: what the device sent to be known by.
    """
    return compare_and_swap(
        lambda: stores.users.find(user.organization_id, user.user_id),
        lambda now: _login_created(stores, now, device),
        first=user,
        exhausted=Unavailable("The account was created; sign in to it."),
    )


def _login_created(stores: Stores, user: User | None, device: str | None) -> SignedIn:
    """:raises WrongCredentials: somebody has disabled or removed the user at once."""
    if user is None or user.disabled:
        raise WrongCredentials
    return _start_session(stores, user, device)


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

    def take_off(user: User | None) -> None:
        others = tuple(e for e in user.live_sessions if e.partition(":")[2] != token_hash) if user else ()
        if user is None or others == user.live_sessions:
            stores.sessions.delete(token_hash)
        else:
            changed = replace(user, live_sessions=others, version=user.version + 1)
            stores.users.replace(user, changed, [token_hash])

    try:
        compare_and_swap(
            lambda: stores.users.find(caller.organization_id, caller.user_id), take_off, exhausted=VersionConflict()
        )
    except VersionConflict:
        # The session ends all the same; its entry in the list ends with its time.
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


def _start_session(stores: Stores, user: User, device: str | None) -> SignedIn:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = int(time.time())
    session = Session(
        token_hash=token_digest(token),
        caller=user.caller,
        created_at=timestamp(),
        expires_at=now + stores.settings.session_ttl_seconds,
    )
    live = [entry for entry in user.live_sessions if int(entry.partition(":")[0]) > now]
    evicted = live[: -(MAX_LIVE_SESSIONS - 1)] if len(live) >= MAX_LIVE_SESSIONS else []
    live_sessions = (*live[len(evicted) :], f"{session.expires_at}:{session.token_hash}")
    stores.users.start_session(user, session, live_sessions, [entry.partition(":")[2] for entry in evicted])
    return SignedIn(token, session.caller, device_proofs(user, device))
