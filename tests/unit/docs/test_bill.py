"""The bill in docs/operations.md is what the code sends, and what it sends costs no more than it should."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import time_machine

from benchmarks import bill
from benchmarks.bill import WAYS, Counted, Place
from benchmarks.capacity import Index, index_units, item_units
from tests.unit.api import Session
from tests.unit.cloud import TEMP_BUCKET
from tests.unit.conftest import START, Configure
from tests.unit.world import World


@pytest.fixture
def counted(world: World, anna: Session, configure: Configure) -> Iterator[dict[str, Counted]]:
    """As the functions are set up: rate counters in DynamoDB, logs in JSON. No window of a limit ends within."""
    configure(RATE_COUNTERS="table", LOG_FORMAT="json")
    with time_machine.travel(START, tick=True):
        yield _counted(world, anna)


def _counted(world: World, anna: Session) -> dict[str, Counted]:
    world.cloud.bring_session("anna")
    put = partial(world.s3.put_object, Bucket=TEMP_BUCKET)
    place = Place(
        client=world.cloud.chalice,
        headers=anna.headers,
        organization_id=anna.caller.organization_id,
        put=lambda key, body: put(Key=key, Body=body),
        reader=_Reader(world),
    )
    return {way: bill.count(place, way) for way in WAYS}


class _Reader:
    """Reads as a test, not as the function in whose midst it does."""

    def __init__(self, world: World) -> None:
        self._client = world.cloud.dynamodb

    def get_item(self, **request: Any) -> Any:
        return self._client.get_item(**request)

    def query(self, **request: Any) -> Any:
        return self._client.query(**request)


def test_page_shows_what_is_counted(counted: dict[str, Counted]) -> None:
    page = bill.PAGE.read_text(encoding="utf-8")
    tables = bill.tables(counted, bill.read_measured())
    assert tables in page, "run `make bench`"
    assert page == bill.rendered(page, tables)


S = "S"


def item(**attributes: str) -> dict[str, dict[str, str]]:
    return {name: {S: text} for name, text in attributes.items()}


ALL = Index("all", ("k",), None)
KEYS = Index("keys", ("k",), frozenset({"id", "k"}))


@pytest.mark.parametrize(
    ("before", "after", "of_all", "of_keys"),
    [
        (None, item(id="1"), 0, 0),
        (None, item(id="1", k="a"), 1, 1),
        (item(id="1", k="a"), None, 1, 1),
        (item(id="1", k="a"), item(id="1"), 1, 1),
        (item(id="1", k="a"), item(id="1", k="b"), 2, 2),
        (item(id="1", k="a"), item(id="1", k="a", x="y"), 1, 0),
        (item(id="1", k="a"), item(id="1", k="a", x="y" * 1024), 2, 0),
        (item(id="1", k="a"), item(id="1", k="a"), 0, 0),
    ],
)
def test_units_of_an_index(before: Any, after: Any, of_all: int, of_keys: int) -> None:
    """AWS: "Using Global Secondary Indexes in DynamoDB", write throughput considerations."""
    assert (index_units(ALL, before, after), index_units(KEYS, before, after)) == (of_all, of_keys)


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [(None, 10, 1), (10, None, 1), (10, 1025, 2), (2049, 10, 3), (None, None, 1)],
)
def test_units_of_an_item(before: int | None, after: int | None, units: int) -> None:
    """AWS: "DynamoDB read and write operations". The name of the attribute counts too."""
    was, now = ({"x": {S: "y" * (size - 1)}} if size else None for size in (before, after))
    assert item_units(was, now, in_transaction=False) == units
    assert item_units(was, now, in_transaction=True) == 2 * units


def test_an_upload_writes_no_more_units_than_it_should(counted: dict[str, Counted]) -> None:
    assert {way: bill.write_units(counted[way]) for way in WAYS} == {"by form": 14, "straight to S3": 18}
    assert all(counted[way].units(bill.TAKE) == 0 for way in WAYS), "a small file is taken without a write"
