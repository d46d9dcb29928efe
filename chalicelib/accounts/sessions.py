"""Signing in and out: opaque tokens, kept server-side as hashes, dead the moment that they are ended."""

import logging
import re
import secrets
import time
from dataclasses import dataclass, replace

from chalicelib.accounts import limits
from chalicelib.accounts.devices import device_proofs, device_tokens, find_device
from chalicelib.accounts.event_records import event_of_failure
from chalicelib.accounts.passwords import password_matches
from chalicelib.accounts.records import SecondFactor, Session, SignInMethod, User
from chalicelib.kernel.acting import ActorKind, acting_as
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    NotSignedIn,
    SecondFactorRequired,
    Unavailable,
    VersionConflict,
    WrongCredentials,
)
from chalicelib.kernel.nfc import compose
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.kernel.tokens import token_digest
from chalicelib.wiring import Stores

_log = logging.getLogger(__name__)

TOKEN_BYTES = 32
#: A user's oldest session ends when one more is started; also what one transaction can end at once.
MAX_LIVE_SESSIONS = 20
#: Longer than any token that we make; what is longer is not looked up.
MAX_TOKEN_CHARACTERS = 128
#: How long a login waits for its code.
CHALLENGE_TTL_SECONDS = 300
#: The use of a session is written down no more often than this.
NOTED_EVERY_SECONDS = 600
#: Looked up in place of what can't be a username, for the same work; nobody can be called so.
_NOBODYS_NAME = " "


@dataclass(frozen=True)
class Client:
    """What asks for a session."""

    address: str = "unknown"
    program: str = ""
    #: What it sent to be known by.
    device: str | None = None


UNKNOWN_CLIENT = Client()


@dataclass(frozen=True)
class SignedIn:
    token: str
    caller: Caller
    #: For the next login from the same device.
    device: str


@dataclass(frozen=True)
class Challenge:
    """The password was right; the second factor is still to come."""

    token: str
    caller: Caller


def login(stores: Stores, username: str, password: str, client: Client = UNKNOWN_CLIENT) -> SignedIn | Challenge:
    """Check the credentials and start a session, or ask for the second factor. Only a failure stays counted.

    :raises WrongCredentials: unknown user, wrong password or disabled user: one error, and the same work.
    :raises LimitReached: too many failures, of this name or this device.
    """
    name = normalize_username(username)
    # Without a token nothing that is read could change the decision, so what is refused costs nothing.
    reserved = None if device_tokens(client.device) else limits.reserve_failure(stores, client.address, name)
    user = None
    try:
        user = stores.users.find_by_username(name if is_username(name) else _NOBODYS_NAME)
        if reserved is None:
            reserved = _reserve_with_device(stores, user, name, client)
        signed_in = _login(stores, user, password, client)
    except WrongCredentials:
        tell_failure(stores, user.caller if user is not None else None, name, "password")
        raise
    except Exception:
        if reserved is not None:
            reserved.give_back(stores)
        raise
    reserved.give_back(stores)
    return signed_in


def tell_failure(stores: Stores, caller: Caller | None, name: str, step: str) -> None:
    """Write that a login has failed; the parameters are those of ``event_of_failure``. One write, whoever it was.

    Whoever is refused by a limit does not get here, so what can be written is bounded as guesses are. That it can't be
    written is no reason for another answer: an outage would turn wrong passwords into errors.
    """
    try:
        stores.outbox.put(event_of_failure(caller, name, step, secrets.token_hex(16)))
    except Exception as error:
        _log.warning("A failed login left no event: %s", type(error).__name__)


def _reserve_with_device(stores: Stores, user: User | None, name: str, client: Client) -> limits.Reserved:
    nonce = find_device(user, client.device)
    if nonce is not None:
        try:
            return limits.reserve_failure_of_device(stores, nonce)
        except limits.LimitReached:
            # Whoever sends none is asked no more than this, so refusing here would keep out nobody.
            pass
    return limits.reserve_failure(stores, client.address, name)


def _login(stores: Stores, user: User | None, password: str, client: Client) -> SignedIn | Challenge:
    matches = password_matches(password, user.password_hash if user else None, stores.settings.bcrypt_cost)
    if user is None or not matches:
        raise WrongCredentials
    checked = user

    def read() -> User | None:
        return stores.users.find(checked.organization_id, checked.user_id)

    def start(now: User | None) -> SignedIn | Challenge:
        if now is None or now.disabled or now.password_hash != checked.password_hash:
            raise WrongCredentials
        if now.second_factor is not None:
            return _draw_challenge(stores, now)
        return start_session(stores, now, client, SignInMethod.PASSWORD)

    return compare_and_swap(
        read,
        start,
        first=checked,
        waits=True,
        exhausted=Unavailable("Too many logins of this user at once; try again."),
    )


def sign_in_created(stores: Stores, user: User, client: Client, how: SignInMethod) -> SignedIn:
    """For somebody who was created a moment ago, and so needs no check of a password.

    :raises WrongCredentials: somebody has disabled or removed the user at once.
    """

    def start(now: User | None) -> SignedIn:
        if now is None or now.disabled:
            raise WrongCredentials
        return start_session(stores, now, client, how)

    return compare_and_swap(
        lambda: stores.users.find(user.organization_id, user.user_id),
        start,
        first=user,
        exhausted=Unavailable("The account was created; sign in to it."),
    )


def authenticate(stores: Stores, token: str | None) -> Caller:
    """Who this token belongs to. One read, strongly consistent: an ended session is refused at once.

    Every ten minutes at most, one write besides.

    :raises NotSignedIn: no token, an unknown one, an expired or ended session, or one that lay idle.
    """
    if not token or len(token) > MAX_TOKEN_CHARACTERS:
        raise NotSignedIn
    session = stores.sessions.find(token_digest(token))
    if session is None or not session.is_session or not is_live(stores, session):
        raise NotSignedIn
    note_use(stores, session)
    return session.caller


def is_live(stores: Stores, session: Session) -> bool:
    return session.is_live(time.time(), stores.settings.session_idle_seconds)


def note_use(stores: Stores, session: Session) -> None:
    """Write down that the session is in use, if that was not done in the last ten minutes."""
    now = int(time.time())
    if now - session.last_used < NOTED_EVERY_SECONDS:
        return
    try:
        stores.sessions.note_use(session, now)
    except VersionConflict:
        # Another request of the session was first, or the session has just ended.
        pass
    except Exception as error:
        # The request itself needs nothing of this. At worst the session ends early.
        _log.warning("The use of a session was not written down: %s", type(error).__name__)


def logout(stores: Stores, caller: Caller, token: str) -> None:
    """End this session, and take it off the user's list, or ended ones would push out living ones."""
    token_hash = token_digest(token)

    def take_off(user: User | None) -> None:
        others = tuple(e for e in user.live_sessions if e.partition(":")[2] != token_hash) if user else ()
        if user is None or others == user.live_sessions:
            stores.sessions.end(caller, token_hash)
        else:
            changed = replace(user, live_sessions=others, version=user.version + 1)
            stores.users.replace(user, changed, [token_hash])

    try:
        compare_and_swap(
            lambda: stores.users.find(caller.organization_id, caller.user_id), take_off, exhausted=VersionConflict()
        )
    except VersionConflict:
        # The session ends all the same; its entry in the list ends with its time.
        stores.sessions.end(caller, token_hash)


def normalize_username(username: str) -> str:
    """Usernames are compared without regard to case, surrounding space and how their accents are encoded."""
    return compose(compose(username.strip()).casefold())


def is_username(name: str) -> bool:
    """Whether a user can be called so. What can't be is not looked up either: not every text can be a key."""
    return re.fullmatch(r"[\w.@+-]{1,128}", name) is not None


def open_sessions(user: User) -> list[str]:
    """The token hashes of all that the user has open, to be deleted with a change of the user."""
    return [entry.partition(":")[2] for entry in user.live_sessions]


def binding_of(user: User) -> str:
    """What of a user a login under way depends on: with another password it is dead."""
    return token_digest(f"challenge {user.password_hash}")


def _draw_challenge(stores: Stores, user: User) -> Challenge:
    challenge = Challenge(secrets.token_urlsafe(TOKEN_BYTES), user.caller)
    stores.sessions.create(
        Session(
            token_hash=token_digest(challenge.token),
            caller=user.caller,
            created_at=timestamp(),
            expires_at=int(time.time()) + CHALLENGE_TTL_SECONDS,
            challenge_of=binding_of(user),
        )
    )
    return challenge


def start_session(stores: Stores, user: User, client: Client, how: SignInMethod) -> SignedIn:
    """Of a user without a second factor who has shown who they are; the oldest one ends when there are too many.

    Where the organisation requires a second factor, the session can do nothing but set one up.

    :raises VersionConflict: the user is not as read any more.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    try:
        return write_session(stores, user, client, token, user.caller, how)
    except SecondFactorRequired:
        return write_session(stores, user, client, token, user.caller.before_second_factor(), how)


def write_session(
    stores: Stores,
    user: User,
    client: Client,
    token: str,
    caller: Caller,
    how: SignInMethod,
    *,
    second_factor: SecondFactor | None = None,
    challenge: str | None = None,
) -> SignedIn:
    """The parameters that are not said here are those of the store's ``start_session``, and so is what is raised."""
    now = int(time.time())
    session = Session(
        token_hash=token_digest(token),
        caller=caller,
        created_at=timestamp(),
        expires_at=now + stores.settings.session_ttl_seconds,
        address=client.address,
        program=client.program,
        used_at=now,
    )
    live = [entry for entry in user.live_sessions if int(entry.partition(":")[0]) > now]
    evicted = live[: -(MAX_LIVE_SESSIONS - 1)] if len(live) >= MAX_LIVE_SESSIONS else []
    live_sessions = (*live[len(evicted) :], f"{session.expires_at}:{session.token_hash}")
    ended = [entry.partition(":")[2] for entry in evicted]
    with acting_as(ActorKind.USER, user.user_id, user.username):
        stores.users.start_session(
            user, session, live_sessions, ended, how=how, second_factor=second_factor, challenge=challenge
        )
    return SignedIn(token, session.caller, device_proofs(user, client.device))
