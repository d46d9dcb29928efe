"""The real emulator, a real Valkey, the real stack: one set per test process, on free ports, in a temporary folder.

The application runs as `make up` runs it: the API behind Chalice's local gateway and the queue consumer, each a process
of its own, so that what is tested is what a person would meet.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from chalicelib.accounts import users as accounts
from chalicelib.kernel.config import load
from chalicelib.tenants import organizations as tenants
from chalicelib.wiring import Stores
from infra.local import emulator
from infra.local.cache import start_cache
from infra.local.keys import Key, KeyFile
from infra.local.processes import HOST, Child, answers, free_port
from infra.local.stack import create_data_plane, functions_environment
from infra.local.up import ROOT

PATIENCE_SECONDS = 60.0
PASSWORD = "correct horse battery"


def await_condition(condition: Callable[[], Any], what: str, patience_seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of the condition; fails the test when there is none in time."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come about within {patience_seconds:.0f} s")


@dataclass
class Output:
    """What the processes said, for assertions and for a failed test's report."""

    lines: list[str] = field(default_factory=list)

    def take(self, name: str, line: str) -> None:
        self.lines.append(f"{name:<8} | {line}")

    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Machine:
    """Emulator, Valkey and stack, with the functions' environment that goes with them."""

    folder: Path
    aws_port: int
    cache_port: int
    output: Output
    aws: Child
    cache: Child
    #: With the operator's key.
    environment: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Key] = field(default_factory=dict)

    def client(self, service: str, part: str | None = None) -> Any:
        """With the rights of the operator, or of a part of `make up`."""
        key = self.parts[part] if part else KeyFile(self.folder / "aws").operator()
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=emulator.endpoint(self.aws_port),
            region_name=emulator.REGION,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )

    def restart_cache(self) -> None:
        self.cache = start_cache(self.cache_port, self.folder / "cache", self.output.take)
        await_condition(lambda: answers(self.cache_port), "Valkey listening again")


@dataclass
class Tenant:
    """An organisation with one user, and a signed-in client for it."""

    organization_id: str
    username: str
    client: httpx.Client

    def upload(self, name: str, content: bytes, declared: str = "application/octet-stream") -> dict[str, Any]:
        answer = self.client.post("/files", files={"file": (name, content, declared)})
        assert answer.status_code == 201, answer.text
        record: dict[str, Any] = answer.json()
        return record

    def await_settled(self, file_id: str) -> dict[str, Any]:
        """The file's details once it is completed or failed."""

        def settled() -> dict[str, Any] | None:
            details: dict[str, Any] = self.client.get(f"/files/{file_id}").json()
            return details if details["status"] in ("completed", "failed") else None

        found: dict[str, Any] = await_condition(settled, f"the end of processing {file_id}")
        return found


@dataclass
class Running:
    """The API and the consumer over a machine."""

    machine: Machine
    stores: Stores
    base_url: str
    api: Child
    consumer: Child

    def new_tenant(self) -> Tenant:
        """An organisation and a user of its own for each test, so that tests can't meet."""
        username = f"user-{uuid.uuid4().hex[:12]}"
        organization = tenants.create_organization(self.stores, f"Organisation of {username}")
        accounts.create_user(self.stores, organization.organization_id, username, PASSWORD)
        client = httpx.Client(base_url=self.base_url, timeout=60)
        answer = client.post("/auth/login", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return Tenant(organization.organization_id, username, client)


@pytest.fixture(scope="session")
def api_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def page_origins() -> list[str]:
    """Of pages that talk to the API and to storage; there are none here."""
    return []


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory, page_origins: list[str]) -> Iterator[Machine]:
    with start_machine(tmp_path_factory.mktemp("machine"), page_origins) as made:
        yield made


@contextmanager
def start_machine(folder: Path, page_origins: list[str]) -> Iterator[Machine]:
    output = Output()
    aws_port, cache_port = free_port(), free_port()
    cache = start_cache(cache_port, folder / "cache", output.take)
    aws = emulator.start_emulator(
        aws_port, folder / "aws", output.take, cache_port=cache_port, page_origins=page_origins
    )
    made = Machine(folder, aws_port, cache_port, output, aws, cache)
    try:
        await_condition(lambda: answers(cache_port), "Valkey listening")
        await_condition(lambda: emulator.is_ready(aws_port), "the emulator's health")
        data = create_data_plane(aws_port, cache_port, KeyFile(folder / "aws"), lambda line: None, page_origins)
        made.parts = data.parts
        made.environment = functions_environment(
            data.outputs, aws_port, cache_port, data.operator, base=_clean_environment()
        )
        # Tests make many users and uploads from one address; the limits have tests of their own.
        made.environment |= {
            "BCRYPT_COST": "4",
            "CORS_ORIGINS": ",".join(page_origins),
            "RATE_LIMIT_LOGIN_PER_ADDRESS": "10000/minute",
            "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "1000000/hour",
            "RATE_LIMIT_LOGIN_PER_DEVICE": "1000000/hour",
            "RATE_LIMIT_PASSWORD": "1000000/hour",
            "RATE_LIMIT_SECOND_FACTOR": "1000000/hour",
            "RATE_LIMIT_TICKETS": "1000000/hour",
            "RATE_LIMIT_HEALTH": "1000000/hour",
            "RATE_LIMIT_UPLOADS": "10000/minute",
            "RATE_LIMIT_ANONYMOUS": "10000/minute",
        }
        yield made
    finally:
        for child in (made.aws, made.cache):
            child.stop()


@pytest.fixture(scope="session")
def stores(machine: Machine) -> Iterator[Stores]:
    """The application's own stores in the test's process, to set up and to look behind the API."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in machine.environment.items():
            patch.setenv(name, value)
        yield Stores(load(machine.environment))


@pytest.fixture(scope="session")
def running(machine: Machine, stores: Stores, api_port: int) -> Iterator[Running]:
    environment = {**machine.environment, "API_PORT": str(api_port)}
    api, consumer = (
        start_part(name, {**environment, **machine.parts[name].variables()}, machine.output)
        for name in ("api", "consumer")
    )
    try:
        await_condition(lambda: answers(api_port), "the API listening")
        yield Running(machine, stores, f"http://{HOST}:{api_port}", api, consumer)
    finally:
        for child in (consumer, api):
            child.stop()


@pytest.fixture
def tenant(running: Running) -> Iterator[Tenant]:
    made = running.new_tenant()
    yield made
    made.client.close()


def start_part(name: str, environment: dict[str, str], output: Output) -> Child:
    """The API or the consumer, as `make up` starts it."""
    return Child(name, [sys.executable, "-m", f"infra.local.{name}"], environment, ROOT, output.take)


def _clean_environment() -> dict[str, str]:
    """Nothing of a developer's shell that would change what the application does."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
