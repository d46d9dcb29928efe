"""What an operator does to a stack: deploy again, change it, fail to, delete it.

These run last of all (see conftest.py): they change and finally delete what the other tests stand on.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra import deployment, release
from infra.artifacts import artifacts_bucket, s3_client
from infra.live_check import LiveCheck
from infra.packaging import ROOT, Package
from infra.preflight import preflight
from infra.release_history import read_all
from infra.running import version_of_stack

from .stack import DeployedStack

FUNCTION = "strongroom-prod-api"
TABLE = "strongroom-prod-files"


def redeploy(stack: DeployedStack, made: Package, **options: Any) -> tuple[release.Release, str]:
    """Deploy over what runs; returns what came of it, and what was said."""
    said: list[str] = []
    done = release.deploy(stack.session, "prod", {}, made=made, report=said.append, **options)
    return done, "\n".join(said)


def changed(made: Package, **resources: dict[str, Any]) -> Package:
    """The package with properties of some resources changed."""
    template = copy.deepcopy(made.template)
    for name, properties in resources.items():
        template["Resources"][name]["Properties"].update(properties)
    return dataclasses.replace(made, template=template)


def memory_of(stack: DeployedStack) -> int:
    size: int = stack.session.client("lambda").get_function_configuration(FunctionName=FUNCTION)["MemorySize"]
    return size


def test_same_package_again_changes_nothing(stack: DeployedStack, package: Package) -> None:
    done, said = redeploy(stack, package)
    assert not done.changed
    assert "nothing to change" in said
    assert "already uploaded" in said


def test_dry_run_shows_what_would_change_and_changes_nothing(stack: DeployedStack, package: Package) -> None:
    done, said = redeploy(stack, changed(package, APIHandler={"MemorySize": 1536}), dry_run=True)
    assert not done.changed
    assert "Modify  APIHandler" in said
    assert memory_of(stack) == 1024


def test_last_record_is_what_runs(stack: DeployedStack) -> None:
    """By the template that CloudFormation gives back."""
    s3, region = s3_client(stack.session), stack.session.region_name
    account = stack.session.client("sts").get_caller_identity()["Account"]
    records = read_all(s3, artifacts_bucket(account, region), "prod")
    assert records[0].what_runs == version_of_stack(stack.session.client("cloudformation"), "strongroom-prod")
    assert stack.outputs["TempBucket"] == f"strongroom-prod-temp-{account}-{region}"


def test_command_line_deploys_by_the_same_steps_and_runs_migrations(stack: DeployedStack) -> None:
    """As `make deploy STAGE=prod` does it: packages anew, and what it makes is what runs already."""
    result = operator("deploy", "--stage", "prod", "--yes")
    assert "nothing to change" in result
    assert "already uploaded" in result
    assert f"runs at {stack.release.url}" in result
    migrations = json.loads(operator("migrate", "--stage", "prod", "--status", "--json"))
    assert {migration["state"] for migration in migrations} == {"applied"}
    assert "up" in operator("status", "--stage", "prod")
    stack.wait_until(lambda: any(act["data"]["command"] == "deploy" for act in operators_acts()))


def conditional_actions() -> set[str]:
    """Of the documented policies, what is allowed under a condition only."""
    statements = [
        statement
        for name in ("deployer", "operator")
        for statement in json.loads((ROOT / "docs" / f"{name}-policy.json").read_text(encoding="utf-8"))["Statement"]
    ]
    return {action for one in statements if "Condition" in one for action in one["Action"]}


def operators_acts() -> list[dict[str, Any]]:
    """Of the deployment as a whole, as the trail tells them."""
    filters = ("--type", "operator.acted", "--json")
    acts: list[dict[str, Any]] = json.loads(operator("audit", "events", "nobody", "--stage", "prod", *filters))
    return acts


def operator(*arguments: str) -> str:
    """The operator's command line, on the stack that the standard variables lead to."""
    result = subprocess.run(
        [sys.executable, "-m", "infra", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_function_and_table_are_changed_in_place(stack: DeployedStack, package: Package, tmp_path: Path) -> None:
    """New code, new memory and another setting of a table; the data stays, and parameters keep their values."""
    member = stack.sign_up("Updater")
    record = stack.uploaded(member, "before.txt", b"from before the update\n")
    lambda_ = stack.session.client("lambda")
    before = lambda_.get_function_configuration(FunctionName=FUNCTION)

    zip_path = tmp_path / "deployment.zip"
    zip_path.write_bytes(package.zip_path.read_bytes())
    with zipfile.ZipFile(zip_path, "a") as archive:
        archive.writestr("chalicelib/added_by_the_test.py", "CHANGED = True\n")
    made = changed(
        dataclasses.replace(package, zip_path=zip_path, digest="0" * 64),
        APIHandler={"MemorySize": 1536},
        FilesTable={"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}},
    )
    done, said = redeploy(stack, made)
    assert done.changed
    assert "Modify  APIHandler" in said
    assert "Modify  FilesTable" in said

    after = lambda_.get_function_configuration(FunctionName=FUNCTION)
    assert after["MemorySize"] == 1536
    assert after["CodeSha256"] != before["CodeSha256"]
    assert after["Environment"]["Variables"]["CACHE_URL"] == before["Environment"]["Variables"]["CACHE_URL"]
    backups = stack.session.client("dynamodb").describe_continuous_backups(TableName=TABLE)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "DISABLED"
    assert stack.details(member, record["id"]) == record
    assert stack.uploaded(member, "after.txt", b"from after the update\n")

    redeploy(stack, package)
    assert memory_of(stack) == 1024


def test_rollback_returns_to_the_version_before_with_its_parameters(stack: DeployedStack, package: Package) -> None:
    redeploy(stack, package)
    made = changed(package, APIHandler={"MemorySize": 1792})
    release.deploy(stack.session, "prod", {"LogLevel": "DEBUG"}, made=made, report=lambda _: None)
    assert memory_of(stack) == 1792
    listed = json.loads(operator("releases", "--stage", "prod", "--json"))
    assert "This would return" in operator("rollback", "--dry-run", "--stage", "prod")
    done = json.loads(operator("rollback", "--yes", "--json", "--stage", "prod"))
    assert done["release"] == listed[1]["release"]
    assert memory_of(stack) == 1024
    variables = stack.session.client("lambda").get_function_configuration(FunctionName=FUNCTION)["Environment"]
    assert variables["Variables"]["LOG_LEVEL"] == "INFO"
    assert stack.api.get("/health").status_code == 200
    stack.wait_until(lambda: any(act["data"]["command"] == "rollback" for act in operators_acts()))


def test_version_that_fails_only_when_deployed_is_taken_back(stack: DeployedStack, package: Package) -> None:
    """Its trial has the running version's role; the role that it brings may not read the tables."""
    assert redeploy(stack, package)[0].outputs
    policies = copy.deepcopy(package.template["Resources"]["ApiRole"]["Properties"]["Policies"])
    for policy in policies:
        policy["PolicyDocument"]["Statement"] = [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}]
    with pytest.raises(deployment.DeploymentError) as raised:
        redeploy(stack, changed(package, ApiRole={"Policies": policies}), live=LiveCheck(patience_seconds=3))
    assert "The new version was taken back: GET /health is 503" in str(raised.value)
    assert "The version before runs again." in str(raised.value)
    assert stack.api.get("/health").status_code == 200


def test_version_that_does_not_answer_is_not_deployed(stack: DeployedStack, package: Package, tmp_path: Path) -> None:
    """The cache that it is given is away: the candidate is unhealthy, and the running version is not."""
    with pytest.raises(deployment.DeploymentError) as raised:
        release.deploy(
            stack.session, "prod", {"CacheUrl": "redis://127.0.0.1:1/0"}, made=package, report=lambda _: None
        )
    assert "GET /health: 200 was expected, and 503 is the answer" in str(raised.value)
    assert str(raised.value).endswith("Nothing was changed.")
    names = [one["FunctionName"] for one in stack.session.client("lambda").list_functions()["Functions"]]
    assert "strongroom-prod-candidate" not in names
    assert stack.api.get("/health").status_code == 200


def test_status_asks_api_and_cache(stack: DeployedStack) -> None:
    found = json.loads(operator("status", "--stage", "prod", "--json"))
    assert found["API"] == {"address": stack.release.url, "state": "up"}
    assert set(found["Dependencies"].values()) == {"up"}


def test_failed_deployment_says_what_and_why_and_leaves_the_old_version(stack: DeployedStack, package: Package) -> None:
    made = changed(package, APIHandler={"MemorySize": 2048})
    made.template["Resources"]["Impossible"] = {
        "Type": "AWS::SQS::Queue",
        "DependsOn": "APIHandler",
        "Properties": {"RedrivePolicy": {"deadLetterTargetArn": "not an ARN", "maxReceiveCount": 0}},
    }
    with pytest.raises(deployment.DeploymentError) as raised:
        redeploy(stack, made)
    assert "Impossible [AWS::SQS::Queue]" in str(raised.value)
    assert "RedrivePolicy" in str(raised.value)
    assert "runs again" in str(raised.value)
    assert memory_of(stack) == 1024
    assert stack.api.get("/health").status_code == 200


def test_deployment_that_would_lose_data_is_refused(stack: DeployedStack, package: Package) -> None:
    with pytest.raises(deployment.DeploymentError, match="FilesTable"):
        redeploy(stack, changed(package, FilesTable={"TableName": "another-name"}))
    assert stack.session.client("dynamodb").describe_table(TableName=TABLE)["Table"]["TableStatus"] == "ACTIVE"


def test_parameter_that_does_not_exist_is_named(stack: DeployedStack, package: Package) -> None:
    with pytest.raises(deployment.DeploymentError, match="CacheUlr"):
        release.deploy(stack.session, "prod", {"CacheUlr": "redis://x"}, made=package, report=lambda _: None)


def test_documented_permissions_suffice_to_deploy_and_operate(stack: DeployedStack, package: Package) -> None:
    """As far as the emulator asks for permissions: what CloudFormation then does for the caller, it does not check."""
    iam = stack.session.client("iam")
    iam.create_user(UserName="deployer")
    for name in ("deployer", "operator"):
        document = (ROOT / "docs" / f"{name}-policy.json").read_text(encoding="utf-8")
        document = document.replace("ACCOUNT", "000000000000").replace("REGION", "us-east-1")
        iam.put_user_policy(UserName="deployer", PolicyName=name, PolicyDocument=document)
    # The emulator asks for these rights without saying to what.
    unnamed = ["lambda:CreateFunction", "dynamodb:DeleteBackup", "dynamodb:RestoreTableFromBackup"]
    anywhere = {"Effect": "Allow", "Action": unnamed, "Resource": "*"}
    iam.put_user_policy(
        UserName="deployer",
        PolicyName="emulator",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [anywhere]}),
    )
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        deployer = boto3.Session()
        with pytest.raises(ClientError, match="AccessDenied"):
            deployer.client("iam").list_users()
        made = changed(package, APIHandler={"MemorySize": 1280})
        assert release.deploy(deployer, "prod", {}, made=made, report=lambda _: None).changed
        assert release.deploy(deployer, "prod", {}, made=package, report=lambda _: None).changed
        operator("migrate", "--stage", "prod")
        operator("status", "--stage", "prod")
        [made_organization] = json.loads(operator("organizations", "create", "Ops", "--stage", "prod", "--json"))
        assert made_organization["id"]
        operator("sweep", "--stage", "prod")
        operator("redrive", "--stage", "prod")
        operator("releases", "--stage", "prod")
        operator("backup", "--name", "by-the-deployer", "--stage", "prod")
        operator("restore", "--backup", "by-the-deployer", "--yes", "--stage", "prod")
        operator("backup", "--delete", "by-the-deployer", "--yes", "--stage", "prod")
        operator("organizations", "delete", "Ops", "--yes", "--stage", "prod")
        found = {one.check: one for one in preflight(deployer, "prod", {})}
        assert [one for one in found.values() if one.check != "permissions" and one.state != "ok"] == []
        # The emulator's simulation does not take the context, by which CloudFormation does the rest.
        denied = set(re.findall(r"\w+:\w+", found["permissions"].sentence))
        assert denied <= conditional_actions()
    assert memory_of(stack) == 1024


def test_production_stack_is_protected_from_deletion(stack: DeployedStack) -> None:
    cloudformation = stack.session.client("cloudformation")
    with pytest.raises(cloudformation.exceptions.ClientError, match="TerminationProtection"):
        cloudformation.delete_stack(StackName=stack.release.stack_name)


def test_deleted_stack_leaves_its_data_behind(stack: DeployedStack) -> None:
    """The last test: afterwards there is no stack."""
    member = stack.sign_up("Remainder")
    record = stack.uploaded(member, "keep.txt", b"kept for ever\n")
    assert "strongroom-prod-files" in operator("destroy", "--dry-run", "--stage", "prod")
    operator("destroy", "--yes", "--stage", "prod")
    cloudformation = stack.session.client("cloudformation")
    outbox = stack.session.client("dynamodb").scan(TableName="strongroom-prod-event-outbox")["Items"]
    acts = [json.loads(row["told"]["S"]) for row in outbox]
    assert [act for act in acts if act["type"] == "operator.acted" and act["data"]["command"] == "destroy"]

    assert deployment.find_stack(cloudformation, stack.release.stack_name) is None
    assert tables_of(stack.session) == {
        f"strongroom-prod-{name}"
        for name in (
            "organizations",
            "users",
            "usernames",
            "sessions",
            "api-keys",
            "invitations",
            "files",
            "event-outbox",
            "events",
            "webhooks",
            "webhook-deliveries",
            "counters",
            "migrations",
        )
    }
    s3 = stack.session.client("s3")
    kept = s3.list_objects_v2(
        Bucket=stack.outputs["PermanentBucket"], Prefix=f"{member.organization_id}/{record['id']}_"
    )
    assert kept["KeyCount"] == 1
    assert s3.head_bucket(Bucket=stack.outputs["TempBucket"])
    assert s3.head_bucket(Bucket=stack.outputs["AuditBucket"])
    queues = stack.session.client("sqs").list_queues(QueueNamePrefix="strongroom-prod").get("QueueUrls", [])
    assert [url.rsplit("/", 1)[-1] for url in queues] == ["strongroom-prod-uploads-dead"]
    functions = stack.session.client("lambda").list_functions()["Functions"]
    assert [f["FunctionName"] for f in functions if f["FunctionName"].startswith("strongroom-prod-")] == []


def tables_of(session: boto3.Session) -> set[str]:
    names = session.client("dynamodb").list_tables()["TableNames"]
    return {name for name in names if name.startswith("strongroom-prod-")}
