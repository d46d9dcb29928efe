"""The second half of a login: the code."""

import secrets
import time

from chalicelib.accounts import codes, limits
from chalicelib.accounts.devices import device_proofs
from chalicelib.accounts.records import Session, SignInMethod, User
from chalicelib.accounts.sessions import (
    MAX_TOKEN_CHARACTERS,
    TOKEN_BYTES,
    Client,
    SignedIn,
    binding_of,
    open_sessions,
    tell_failure,
    write_session,
)
from chalicelib.kernel.errors import ChallengeEnded, Unavailable, WrongCode, WrongCodeAtLogin
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.kernel.tokens import token_digest
from chalicelib.wiring import Stores


def complete_login(stores: Stores, token: str, code: str, client: Client) -> SignedIn:
    """Start the session that the password alone did not. The challenge and the code are used up with it.

    :param token: of the challenge.
    :raises ChallengeEnded: there is no such login under way.
    :raises WrongCodeAtLogin: wrong, too old or used; the login waits on.
    :raises LimitReached: too many wrong codes, of this user or this login.
    """
    challenge = token_digest(token[:MAX_TOKEN_CHARACTERS])
    session_token = secrets.token_urlsafe(TOKEN_BYTES)
    found = _find(stores, challenge)
    reserved = limits.reserve_code(stores, found.caller, challenge)

    def read() -> tuple[Session | None, User | None]:
        caller = found.caller
        return stores.sessions.find(challenge), stores.users.find(caller.organization_id, caller.user_id)

    def start(read: tuple[Session | None, User | None]) -> SignedIn:
        waiting, user = read
        if user is not None and token_digest(session_token) in open_sessions(user):
            # Only the answer was lost.
            return SignedIn(session_token, user.caller, device_proofs(user, client.device))
        return _start(stores, waiting, user, code, client, session_token)

    try:
        signed_in = compare_and_swap(
            read,
            start,
            first=(found, stores.users.find(found.caller.organization_id, found.caller.user_id)),
            waits=True,
            exhausted=Unavailable("Too many logins of this user at once; try again."),
        )
    except WrongCode:
        tell_failure(stores, found.caller, found.caller.username, "code")
        raise
    except Exception:
        reserved.give_back(stores)
        raise
    reserved.give_back(stores)
    return signed_in


def _find(stores: Stores, challenge: str) -> Session:
    """:raises ChallengeEnded: unknown, used or too old."""
    found = stores.sessions.find(challenge)
    if found is None or found.challenge_of is None or found.expires_at <= time.time():
        raise ChallengeEnded
    return found


def _start(
    stores: Stores, waiting: Session | None, user: User | None, code: str, client: Client, session_token: str
) -> SignedIn:
    if waiting is None or user is None or user.disabled or user.second_factor is None:
        raise ChallengeEnded
    if waiting.challenge_of != binding_of(user):
        raise ChallengeEnded
    used = codes.use(user.second_factor, code)
    if used is None:
        raise WrongCodeAtLogin
    by_recovery_code = used.recovery_codes != user.second_factor.recovery_codes
    how = SignInMethod.RECOVERY_CODE if by_recovery_code else SignInMethod.AUTHENTICATOR
    return write_session(
        stores, user, client, session_token, user.caller, how, second_factor=used, challenge=waiting.token_hash
    )
