"""A restore that is ended at any call and run again brings back everything, once, and leaves no copy of a table."""

from __future__ import annotations

import pytest

from infra.organization_removal import remove_organization
from infra.recovery import Source, make_backup, restore
from tests.unit.api import Api, Session
from tests.unit.cloud import STACK
from tests.unit.conftest import SignIn
from tests.unit.crashes import Crash, crashing_at, moments
from tests.unit.operator.conftest import Operator
from tests.unit.operator.test_recovery import content, tables_of
from tests.unit.world import World

BODY = b"%PDF-1.7 a document"
NEVER = 10_000


@pytest.mark.parametrize("whole", [False, True], ids=["files", "organization"])
def test_restore_is_finished_by_the_next_run(
    world: World, api: Api, anna: Session, sign_in: SignIn, operator: Operator, whole: bool
) -> None:
    acme = anna.caller.organization_id
    file_ids = [str(api.upload(anna, BODY).json["id"]) for _ in range(2)]
    world.drain()
    records = {file_id: api.get(f"/files/{file_id}", anna).json for file_id in file_ids}
    tables = tables_of(world)
    make_backup(STACK, "at-noon", lambda line: None)
    if whole:
        remove_organization(world.stores, acme, lambda line: None)
    else:
        assert [api.delete(f"/files/{file_id}", anna).status for file_id in file_ids] == [204, 204]
    deleted = world.cloud.keep()

    def act() -> None:
        restore(world.stores, Source(backup="at-noon"), acme, (), rows=whole, dry_run=False, report=lambda line: None)

    def check() -> None:
        assert sorted(tables_of(world)) == sorted(tables)
        session = sign_in("anna")
        for file_id in file_ids:
            assert api.get(f"/files/{file_id}", session).json == records[file_id]
            assert content(world, file_id) == BODY
        assert operator.done("recount", "Acme").splitlines()[-1].startswith("Right: 2 files")
        told = [event for event in world.written_events() if event["type"] in ("file.restored", "operator.acted")]
        assert sorted(event["target"]["id"] for event in told if event["type"] == "file.restored") == sorted(file_ids)
        acts = [event["data"] for event in told if event["data"].get("command") == "restore"]
        assert any("files" in data for data in acts)
        assert not whole or any("rows" in data for data in acts)

    with crashing_at(NEVER) as calls:
        act()
    check()
    assert len(calls) > 20
    for number in moments(calls):
        world.cloud.rewind(deleted)
        world.restart()
        with crashing_at(number), pytest.raises(Crash):
            act()
        act()
        check()
