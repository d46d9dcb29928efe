"""What only the counters in DynamoDB have: their price in calls, rows that expire, and a table that is away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.platform.table_counters import TableCounters
from tests.aws_calls import aws_calls, refused
from tests.unit.api import Api, Session
from tests.unit.conftest import Configure
from tests.unit.logbook import Logbook
from tests.unit.stores.test_counters import allowed
from tests.unit.world import World


@pytest.fixture
def counters(world: World) -> TableCounters:
    return TableCounters(world.cloud.tables)


def test_window_costs_one_update_and_the_first_after_an_old_one_two(
    counters: TableCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    for costs in (1, 1, 2, 1):
        with aws_calls() as made:
            counters.hit("5/minute", "a")
        assert made == ["dynamodb.UpdateItem"] * costs
        if costs == 1:
            later = time.time() + 40
            monkeypatch.setattr(time, "time", lambda later=later: later)


def test_two_windows_cost_two_updates(counters: TableCounters) -> None:
    with aws_calls() as made:
        counters.hit("5/minute;10/hour", "a")
    assert made == ["dynamodb.UpdateItem"] * 2


def test_row_expires_by_itself_and_names_nobody(world: World, counters: TableCounters) -> None:
    counters.hit("5/minute", "203.0.113.7")
    [row] = world.rows("counters")
    assert set(row) == {"counter", "hits", "ends_at", "expires_at"}
    assert 0 <= int(row["expires_at"]["N"]) - time.time() <= 61
    assert "203.0.113.7" not in str(row)


def test_no_count_is_lost_where_many_begin_the_next_window_at_once(
    counters: TableCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters.hit("10/minute", "a")
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with ThreadPoolExecutor(8) as pool:
        standings = list(pool.map(lambda _: counters.hit("10/minute", "a"), range(30)))
    assert sum(standing.allowed for standing in standings) == 10


def test_counting_goes_on_in_memory_while_the_table_is_away(world: World, logbook: Logbook) -> None:
    told: list[str] = []
    counters = TableCounters(world.cloud.tables, lambda: told.append("away"))
    with refused("dynamodb.UpdateItem", "dynamodb.GetItem"):
        assert allowed(counters, 3, "2/minute", "a") == [True, True, False], "never without a limit"
        counters.give_back("2/minute", "a")
        assert not counters.is_reachable()
    assert told == ["away"], "the table is asked once a pause"
    assert len([message for message in logbook.messages if "is away" in message]) == 1
    assert counters.is_reachable()


def test_giving_back_to_a_table_that_is_away_is_no_error(counters: TableCounters) -> None:
    assert allowed(counters, 1, "1/minute", "a") == [True]
    with refused("dynamodb.UpdateItem"):
        counters.give_back("1/minute", "a")
    assert allowed(counters, 1, "1/minute", "a") == [False]


def test_request_of_a_deployment_without_a_cache_costs_one_update_more(
    configure: Configure, api: Api, anna: Session
) -> None:
    configure(RATE_COUNTERS="table")
    with aws_calls() as made:
        assert api.get("/auth/me", anna).status == 200
    assert sorted(made) == ["dynamodb.GetItem", "dynamodb.UpdateItem"]
    configure(RATE_COUNTERS="table", RATE_LIMIT_SIGNED_IN="2/minute")
    statuses = [api.get("/auth/me", anna).status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert api.get("/health").status == 200
