"""The parts of docker-compose.yml as the containers run them, without Docker: AWS_* and a few settings, no more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from infra.local.processes import HOST, Child, free_port
from infra.packaging import ROOT
from tests.integration.conftest import Machine, Output, await_condition, start_machine

COMMAND = [sys.executable, "-m", "infra.local.container"]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One of its own: the deployer makes the stack without the users that `make up` gives it."""
    with start_machine(tmp_path_factory.mktemp("machine"), []) as made:
        yield made


@pytest.fixture
def environment(machine: Machine) -> dict[str, str]:
    """What docker-compose.yml gives; names of tables, buckets and queues come from the stack."""
    given = ("PATH", "HOME", "CACHE_URL", "COOKIE_SECURE", "S3_ADDRESSING_STYLE", "MAX_UPLOAD_BYTES")
    return {name: value for name, value in machine.environment.items() if name.startswith("AWS_") or name in given} | {
        "LOG_FORMAT": "text",
        "API_HOST": HOST,
        "API_PORT": str(free_port()),
    }


def deploy(environment: dict[str, str]) -> str:
    result = subprocess.run(
        [*COMMAND, "deploy"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def api(environment: dict[str, str]) -> Iterator[httpx.Client]:
    deploy(environment)
    output = Output()
    children = [Child(part, [*COMMAND, part], environment, ROOT, output.take) for part in ("api", "consumer")]
    client = httpx.Client(base_url=f"http://{HOST}:{environment['API_PORT']}", timeout=30)

    def is_up() -> bool:
        try:
            return client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        await_condition(is_up, "the API's health")
        yield client
    finally:
        client.close()
        for child in children:
            child.stop()


def test_deployer_can_be_run_again(environment: dict[str, str]) -> None:
    deploy(environment)
    assert "nothing to change" in deploy(environment)


def test_upload_goes_all_the_way(api: httpx.Client) -> None:
    answer = api.post("/auth/login", json={"username": "admin", "password": "password"})
    assert answer.status_code == 200, answer.text
    record = api.post("/files", files={"file": ("note.txt", b"in a container\n")}).json()
    settled = await_condition(
        lambda: (found := api.get(f"/files/{record['id']}").json())["status"] in ("completed", "failed") and found,
        "the end of processing",
    )
    assert settled["status"] == "completed"
