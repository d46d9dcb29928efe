"""The policies in docs/ suffice for what they are for, and for no more: simulated, by the rules of IAM that they use.

What CloudFormation needs for a type of resource is what AWS publishes with its schema (`handlers`), which cfn-lint
brings along.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from infra.functions import FUNCTIONS
from infra.packaging import ROOT
from infra.template import everything_but_chalice
from tests.roles import recording
from tests.unit.test_roles import allowed

PROD = everything_but_chalice("prod")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
#: Characters of a managed policy, spaces aside (AWS limit).
MAX_CHARACTERS = 6144

#: What SAM makes of its own types; tests/e2e compares this with a real package.
BY_SAM = {
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Events::Rule",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::Stage",
}
TYPES = BY_SAM | {resource["Type"] for resource in PROD["Resources"].values() if "Type" in resource}
TYPES = {kind for kind in TYPES if not kind.startswith("AWS::Serverless::")}
#: Action -> what AWS asks for besides (service authorization reference, "dependent actions").
DEPENDENT = {
    # An interface endpoint with private DNS gets a hosted zone.
    "ec2:CreateVpcEndpoint": {"route53:AssociateVPCWithHostedZone"},
    "elasticache:CreateReplicationGroup": {"iam:CreateServiceLinkedRole"},
    "apigateway:UpdateAccount": {"iam:PassRole"},
    "lambda:CreateFunction": {"iam:PassRole"},
    "dynamodb:RestoreTableToPointInTime": {
        f"dynamodb:{name}"
        for name in ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
    },
}
#: Published for properties that the template does not use: streams to Kinesis and Firehose, file systems, S3 tables,
#: endpoints of other regions. Encrypting and listing of keys is not asked for with a key that is named.
UNUSED = re.compile(
    r"(kinesis|firehose|vpc-lattice|vpce|elasticfilesystem|s3files|s3tables|payments):|kms:(Encrypt|ListAliases)$"
    # A firewall before other services than API Gateway.
    r"|(amplify|apprunner|appsync|bedrock-agentcore|cognito-idp|elasticloadbalancing):|ec2:\w+VerifiedAccess"
    # A role keeps its boundary.
    r"|iam:DeleteRolePermissionsBoundary$"
)


def document(name: str) -> list[dict[str, Any]]:
    text = (ROOT / "docs" / f"{name}-policy.json").read_text(encoding="utf-8")
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allows(name: str, action: str, resource: str | None = None, *, by_cloudformation: bool = False) -> bool:
    """Whether a statement allows it. Other conditions than that on the caller are taken as met.

    :param resource: with REGION and ACCOUNT as the documents have them; None for any.
    """
    return any(
        any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and (resource is None or any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"])))
        and (by_cloudformation or "aws:CalledVia" not in json.dumps(statement.get("Condition", {})))
        for statement in document(name)
    )


@cache
def schemas() -> dict[str, dict[str, Any]]:
    folder = files("cfnlint.data.schemas").joinpath("resources")
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name.endswith(".json")]
    wanted = re.compile(rf'"typeName": ?"({"|".join(map(re.escape, TYPES))})"')
    return {schema["typeName"]: schema for schema in map(json.loads, filter(wanted.search, texts))}


def published(kind: str) -> set[str]:
    """Actions that AWS names for creating, reading, changing and deleting this type."""
    handlers = schemas()[kind].get("handlers", {})
    actions = {
        action
        for name in ("create", "read", "update", "delete")
        for action in handlers.get(name, {}).get("permissions", [])
        if not UNUSED.search(action)
    }
    return actions | {more for action in actions for more in DEPENDENT.get(action, set())}


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_deployer_may_have_cloudformation_make_it(kind: str) -> None:
    missing = [action for action in sorted(published(kind)) if not allows("deployer", action, by_cloudformation=True)]
    assert missing == []


def commands() -> Iterator[tuple[str, str]]:
    """Service and operation of each command of the AWS CLI on the operations page."""
    yield from re.findall(r"\baws ([a-z0-9]+) ([a-z][a-z-]+)", OPERATIONS)


#: A command whose action has another name, or that an administrator runs.
ACTIONS = {
    ("s3api", "list-object-versions"): "s3:ListBucketVersions",
    ("s3api", "delete-object"): "s3:DeleteObjectVersion",
    ("sts", "get-caller-identity"): None,
    ("iam", "create-policy"): None,
}


@pytest.mark.parametrize(("service", "command"), sorted(set(commands())))
def test_documented_command_is_allowed(service: str, command: str) -> None:
    action = ACTIONS.get((service, command), f"{service}:{''.join(part.capitalize() for part in command.split('-'))}")
    if action is not None:
        assert allows("deployer", action) or allows("recovery", action), action
        for more in DEPENDENT.get(action, set()):
            assert allows("recovery", more), more


def test_deployer_may_do_what_the_operators_sweep_calls() -> None:
    for name, action, resource in recording.recorded():
        if name in ("sweep", "audit") and action.startswith("s3:"):
            bucket, _, key = resource.partition("/")
            if action in ("s3:PutObjectRetention",) or (name == "audit" and action == "s3:PutObject"):
                continue
            for account in ("ACCOUNT", "ACCOUNT-REGION"):
                wanted = f"arn:aws:s3:::strongroom-prod-{bucket}-{account}" + (f"/{key}" if key else "")
                assert allows("deployer", action, wanted), (action, wanted)


def test_bytes_of_customers_are_written_by_nobody_but_the_functions() -> None:
    for account in ("ACCOUNT", "ACCOUNT-REGION"):
        assert not allows("deployer", "s3:PutObject", f"arn:aws:s3:::strongroom-prod-permanent-{account}/x")
        assert not allows("deployer", "s3:PutObject", f"arn:aws:s3:::strongroom-prod-audit-{account}/x")
    assert not allows("deployer", "s3:BypassGovernanceRetention")


def test_roles_and_operators_reach_no_packages() -> None:
    """Whoever writes there has code run as the functions at the next deployment."""
    package = "arn:aws:s3:::strongroom-artifacts-ACCOUNT-REGION/code/x.zip"
    for name in ("boundary", "operator", "recovery"):
        assert not any(allows(name, f"s3:{action}", package) for action in ("PutObject", "DeleteObject", "GetObject"))
    assert not allows("deployer", "s3:DeleteObject", package)


@pytest.mark.parametrize("name", ["deployer", "boundary", "recovery", "operator"])
def test_policy_fits_into_a_managed_policy(name: str) -> None:
    text = json.dumps(json.loads((ROOT / "docs" / f"{name}-policy.json").read_text(encoding="utf-8")))
    assert len(re.sub(r"\s", "", text)) <= MAX_CHARACTERS


# ---- No way up -------------------------------------------------------------------------------------------------------

WRITES_ROLES = ("CreateRole", "PutRolePolicy", "AttachRolePolicy", "PutRolePermissionsBoundary")
MAKES_ADMINISTRATORS = (
    "CreateUser", "CreateAccessKey", "CreatePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion", "PutUserPolicy",
    "AttachUserPolicy", "AddUserToGroup", "DeleteRolePermissionsBoundary", "CreateLoginProfile", "PutGroupPolicy",
    "AttachGroupPolicy", "CreateInstanceProfile", "CreateOpenIDConnectProvider", "CreateSAMLProvider",
)  # fmt: skip


@pytest.mark.parametrize("action", WRITES_ROLES)
def test_roles_are_written_within_the_boundary_only(action: str) -> None:
    statements = [
        statement
        for statement in document("deployer")
        if any(fnmatchcase(f"iam:{action}", pattern) for pattern in listed(statement["Action"]))
    ]
    assert statements
    for statement in statements:
        boundary = statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"]
        assert boundary == "arn:aws:iam::ACCOUNT:policy/strongroom-boundary"
        attachable = statement["Condition"]["ArnEqualsIfExists"]["iam:PolicyARN"]
        assert attachable == "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
        assert statement["Resource"] == "arn:aws:iam::ACCOUNT:role/strongroom-*"


@pytest.mark.parametrize("name", ["deployer", "recovery", "boundary", "operator"])
@pytest.mark.parametrize("action", MAKES_ADMINISTRATORS)
def test_nobody_makes_an_administrator(name: str, action: str) -> None:
    assert not allows(name, f"iam:{action}", by_cloudformation=True)


@pytest.mark.parametrize(("name", "services"), [("deployer", {"apigateway", "lambda"}), ("operator", {"lambda"})])
def test_roles_are_passed_to_two_services_only(name: str, services: set[str]) -> None:
    [statement] = [statement for statement in document(name) if "iam:PassRole" in listed(statement["Action"])]
    passed = listed(statement["Condition"]["StringEquals"]["iam:PassedToService"])
    assert {service.partition(".")[0] for service in passed} == services
    assert statement["Resource"] == "arn:aws:iam::ACCOUNT:role/strongroom-*"


@pytest.mark.parametrize(
    "resource", ["arn:aws:s3:::payroll", "arn:aws:s3:::payroll/x", "arn:aws:dynamodb:REGION:ACCOUNT:table/x"]
)
def test_other_data_of_the_account_is_out_of_reach(resource: str) -> None:
    for action in ("s3:PutBucketPolicy", "s3:GetObject", "dynamodb:Scan"):
        assert not allows("deployer", action, resource, by_cloudformation=True)


# ---- The boundary ----------------------------------------------------------------------------------------------------


def test_every_role_is_bounded() -> None:
    roles = [resource for resource in PROD["Resources"].values() if resource.get("Type") == "AWS::IAM::Role"]
    assert len(roles) >= 7
    for role in roles:
        assert role["Properties"]["PermissionsBoundary"]["Fn::If"][:2] == [
            "HasPermissionsBoundary",
            {"Ref": "PermissionsBoundary"},
        ]


def test_boundary_lets_each_role_do_its_work() -> None:
    for function in FUNCTIONS:
        for action, _ in allowed(function.role):
            assert allows("boundary", action), (function.name, action)


def test_boundary_allows_nothing_of_other_data() -> None:
    for statement in document("boundary"):
        for action in listed(statement["Action"]):
            assert not action.startswith(("iam:", "sts:", "lambda:", "secretsmanager:"))
            if action.startswith("kms:"):
                assert statement["Condition"]["StringEquals"]["kms:ViaService"].startswith("dynamodb.")
            assert "*" not in action
            if action.startswith(("s3:", "sqs:")) or action == "dynamodb:GetItem":
                assert all("strongroom-" in resource for resource in listed(statement["Resource"])), action


# ---- The cache's password --------------------------------------------------------------------------------------------


def test_rotation_changes_the_reference_of_the_function_and_not_the_one_of_the_cache() -> None:
    """Simulated: CloudFormation resolves a secret where the text of its reference has changed, and only there."""
    url = PROD["Resources"]["APIHandler"]["Properties"]["Environment"]["Variables"]["CACHE_URL"]
    condition, own, given = url["Fn::If"]
    assert (condition, given) == ("CreateCache", {"Ref": "CacheUrl"})
    condition, rotated, first = own["Fn::If"]
    assert condition == "HasCachePasswordVersion"
    assert ":SecretString:::${CachePasswordVersion}}}" in rotated["Fn::Sub"]
    assert "CachePasswordVersion" not in first["Fn::Sub"]
    assert "CachePasswordVersion" not in json.dumps(PROD["Resources"]["Cache"])
