"""Looking after a deployment from the command line: first data, status, reprocess, sweep."""

from __future__ import annotations

import json

import pytest

from chalicelib.tenants import organizations as tenants
from tests.aws_calls import aws_calls, refused, unreachable
from tests.moto_aws import ACCOUNT
from tests.unit.api import Api, Session
from tests.unit.cloud import PERMANENT_BUCKET, REGION, STACK, TEMP_BUCKET
from tests.unit.conftest import Configure
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


def upload(api: Api, session: Session) -> str:
    return str(api.upload(session, b"hello").json["id"])


def status_of(api: Api, session: Session, file_id: str) -> str:
    return str(api.get(f"/files/{file_id}", session).json["status"])


# ---- seed-data ---------------------------------------------------------------------------------------------------
@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage local works on the endpoint that the environment names, if it names one."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://dynamodb.{REGION}.amazonaws.com")


def test_first_data_is_made_once(operator: Operator, world: World, api: Api, laptop: None) -> None:
    made = operator.done("seed-data", "--stage", "local")
    assert made == "Made Acme Corp with the user admin.\n"
    before = world.snapshot()
    assert operator.done("seed-data", "--stage", "local") == "admin of Acme Corp is there already.\n"
    assert world.snapshot() == before
    assert api.login("admin", "password").status == 200


def test_first_data_of_a_run_that_died_halfway_are_completed(operator: Operator, world: World, laptop: None) -> None:
    left = tenants.create_organization(world.stores, "Acme Corp")
    operator.done("seed-data", "--stage", "local")
    assert [o.organization_id for o in world.stores.organizations.all() if o.name == "Acme Corp"] == [
        left.organization_id
    ]
    user = world.stores.users.find_by_username("admin")
    assert user is not None
    assert user.organization_id == left.organization_id


@pytest.mark.parametrize("stage", ["test", "prod"])
def test_first_data_with_their_known_password_are_for_the_laptop_only(operator: Operator, stage: str) -> None:
    assert "on the stage local only" in operator.refused("seed-data", "--stage", stage, exit_code=2)


@pytest.mark.parametrize("stage", ["Local", "", "My_Stage", "a" * 17, "prod\n"])
def test_what_can_be_no_stage_is_refused(operator: Operator, stage: str) -> None:
    for command in ("seed-data", "deploy", "destroy", "status"):
        assert "is no name of a stage" in operator.refused(command, "--stage", stage, exit_code=2)


def test_stage_of_the_environment_counts_too(operator: Operator) -> None:
    assert "not on test" in operator.refused("seed-data", exit_code=2)


# ---- status ------------------------------------------------------------------------------------------------------
def test_status_tells_what_there_is_and_how_it_is(operator: Operator, world: World, api: Api, anna: Session) -> None:
    upload(api, anna)
    upload(api, anna)
    world.receive(1)
    found = json.loads(operator.done("status", "--json"))
    assert found["Deployment"] == {
        "stage": "test",
        "tables": f"{STACK}-*",
        "temp bucket": TEMP_BUCKET,
        "permanent bucket": PERMANENT_BUCKET,
        "installation": "-",
    }
    assert found["API"] == {"address": "-", "state": "not known"}
    assert found["Dependencies"] == {"database": "up", "storage": "up", "queue": "up", "cache": "not known"}
    assert found["Uploads queue"] == {"waiting": 1, "in work": 1, "delayed": 0}
    assert found["Dead letters"] == {"waiting": 0, "in work": 0, "delayed": 0}
    assert set(found["Migrations"].values()) == {"pending"}
    assert found["Summary"]["migrations applied"] == 0


def test_status_shows_what_is_away_instead_of_failing(operator: Operator) -> None:
    with unreachable("s3"):
        result = operator.run("status")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["storage", "down"] in lines
    assert ["database", "up"] in lines


def test_status_reads_only(operator: Operator, world: World, anna: Session) -> None:
    before = world.snapshot()
    operator.done("status")
    assert world.snapshot() == before


# ---- reprocess ---------------------------------------------------------------------------------------------------
def test_failed_file_is_processed_again(operator: Operator, world: World, api: Api, anna: Session) -> None:
    file_id = upload(api, anna)
    with refused("s3.GetObject"):
        world.drain()
    assert status_of(api, anna, file_id) == "failed"
    said = operator.done("reprocess", anna.caller.organization_id, file_id)
    assert said == f"File {file_id} (failed) is queued for processing.\n"
    world.drain()
    assert status_of(api, anna, file_id) == "completed"


def test_file_that_can_t_be_processed_again_is_refused(
    operator: Operator, world: World, api: Api, anna: Session, berta: Session
) -> None:
    organization_id, file_id = anna.caller.organization_id, upload(api, anna)
    assert "There is no file" in operator.refused("reprocess", organization_id, "nothing")
    assert "There is no file" in operator.refused("reprocess", berta.caller.organization_id, file_id)
    world.drain()
    assert "is completed" in operator.refused("reprocess", organization_id, file_id)
    bytes_gone = upload(api, anna)
    world.s3.delete_object(Bucket=TEMP_BUCKET, Key=world.temp_key(bytes_gone))
    assert "must be uploaded again" in operator.refused("reprocess", organization_id, bytes_gone)


# ---- sweep -------------------------------------------------------------------------------------------------------
def test_sweep_repairs_what_is_overdue_and_says_so(operator: Operator, world: World, api: Api, anna: Session) -> None:
    lost, never_arrived = upload(api, anna), upload(api, anna)
    world.forget_messages()
    world.s3.delete_object(Bucket=TEMP_BUCKET, Key=world.temp_key(never_arrived))
    assert operator.done("sweep").splitlines() == [
        "Sweeping what has been silent for 900 seconds ...",
        "  Nothing to do.",
    ]
    lines = [line.split() for line in operator.done("sweep", "--stale-seconds", "0").splitlines()[1:]]
    assert ["expired", "1"] in lines
    assert ["requeued", "1"] in lines
    world.drain()
    assert [status_of(api, anna, file_id) for file_id in (lost, never_arrived)] == ["completed", "failed"]
    assert "-1 is not in the range" in operator.refused("sweep", "--stale-seconds", "-1", exit_code=2)


def test_files_that_a_crashing_function_had_received_are_processed_after_the_repair(
    operator: Operator, world: World, api: Api, anna: Session
) -> None:
    """A function that breaks at import deletes no message, so each stays hidden for 90 minutes, up to three times."""
    file_ids = [upload(api, anna) for _ in range(2)]
    assert world.receive(10) is not None
    assert world.work() == []
    assert json.loads(operator.run("sweep", "--stale-seconds", "0", "--json").stdout)["done"]["requeued"] == 2
    world.work()
    assert [status_of(api, anna, file_id) for file_id in file_ids] == ["completed"] * 2
    before = world.snapshot()["permanent"]
    # What was received first comes back, and finds nothing to do.
    world.forward()
    assert world.work() == [[], []]
    assert world.snapshot()["permanent"] == before


# ---- deploy, and what fails underneath ---------------------------------------------------------------------------
@pytest.mark.parametrize("pair", ["CacheUrl", "=value", ""])
def test_parameter_that_is_no_pair_is_refused_before_anything_is_packaged(operator: Operator, pair: str) -> None:
    with aws_calls() as made:
        assert operator.refused("deploy", "-p", pair) == f"{pair!r} is not of the form NAME=VALUE."
    assert made == []


def test_queue_that_is_not_there_is_told_in_a_sentence(operator: Operator, configure: Configure) -> None:
    configure(DEAD_LETTER_QUEUE_URL=f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/another")
    for command in ("status", "redrive"):
        assert operator.refused(command).startswith("A table, queue or bucket of this stage is missing.")
