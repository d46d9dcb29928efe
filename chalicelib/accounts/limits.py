"""Who may ask how often. Counting and refusing are one step here, so that no route can count and forget to refuse."""

import hashlib

from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import TooManyRequests
from chalicelib.platform.rate_counters import LimitStatus
from chalicelib.wiring import Stores

__all__ = ["LimitReached", "LimitStatus", "count_anonymous", "count_login", "count_request", "count_upload"]


class LimitReached(TooManyRequests):
    def __init__(self, standing: LimitStatus, sentence: str) -> None:
        super().__init__(standing.reset_seconds, sentence)
        self.standing = standing


def count_login(stores: Stores, address: str, username: str) -> LimitStatus:
    """Attempts, right or wrong, per address; and per username, so that many addresses can't share one victim.

    When the cache is away these two still count, in the process: logging in never becomes unlimited.

    :raises LimitReached: too many.
    """
    settings = stores.settings
    standing = _count(
        stores, settings.rate_limit_login_per_address, "Too many login attempts.", "login-address", address
    )
    # The name is whatever someone typed; as a hash it can't grow the cache's keys or break their form.
    name = hashlib.sha256(username.encode()).hexdigest()[:32]
    _count(stores, settings.rate_limit_login_per_username, "Too many login attempts.", "login-username", name)
    return standing


def count_anonymous(stores: Stores, address: str) -> LimitStatus:
    """Requests without a live session.

    :raises LimitReached: too many.
    """
    return _count(
        stores,
        stores.settings.rate_limit_anonymous,
        "Too many requests without a session from this address.",
        "anonymous",
        address,
    )


def count_request(stores: Stores, caller: Caller) -> LimitStatus:
    """:raises LimitReached: too many requests of this user."""
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
    standing = stores.counters.hit(limit, *who)
    if not standing.allowed:
        raise LimitReached(standing, sentence)
    return standing
