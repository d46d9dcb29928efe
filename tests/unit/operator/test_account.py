"""What a deployment takes over from the account, with answers of AWS's as they are documented."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber

from infra.account import (
    check_concurrency,
    concurrency_shares,
    manages_log_role,
    organization_share,
    parameters_of_account,
)
from infra.deployment import DeploymentError

ROLE = "arn:aws:iam::123456789012:role/gateway-logs"


@pytest.mark.parametrize(
    ("executions", "process", "deliver"), [(10, 3, 2), (50, 13, 12), (100, 20, 20), (1000, 20, 20), (4, 2, 2)]
)
def test_triggers_take_at_most_half_of_the_account(executions: int, process: int, deliver: int) -> None:
    assert concurrency_shares(executions) == {"ProcessConcurrencyShare": process, "DeliverConcurrencyShare": deliver}


def test_triggers_of_a_new_account_leave_the_api_half() -> None:
    assert sum(concurrency_shares(10).values()) <= 5


@pytest.mark.parametrize(("process", "share"), [(2, 1), (3, 2), (20, 15), (1000, 750)])
def test_one_organisation_never_has_all(process: int, share: int) -> None:
    assert organization_share(process) == share < process


def test_concurrency_that_leaves_the_api_nothing_is_refused() -> None:
    with pytest.raises(DeploymentError, match="the API would have none"):
        check_concurrency(10, {"MaxProcessConcurrency": "20"}, print)


def test_more_than_half_is_told() -> None:
    said: list[str] = []
    check_concurrency(100, {"MaxProcessConcurrency": "60"}, said.append)
    assert len(said) == 1
    assert "60 at once" in said[0]
    check_concurrency(1000, {}, said.append)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("role", "kept", "manages"),
    [
        (None, None, "true"),
        (ROLE, None, "false"),
        (ROLE, "true", "true"),
        (ROLE, "false", "false"),
        (None, "false", "true"),
    ],
)
def test_log_role_of_the_account_is_set_where_there_is_none_only(
    role: str | None, kept: str | None, manages: str
) -> None:
    assert manages_log_role(role, kept) == manages


class Session:
    """One client for each service, each with the answers that were written down for it."""

    def __init__(self) -> None:
        self.stubs = {name: Stubber(boto3.client(name)) for name in ("lambda", "apigateway", "iam")}
        for stub in self.stubs.values():
            stub.activate()

    def client(self, name: str) -> object:
        return self.stubs[name].client


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    for stub in session.stubs.values():
        stub.assert_no_pending_responses()
        # The tests share their clients.
        stub.deactivate()


def test_account_is_asked_once_for_each(session: Session) -> None:
    session.stubs["lambda"].add_response("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 10}})
    session.stubs["apigateway"].add_response("get_account", {"cloudwatchRoleArn": ROLE})
    session.stubs["iam"].add_client_error("get_role", "AccessDenied")
    said: list[str] = []
    assert parameters_of_account(session, None, {}, said.append) == {
        "ProcessConcurrencyShare": "3",
        "DeliverConcurrencyShare": "2",
        "OrganizationConcurrencyShare": "2",
        "ManageGatewayLogRole": "false",
    }
    assert said == ["API Gateway has a role for its logs in this account already: it is used as it is."]


def test_role_that_is_gone_is_none(session: Session) -> None:
    session.stubs["lambda"].add_client_error("get_account_settings", "AccessDeniedException")
    session.stubs["apigateway"].add_response("get_account", {"cloudwatchRoleArn": ROLE})
    session.stubs["iam"].add_client_error("get_role", "NoSuchEntity")
    said: list[str] = []
    found = parameters_of_account(session, None, {}, said.append)
    assert found["ManageGatewayLogRole"] == "true"
    assert found["ProcessConcurrencyShare"] == "3", "as of a new account, where the quota can't be read"
    assert "assuming 10" in said[0]


def test_what_was_given_is_left_alone(session: Session) -> None:
    session.stubs["lambda"].add_response("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 1000}})
    given = {"ManageGatewayLogRole": "true", "ProcessConcurrencyShare": "7", "DeliverConcurrencyShare": "7"}
    given["OrganizationConcurrencyShare"] = "5"
    assert parameters_of_account(session, None, given, print) == {}
