"""What is said of an account before anything is made in it, by recorded answers of AWS (botocore's Stubber)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from infra.preflight import CHECKS, POLICIES, Finding, State, preflight, principal_of
from tests.aws_calls import aws_calls
from tests.unit.operator.conftest import Operator

ACCOUNT = "123456789012"
ARN = f"arn:aws:iam::{ACCOUNT}:user/deployer"
REGION = "eu-central-1"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
MISSING = ("ResourceNotFoundException", "not found", 400)


class Recorded:
    """A session whose clients answer what was recorded, in any order and as often as asked."""

    def __init__(self, **answers: Any) -> None:
        """:param answers: service__method -> the answer, or ``(code, message, status)`` of an error."""
        self.region_name: str | None = REGION
        self._real: Any = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name=REGION)
        self._answers = {**GOOD, **answers}

    def get_available_regions(self, service: str) -> list[str]:
        found: list[str] = self._real.get_available_regions(service)
        return found

    def client(self, service: str, **_: Any) -> Any:
        return _Client(
            self._real.client(service),
            {
                k.partition("__")[2]: v
                for k, v in self._answers.items()
                if k.startswith(f"{service.replace('-', '_')}__")
            },
        )


class _Client:
    """Stubs each call just before it is made: Stubber itself wants to know the order."""

    def __init__(self, client: Any, answers: dict[str, Any]) -> None:
        self._client, self._answers = client, answers
        self.exceptions = client.exceptions

    def __getattr__(self, method: str) -> Any:
        def call(**arguments: Any) -> Any:
            answer = self._answers[method]
            with Stubber(self._client) as stub:
                if isinstance(answer, tuple):
                    code, message, status = answer
                    stub.add_client_error(method, code, message, status)
                else:
                    stub.add_response(method, answer, dict.fromkeys(arguments, ANY))
                return getattr(self._client, method)(**arguments)

        return call


def simulated(decision: str, *actions: str) -> dict[str, Any]:
    return {"EvaluationResults": [{"EvalActionName": name, "EvalDecision": decision} for name in actions]}


def certificate(status: str = "ISSUED", name: str = "files.example.com") -> dict[str, Any]:
    return {"Certificate": {"DomainName": name, "Status": status, "SubjectAlternativeNames": [name]}}


ROLE = {
    "Path": "/", "RoleName": "theirs", "RoleId": "AROAEXAMPLEOFAROLE", "Arn": f"arn:aws:iam::{ACCOUNT}:role/theirs",
    "CreateDate": datetime(2026, 1, 1, tzinfo=UTC),
}  # fmt: skip

GOOD: dict[str, Any] = {
    "sts__get_caller_identity": {"Account": ACCOUNT, "Arn": ARN, "UserId": "AIDA"},
    "cloudformation__describe_stacks": ("ValidationError", "Stack with id strongroom-prod does not exist", 400),
    "s3__head_bucket": ("404", "Not Found", 404),
    "dynamodb__describe_table": MISSING,
    "lambda__get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
    "ec2__describe_vpcs": {"Vpcs": [{"VpcId": "vpc-1"}]},
    "service_quotas__get_service_quota": {"Quota": {"Value": 5.0}},
    "apigateway__get_account": {},
    "iam__get_role": {"Role": ROLE},
    "acm__describe_certificate": certificate(),
    "sesv2__get_email_identity": {"VerifiedForSendingStatus": True},
    "sesv2__get_account": {"ProductionAccessEnabled": True},
    "iam__simulate_principal_policy": simulated("allowed", "s3:CreateBucket"),
}


def look(given: dict[str, str] | None = None, **answers: Any) -> dict[str, Finding]:
    return {one.check: one for one in preflight(Recorded(**answers), "prod", given or {})}


def stack(status: str) -> dict[str, Any]:
    made = {"StackName": "strongroom-prod", "StackStatus": status, "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    return {"Stacks": [made]}


def test_good_account_has_no_complaint() -> None:
    given = {"DomainName": "files.example.com", "CertificateArn": CERTIFICATE, "MailFrom": "a@example.com"}
    found = look(given)
    assert {name: one.state for name, one in found.items()} == dict.fromkeys(found, State.OK)
    assert len(found) == len(CHECKS) + 1


WRONG: dict[str, tuple[dict[str, str], dict[str, Any], str, State, str]] = {
    "credentials expired": (
        {},
        {"sts__get_caller_identity": ("ExpiredToken", "The security token is expired", 403)},
        "credentials", State.WRONG, "Sign in (aws sso login), or set AWS_PROFILE",
    ),
    "root user": (
        {},
        {"sts__get_caller_identity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root", "UserId": ACCOUNT}},
        "credentials", State.WARNING, "Use a user or role with less.",
    ),
    "misspelt parameter": (
        {"RateLimitUplaods": "5/minute"}, {}, "parameters", State.WRONG, "Did you mean RateLimitUploads?",
    ),
    "stack in progress": (
        {}, {"cloudformation__describe_stacks": stack("UPDATE_IN_PROGRESS")},
        "stack", State.WRONG, "another deployment is running. Wait for it.",
    ),
    "stack that could not go back": (
        {}, {"cloudformation__describe_stacks": stack("UPDATE_ROLLBACK_FAILED")},
        "stack", State.WRONG, "'When a rollback fails'",
    ),
    "first creation failed": (
        {}, {"cloudformation__describe_stacks": stack("ROLLBACK_COMPLETE")},
        "stack", State.WARNING, "'deploy' removes what is left of it.",
    ),
    "table left behind": (
        {}, {"dynamodb__describe_table": {"Table": {"TableName": "strongroom-prod-files"}}},
        "names", State.WRONG, "the table strongroom-prod-files is left from an earlier deployment",
    ),
    "bucket of another account": (
        {}, {"s3__head_bucket": ("403", "Forbidden", 403)}, "names", State.WRONG, "belongs to another account",
    ),
    "bucket left behind": (
        {}, {"s3__head_bucket": {}}, "names", State.WRONG, "strongroom destroy --stage prod --data",
    ),
    "new account": (
        {}, {"lambda__get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 10}}},
        "concurrency", State.WARNING, "Lambda runs at most 10 functions at once here",
    ),
    "triggers that take everything": (
        {"MaxProcessConcurrency": "8"},
        {"lambda__get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 10}}},
        "concurrency", State.WRONG, "the API would have none. Lower MaxProcessConcurrency",
    ),
    "triggers that take more than half": (
        {"MaxProcessConcurrency": "600"}, {}, "concurrency", State.WARNING, "more than half.",
    ),
    "no room for a VPC": (
        {"RateCounters": "elasticache"}, {"ec2__describe_vpcs": {"Vpcs": [{"VpcId": f"vpc-{n}"} for n in range(5)]}},
        "network", State.WRONG, "or count in the table: RateCounters=table.",
    ),
    "quota that may not be read": (
        {"RateCounters": "elasticache"},
        {
            "ec2__describe_vpcs": {"Vpcs": [{"VpcId": f"vpc-{n}"} for n in range(5)]},
            "service_quotas__get_service_quota": ("AccessDeniedException", "no", 403),
        },
        "network", State.WRONG, "There are 5 VPCs of 5",
    ),
    "log role of others": (
        {"ManageGatewayLogRole": "true"},
        {"apigateway__get_account": {"cloudwatchRoleArn": f"arn:aws:iam::{ACCOUNT}:role/theirs"}},
        "log role", State.WARNING, "Leave ManageGatewayLogRole out",
    ),
    "domain alone": (
        {"DomainName": "files.example.com"}, {}, "domain", State.WRONG, "belong together; give both.",
    ),
    "certificate elsewhere": (
        {"DomainName": "files.example.com", "CertificateArn": CERTIFICATE.replace(REGION, "us-east-1")}, {},
        "domain", State.WRONG, f"has to be in {REGION}",
    ),
    "certificate not validated": (
        {"DomainName": "files.example.com", "CertificateArn": CERTIFICATE},
        {"acm__describe_certificate": certificate("PENDING_VALIDATION")},
        "domain", State.WRONG, "The certificate is PENDING_VALIDATION. Validate it",
    ),
    "certificate of another name": (
        {"DomainName": "files.example.com", "CertificateArn": CERTIFICATE},
        {"acm__describe_certificate": certificate(name="www.example.com")},
        "domain", State.WRONG, "is for www.example.com, not for files.example.com",
    ),
    "unverified sender": (
        {"MailFrom": "a@example.com"},
        {"sesv2__get_email_identity": ("NotFoundException", "no", 404)},
        "mail", State.WARNING, "SES has verified neither a@example.com nor its domain",
    ),
    "sandbox": (
        {"MailFrom": "a@example.com"}, {"sesv2__get_account": {"ProductionAccessEnabled": False}},
        "mail", State.WARNING, "Request production access.",
    ),
    "missing permission": (
        {}, {"iam__simulate_principal_policy": simulated("implicitDeny", "cloudformation:CreateChangeSet")},
        "permissions", State.WRONG, "may not: cloudformation:CreateChangeSet. Attach docs/deployer-policy.json and",
    ),
    "no permission to ask": (
        {}, {"iam__simulate_principal_policy": ("AccessDenied", "no", 403)},
        "permissions", State.UNKNOWN, "these credentials may not look (SimulatePrincipalPolicy)",
    ),
    "outage": (
        {}, {"lambda__get_account_settings": ("InternalFailure", "oops", 500)},
        "concurrency", State.UNKNOWN, "AWS answers InternalFailure",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_in_the_way_is_told_with_what_to_do(case: str) -> None:
    given, answers, check, state, words = WRONG[case]
    found = look(given, **answers)[check]
    assert (found.state, words in found.sentence) == (state, True), found


def test_certificate_with_a_wildcard_is_for_its_names() -> None:
    given = {"DomainName": "files.example.com", "CertificateArn": CERTIFICATE}
    assert look(given, acm__describe_certificate=certificate(name="*.example.com"))["domain"].state is State.OK


def test_own_stack_keeps_its_names_and_its_log_role() -> None:
    found = look(
        cloudformation__describe_stacks=stack("UPDATE_COMPLETE"),
        dynamodb__describe_table={"Table": {"TableName": "strongroom-prod-files"}},
        apigateway__get_account={"cloudwatchRoleArn": f"arn:aws:iam::{ACCOUNT}:role/strongroom-prod-GatewayLogRole-1"},
    )
    assert {one.state for one in found.values()} == {State.OK}


def test_log_role_that_is_gone_is_in_nobodys_way() -> None:
    found = look(
        {"ManageGatewayLogRole": "true"},
        apigateway__get_account={"cloudwatchRoleArn": ROLE["Arn"]},
        iam__get_role=("NoSuchEntity", "gone", 404),
    )
    assert found["log role"].state is State.OK


def test_nothing_is_asked_without_a_region() -> None:
    session = Recorded()
    session.region_name = None
    with aws_calls() as made:
        [found] = preflight(session, "prod", {})
    assert (found.check, found.state, made) == ("region", State.WRONG, [])


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        (ARN, ARN),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/jane", f"arn:aws:iam::{ACCOUNT}:role/deployer"),
    ],
)
def test_role_of_a_session_is_named_as_iam_names_it(arn: str, principal: str) -> None:
    assert principal_of(arn) == principal


def test_permissions_are_those_of_the_documented_policy() -> None:
    asked: list[str] = []

    class Noting(Recorded):
        def client(self, service: str, **options: Any) -> Any:
            if service != "iam":
                return super().client(service, **options)
            return self

        def simulate_principal_policy(self, **arguments: Any) -> dict[str, Any]:
            asked.extend(arguments["ActionNames"])
            assert all("*" not in name for name in arguments["ActionNames"])
            assert arguments["ResourceArns"]
            assert all("*" not in one or one == "*" for one in arguments["ResourceArns"])
            return simulated("allowed", *arguments["ActionNames"])

    preflight(Noting(), "prod", {})
    wanted = {
        action
        for policy in POLICIES
        for statement in json.loads(policy.read_text())["Statement"]
        for action in [statement["Action"]] * isinstance(statement["Action"], str) or statement["Action"]
        if "*" not in action and set(statement.get("Condition", {})) <= {"ForAnyValue:StringEquals"}
    }
    assert wanted <= set(asked)


def test_command_ends_with_1_when_a_deployment_would_fail(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    said = operator.run("preflight", "--stage", "prod", "--json")
    assert (said.exit_code, said.stderr) == (1, "Error: A deployment would fail: region.\n")
    assert json.loads(said.stdout)[0]["state"] == "wrong"
    assert operator.refused("preflight", "-p", "nothing") == "'nothing' is not of the form NAME=VALUE."
