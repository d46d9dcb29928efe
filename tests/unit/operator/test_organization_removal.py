"""Deleting an organisation: nothing of it is left, nothing of another is touched, wherever it is interrupted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.accounts import users as accounts
from chalicelib.audit.upkeep import keep_up
from chalicelib.kernel.errors import Conflict, QuotaExceeded
from chalicelib.uploads.form_uploads import upload_form
from infra.organization_removal import Holdings, remove_organization
from tests.aws_calls import just_before, refused
from tests.unit.api import Api, Session
from tests.unit.cloud import PERMANENT_BUCKET, TEMP_BUCKET
from tests.unit.crashes import Crash, crashing_at
from tests.unit.keys import make_key
from tests.unit.operator.conftest import Operator
from tests.unit.world import World

BODY = b"%PDF-1.7 a document"
#: Rows that stay on purpose: the audit trail, the mark of the deletion, deliveries until their time is over.
STAYS = ("event-outbox", "events", "organizations", "webhook-deliveries")


@dataclass(frozen=True)
class Estate:
    """Acme with something of everything, and Bolt with the same."""

    organization_id: str
    files: list[str]
    key: Session


@pytest.fixture
def estate(world: World, api: Api, anna: Session, berta: Session) -> Estate:
    made = {}
    for session in (berta, anna):
        files = [str(api.upload(session, BODY).json["id"]) for _ in range(2)]
        world.drain()
        # One that has not been processed, one whose bytes never came, and one in parts.
        files.append(str(api.upload(session, BODY).json["id"]))
        for size in (5, 200 * 2**20):
            started = api.post("/files", session, json_body={"filename": "big.bin", "size": size})
            assert started.status == 201, started.body
            files.append(started.json["id"])
        key = make_key(api, session, ("files:read", "files:write"))
        hook = api.post("/webhooks", session, json_body={"url": "https://hooks.example.com/x"})
        assert hook.status == 201, hook.body
        for email in ("jo@example.com", None):
            invited = api.post("/invitations", session, json_body={"role": "member", "email": email})
            assert invited.status == 201, invited.body
        made[session.caller.organization_id] = files, key
    files, key = made[anna.caller.organization_id]
    return Estate(anna.caller.organization_id, files, key)


def rows_of(world: World, organization_id: str) -> dict[str, list[Any]]:
    """Rows that name an organisation, wherever they do."""
    found: dict[str, list[Any]] = {}
    for name, rows in world.snapshot().items():
        if isinstance(rows, list) and (left := [row for row in rows if organization_id in json.dumps(row)]):
            found[name] = left
    return found


def assert_gone(world: World, organization_id: str) -> None:
    left = {name for name in rows_of(world, organization_id) if not name.endswith(STAYS)}
    assert left == set()
    assert [key for key in (*world.temp(), *world.permanent()) if key.startswith(organization_id)] == []
    uploads = world.s3.list_multipart_uploads(Bucket=TEMP_BUCKET).get("Uploads", [])
    assert [upload for upload in uploads if upload["Key"].startswith(organization_id)] == []
    assert world.stores.organizations.find(organization_id) is None
    assert organization_id not in {one.organization_id for one in world.stores.organizations.all()}


def test_all_of_an_organization_is_deleted_and_nothing_of_another(
    operator: Operator, world: World, api: Api, estate: Estate, anna: Session, berta: Session
) -> None:
    other = rows_of(world, berta.caller.organization_id)
    objects = [key for key in (*world.temp(), *world.permanent()) if key.startswith(berta.caller.organization_id)]
    shown = json.loads(operator.done("organizations", "delete", "Acme", "--dry-run", "--json"))
    assert (shown["users"], shown["api_keys"], shown["invitations"], shown["webhooks"]) == (2, 1, 2, 1)
    assert shown["files"] == 5
    assert api.get("/auth/me", anna).status == 200

    result = operator.run("organizations", "delete", "Acme", "--json", typed="Acme\n")
    assert (result.exit_code, json.loads(result.stdout)["deleted"]) == (0, True), result.output
    assert_gone(world, estate.organization_id)
    assert api.get("/auth/me", anna).status == 401
    assert api.get("/files", estate.key).status == 401
    assert api.login("anna", anna.password).status == 401
    assert api.upload(anna, b"x").status == 401

    assert rows_of(world, berta.caller.organization_id) == other
    assert [
        key for key in (*world.temp(), *world.permanent()) if key.startswith(berta.caller.organization_id)
    ] == objects
    assert api.get("/auth/me", berta).status == 200
    assert operator.refused("organizations", "delete", "Acme", "--yes").startswith("There is no organisation Acme.")
    said = operator.refused("organizations", "show", estate.organization_id)
    assert said == f"There is no organisation {estate.organization_id}."


@pytest.mark.parametrize("typed", ["", "\n", "acme\n", "y\n", "Acme Corp\n"])
def test_another_answer_than_its_name_deletes_nothing(operator: Operator, world: World, typed: str) -> None:
    before = world.snapshot()
    assert operator.run("organizations", "delete", "Acme", typed=typed).exit_code != 0
    assert world.snapshot() == before


def test_names_can_be_taken_again(operator: Operator, world: World, estate: Estate) -> None:
    operator.run("organizations", "delete", "Acme", "--yes")
    [made] = json.loads(operator.done("organizations", "create", "Acme", "--json"))
    accounts.create_user(world.stores, made["id"], "anna", "a-new-password-1893")


def test_deletion_is_told_in_both_trails_and_its_events_are_sealed_after_it(
    operator: Operator, world: World, estate: Estate
) -> None:
    operator.run("organizations", "delete", "Acme", "--yes")
    told = world.events("Acme")
    kinds = [event["type"] for event in told]
    assert kinds.count("organization.deleted") == 1
    assert kinds.count("user.deleted") == 2
    assert kinds.count("file.deleted") == len(estate.files)
    [deletion] = [event for event in told if event["type"] == "organization.deleted"]
    assert deletion["actor"]["type"] == "operator"
    assert deletion["data"]["name"] == "Acme"
    nobody = [event.to_json() for event in world.stores.feed.before("nobody", None)]
    [acted] = [event for event in nobody if event["target"]["id"] == estate.organization_id]
    assert acted["data"]["command"] == "organizations delete"
    # The hourly upkeep still finds it.
    assert estate.organization_id in set(world.stores.organizations.ids())
    assert keep_up(world.stores)["feeds"] >= 3


def test_row_of_a_deleted_organization_is_forgotten_with_its_events(world: World, estate: Estate) -> None:
    remove_organization(world.stores, estate.organization_id, lambda line: None)
    [row] = [row for row in world.rows("organizations") if row["organization_id"]["S"] == estate.organization_id]
    assert row["deleted_at"]["S"].endswith("Z")
    assert int(row["forgotten_at"]["N"]) > 400 * 24 * 3600
    assert row["quota_bytes"] == row["quota_files"] == {"N": "0"}


def test_objects_that_an_interrupted_run_has_left_are_deleted_by_the_next(world: World, estate: Estate) -> None:
    """Their rows are gone already; what is left of each is a note, which no list of files shows."""
    with refused("s3.DeleteObject"), pytest.raises(ClientError):
        remove_organization(world.stores, estate.organization_id, lambda line: None)
    assert list(world.stores.files.removed_of(estate.organization_id))
    remove_organization(world.stores, estate.organization_id, lambda line: None)
    assert_gone(world, estate.organization_id)


def test_interrupted_at_any_call_it_is_completed_by_the_next_run(world: World, estate: Estate, berta: Session) -> None:
    populated = world.cloud.keep()
    other = rows_of(world, berta.caller.organization_id)
    with crashing_at(10_000) as calls:
        held = remove_organization(world.stores, estate.organization_id, lambda line: None)
    assert held == Holdings(users=2, api_keys=1, invitations=2, webhooks=1, files=5, bytes=held.bytes)
    whole = len(calls)
    assert whole > 60
    for number in range(1, whole + 1):
        world.cloud.rewind(populated)
        world.restart()
        with crashing_at(number), pytest.raises(Crash):
            remove_organization(world.stores, estate.organization_id, lambda line: None)
        if world.stores.organizations.find(estate.organization_id) is not None:
            remove_organization(world.stores, estate.organization_id, lambda line: None)
        assert_gone(world, estate.organization_id)
        assert rows_of(world, berta.caller.organization_id) == other


def test_upload_of_a_request_under_way_finds_no_room(world: World, estate: Estate, anna: Session) -> None:
    """It has passed authentication before the user was deleted."""
    refused: list[str] = []

    def upload() -> None:
        try:
            upload_form(world.stores, anna.caller, "late.txt", None, b"late")
        except QuotaExceeded as error:
            refused.append(error.code)

    with just_before("s3.ListMultipartUploads", upload):
        remove_organization(world.stores, estate.organization_id, lambda line: None)
    assert refused == ["quota_exceeded"]
    assert_gone(world, estate.organization_id)


def test_what_comes_at_the_last_moment_keeps_the_organization_from_being_marked(world: World, estate: Estate) -> None:

    def create_user() -> None:
        accounts.create_user(world.stores, estate.organization_id, "late", "a-new-password-1893")

    with (
        just_before("s3.ListMultipartUploads", create_user),
        pytest.raises(Conflict, match="has got something meanwhile: 1 users"),
    ):
        remove_organization(world.stores, estate.organization_id, lambda line: None)
    remove_organization(world.stores, estate.organization_id, lambda line: None)
    assert_gone(world, estate.organization_id)


def test_old_versions_go_only_when_told_so(world: World, operator: Operator, estate: Estate, berta: Session) -> None:
    def versions(organization_id: str) -> int:
        found = world.s3.list_object_versions(Bucket=PERMANENT_BUCKET, Prefix=f"{organization_id}/")
        return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))

    populated = world.cloud.keep()
    operator.run("organizations", "delete", "Acme", "--yes")
    assert versions(estate.organization_id) >= 2
    world.cloud.rewind(populated)
    operator.run("organizations", "delete", "Acme", "--yes", "--old-versions")
    assert versions(estate.organization_id) == 0
    assert versions(berta.caller.organization_id) == 3
