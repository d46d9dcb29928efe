"""A user's second factor: setting it up, taking it off, and an organisation that requires one.

Each change takes the password again, and a code where there is a second factor already: a stolen session can do none
of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.accounts import codes, limits
from chalicelib.accounts.passwords import password_matches
from chalicelib.accounts.records import EndReason, SecondFactor, User
from chalicelib.accounts.sessions import open_sessions
from chalicelib.accounts.users import write_user
from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.errors import (
    Conflict,
    NotSignedIn,
    SecondFactorRequired,
    Unavailable,
    WrongCode,
    WrongPassword,
)
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.kernel.tokens import token_digest
from chalicelib.tenants.organizations import set_require_second_factor
from chalicelib.wiring import Stores

#: Some 15 ms each, within the time that a request has.
MAX_USERS_AT_ONCE = 500
T = TypeVar("T")


@dataclass(frozen=True)
class SetUp:
    uri: str
    secret: str
    qr_svg: str


def set_up(stores: Stores, caller: Caller, token: str, password: str, code: str | None) -> SetUp:
    """Begin with a new secret, which counts for nothing before it is confirmed.

    :param token: of the session that asks.
    :param code: where there is a second factor already, which goes on until the new one is confirmed.
    :raises WrongPassword: nothing was changed.
    :raises WrongCode: nothing was changed.
    :raises LimitReached: too many wrong codes.
    """
    secret = codes.new_secret()

    def begin(user: User) -> SetUp:
        # If it is there already, only the answer was lost.
        if user.pending_secret != secret:
            _check_password(stores, user, password)
            used = _used(user, code or "") if user.second_factor is not None else None
            write_user(stores, user, ended=(), pending_secret=secret, second_factor=used)
        uri = codes.otpauth_uri(secret, user.username)
        return SetUp(uri, secret, codes.qr_svg(uri))

    return _change(stores, caller, token, begin)


def confirm(stores: Stores, caller: Caller, token: str, code: str) -> list[str]:
    """From now on a login takes a code. Ends every other session of the user.

    :returns: the recovery codes, which are not to be had again.
    :raises WrongCode: not a code of the secret that was given out last.
    :raises Conflict: nothing was begun.
    :raises LimitReached: too many wrong codes.
    """
    recovery, token_hash = codes.new_recovery_codes(), token_digest(token)
    hashes = tuple(codes.recovery_hash(one) for one in recovery)

    def write(user: User) -> list[str]:
        if user.second_factor is not None and user.second_factor.recovery_codes == hashes:
            # Only the answer was lost.
            return recovery
        if user.pending_secret is None:
            raise Conflict("No second factor is being set up. Begin with POST /auth/second-factor/setup.")
        step = codes.step_of(user.pending_secret, code)
        if step is None:
            raise WrongCode
        others = [other for other in open_sessions(user) if other != token_hash]
        factor = SecondFactor(user.pending_secret, step, hashes)
        write_user(stores, user, ended=others, second_factor=factor, pending_secret=None)
        return recovery

    return _change(stores, caller, token, write)


def renew_recovery_codes(stores: Stores, caller: Caller, token: str, password: str, code: str) -> list[str]:
    """Ten new ones; those from before are dead.

    :raises WrongPassword: nothing was changed.
    :raises WrongCode: nothing was changed.
    :raises Conflict: there is no second factor.
    :raises LimitReached: too many wrong codes.
    """
    recovery = codes.new_recovery_codes()
    hashes = tuple(codes.recovery_hash(one) for one in recovery)

    def write(user: User) -> list[str]:
        if user.second_factor is not None and user.second_factor.recovery_codes == hashes:
            return recovery
        used = _used_with_password(stores, user, password, code)
        write_user(stores, user, ended=(), second_factor=SecondFactor(used.secret, used.last_step, hashes))
        return recovery

    return _change(stores, caller, token, write)


def remove(stores: Stores, caller: Caller, token: str, password: str, code: str) -> None:
    """From now on the password is enough. Ends every other session of the user.

    :raises WrongPassword: nothing was changed.
    :raises WrongCode: nothing was changed.
    :raises Conflict: there is none, or the organisation requires one.
    :raises LimitReached: too many wrong codes.
    """
    token_hash, tried = token_digest(token), False

    def write(user: User) -> None:
        nonlocal tried
        if tried and user.second_factor is None:
            # Only the answer was lost.
            return
        _used_with_password(stores, user, password, code)
        tried = True
        others = [other for other in open_sessions(user) if other != token_hash]
        try:
            write_user(stores, user, ended=others, unless_required=True, second_factor=None, pending_secret=None)
        except SecondFactorRequired:
            raise Conflict(
                "Your organisation requires a second factor. To take another, set that up: it replaces this one."
            ) from None

    _change(stores, caller, token, write)


def require_second_factor(stores: Stores, caller: Caller, required: bool) -> None:
    """Whether the caller's organisation requires one of its people. Who has none is signed out, and sets one up next.

    Repeatable: what a call leaves, the next one does.

    :raises Conflict: the caller has none, and would be signed out.
    :raises Unavailable: it is required, but not all sessions have ended yet.
    """
    if required and caller.type is ActorType.USER and not caller.has_second_factor:
        raise Conflict("Set up a second factor yourself first, or you would be signed out.")
    set_require_second_factor(stores, caller.organization_id, required)
    # After the requirement: no session without begins from then on.
    if required and not end_sessions_without(stores, caller.organization_id, MAX_USERS_AT_ONCE):
        raise Unavailable("A second factor is required from now on, but not all have been signed out yet; try again.")


def end_sessions_without(stores: Stores, organization_id: str, at_most: int = MAX_USERS_AT_ONCE) -> bool:
    """End the sessions of those who have no second factor, but for those in which one is being set up.

    :param at_most: how many users; the rest is for the next call.
    :returns: whether that was all.
    """
    ended = 0
    for user in stores.users.of_organization(organization_id):
        if user.second_factor is not None or not user.live_sessions:
            continue
        if ended == at_most:
            return False
        ended += _end_sessions_of(stores, user)
    return True


def _end_sessions_of(stores: Stores, read: User) -> bool:
    """:returns: whether there was any."""

    def end(user: User | None) -> bool:
        if user is None or user.second_factor is not None:
            return False
        found = stores.sessions.find_many(open_sessions(user))
        ended = [session.token_hash for session in found if not session.caller.must_set_up_second_factor]
        if ended:
            write_user(stores, user, ended=ended, reason=EndReason.SECOND_FACTOR_REQUIRED)
        return bool(ended)

    return compare_and_swap(
        lambda: stores.users.find(read.organization_id, read.user_id),
        end,
        first=read,
        exhausted=Unavailable("A user is being changed by others; try again."),
    )


def _change(stores: Stores, caller: Caller, token: str, change: Callable[[User], T]) -> T:
    """Change the user of this session; only a wrong code stays counted.

    :raises NotSignedIn: the session was ended meanwhile.
    """
    token_hash = token_digest(token)

    def swap(user: User | None) -> T:
        if user is None or token_hash not in open_sessions(user):
            raise NotSignedIn
        return change(user)

    with _code_counted(stores, caller):
        return compare_and_swap(
            lambda: stores.users.find(caller.organization_id, caller.user_id),
            swap,
            exhausted=Conflict("Your account is being changed by others; try again."),
        )


@contextmanager
def _code_counted(stores: Stores, caller: Caller) -> Iterator[None]:
    reserved = limits.reserve_code(stores, caller)
    try:
        yield
    except WrongCode:
        raise
    except Exception:
        reserved.give_back(stores)
        raise
    reserved.give_back(stores)


def _check_password(stores: Stores, user: User, password: str) -> None:
    if not password_matches(password, user.password_hash, stores.settings.bcrypt_cost):
        raise WrongPassword


def _used(user: User, code: str) -> SecondFactor:
    """:raises WrongCode: wrong, too old or used."""
    if user.second_factor is None:
        raise Conflict("You have no second factor.")
    used = codes.use(user.second_factor, code)
    if used is None:
        raise WrongCode
    return used


def _used_with_password(stores: Stores, user: User, password: str, code: str) -> SecondFactor:
    _check_password(stores, user, password)
    return _used(user, code)
