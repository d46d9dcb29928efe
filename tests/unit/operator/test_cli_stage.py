"""Where a command works, and what it says if it can't. Finding a stage by its stack is tested with `make up`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from infra.local.keys import KeyFile
from tests.aws_calls import Listener, aws_calls, listening, unreachable
from tests.moto_gaps import aws_answer
from tests.unit.cloud import ENVIRONMENT
from tests.unit.operator.conftest import Operator

LIST = ("organizations", "list", "--json")


@pytest.fixture
def bare_environment(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's shell: a region and credentials, and nothing that names a deployment."""
    for name in [*ENVIRONMENT, "DEAD_LETTER_QUEUE_URL"]:
        if not name.startswith("AWS_"):
            monkeypatch.delenv(name)


def answering(operation: str, status: int, body: str) -> Listener:
    """In the place of AWS's answer to an operation, or to all of a service."""

    def answer(heard: str, _: AWSPreparedRequest) -> AWSResponse | None:
        if operation not in (heard, heard.partition(".")[0]):
            return None
        return aws_answer(status, body.encode())

    return answer


def test_laptops_stage_stays_on_this_machine_even_with_credentials_of_an_account(
    operator: Operator, bare_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PORT", "4999")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    KeyFile(tmp_path / "aws").operator()
    with aws_calls() as made:
        # Nothing listens there; a unit test could not even ask.
        assert operator.refused(*LIST).startswith("Can't reach the endpoint http://127.0.0.1:4999")
    assert set(made) == {"cloudformation.DescribeStacks"}


def test_laptops_stage_without_a_key_is_told_where_one_would_be(
    operator: Operator, bare_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    with aws_calls() as made:
        said = operator.refused(*LIST)
    assert said.startswith(f"There is no {tmp_path}/aws/keys.json. Start the stack: make up.")
    assert "STATE_DIR" in said
    assert not made


def test_missing_region_is_told(operator: Operator, bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert operator.refused(*LIST, "--stage", "prod").startswith("No region is set. Set AWS_REGION")


def test_wrong_setting_is_named(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCRYPT_COST", "high")
    assert operator.refused(*LIST) == "BCRYPT_COST must be a whole number, not 'high'"


def test_aws_out_of_reach_is_a_sentence(operator: Operator, unhurried: list[float]) -> None:
    with unreachable("dynamodb"):
        assert operator.refused(*LIST).startswith("Can't reach AWS: ")
        assert operator.refused("migrate").startswith("Can't reach AWS: ")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDeniedException", "These credentials may not do that: not authorized"),
        ("ExpiredTokenException", "AWS does not accept these credentials. Sign in again"),
        ("UnrecognizedClientException", "AWS does not accept these credentials. Sign in again"),
        ("ResourceNotFoundException", "A table, queue or bucket of this stage is missing. Deploy the stack first"),
    ],
)
def test_refusal_of_aws_is_a_sentence(operator: Operator, code: str, sentence: str) -> None:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "not authorized"})
    with listening(answering("dynamodb", 400, body)):
        assert operator.refused(*LIST).startswith(sentence)
        assert operator.refused("users", "disable", "anna").startswith(sentence)


@pytest.mark.parametrize("command", ["", "organizations", "users create", "migrate", "recount", "deploy"])
def test_help_needs_no_deployment(operator: Operator, bare_environment: None, command: str) -> None:
    with aws_calls() as made:
        assert "Usage: " in operator.done(*command.split(), "--help")
    assert made == []
