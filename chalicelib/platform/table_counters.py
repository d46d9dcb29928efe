"""Rate counters in DynamoDB: shared by all processes like those of a cache, without a cache to pay for.

One conditional update for each window counts and answers. Where a window is over but its row still there, a second one
starts it anew. What each method promises is told by its port, ``chalicelib.accounts.ports.Counters``; without the table
each process counts in its memory, as without the cache.
"""

import logging
import math
import time
from collections.abc import Callable

from limits import RateLimitItem, parse_many
from pynamodb.exceptions import DoesNotExist, PynamoDBException, UpdateError

from chalicelib import keys
from chalicelib.kernel.limit_status import LimitStatus
from chalicelib.platform.counter_rows import CounterRow
from chalicelib.platform.rate_counters import CACHE_PAUSE_SECONDS, RateCounters, tightest
from chalicelib.platform.tables import Tables

#: Somebody else can start the window anew between our two updates; twice in a row there is an hour or so in between.
MAX_ATTEMPTS = 4
_CONDITION_FAILED = "ConditionalCheckFailedException"

_log = logging.getLogger(__name__)


class TableCounters:
    def __init__(self, tables: Tables, on_fallback: Callable[[], None] = lambda: None) -> None:
        """:param on_fallback: called once for each pause that the table is given."""
        self._rows = tables.bind(CounterRow)
        self._memory = RateCounters(None)
        self._paused_until = 0.0
        self._on_fallback = on_fallback

    def hit(self, limit: str, *who: str) -> LimitStatus:
        if not self._is_paused():
            try:
                return tightest([self._count(item, who) for item in parse_many(limit)])
            except PynamoDBException as error:
                self._paused_until = time.monotonic() + CACHE_PAUSE_SECONDS
                self._on_fallback()
                _log.warning(
                    "The table of counters is away (%s): counting in memory for %s s",
                    type(error).__name__,
                    CACHE_PAUSE_SECONDS,
                )
        return self._memory.hit(limit, *who)

    def give_back(self, limit: str, *who: str) -> None:
        """Where the count was made; when the table came or went in between, it stays there until its window ends."""
        if self._is_paused():
            self._memory.give_back(limit, *who)
            return
        for item in parse_many(limit):
            try:
                self._row(item, who).update(
                    actions=[CounterRow.hits.add(-1)],
                    condition=(CounterRow.ends_at > time.time()) & (CounterRow.hits > 0),
                )
            except PynamoDBException as error:
                if not _is_condition(error):
                    _log.warning("A count was not given back: the table is away (%s)", type(error).__name__)

    def is_reachable(self) -> bool:
        try:
            self._rows.get("reachable")
        except DoesNotExist:
            return True
        except PynamoDBException:
            return False
        return True

    def _is_paused(self) -> bool:
        return time.monotonic() < self._paused_until

    def _row(self, item: RateLimitItem, who: tuple[str, ...]) -> CounterRow:
        return self._rows(keys.counter_key(item.key_for(*who)))

    def _count(self, item: RateLimitItem, who: tuple[str, ...]) -> LimitStatus:
        """:raises PynamoDBException: the table is away, or others start this window again and again."""
        row = self._row(item, who)
        for attempt in range(MAX_ATTEMPTS):
            now = time.time()
            try:
                self._count_in_window(row, now, now + item.get_expiry())
            except UpdateError as error:
                if not _is_condition(error) or attempt == MAX_ATTEMPTS - 1:
                    raise
                continue
            hits, reset_seconds = int(row.hits), max(1, math.ceil(row.ends_at - now))
            return LimitStatus(hits <= item.amount, item.amount, max(0, item.amount - hits), reset_seconds)
        raise AssertionError("unreachable")

    def _count_in_window(self, row: CounterRow, now: float, end: float) -> None:
        """Count in the window that is open, else in one that begins now. Leaves in ``row`` what there is afterwards.

        :raises UpdateError: with a condition, when somebody else began one in between.
        """
        try:
            row.update(
                actions=[
                    CounterRow.hits.add(1),
                    CounterRow.ends_at.set(CounterRow.ends_at | end),
                    CounterRow.expires_at.set(CounterRow.expires_at | math.ceil(end)),
                ],
                condition=CounterRow.ends_at.does_not_exist() | (CounterRow.ends_at > now),
            )
        except UpdateError as error:
            if not _is_condition(error):
                raise
            row.update(
                actions=[
                    CounterRow.hits.set(1),
                    CounterRow.ends_at.set(end),
                    CounterRow.expires_at.set(math.ceil(end)),
                ],
                condition=CounterRow.ends_at <= now,
            )


def _is_condition(error: PynamoDBException) -> bool:
    return error.cause is not None and error.cause_response_code == _CONDITION_FAILED
