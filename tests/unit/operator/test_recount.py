"""Counters against rows: every kind of drift is found and put right, and what moved meanwhile is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from chalicelib.files import recounting
from chalicelib.files.record import File
from chalicelib.kernel.errors import VersionConflict
from chalicelib.processing.processing import end_as_failed
from chalicelib.tenants import organizations as tenants
from chalicelib.wiring import Stores
from tests.unit.api import Api, Session
from tests.unit.cloud import STACK
from tests.unit.operator.conftest import Operator
from tests.unit.world import World

DRIFTS = {
    "bytes_used too high": ("SET bytes_used = bytes_used + :n", "bytes_used is 112, the rows say 12"),
    "bytes_used too low": ("SET bytes_used = bytes_used - :n", "bytes_used is -88, the rows say 12"),
    "files_used": ("SET files_used = files_used + :n", "files_used is 102, the rows say 2"),
    "bytes_available": ("SET bytes_available = bytes_available - :n", "quota and rows leave"),
    "files_available": ("SET files_available = files_available + :n", "quota and rows leave"),
    "count of a type": ("SET counts.#key = counts.#key + :n", "count of completed|text/plain is 101, the rows say 1"),
    "count of no file": ("SET counts.odd = :n", "count of odd is 100, the rows say 0"),
    "count lost": ("REMOVE counts.#key", "count of completed|text/plain is 0, the rows say 1"),
}


@pytest.fixture
def acme(world: World, api: Api, anna: Session) -> str:
    """One completed file of 5 bytes, one pending of 7, and one that failed."""
    api.upload(anna, b"hello")
    world.work()
    api.upload(anna, b"pending")
    failed = api.upload(anna, b"refused").json["id"]
    file = world.file(failed)
    assert file is not None
    end_as_failed(world.stores, file, "For the test.", "test")
    return world.organizations["Acme"].organization_id


def drift(world: World, organization_id: str, expression: str) -> None:
    names = {"#key": "completed|text/plain"} if "#key" in expression else {}
    values: Any = {":n": {"N": "100"}} if ":n" in expression else {}
    options: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
    options |= {"ExpressionAttributeValues": values} if values else {}
    world.cloud.dynamodb.update_item(
        TableName=f"{STACK}-organizations",
        Key={"organization_id": {"S": organization_id}},
        UpdateExpression=expression,
        **options,
    )


def counters(world: World) -> Any:
    organization = world.organization()
    return organization.usage, {key: count for key, count in organization.counts.items() if count}


def test_right_counters_are_said_to_be_right(operator: Operator, acme: str) -> None:
    assert operator.done("recount", acme).splitlines() == ["Counting ...", "Right: 3 files, 12 bytes in use."]


@pytest.mark.parametrize(("expression", "line"), DRIFTS.values(), ids=DRIFTS)
def test_every_kind_of_drift_is_found_and_repaired(world: World, acme: str, expression: str, line: str) -> None:
    right = counters(world)
    drift(world, acme, expression)
    counted = recounting.recount(world.stores, acme)
    assert line in "\n".join(counted.differences)
    recounting.repair(world.stores, counted)
    assert counters(world) == right
    assert recounting.recount(world.stores, acme).differences == []


def test_drift_is_told_with_exit_code_1_and_repaired_on_demand_only(
    operator: Operator, world: World, acme: str
) -> None:
    right = counters(world)
    drift(world, acme, "SET bytes_used = bytes_used + :n")
    assert "--repair" in operator.refused("recount", acme)
    assert operator.done("recount", acme, "--repair").splitlines() == [
        "Counting ...",
        "  bytes_used is 112, the rows say 12",
        "Repaired.",
    ]
    assert counters(world) == right


def test_unknown_organization_is_refused(operator: Operator) -> None:
    assert operator.refused("recount", "nowhere", "--repair") == "There is no organisation nowhere."


def test_counters_that_moved_since_they_were_counted_are_not_overwritten(
    world: World, api: Api, anna: Session, acme: str
) -> None:
    drift(world, acme, "SET bytes_used = bytes_used + :n")
    counted = recounting.recount(world.stores, acme)
    api.upload(anna, b"meanwhile")
    before = world.snapshot()
    with pytest.raises(VersionConflict):
        recounting.repair(world.stores, counted)
    assert world.snapshot() == before


def test_quota_that_was_changed_since_the_count_is_kept(world: World, acme: str) -> None:
    drift(world, acme, "SET files_used = files_used + :n")
    counted = recounting.recount(world.stores, acme)
    tenants.set_quota(world.stores, acme, 1000, 20)
    recounting.repair(world.stores, counted)
    usage = world.organization().usage
    assert (usage.bytes_used + usage.bytes_available, usage.files_used + usage.files_available) == (1000, 20)
    assert recounting.recount(world.stores, acme).differences == []


def test_exchange_that_leaves_the_counters_as_they_were_is_a_change(
    world: World, api: Api, anna: Session, acme: str
) -> None:
    """The row that goes was counted already and the one that comes will be, but the counters seem not to have moved."""
    world.work()

    def exchange() -> None:
        first = next(file for file in world.stores.files.all_of(acme) if file.status == "completed")
        assert api.delete(f"/files/{first.file_id}", anna).status == 204
        api.upload(anna, b"olleh")
        world.work()

    before = counters(world)
    counted = recounting.recount(busy(world, exchange, 1), acme)
    assert counters(world) == before
    assert counted.differences == []


def test_exchange_since_the_count_is_not_overwritten(world: World, api: Api, anna: Session, acme: str) -> None:
    counted = recounting.recount(world.stores, acme)
    pending = next(file for file in world.stores.files.all_of(acme) if file.status == "pending")
    assert api.delete(f"/files/{pending.file_id}", anna).status == 204
    api.upload(anna, b"gnidnep")
    assert world.organization().usage == counted.organization.usage
    with pytest.raises(VersionConflict):
        recounting.repair(world.stores, counted)


def test_organization_of_before_there_was_a_number_of_changes(world: World, acme: str) -> None:
    drift(world, acme, "REMOVE counter_changes")
    drift(world, acme, "SET bytes_used = bytes_used + :n")
    counted = recounting.recount(world.stores, acme)
    recounting.repair(world.stores, counted)
    assert recounting.recount(world.stores, acme).differences == []


class BusyFiles:
    """The file store of an organisation in which something happens during each of the first counts."""

    def __init__(self, files: Any, happen: Callable[[], Any], times: int) -> None:
        self._files, self._happen, self._times = files, happen, times

    def all_of(self, organization_id: str) -> Iterator[File]:
        """As two pages, of which the second is read after it happened."""
        first = next(self._files.all_of(organization_id))
        yield first
        if self._times > 0:
            self._times -= 1
            self._happen()
        yield from (file for file in self._files.all_of(organization_id) if file.file_id > first.file_id)


def busy(world: World, happen: Callable[[], Any], times: int) -> Stores:
    stores = Stores(world.stores.settings)
    stores.__dict__.update(tables=world.stores.tables, files=BusyFiles(world.stores.files, happen, times))
    return stores


def test_count_during_which_something_changed_is_made_again(world: World, api: Api, anna: Session, acme: str) -> None:
    counted = recounting.recount(busy(world, partial(api.upload, anna, b"another"), 2), acme)
    assert counted.differences == []
    assert counted.bytes_used == 12 + 2 * len(b"another")


def test_organization_that_never_rests_is_not_counted(world: World, api: Api, anna: Session, acme: str) -> None:
    with pytest.raises(VersionConflict, match="too busy"):
        recounting.recount(busy(world, partial(api.upload, anna, b"another"), recounting.MAX_ATTEMPTS), acme)
