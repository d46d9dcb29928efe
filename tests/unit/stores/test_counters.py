"""The contract of ``chalicelib.accounts.ports.Counters``: in a real Valkey, in DynamoDB, in memory, and while the cache
is away.

The product itself counts in memory where it has no cache, so its own memory is the twin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from chalicelib.accounts.ports import Counters
from chalicelib.platform.rate_counters import RateCounters
from chalicelib.platform.table_counters import TableCounters
from tests.unit.stores.valkey import CACHE_AWAY, Valkey


@dataclass
class Side:
    counters: Counters
    #: Lets so many seconds pass.
    wait: Callable[[float], None]
    #: Counters of another process.
    another: Callable[[], Counters]
    shares: bool
    is_up: bool = True


@pytest.fixture(params=["valkey", "table", "memory", "cache away"])
def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Side:
    if request.param == "valkey":
        request.getfixturevalue("socket_enabled")
        valkey: Valkey = request.getfixturevalue("valkey")
        valkey.empty()
        return Side(RateCounters(valkey.url), valkey.let_pass, lambda: RateCounters(valkey.url), shares=True)

    def let_pass(seconds: float) -> None:
        later = time.time() + seconds
        monkeypatch.setattr(time, "time", lambda: later)

    if request.param == "table":
        tables = request.getfixturevalue("world").cloud.tables
        return Side(TableCounters(tables), let_pass, lambda: TableCounters(tables), shares=True)
    if request.param == "memory":
        return Side(RateCounters(None), let_pass, lambda: RateCounters(None), shares=False)
    request.getfixturevalue("socket_enabled")
    return Side(RateCounters(CACHE_AWAY), let_pass, lambda: RateCounters(CACHE_AWAY), shares=False, is_up=False)


def allowed(counters: Counters, times: int, limit: str, *who: str) -> list[bool]:
    return [counters.hit(limit, *who).allowed for _ in range(times)]


def test_room_shrinks_to_nothing(side: Side) -> None:
    standings = [side.counters.hit("2/minute", "a") for _ in range(4)]
    assert [(s.allowed, s.limit, s.remaining) for s in standings] == [
        (True, 2, 1),
        (True, 2, 0),
        (False, 2, 0),
        (False, 2, 0),
    ]
    assert all(30 <= standing.reset_seconds <= 60 for standing in standings)


def test_window_with_least_room_is_told(side: Side) -> None:
    standings = [side.counters.hit("5/minute;3/hour", "a") for _ in range(4)]
    assert [(s.limit, s.remaining) for s in standings] == [(3, 2), (3, 1), (3, 0), (3, 0)]


def test_of_two_that_refuse_the_longer_wait_is_told(side: Side) -> None:
    refused = [side.counters.hit("1/minute;1/hour", "a") for _ in range(2)][-1]
    assert not refused.allowed
    assert refused.reset_seconds > 3000, "the wait that helps is the longer one"


def test_everyone_and_every_limit_is_counted_apart(side: Side) -> None:
    for who in (("a",), ("b",), ("a", "b"), ("b", "a")):
        assert allowed(side.counters, 2, "1/minute", *who) == [True, False]
    assert allowed(side.counters, 2, "1/hour", "a") == [True, False]


def test_window_ends_at_its_time_after_the_first_count(side: Side) -> None:
    assert allowed(side.counters, 1, "2/minute", "a") == [True]
    side.wait(40)
    assert allowed(side.counters, 2, "2/minute", "a") == [True, False]
    standing = side.counters.hit("2/minute", "a")
    assert standing.reset_seconds <= 20
    side.wait(standing.reset_seconds - 10)
    assert allowed(side.counters, 1, "2/minute", "a") == [False]
    side.wait(10)
    assert allowed(side.counters, 3, "2/minute", "a") == [True, True, False]


def test_wait_that_is_told_is_at_least_a_second(side: Side) -> None:
    side.counters.hit("1/minute", "a")
    side.wait(59.5)
    assert side.counters.hit("1/minute", "a").reset_seconds >= 1


def test_count_that_is_given_back_is_room_again(side: Side) -> None:
    limit = "1/minute;2/hour"
    for _ in range(5):
        assert allowed(side.counters, 1, limit, "a") == [True]
        side.counters.give_back(limit, "a")
    assert allowed(side.counters, 2, limit, "a") == [True, False]


def test_refused_requests_count_too(side: Side) -> None:
    assert allowed(side.counters, 3, "1/minute", "a") == [True, False, False]
    side.counters.give_back("1/minute", "a")
    assert allowed(side.counters, 1, "1/minute", "a") == [False]


def test_giving_back_makes_no_more_room_than_there_was(side: Side) -> None:
    for _ in range(3):
        side.counters.give_back("1/minute", "a")
    assert allowed(side.counters, 2, "1/minute", "a") == [True, False]


def test_giving_back_concerns_nobody_else(side: Side) -> None:
    for who in ("a", "b"):
        assert allowed(side.counters, 1, "1/minute", who) == [True]
    side.counters.give_back("1/minute", "a")
    assert allowed(side.counters, 1, "1/minute", "b") == [False]


def test_count_of_a_window_that_is_over_is_not_given_back_to_the_next(side: Side) -> None:
    assert allowed(side.counters, 1, "1/minute", "a") == [True]
    side.wait(61)
    side.counters.give_back("1/minute", "a")
    assert allowed(side.counters, 2, "1/minute", "a") == [True, False]


def test_at_the_same_moment_no_more_are_allowed_than_the_limit(side: Side) -> None:
    with ThreadPoolExecutor(8) as pool:
        standings = list(pool.map(lambda _: side.counters.hit("10/minute", "a"), range(40)))
    assert sum(standing.allowed for standing in standings) == 10


def test_processes_share_what_a_cache_counts(side: Side) -> None:
    another = side.another()
    assert allowed(side.counters, 1, "1/minute", "a") == [True]
    assert allowed(another, 1, "1/minute", "a") == [not side.shares]
    another.give_back("1/minute", "a")
    another.give_back("1/minute", "a")
    assert allowed(side.counters, 1, "1/minute", "a") == [side.shares]


def test_health_is_whether_counts_are_where_they_should_be(side: Side) -> None:
    assert side.counters.is_reachable() == side.is_up
