"""Backups, and bringing back what was deleted since.

Moto copies a table as it is today for a moment of the past, so what was deleted is tried with backups, which it keeps;
of point-in-time recovery only what is asked of AWS.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.recovery import Source, restore
from infra.template.tables import table_names
from tests.aws_calls import aws_calls, refused
from tests.unit.api import Api, Session
from tests.unit.cloud import PERMANENT_BUCKET, STACK
from tests.unit.operator.conftest import Operator
from tests.unit.world import World

BODY = b"%PDF-1.7 a document"


@pytest.fixture
def file_id(world: World, api: Api, anna: Session) -> str:
    """A completed file of Acme."""
    made = str(api.upload(anna, BODY).json["id"])
    world.drain()
    return made


def content(world: World, file_id: str) -> bytes:
    """What a download gives, by the version that its row names."""
    file = world.file(file_id)
    assert file is not None
    assert file.object_version is not None
    key = f"{file.organization_id}/{file_id}_{file.object_name}"
    found = world.s3.get_object(Bucket=PERMANENT_BUCKET, Key=key, VersionId=file.object_version)
    # Without its version, too: no mark of a deletion hides it, so the lifecycle leaves it alone.
    assert world.s3.get_object(Bucket=PERMANENT_BUCKET, Key=key)["VersionId"] == file.object_version
    body: bytes = found["Body"].read()
    return body


def tables_of(world: World) -> list[str]:
    found: list[str] = world.cloud.dynamodb.list_tables()["TableNames"]
    return found


def test_backup_has_every_table_and_is_listed_and_deleted(operator: Operator, world: World) -> None:
    made = json.loads(operator.run("backup", "--name", "before-noon", "--json").stdout)
    assert (made["name"], made["tables"]) == ("before-noon", len(table_names()))
    assert [one["name"] for one in json.loads(operator.done("backup", "--list", "--json"))] == ["before-noon"]
    assert "There is a backup before-noon already" in operator.refused("backup", "--name", "before-noon")
    assert (
        operator.done("backup", "--delete", "before-noon", "--yes")
        == f"{len(table_names())} tables' backups are deleted.\n"
    )
    assert "before-noon" not in operator.done("backup", "--list")


def test_deleted_file_is_back_with_row_counters_and_object(
    operator: Operator, world: World, api: Api, anna: Session, file_id: str
) -> None:
    before, usage = api.get(f"/files/{file_id}", anna).json, api.get("/usage", anna).json
    tables = tables_of(world)
    operator.done("backup", "--name", "at-noon")
    stays = str(api.upload(anna, b"newer").json["id"])
    world.drain()
    assert api.delete(f"/files/{file_id}", anna).status == 204

    tried = json.loads(operator.run("restore", "--backup", "at-noon", "--dry-run", "--json").stdout)
    assert (tried["files"], tried["restored"]) == (1, False)
    assert api.get(f"/files/{file_id}", anna).status == 404

    said = operator.run("restore", "--backup", "at-noon", "--organization", "Acme", "--yes")
    assert (said.exit_code, said.stdout.splitlines()[-1]) == (0, "1 files and 0 rows are back.")
    assert api.get(f"/files/{file_id}", anna).json == before
    assert content(world, file_id) == BODY
    assert api.get(f"/files/{stays}", anna).json["status"] == "completed"
    used = api.get("/usage", anna).json
    assert used["files"]["used"] == usage["files"]["used"] + 1
    assert operator.done("recount", "Acme").splitlines()[-1].startswith("Right: 2 files")
    assert tables_of(world) == tables
    # Once more there is nothing to do.
    again = json.loads(operator.run("restore", "--backup", "at-noon", "--yes", "--json").stdout)
    assert (again["files"], again["refused"]) == (0, [])
    kinds = [event["type"] for event in world.events()]
    assert kinds.count("file.restored") == 1
    assert kinds.count("operator.acted") == 1


def test_file_restored_twice_is_told_twice(
    operator: Operator, world: World, api: Api, anna: Session, file_id: str
) -> None:
    operator.done("backup", "--name", "at-noon")
    for _ in range(2):
        api.delete(f"/files/{file_id}", anna)
        assert operator.run("restore", "--backup", "at-noon", "--yes").exit_code == 0
    told = [event["id"] for event in world.events() if event["type"] == "file.restored"]
    assert len(set(told)) == 2


def test_deleted_organization_is_back_with_its_people(
    operator: Operator, world: World, api: Api, anna: Session, berta: Session, file_id: str
) -> None:
    acme = anna.caller.organization_id
    others = api.upload(berta, b"of Bolt")
    assert others.status == 201
    operator.done("backup", "--name", "at-noon")
    operator.run("organizations", "delete", "Acme", "--yes")
    assert operator.run("restore", "--backup", "at-noon", "--organization", acme, "--yes").exit_code == 1
    assert world.stores.organizations.find(acme) is None

    dry = json.loads(
        operator.run(
            "restore", "--backup", "at-noon", "--organization", acme, "--with-accounts", "--dry-run", "--json"
        ).stdout
    )
    assert dry["files"] == 1
    done = operator.run("restore", "--backup", "at-noon", "--organization", acme, "--with-accounts", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == dry["rows"] > 4
    answer = api.login("anna", anna.password)
    assert answer.status == 200
    assert content(world, file_id) == BODY
    assert world.organization().usage.files_used == 1
    assert operator.done("recount", "Acme").splitlines()[-1].startswith("Right: 1 files")
    # Nobody is signed in by an old token.
    assert api.get("/auth/me", anna).status == 401


def test_file_whose_bytes_are_gone_is_named_and_has_no_row(
    operator: Operator, world: World, api: Api, anna: Session, file_id: str
) -> None:
    operator.done("backup", "--name", "at-noon")
    api.delete(f"/files/{file_id}", anna)
    for page in world.s3.get_paginator("list_object_versions").paginate(Bucket=PERMANENT_BUCKET):
        for item in page.get("Versions", []) + page.get("DeleteMarkers", []):
            world.s3.delete_object(Bucket=PERMANENT_BUCKET, Key=item["Key"], VersionId=item["VersionId"])
    result = operator.run("restore", "--backup", "at-noon", "--yes")
    assert result.exit_code == 1
    assert "its bytes are gone" in result.stderr
    assert world.file(file_id) is None


def test_copies_are_deleted_whatever_fails(
    operator: Operator, world: World, api: Api, anna: Session, file_id: str
) -> None:
    operator.done("backup", "--name", "at-noon")
    api.delete(f"/files/{file_id}", anna)
    tables = tables_of(world)
    with refused("s3.ListObjectVersions"):
        assert operator.run("restore", "--backup", "at-noon", "--yes").exit_code == 1
    assert tables_of(world) == tables


@pytest.mark.parametrize(
    ("options", "exit_code", "sentence"),
    [
        ([], 2, "Give either --to or --backup."),
        (["--to", "2026-01-31T09:00:00Z", "--backup", "at-noon"], 2, "Give either --to or --backup."),
        (["--to", "yesterday"], 2, "--to: 'yesterday' is no time such as 2026-01-31T09:00:00Z."),
        (["--to", "2026-01-31T09:00:00"], 2, "--to: '2026-01-31T09:00:00' is no time such as"),
        (["--backup", "never"], 1, f"There is no backup never of {STACK}-files."),
    ],
)
def test_wrong_source_is_a_sentence(operator: Operator, options: list[str], exit_code: int, sentence: str) -> None:
    assert operator.refused("restore", *options, "--yes", exit_code=exit_code).startswith(sentence)


def test_moment_is_asked_of_point_in_time_recovery(world: World) -> None:
    asked: list[dict[str, Any]] = []
    client = world.cloud.dynamodb
    client.update_continuous_backups(
        TableName=f"{STACK}-files", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    with aws_calls() as made:
        restore(
            world.stores,
            Source(moment=datetime(2026, 1, 31, 9, tzinfo=UTC)),
            None,
            (),
            rows=False,
            dry_run=True,
            report=lambda line: asked.append({"line": line}),
        )
    assert made.count("dynamodb.RestoreTableToPointInTime") == 1
    assert asked[0]["line"].startswith("Copying 1 tables as of 2026-01-31T09:00:00+00:00;")
