"""Counting in memory, and what happens when the cache is away. The real one is in the integration tests."""

from __future__ import annotations

import time

import pytest

from chalicelib.platform.rate_counters import CACHE_PAUSE_SECONDS, RateCounters
from tests.unit.logbook import Logbook


def test_window_with_least_room_is_told() -> None:
    counters = RateCounters(None)
    standings = [counters.hit("5/minute;3/hour", "someone") for _ in range(4)]
    assert [(s.limit, s.remaining, s.allowed) for s in standings] == [
        (3, 2, True),
        (3, 1, True),
        (3, 0, True),
        (3, 0, False),
    ]
    assert standings[-1].reset_seconds > 3000, "the wait that helps is the longer one"


def test_everyone_and_every_limit_is_counted_apart() -> None:
    counters = RateCounters(None)
    assert counters.hit("1/minute", "a", "x").allowed
    assert counters.hit("1/minute", "a", "y").allowed
    assert counters.hit("1/minute", "b", "x").allowed
    assert not counters.hit("1/minute", "a", "x").allowed


def test_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = RateCounters(None)
    assert counters.hit("1/minute", "a").allowed
    refused = counters.hit("1/minute", "a")
    assert not refused.allowed
    later = time.time() + refused.reset_seconds
    monkeypatch.setattr(time, "time", lambda: later)
    assert counters.hit("1/minute", "a").allowed


def test_cache_that_is_away_is_asked_once_a_pause(
    monkeypatch: pytest.MonkeyPatch, logbook: Logbook, socket_enabled: None
) -> None:
    """On a port of this machine where nothing listens."""
    counters = RateCounters("redis://:hunter2-secret@127.0.0.1:1/0")
    for number in range(5):
        assert counters.hit("3/minute", "a").allowed == (number < 3)
    assert len([m for m in logbook.messages if "cache is away" in m]) == 1
    later = time.monotonic() + CACHE_PAUSE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not counters.hit("3/minute", "a").allowed
    assert len([m for m in logbook.messages if "cache is away" in m]) == 2
    assert "hunter2" not in logbook.output + "".join(logbook.messages)
    assert not counters.is_reachable()
