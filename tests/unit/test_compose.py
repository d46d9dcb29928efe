"""docker-compose.yml and Dockerfile, as far as they can be checked without a Docker engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.kernel import config
from infra.packaging import ROOT

FILE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
OURS = ("deployer", "api", "consumer")


def compose_config(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Compose itself, from PyPI: it checks a file against the Compose specification's schema, and needs no engine."""
    program = Path(sys.executable).with_name("docker-compose")
    command = [str(program), "-f", str(FILE), "config", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_file_is_valid_compose_without_any_variable_set() -> None:
    result = compose_config("--quiet")
    # A warning, such as of a variable without a default, goes to standard error.
    assert (result.returncode, result.stderr) == (0, "")


def test_schema_would_see_a_mistake(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("docker-compose")
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(FILE.read_text().replace("healthcheck:", "healthchek:", 1))
    result = subprocess.run([program, "-f", wrong, "config", "-q"], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "healthchek" in result.stderr


def test_image_token_and_ports_can_be_chosen() -> None:
    result = compose_config(
        LOCALSTACK_IMAGE="localstack/localstack:2026.3", LOCALSTACK_AUTH_TOKEN="token", API_PORT="8123"
    )
    resolved = yaml.safe_load(result.stdout)["services"]
    assert resolved["localstack"]["image"] == "localstack/localstack:2026.3"
    assert resolved["localstack"]["environment"]["LOCALSTACK_AUTH_TOKEN"] == "token"
    assert resolved["api"]["ports"][0]["published"] == "8123"


def test_every_port_is_on_loopback_only() -> None:
    resolved = yaml.safe_load(compose_config().stdout)["services"]
    published = [port for service in resolved.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_parts_start_in_order_and_say_when_they_are_well() -> None:
    assert {name for name in SERVICES if "healthcheck" in SERVICES[name]} == {"localstack", "cache", "api"}
    assert SERVICES["deployer"]["depends_on"] == {
        "localstack": {"condition": "service_healthy"},
        "cache": {"condition": "service_healthy"},
    }
    for name in ("api", "consumer"):
        assert SERVICES[name]["depends_on"] == {"deployer": {"condition": "service_completed_successfully"}}
    assert SERVICES["deployer"]["restart"] == "no"


def test_docker_socket_is_not_handed_out_and_no_dead_setting_is_used() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert "docker.sock:" not in text
    for dead in ("LAMBDA_EXECUTOR", "HOSTNAME_EXTERNAL", "EDGE_PORT", "DATA_DIR"):
        assert dead not in text


@pytest.mark.parametrize("name", OURS)
def test_environment_is_what_config_reads_or_standard(name: str) -> None:
    ours = {variable for variable in SERVICES[name]["environment"] if not variable.startswith("AWS_")}
    assert ours <= set(config.described()) | {"API_HOST"}


def test_image_is_small_and_not_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2, "what builds must not be in what runs"
    assert all("-slim" in stage for stage in stages)
    assert "USER strongroom" in lines
    assert lines.index("USER strongroom") > max(i for i, line in enumerate(lines) if line.startswith("COPY "))


def test_everything_that_is_copied_exists_and_reaches_the_build() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert any(source == name or source.startswith(f"{name}/") for name in allowed), source
