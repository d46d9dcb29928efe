"""Before and after a deployment: the trial of a version, what a stage has run, whether it answers, and its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import boto3
import httpx
import pytest

from infra import VERSION
from infra.candidate import CandidateFailed, try_import, variables_of
from infra.deployment import DeploymentError
from infra.function_logs import events, for_people, read_age
from infra.functions import API, FUNCTIONS
from infra.live_check import UNHEALTHY, check_once
from infra.release_history import LISTED, Record, choose, delete_all, new_release_id, read_all, read_template, write
from infra.status import gather
from tests.unit.cloud import REGION
from tests.unit.conftest import Configure
from tests.unit.operator.conftest import Operator
from tests.unit.world import World

URL = "https://api.example.com/api"


# ---- the trial ---------------------------------------------------------------------------------------------------
def template_with(variables: dict[str, Any]) -> dict[str, Any]:
    return {
        "Parameters": {"RateLimitUploads": {"Default": "10/minute"}, "CorsOrigins": {"Default": ""}, "CacheUrl": {}},
        "Resources": {API.logical_id: {"Properties": {"Environment": {"Variables": variables}}}},
    }


VARIABLES = {
    "STAGE": {"Ref": "Stage"},
    "LOG_FORMAT": "json",
    "RATE_LIMIT_UPLOADS": {"Ref": "RateLimitUploads"},
    "CORS_ORIGINS": {"Fn::Join": [",", {"Ref": "CorsOrigins"}]},
    "CACHE_URL": {"Fn::If": ["CreateCache", {"Fn::Sub": "rediss://…"}, {"Ref": "CacheUrl"}]},
    "TABLE_PREFIX": {"Ref": "AWS::StackName"},
}


def test_candidate_gets_the_new_values_and_keeps_the_others() -> None:
    running = {"CACHE_URL": "redis://running", "TABLE_PREFIX": "strongroom-x", "RATE_LIMIT_UPLOADS": "1/day"}
    given = {"Stage": "x", "CorsOrigins": "https://a,https://b", "RateLimitUploads": "20/minute"}
    assert variables_of(template_with(VARIABLES), given, running) == (
        {
            "STAGE": "x",
            "LOG_FORMAT": "json",
            "RATE_LIMIT_UPLOADS": "20/minute",
            "CORS_ORIGINS": "https://a,https://b",
            "CACHE_URL": "redis://running",
            "TABLE_PREFIX": "strongroom-x",
        },
        [],
    )
    changed, _ = variables_of(template_with(VARIABLES), {**given, "CacheUrl": "redis://new"}, running)
    assert changed["CACHE_URL"] == "redis://new"


def test_variable_that_only_the_deployment_makes_is_named() -> None:
    found, missing = variables_of(
        template_with({"NEW_QUEUE_URL": {"Ref": "NewQueue"}, "RATE_LIMIT_UPLOADS": {"Ref": "RateLimitUploads"}}), {}, {}
    )
    assert (found, missing) == ({"RATE_LIMIT_UPLOADS": "10/minute"}, ["NEW_QUEUE_URL"])


def package_of(folder: Path, app: str) -> tuple[Path, dict[str, Any]]:
    """A package with this app.py, for the version of Python that runs here."""
    import sys

    zip_path = folder / "deployment.zip"
    with ZipFile(zip_path, "w") as archive:
        archive.writestr("app.py", app)
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    resources = {
        function.logical_id: {"Properties": {"Runtime": runtime, "Handler": f"app.{name}"}}
        for function in FUNCTIONS
        for name in ["app" if function is API else function.handler]
    }
    return zip_path, {"Resources": resources}


HANDLERS = "\n".join(f"{function.handler} = app = None" for function in FUNCTIONS)


@pytest.mark.parametrize(
    ("app", "cause"),
    [
        (f"import no_such_library\n{HANDLERS}", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("app = None", "AttributeError: module 'app' has no attribute"),
        (f"{HANDLERS}\n1 / 0", "ZeroDivisionError"),
        (f"import pytest\n{HANDLERS}", "ModuleNotFoundError: No module named 'pytest'"),
    ],
)
def test_package_that_can_t_be_imported_is_found_with_its_cause(tmp_path: Path, app: str, cause: str) -> None:
    with pytest.raises(CandidateFailed) as raised:
        try_import(*package_of(tmp_path, app), lambda line: None)
    assert cause in str(raised.value)
    assert str(raised.value).endswith("Nothing was changed.")


def test_package_for_another_version_of_python_is_not_imported_here(tmp_path: Path) -> None:
    said: list[str] = []
    zip_path, template = package_of(tmp_path, "1 / 0")
    template["Resources"][API.logical_id]["Properties"]["Runtime"] = "python3.9"
    try_import(zip_path, template, said.append)
    assert said == ["The package is not imported here: it is for python3.9 on Linux, x86_64."]
    try_import(*package_of(tmp_path, HANDLERS), said.append)
    assert len(said) == 1


# ---- what a stage has run ----------------------------------------------------------------------------------------
def record(release_id: str, template: str = "templates/a.json", **parameters: str) -> Record:
    return Record(release_id, "1.0", "d" * 64, template, parameters)


def test_releases_are_kept_for_each_stage_the_newest_first(world: World) -> None:
    bucket = "strongroom-artifacts"
    world.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    made = [record(f"2026112{n // 10}T{n % 10}", LogLevel="INFO") for n in range(LISTED + 5)]
    for one in made:
        write(world.s3, bucket, "prod", one)
    write(world.s3, bucket, "test", record("1"))
    assert read_all(world.s3, bucket, "prod") == made[::-1][:LISTED]
    world.s3.put_object(Bucket=bucket, Key="templates/a.json", Body=json.dumps({"Resources": {}}).encode())
    assert read_template(world.s3, bucket, made[0]) == {"Resources": {}}
    delete_all(world.s3, bucket, "prod")
    assert read_all(world.s3, bucket, "prod") == []
    assert [one.release_id for one in read_all(world.s3, bucket, "test")] == ["1"]


def test_rollback_goes_to_the_last_release_that_differs() -> None:
    older, old = record("1", "templates/a.json"), record("2", "templates/b.json")
    same, newest = record("3", "templates/c.json"), record("4", "templates/c.json")
    assert choose([newest, same, old, older], None) == old
    assert choose([newest, record("3", "templates/c.json", LogLevel="DEBUG")], None).release_id == "3"
    assert choose([newest, same, old, older], "1") == older
    for records, wanted in (([], None), ([newest], None), ([newest, same], None), ([newest, old], "9")):
        with pytest.raises(DeploymentError, match="There is no"):
            choose(records, wanted)


def test_ids_of_releases_sort_by_time() -> None:
    made = [new_release_id() for _ in range(50)]
    assert sorted(made) == made


def test_version_is_that_of_the_project(operator: Operator) -> None:
    assert operator.done("--version") == f"strongroom, version {VERSION}\n"


# ---- whether it answers ------------------------------------------------------------------------------------------
def api_that_answers(health: int, me: int, body: str = '{"error": "x"}') -> httpx.BaseTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        status = health if request.url.path == "/api/health" else me
        return httpx.Response(status, text=body)

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("health", "me", "body", "wrong"),
    [
        (200, 401, '{"error": "x"}', ""),
        (503, 401, "{}", UNHEALTHY),
        (502, 502, "Internal server error", "GET /health is 502, not 200: Internal server error"),
        (200, 500, "{}", "GET /auth/me without a session is 500, not 401"),
        (200, 401, "<html>", "GET /auth/me without a session is 401, not 401"),
    ],
)
def test_answer_of_a_deployment_is_checked(health: int, me: int, body: str, wrong: str) -> None:
    found = check_once(URL, api_that_answers(health, me, body))
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


def test_no_answer_is_a_sentence() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert check_once(URL, httpx.MockTransport(away)) == f"there is no answer from {URL}: refused"


@pytest.mark.parametrize(
    ("wrong", "others", "api", "cache"),
    [
        (200, True, "up", "up"),
        (503, True, "unhealthy", "down"),
        (503, False, "unhealthy", "not known"),
        (500, True, "down: GET /health is 500, not 200: {}", "not known"),
    ],
)
def test_status_asks_the_api_and_concludes_how_the_cache_is(
    world: World, configure: Configure, wrong: int, others: bool, api: str, cache: str
) -> None:
    if not others:
        configure(TEMP_BUCKET="no-such-bucket")
        world.restart()
    transport = api_that_answers(wrong, 401, '{"error": 1}' if wrong == 200 else "{}")
    found = gather(world.stores, URL, transport)
    assert found["API"] == {"address": URL, "state": api}
    assert found["Dependencies"]["cache"] == cache


# ---- its log -----------------------------------------------------------------------------------------------------
def test_log_lines_are_for_people_and_others_stay() -> None:
    line = json.dumps(
        {"time": "2026-01-31T09:00:00Z", "level": "INFO", "message": "GET /files 200", "status": 200, "user_id": None}
    )
    assert for_people(line) == "2026-01-31T09:00:00Z INFO    GET /files 200  status=200"
    crash = json.dumps({"time": "t", "level": "ERROR", "message": "broke", "exception": "Traceback\n  x"})
    assert for_people(crash) == "t ERROR   broke\nTraceback\n  x"
    for other in ("START RequestId: 1", '"text"', "[]", '{"a": 1}'):
        assert for_people(other) == other


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259200)])
def test_age_is_read(text: str, seconds: int) -> None:
    assert read_age(text) == seconds


def test_log_is_read_and_a_missing_one_is_a_sentence(operator: Operator, world: World) -> None:
    client = boto3.client("logs", region_name=REGION)
    with pytest.raises(DeploymentError, match="There is no log /aws/lambda/strongroom-test-api"):
        list(events(client, "/aws/lambda/strongroom-test-api", 900, "", follow=False))
    import time

    client.create_log_group(logGroupName="/aws/lambda/strongroom-test-api")
    client.create_log_stream(logGroupName="/aws/lambda/strongroom-test-api", logStreamName="one")
    now = int(time.time() * 1000)
    client.put_log_events(
        logGroupName="/aws/lambda/strongroom-test-api",
        logStreamName="one",
        logEvents=[{"timestamp": now - 3_600_000, "message": "old"}, {"timestamp": now, "message": "new\n"}],
    )
    assert operator.done("logs") == "new\n"
    assert operator.done("logs", "--since", "2h", "--json") == "old\nnew\n"
    assert "'soon' is no time such as" in operator.refused("logs", "--since", "soon", exit_code=2)
    assert "in the terminal" in operator.refused("logs", "--stage", "local")
