"""What only the real counters have: a cache that goes, and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from chalicelib.platform.rate_counters import CACHE_PAUSE_SECONDS, RateCounters
from tests.unit.logbook import Logbook
from tests.unit.stores.test_counters import allowed
from tests.unit.stores.valkey import CACHE_AWAY, Valkey


@pytest.fixture
def own_valkey(socket_enabled: None, tmp_path: Path) -> Iterator[Valkey]:
    valkey = Valkey(tmp_path)
    yield valkey
    valkey.stop()


@pytest.fixture
def let_pause_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def let_pass() -> None:
        later = time.monotonic() + CACHE_PAUSE_SECONDS + 1
        monkeypatch.setattr(time, "monotonic", lambda: later)

    return let_pass


def test_counting_goes_on_in_memory_and_then_in_the_cache_again(
    own_valkey: Valkey, let_pause_pass: Callable[[], None]
) -> None:
    counters = RateCounters(own_valkey.url)
    assert allowed(counters, 3, "2/minute", "a") == [True, True, False]
    own_valkey.stop()
    assert allowed(counters, 3, "2/minute", "a") == [True, True, False], "never without a limit"
    assert not counters.is_reachable()
    own_valkey.start()
    let_pause_pass()
    assert allowed(counters, 3, "2/minute", "a") == [True, True, False]
    assert redis.Redis.from_url(own_valkey.url).dbsize() == 1
    assert counters.is_reachable()


def test_giving_back_to_a_cache_that_is_away_is_no_error(
    own_valkey: Valkey, let_pause_pass: Callable[[], None]
) -> None:
    counters = RateCounters(own_valkey.url)
    assert allowed(counters, 1, "1/minute", "a") == [True]
    own_valkey.stop()
    counters.give_back("1/minute", "a")
    own_valkey.start()
    let_pause_pass()
    assert allowed(counters, 2, "1/minute", "a") == [True, False]


def test_cache_that_is_away_is_asked_once_a_pause(
    let_pause_pass: Callable[[], None], logbook: Logbook, socket_enabled: None
) -> None:
    """On a port of this machine where nothing listens."""
    told: list[str] = []
    counters = RateCounters(CACHE_AWAY.replace("//", "//:hunter2-secret@"), lambda: told.append("away"))
    for number in range(5):
        assert counters.hit("3/minute", "a").allowed == (number < 3)
    assert len([m for m in logbook.messages if "cache is away" in m]) == 1
    let_pause_pass()
    assert not counters.hit("3/minute", "a").allowed
    assert len([m for m in logbook.messages if "cache is away" in m]) == 2
    assert told == ["away", "away"]
    assert "hunter2" not in logbook.output + "".join(logbook.messages)
    assert not counters.is_reachable()


def test_each_limit_is_one_command(own_valkey: Valkey) -> None:
    """Of many requests each pays for it."""
    counters = RateCounters(own_valkey.url)
    counters.hit("3/minute;9/hour", "a")
    cache = redis.Redis.from_url(own_valkey.url)
    cache.config_resetstat()
    status = counters.hit("3/minute;9/hour", "a")
    # Scripts run commands too, which cost no round trip.
    sent = {name: told["calls"] for name, told in cache.info("commandstats").items()}
    assert sent["cmdstat_evalsha"] == 2
    assert not {"cmdstat_get", "cmdstat_script|load"} & set(sent)
    assert (status.limit, status.remaining) == (3, 1)
    assert 1 <= status.reset_seconds <= 60
