"""The audit trail from the command line: reading it, and verifying what is sealed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.audit import upkeep
from chalicelib.events.records import EventType
from tests.unit.audit.test_trail import write
from tests.unit.cloud import NAMES
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


@pytest.fixture
def sealed(world: World, clock: Any) -> str:
    """The key of a file of three events."""
    write(world, 3)
    clock.shift(3601)
    upkeep.keep_up(world.stores)
    [key] = world.objects(NAMES.audit_bucket)
    return key


def test_events_are_printed_newest_first(operator: Operator, world: World, clock: Any, acme: str) -> None:
    write(world, 2)
    write(world, 1, EventType.FILE_DELETED)
    heading, *rows = operator.done("audit", "events", acme).splitlines()
    assert heading.split() == ["Sequence", "Time", "Type", "Actor", "Address", "Target"]
    assert [row.split()[:3] for row in rows] == [
        ["3", "2026-03-01T12:00:00.000Z", "file.deleted"],
        ["2", "2026-03-01T12:00:00.000Z", "file.created"],
        ["1", "2026-03-01T12:00:00.000Z", "file.created"],
    ]


def test_events_are_filtered(operator: Operator, world: World, clock: Any, acme: str) -> None:
    write(world, 2)
    write(world, 1, EventType.FILE_DELETED, target="gone")
    for filters in (["--target", "gone"], ["--type", "file.deleted"], ["--limit", "1"]):
        [event] = json.loads(operator.done("audit", "events", acme, "--json", *filters))
        assert event["sequence"] == 3
    for filters in (["--actor", "nobody"], ["--from", "2026-03-02"], ["--to", "2026-03-01"], ["--type", "webhook.*"]):
        assert json.loads(operator.done("audit", "events", acme, "--json", *filters)) == []


def test_types_and_times_that_there_are_not_are_refused(operator: Operator, acme: str) -> None:
    assert "no type of event" in operator.refused("audit", "events", acme, "--type", "nothing")
    assert "from must be a time" in operator.refused("audit", "events", acme, "--from", "yesterday")


def test_unchanged_seals_are_verified(operator: Operator, world: World, acme: str, sealed: str) -> None:
    [found] = json.loads(operator.done("audit", "verify", "--organization", acme, "--json"))
    assert found == {"organization_id": acme, "files": 1, "events": 3, "faults": []}
    assert len(operator.done("audit", "verify").splitlines()) == 1 + 3, "nobody's and both organisations'"


def test_changed_seal_fails_the_command_and_is_named(operator: Operator, world: World, acme: str, sealed: str) -> None:
    body = world.objects(NAMES.audit_bucket)[sealed]
    world.s3.delete_object(
        Bucket=NAMES.audit_bucket,
        Key=sealed,
        VersionId=world.s3.head_object(Bucket=NAMES.audit_bucket, Key=sealed)["VersionId"],
    )
    world.put_audit(sealed, body.replace(b'"thing"', b'"other"', 1))
    result = operator.run("audit", "verify")
    assert result.exit_code == 1
    assert f"{acme}: event 1 of the feed is not the one that was sealed" in result.stderr.splitlines()
