"""Renaming, retrying, deleting many, and what an organisation uses."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.processing.announcements import MAX_RECEIVES
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from tests.aws_calls import refused
from tests.unit.api import Api, Session
from tests.unit.cloud import TEMP_BUCKET
from tests.unit.world import World


def test_rename_changes_the_name_and_moves_no_bytes(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna, filename="old.txt").json["id"]
    world.drain()
    objects = world.permanent()
    answer = api.request("PATCH", f"/files/{file_id}", session=anna, json_body={"filename": "../neu ä.txt"})
    assert (answer.status, answer.json["filename"]) == (200, "neu ä.txt")
    assert world.permanent() == objects
    location = api.get(f"/files/{file_id}/content", anna).headers["location"]
    assert "neu%2520%25C3%25A4.txt" in location
    assert api.delete(f"/files/{file_id}", anna).status == 204
    assert world.permanent() == {}


@pytest.mark.parametrize("body", [{}, {"filename": ""}, {"filename": "  "}, {"filename": 1}, {"filename": None}])
def test_rename_to_nothing_is_400(api: Api, anna: Session, world: World, body: dict[str, Any]) -> None:
    file_id = api.upload(anna).json["id"]
    before = world.snapshot()
    assert api.request("PATCH", f"/files/{file_id}", session=anna, json_body=body).status == 400
    assert world.snapshot() == before


def _let_it_fail(world: World, file_id: str) -> None:
    """Every attempt finds S3 unable to copy."""
    with refused("s3.CopyObject"):
        for _ in range(MAX_RECEIVES):
            world.work()
            world.forward()
    world.work()


def test_failed_file_can_be_retried(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    _let_it_fail(world, file_id)
    failed = api.get(f"/files/{file_id}", anna).json
    assert failed["status"] == "failed"
    assert world.organization().usage.bytes_used == 0
    answer = api.post(f"/files/{file_id}/retry", anna)
    assert (answer.status, answer.json["status"]) == (202, "pending")
    assert world.organization().usage.bytes_used == failed["file_size"]
    world.drain()
    assert api.get(f"/files/{file_id}", anna).json["status"] == "completed"


def test_retry_needs_a_failed_file_with_bytes(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    assert api.post(f"/files/{file_id}/retry", anna).status == 409
    _let_it_fail(world, file_id)
    world.s3.delete_object(Bucket=TEMP_BUCKET, Key=world.temp_key(file_id))
    before = world.snapshot()
    answer = api.post(f"/files/{file_id}/retry", anna)
    assert answer.status == 409
    assert "upload it again" in answer.json["error"]
    assert world.snapshot() == before


def test_retry_without_room_is_409(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    _let_it_fail(world, file_id)
    tenants.set_quota(world.stores, anna.caller.organization_id, 1, 10)
    before = world.snapshot()
    assert api.post(f"/files/{file_id}/retry", anna).status == 409
    assert world.snapshot() == before


def test_refused_type_fails_with_the_reason_and_its_bytes_are_deleted(api: Api, anna: Session, world: World) -> None:
    tenants.set_policy(world.stores, anna.caller.organization_id, Policy(refused_types=("text/html",)))
    file_id = api.upload(anna, b"<!DOCTYPE html><html></html>", "picture.jpg", "image/jpeg").json["id"]
    world.drain()
    details = api.get(f"/files/{file_id}", anna).json
    assert details["status"] == "failed"
    assert "text/html" in details["error_message"]
    assert details["declared_type"] == "image/jpeg"
    assert world.temp() == world.permanent() == {}
    assert api.get(f"/files/{file_id}/content", anna).status == 409
    assert api.post(f"/files/{file_id}/retry", anna).status == 409
    assert world.dead_letters() == []


def test_many_are_deleted_each_on_its_own(
    api: Api, anna: Session, berta: Session, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The mock of AWS bears one thread at a time.
    monkeypatch.setattr("chalicelib.files.logic.PARALLEL_DELETES", 1)
    mine = [api.upload(anna).json["id"] for _ in range(3)]
    theirs = api.upload(berta).json["id"]
    world.drain()
    answer = api.post("/files/bulk-delete", anna, json_body={"ids": [*mine, mine[0], theirs, "nonsense"]})
    assert answer.status == 200
    assert answer.json["results"] == [
        *({"id": file_id, "result": "deleted"} for file_id in mine),
        {"id": theirs, "result": "not_found"},
        {"id": "nonsense", "result": "not_found"},
    ]
    assert api.get("/files", anna).json["total"] == 0
    assert api.get(f"/files/{theirs}", berta).status == 200


@pytest.mark.parametrize("ids", [None, "x", [], [1], ["x"] * 101, {"a": 1}])
def test_bad_list_of_ids_is_400(api: Api, anna: Session, ids: Any) -> None:
    assert api.post("/files/bulk-delete", anna, json_body={"ids": ids}).status == 400


def test_usage_tells_what_is_used_and_allowed(api: Api, anna: Session, berta: Session, world: World) -> None:
    tenants.set_quota(world.stores, anna.caller.organization_id, 1000, 10)
    api.upload(anna, b"12345")
    world.drain()
    api.upload(anna, b"123")
    assert api.get("/usage", anna).json == {
        "bytes": {"used": 8, "quota": 1000},
        "files": {"used": 2, "quota": 10},
        "by_status": {"pending": 1, "processing": 0, "completed": 1, "failed": 0},
        "by_type": {"text/plain": 1},
    }
    assert api.get("/usage", berta).json["bytes"]["used"] == 0
