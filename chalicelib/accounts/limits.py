"""Who may ask how often. Counting and refusing are one step here, so that no route can count and forget to refuse."""

import hashlib
from dataclasses import dataclass

from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.errors import TooManyRequests
from chalicelib.kernel.limit_status import LimitStatus
from chalicelib.wiring import Stores

__all__ = [
    "LimitReached",
    "LimitStatus",
    "Reserved",
    "count_anonymous",
    "count_health",
    "count_invitation",
    "count_login",
    "count_password_again",
    "count_request",
    "count_sign_up",
    "count_ticket",
    "count_upload",
    "reserve_acceptance",
    "reserve_code",
    "reserve_failure",
    "reserve_failure_of_device",
]


#: A login that waits for its code lives for five minutes.
CODES_OF_A_CHALLENGE = "5/hour"


class LimitReached(TooManyRequests):
    def __init__(self, status: LimitStatus, sentence: str) -> None:
        super().__init__(status.reset_seconds, sentence)
        self.limit_status = status


@dataclass(frozen=True)
class Reserved:
    """Failed logins counted before the password is checked, so that guesses at the same moment can't pass the bound."""

    counted: tuple[tuple[str, tuple[str, ...]], ...]

    def give_back(self, stores: Stores) -> None:
        """The login did not fail."""
        for limit, who in self.counted:
            stores.counters.give_back(limit, *who)


def count_login(stores: Stores, address: str) -> LimitStatus:
    """Attempts of an address, right or wrong.

    When the cache is away this still counts, in the process: logging in never becomes unlimited.

    :raises LimitReached: too many.
    """
    return _count(
        stores, stores.settings.rate_limit_login_per_address, "Too many login attempts.", "login-address", address
    )


def reserve_failure(stores: Stores, address: str, name: str) -> Reserved:
    """Count a failure of ``name`` from a device that is not known: tightly from this address, loosely in all.

    :raises LimitReached: too many; nothing is counted then.
    """
    settings, hashed = stores.settings, _hashed(name)
    return _reserve(
        stores,
        (settings.rate_limit_login_per_username_and_address, ("login-username-address", hashed, address)),
        (settings.rate_limit_login_per_username, ("login-username", hashed)),
    )


def reserve_failure_of_device(stores: Stores, nonce: str) -> Reserved:
    """Count a failure of a device that its user has signed in from before.

    :raises LimitReached: too many; nothing is counted then.
    """
    return _reserve(stores, (stores.settings.rate_limit_login_per_device, ("login-device", _hashed(nonce))))


def reserve_code(stores: Stores, caller: Caller, challenge: str | None = None) -> Reserved:
    """Count a wrong code of this user, before the code is looked at; of one login besides.

    :param challenge: token hash of the login that waits for the code.
    :raises LimitReached: too many; nothing is counted then.
    """
    user = (stores.settings.rate_limit_second_factor, ("code", caller.organization_id, caller.user_id))
    login = ((CODES_OF_A_CHALLENGE, ("challenge", challenge)),) if challenge is not None else ()
    return _reserve(stores, *login, user, sentence="Too many wrong codes.")


def count_password_again(stores: Stores, caller: Caller) -> LimitStatus:
    """Attempts, right or wrong, by the session's user alone: nobody else can use them up.

    :raises LimitReached: too many.
    """
    return _count(
        stores,
        stores.settings.rate_limit_password,
        "Too many attempts at the password.",
        "password",
        caller.organization_id,
        caller.user_id,
    )


def count_ticket(stores: Stores, caller: Caller) -> LimitStatus:
    """:raises LimitReached: too many upload tickets drawn by this user."""
    return _count(
        stores,
        stores.settings.rate_limit_tickets,
        "Too many upload tickets.",
        "ticket",
        caller.organization_id,
        caller.user_id,
    )


def count_sign_up(stores: Stores, address: str) -> LimitStatus:
    """:raises LimitReached: too many new organisations of this address."""
    return _count(stores, stores.settings.rate_limit_sign_up, "Too many new organisations.", "sign-up", address)


def reserve_acceptance(stores: Stores, address: str) -> tuple[LimitStatus, Reserved]:
    """Count an attempt to accept an invitation as a failure, until it turns out to be none: many people of one office
    may come from one address.

    :raises LimitReached: too many failures.
    """
    limit, who = stores.settings.rate_limit_sign_up, ("accept", address)
    status = _count(stores, limit, "Too many attempts to accept an invitation.", *who)
    return status, Reserved(((limit, who),))


def count_invitation(stores: Stores, caller: Caller) -> LimitStatus:
    """Of the whole organisation, as each may be an e-mail to a stranger.

    :raises LimitReached: too many.
    """
    return _count(
        stores,
        stores.settings.rate_limit_invitations,
        "Too many invitations of this organisation.",
        "invitation",
        caller.organization_id,
    )


def count_anonymous(stores: Stores, address: str, *, with_token: bool) -> LimitStatus:
    """Requests without a live session. Those that carry no token and cost nothing are counted apart from those whose
    token has to be looked up, and neither with logins: none of them uses up what the others have.

    :raises LimitReached: too many.
    """
    return _count(
        stores,
        stores.settings.rate_limit_anonymous,
        "Too many requests without a session from this address.",
        "unknown-token" if with_token else "anonymous",
        address,
    )


def count_health(stores: Stores, address: str) -> LimitStatus:
    """Health checks, by each process for itself: the answer is kept for seconds, so counting is all they would cost.

    :raises LimitReached: too many.
    """
    status = stores.own_counters.hit(stores.settings.rate_limit_health, "health", address)
    if not status.allowed:
        raise LimitReached(status, "Too many health checks.")
    return status


def count_request(stores: Stores, caller: Caller) -> LimitStatus:
    """:raises LimitReached: too many requests of this user, or with this API key."""
    if caller.type is ActorType.API_KEY:
        return _count(
            stores,
            stores.settings.rate_limit_api_key,
            "Too many requests with this API key.",
            "api-key",
            caller.organization_id,
            caller.user_id,
        )
    return _count(
        stores,
        stores.settings.rate_limit_signed_in,
        "Too many requests.",
        "user",
        caller.organization_id,
        caller.user_id,
    )


def count_upload(stores: Stores, caller: Caller) -> LimitStatus:
    """Starts of uploads, whether form or direct; the parts of one don't count.

    :raises LimitReached: too many.
    """
    return _count(
        stores,
        stores.settings.rate_limit_uploads,
        "Too many uploads.",
        "upload",
        caller.organization_id,
        caller.user_id,
    )


def _count(stores: Stores, limit: str, sentence: str, *who: str) -> LimitStatus:
    status = stores.counters.hit(limit, *who)
    if not status.allowed:
        raise LimitReached(status, sentence)
    return status


def _reserve(
    stores: Stores, *counters: tuple[str, tuple[str, ...]], sentence: str = "Too many failed logins."
) -> Reserved:
    counted: tuple[tuple[str, tuple[str, ...]], ...] = ()
    for limit, who in counters:
        counted = (*counted, (limit, who))
        try:
            _count(stores, limit, sentence, *who)
        except LimitReached:
            Reserved(counted).give_back(stores)
            raise
    return Reserved(counted)


def _hashed(text: str) -> str:
    """What someone typed or sent can't grow the cache's keys or break their form."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
