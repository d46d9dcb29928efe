"""Rate counters in Redis or Valkey, by the ``limits`` library.

Fails over, never open: when the cache is away each process counts in its own memory, so limits become wider by the
number of processes but don't vanish, login's least of all. The cache is asked again after a pause, so that an outage
costs one time-out per pause and not one per request. What each method promises is told by its port,
``chalicelib.accounts.ports.Counters``.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from chalicelib.kernel.limit_status import LimitStatus

CACHE_TIMEOUT_SECONDS = 0.5
CACHE_PAUSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class RateCounters:
    def __init__(self, cache_url: str | None, on_fallback: Callable[[], None] = lambda: None) -> None:
        """:param on_fallback: called once for each pause that the cache is given."""
        self._cache = _connect(cache_url) if cache_url else None
        self._memory = MemoryStorage()
        self._cache_paused_until = 0.0
        self._on_fallback = on_fallback

    def hit(self, limit: str, *who: str) -> LimitStatus:
        items = parse_many(limit)
        if self._cache is not None and time.monotonic() >= self._cache_paused_until:
            try:
                return _hit(self._cache, items, who)
            except self._cache.base_exceptions as error:
                self._cache_paused_until = time.monotonic() + CACHE_PAUSE_SECONDS
                self._on_fallback()
                _log.warning(
                    "The cache is away (%s): counting in memory for %s s",
                    type(error).__name__,
                    CACHE_PAUSE_SECONDS,
                )
        return _hit(self._memory, items, who)

    def give_back(self, limit: str, *who: str) -> None:
        """Where the count was made; when the cache came or went in between, it stays there until its window ends."""
        storage = self._memory if self._cache is None or time.monotonic() < self._cache_paused_until else self._cache
        try:
            for item in parse_many(limit):
                key = item.key_for(*who)
                if storage.get(key) > 0:
                    storage.incr(key, item.get_expiry(), amount=-1)
        except storage.base_exceptions as error:
            _log.warning("A count was not given back: the cache is away (%s)", type(error).__name__)

    def is_reachable(self) -> bool:
        return self._cache is None or bool(self._cache.check())


def _connect(cache_url: str) -> Storage:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {
        "socket_connect_timeout": CACHE_TIMEOUT_SECONDS,
        "socket_timeout": CACHE_TIMEOUT_SECONDS,
        # The client's own default is three retries with back-off; counting in memory is the better second attempt.
        "retry": Retry(NoBackoff(), retries=0),
        "health_check_interval": 30,
    }
    storage = storage_from_string(cache_url, wrap_exceptions=False, **options)
    assert isinstance(storage, Storage)
    return storage


def _hit(storage: Storage, items: list[RateLimitItem], who: tuple[str, ...]) -> LimitStatus:
    limiter = FixedWindowRateLimiter(storage)
    statuses = []
    for item in items:
        allowed = limiter.hit(item, *who)
        stats = limiter.get_window_stats(item, *who)
        reset_seconds = max(1, math.ceil(stats.reset_time - time.time()))
        statuses.append(LimitStatus(allowed, item.amount, max(0, stats.remaining), reset_seconds))
    return tightest(statuses)


def tightest(statuses: list[LimitStatus]) -> LimitStatus:
    """That of the window with least room; once one refuses, of the one that refuses longest."""
    refused = [s for s in statuses if not s.allowed]
    if refused:
        return max(refused, key=lambda s: s.reset_seconds)
    return min(statuses, key=lambda s: s.remaining)
