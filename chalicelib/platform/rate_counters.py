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
from functools import cache
from typing import Any

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, RedisStorage, storage_from_string

from chalicelib.kernel.limit_status import LimitStatus

CACHE_TIMEOUT_SECONDS = 0.5
CACHE_PAUSE_SECONDS = 5.0

#: As the library's fixed window counts, and under the same key, but it tells when the window ends in the same step: the
#: library asks for count and end again, which makes three round trips a limit.
_COUNT_AND_TELL = b"""
local count = redis.call("incrby", KEYS[1], 1)
if count == 1 then
    redis.call("expire", KEYS[1], ARGV[1])
end
return {count, redis.call("ttl", KEYS[1])}
"""

_log = logging.getLogger(__name__)

_parse = cache(parse_many)


class RateCounters:
    def __init__(self, cache_url: str | None, on_fallback: Callable[[], None] = lambda: None) -> None:
        """:param on_fallback: called once for each pause that the cache is given."""
        self._cache = _connect(cache_url) if cache_url else None
        self._script = self._cache.get_connection().register_script(_COUNT_AND_TELL) if self._cache else None
        self._memory = MemoryStorage()
        self._cache_paused_until = 0.0
        self._on_fallback = on_fallback

    def hit(self, limit: str, *who: str) -> LimitStatus:
        items = _parse(limit)
        if self._cache is not None and time.monotonic() >= self._cache_paused_until:
            try:
                return tightest([self._hit_cache(self._cache, item, who) for item in items])
            except self._cache.base_exceptions as error:
                self._cache_paused_until = time.monotonic() + CACHE_PAUSE_SECONDS
                self._on_fallback()
                _log.warning(
                    "The cache is away (%s): counting in memory for %s s",
                    type(error).__name__,
                    CACHE_PAUSE_SECONDS,
                )
        return tightest([_hit_memory(self._memory, item, who) for item in items])

    def _hit_cache(self, storage: RedisStorage, item: RateLimitItem, who: tuple[str, ...]) -> LimitStatus:
        assert self._script is not None
        key = storage.prefixed_key(item.key_for(*who))
        count, seconds = self._script([key], [item.get_expiry()])
        return _status(item, count, seconds)

    def give_back(self, limit: str, *who: str) -> None:
        """Where the count was made; when the cache came or went in between, it stays there until its window ends."""
        storage = self._memory if self._cache is None or time.monotonic() < self._cache_paused_until else self._cache
        try:
            for item in _parse(limit):
                key = item.key_for(*who)
                if storage.get(key) > 0:
                    storage.incr(key, item.get_expiry(), amount=-1)
        except storage.base_exceptions as error:
            _log.warning("A count was not given back: the cache is away (%s)", type(error).__name__)

    def is_reachable(self) -> bool:
        return self._cache is None or bool(self._cache.check())


def _connect(cache_url: str) -> RedisStorage:
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
    assert isinstance(storage, RedisStorage)
    return storage


def _hit_memory(storage: MemoryStorage, item: RateLimitItem, who: tuple[str, ...]) -> LimitStatus:
    key = item.key_for(*who)
    count = storage.incr(key, item.get_expiry())
    return _status(item, count, math.ceil(storage.get_expiry(key) - time.time()))


def _status(item: RateLimitItem, count: int, seconds: int) -> LimitStatus:
    return LimitStatus(count <= item.amount, item.amount, max(0, item.amount - count), max(1, seconds))


def tightest(statuses: list[LimitStatus]) -> LimitStatus:
    """That of the window with least room; once one refuses, of the one that refuses longest."""
    refused = [s for s in statuses if not s.allowed]
    if refused:
        return max(refused, key=lambda s: s.reset_seconds)
    return min(statuses, key=lambda s: s.remaining)
