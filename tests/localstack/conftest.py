"""The machine of the integration tests with LocalStack in it: buckets and queues there, tables on MiniStack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import localstack_client.session
import pytest

from infra.deployment import deploy_stack
from infra.local import emulator
from infra.local.cache import cache_url, start_cache
from infra.local.identities import ROLES_OF_PARTS
from infra.local.keys import KeyFile
from infra.local.processes import answers, free_port
from infra.local.stack import STAGE, functions_environment
from infra.stages import stack_name_of
from infra.template import Template, data_plane
from tests.integration.conftest import (  # noqa: F401 - pytest finds fixtures by their names here
    Machine,
    Output,
    api_port,
    await_condition,
    running,
    stores,
    tenant,
)
from tests.localstack import environment

TABLE = "AWS::DynamoDB::Table"


@dataclass
class LocalStackMachine(Machine):
    """As everywhere, but that the tables answer at a port of their own."""

    tables_port: int = 0

    def client(self, service: str, part: str | None = None) -> Any:
        if service == "dynamodb":
            return self.on_tables_server(service)
        return localstack_session(self.aws_port).client(service)

    def on_tables_server(self, service: str) -> Any:
        key = KeyFile(self.folder / "tables").operator()
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=emulator.endpoint(self.tables_port),
            region_name=emulator.REGION,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )


def localstack_session(port: int) -> localstack_client.session.Session:
    """localstack-client reads where LocalStack is from AWS_ENDPOINT_URL when the session is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        return localstack_client.session.Session()


def _part(tables: bool) -> Template:
    """The template's tables, or all of it but the tables."""
    template = data_plane(STAGE)
    template["Resources"] = {
        name: resource for name, resource in template["Resources"].items() if (resource["Type"] == TABLE) == tables
    }
    if tables:
        template["Outputs"] = {"TablePrefix": template["Outputs"]["TablePrefix"]}
    return template


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStackMachine]:
    folder = tmp_path_factory.mktemp("machine")
    output = Output()
    aws_port, tables_port, cache_port = free_port(), free_port(), free_port()
    cache = start_cache(cache_port, folder / "cache", output.take)
    tables = emulator.start_emulator(tables_port, folder / "tables", output.take, keep_state=False)
    aws = environment.start(aws_port, folder / "localstack", output.take)
    made = LocalStackMachine(folder, aws_port, cache_port, output, aws, cache, tables_port=tables_port)
    try:
        await_condition(lambda: answers(cache_port), "Valkey listening")
        await_condition(lambda: emulator.is_ready(tables_port), "the tables' health")
        await_condition(lambda: environment.is_ready(aws_port), "LocalStack's health")
        parameters = {"Stage": STAGE, "CacheUrl": cache_url(cache_port), "RequireTls": "false"}
        outputs: dict[str, str] = {}
        for client, part in (
            (made.on_tables_server("cloudformation"), _part(tables=True)),
            (made.client("cloudformation"), _part(tables=False)),
        ):
            done = deploy_stack(client, stack_name_of(STAGE), part, parameters, report=lambda line: None)
            outputs |= done.outputs
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        key = KeyFile(folder / "tables").operator()
        made.parts = dict.fromkeys(ROLES_OF_PARTS, key)
        made.environment = functions_environment(outputs, aws_port, cache_port, key, base=clean) | {
            "AWS_ENDPOINT_URL_DYNAMODB": emulator.endpoint(tables_port),
            "BCRYPT_COST": "4",
            "RATE_LIMIT_LOGIN_PER_ADDRESS": "10000/minute",
            "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "1000000/hour",
            "RATE_LIMIT_LOGIN_PER_DEVICE": "1000000/hour",
            "RATE_LIMIT_PASSWORD": "1000000/hour",
            "RATE_LIMIT_TICKETS": "1000000/hour",
            "RATE_LIMIT_HEALTH": "1000000/hour",
            "RATE_LIMIT_UPLOADS": "10000/minute",
            "RATE_LIMIT_ANONYMOUS": "10000/minute",
        }
        yield made
    finally:
        for child in (aws, tables, cache):
            child.stop()
