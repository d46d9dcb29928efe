"""A whole deployment of a stage: checks, package, upload, trial, change set, migrations, address; and the way back.

The same steps for AWS and for every emulator; the endpoint comes from the session's own configuration (AWS_ENDPOINT_URL
and its like). Knows the order of the steps; each is done elsewhere.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.platform.aws import error_code
from infra import APPLICATION, VERSION
from infra.account import parameters_of_account
from infra.candidate import try_import, try_in_account
from infra.deployment import (
    INLINE_TEMPLATE_BYTES,
    Confirm,
    Deployment,
    DeploymentError,
    Report,
    deploy_stack,
    find_stack,
    standing_stack,
)
from infra.gateway import ensure_gateway_responses, with_noted_parameters
from infra.leftovers import clear_leftovers
from infra.live_check import PATIENCE_SECONDS, check_once, wait_for_answer
from infra.origins import cookie_notes
from infra.packaging import ROOT, Package, package, with_code_at
from infra.parameters import (
    changed_parameters,
    check_kept,
    check_parameters,
    declared,
    is_stage,
    of_stack,
    without_secrets,
)
from infra.release_history import Record, new_release_id, read_all, read_template, write
from infra.template import KEPT_STAGES, Template, dumps
from infra.template.tables import table_names

API_STAGE = "api"


@dataclass(frozen=True)
class Release:
    """What runs after a deployment."""

    stack_name: str
    outputs: dict[str, str]
    url: str
    changed: bool


def stack_name_of(stage: str) -> str:
    return f"{APPLICATION}-{stage}"


def deploy(
    session: Any,
    stage: str,
    parameters: Mapping[str, str],
    *,
    report: Report = print,
    made: Package | None = None,
    migrate: Callable[[dict[str, str]], None] | None = None,
    allow_data_loss: bool = False,
    unchecked: bool = False,
    answer_seconds: float = PATIENCE_SECONDS,
    confirm: Confirm | None = None,
) -> Release:
    """Deploy a stage with a boto3 session.

    Names and values are checked before anything is packaged; the new version answers before it gets traffic, and again
    afterwards: if it does not, the version before is deployed again.

    :param parameters: those of the template; what is not named keeps the value it has, or its default the first time.
    :param made: a package that is already there, else one is made.
    :param migrate: gets the stack's outputs once it runs.
    :param unchecked: deploy a version that is not tried, and leave it even when it does not answer.
    :param answer_seconds: within which the deployed API has to answer as it should.
    :param confirm: is asked before the changes are made.
    :raises DeploymentError: nothing was deployed, or the version before runs again; the sentence says which and why.
    """
    account = _account_of(session)
    if not is_stage(stage):
        raise DeploymentError(f"{stage!r} is no name of a stage: those have 1 to 16 small letters and digits.")
    check_parameters(stage, parameters)
    report(f"Deploying {stack_name_of(stage)} to account {account}, {session.region_name}.")
    cloudformation = session.client("cloudformation")
    before = standing_stack(cloudformation, stack_name_of(stage))
    check_kept(stage, parameters, before)
    for line in changed_parameters(parameters, before, declared(stage)):
        report(line)
    s3 = s3_client(session)
    with tempfile.TemporaryDirectory() as folder:
        if made is None:
            report("Packaging ...")
            made = package(stage, Path(folder))
        size = made.zip_path.stat().st_size
        report(f"Package: {size / 1e6:.1f} MB, {made.unpacked_bytes / 1e6:.1f} MB unpacked, {made.digest[:12]}.")
        if not unchecked:
            try_import(made.zip_path, made.template, report)
        bucket = ensure_artifacts_bucket(s3, account, session.region_name)
        template = with_code_at(made.template, bucket, _upload_code(s3, bucket, made, report))
    given = {"Stage": stage, **_of_endpoint(s3), **parameters}
    given |= parameters_of_account(session, before, given, report)
    values = effective_parameters(template, before, given)
    for note in cookie_notes(values["CorsOrigins"], values["DomainName"]):
        report(note)
    template = with_noted_parameters(template, values)
    names = {"AWS::StackName": stack_name_of(stage), "AWS::AccountId": account, "AWS::Region": session.region_name}
    if before is not None and not unchecked:
        try_in_account(session, stack_name_of(stage), template, given, report)
    runs = _Running(session, stage, s3, bucket, report, answer_seconds)
    good = runs.good_release(before)
    result = deploy_stack(
        cloudformation,
        stack_name_of(stage),
        template,
        given,
        report=report,
        template_url=_url_of(s3, bucket, _upload_template(s3, bucket, template)),
        tags={"application": APPLICATION, "stage": stage},
        allow_data_loss=allow_data_loss,
        confirm=confirm,
        before_creation=lambda: clear_leftovers(session, template, names, report),
    )
    settle(session, stage, result.outputs, report)
    url = api_url(session, result.outputs)
    if not unchecked:
        runs.require_answer(url, good, result.changed)
    if result.changed or good is None:
        runs.note(template, made.digest)
    if migrate is not None:
        report("Migrations ...")
        migrate(result.outputs)
    report(f"{stack_name_of(stage)} runs at {url}")
    return Release(stack_name_of(stage), result.outputs, url, result.changed)


def roll_back(session: Any, stage: str, record: Record, *, report: Report = print) -> Release:
    """Deploy a version that ran before, with the parameters that it had. Secrets and data stay as they are.

    :raises DeploymentError: as :func:`deploy`; or it does not answer, and is left as it is.
    """
    account = _account_of(session)
    s3 = s3_client(session)
    runs = _Running(session, stage, s3, artifacts_bucket(account, session.region_name), report)
    report(f"Returning {stack_name_of(stage)} to {record.release_id}, version {record.version}.")
    result = runs.deploy_record(record)
    url = api_url(session, result.outputs)
    wrong = wait_for_answer(url)
    if wrong:
        raise DeploymentError(f"{record.release_id} is deployed, and does not answer as it should: {wrong}")
    if result.changed:
        runs.note(read_template(s3, runs.bucket, record), record.digest, record.version)
    report(f"{stack_name_of(stage)} runs at {url}")
    return Release(stack_name_of(stage), result.outputs, url, result.changed)


@dataclass(frozen=True)
class _Running:
    """What runs in a stage, by its records."""

    session: Any
    stage: str
    s3: Any
    bucket: str
    report: Report
    answer_seconds: float = PATIENCE_SECONDS

    def good_release(self, stack: Mapping[str, Any] | None) -> Record | None:
        """The version that runs and answers, to return to; None when there is none, or it is not known."""
        if stack is None:
            return None
        records = read_all(self.s3, self.bucket, self.stage)
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if not records or "RestAPIId" not in outputs:
            return None
        return None if check_once(api_url(self.session, outputs)) else records[0]

    def require_answer(self, url: str, good: Record | None, changed: bool) -> None:
        """:raises DeploymentError: it does not answer as it should."""
        wrong = wait_for_answer(url, self.answer_seconds)
        if not wrong:
            return
        name = stack_name_of(self.stage)
        if not changed:
            raise DeploymentError(f"There was nothing to change, and {name} does not answer as it should: {wrong}")
        if good is None:
            raise DeploymentError(
                f"{name} is deployed, and does not answer as it should: {wrong}\nNo version that did is known, so it "
                f"stays. See its log: strongroom logs --stage {self.stage}"
            )
        self.report(f"The new version does not answer as it should: {wrong}")
        self.report(f"Returning to {good.release_id} ...")
        self.deploy_record(good)
        after = wait_for_answer(url)
        what = f"does not answer either: {after}" if after else "runs again"
        raise DeploymentError(f"The new version was taken back: {wrong}\nThe version before {what}.")

    def deploy_record(self, record: Record) -> Deployment:
        template = read_template(self.s3, self.bucket, record)
        given = {name: value for name, value in record.parameters.items() if name in template["Parameters"]}
        cloudformation = self.session.client("cloudformation")
        result = deploy_stack(
            cloudformation,
            stack_name_of(self.stage),
            template,
            given,
            report=self.report,
            template_url=_url_of(self.s3, self.bucket, record.template_key),
            tags={"application": APPLICATION, "stage": self.stage},
        )
        settle(self.session, self.stage, result.outputs, self.report)
        return result

    def note(self, template: Template, digest: str, version: str | None = None) -> None:
        stack = find_stack(self.session.client("cloudformation"), stack_name_of(self.stage))
        record = Record(
            release_id=new_release_id(),
            version=version or own_version(),
            digest=digest,
            template_key=_upload_template(self.s3, self.bucket, template),
            parameters=without_secrets(of_stack(stack), template["Parameters"]),
        )
        write(self.s3, self.bucket, self.stage, record)


def own_version() -> str:
    """Of this working copy: the release, and the commit where git knows it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--tags"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return VERSION
    return f"{VERSION} ({done.stdout.strip()})" if done.returncode == 0 else VERSION


def s3_client(session: Any) -> Any:
    return session.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))


def _account_of(session: Any) -> str:
    if not session.region_name:
        raise DeploymentError("No region is set. Set AWS_REGION or AWS_DEFAULT_REGION, or a region in your profile.")
    account: str = session.client("sts").get_caller_identity()["Account"]
    return account


def settle(session: Any, stage: str, outputs: Mapping[str, str], report: Report) -> None:
    """What a template cannot say, or not every CloudFormation hears."""
    fixed = ensure_gateway_responses(session.client("apigateway"), outputs["RestAPIId"], API_STAGE)
    if fixed:
        report(f"Set {len(fixed)} of the gateway's error answers, which the API's definition had not brought.")
    session.client("cloudformation").update_termination_protection(
        StackName=stack_name_of(stage), EnableTerminationProtection=stage in KEPT_STAGES
    )
    if stage in KEPT_STAGES:
        protect_tables(
            session.client("dynamodb"), [f"{outputs['TablePrefix']}-{name}" for name in table_names()], report
        )


def protect_tables(dynamodb: Any, tables: Sequence[str], report: Report) -> None:
    """Deletion protection for those that have none: new ones, and what was restored.

    Not by the template, because a protected table cannot be removed when the creation of the stack fails.
    """
    for table in tables:
        if not dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
            report(f"Protected {table} from deletion.")


def effective_parameters(
    template: Template, stack: Mapping[str, Any] | None, given: Mapping[str, str]
) -> dict[str, str]:
    """What each parameter will be: as given, else as it is, else the template's default."""
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    return {**defaults, **{name: value for name, value in of_stack(stack).items() if name in defaults}, **given}


def api_url(session: Any, outputs: Mapping[str, str]) -> str:
    """Where this session's API Gateway serves the API.

    On AWS that is the output ApiUrl. A gateway at an endpoint of its own serves every API below that endpoint.
    """
    endpoint = session.client("apigateway").meta.endpoint_url
    if (urlsplit(endpoint).hostname or "").startswith("apigateway."):
        return outputs["ApiUrl"]
    return f"{endpoint}/restapis/{outputs['RestAPIId']}/{API_STAGE}/_user_request_"


def artifacts_bucket(account: str, region: str) -> str:
    return f"{APPLICATION}-artifacts-{account}-{region}"


def ensure_artifacts_bucket(s3: Any, account: str, region: str) -> str:
    """The bucket of this account and region that holds packages and templates; made when missing, never emptied.

    CloudFormation takes the old package from it when it has to roll back.
    """
    bucket = artifacts_bucket(account, region)
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchBucket", "NotFound"):
            raise DeploymentError(f"The bucket {bucket} cannot be used: {error}") from error
        # us-east-1 is the one region that must not be named.
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)
    # Said again each time: a deployment that died between these calls would leave the bucket half made.
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    return bucket


def _upload_code(s3: Any, bucket: str, made: Package, report: Report) -> str:
    """Named by contents: unchanged code is no change of the stack, and is not sent again."""
    key = f"code/{made.digest}-{sys.implementation.cache_tag}.zip"
    try:
        s3.head_object(Bucket=bucket, Key=key)
        report("Package: already uploaded.")
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        s3.upload_file(str(made.zip_path), bucket, key)
        report("Package: uploaded.")
    return key


def _upload_template(s3: Any, bucket: str, template: Template) -> str:
    """Its key in the bucket. A long template is deployed from there, and a rollback takes any from there."""
    body = dumps(template).encode()
    key = f"templates/{hashlib.sha256(body).hexdigest()}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return key


def _url_of(s3: Any, bucket: str, key: str) -> str:
    """The address of a template for CloudFormation; nothing when it is short enough to go without."""
    if s3.head_object(Bucket=bucket, Key=key)["ContentLength"] <= INLINE_TEMPLATE_BYTES:
        return ""
    signed: str = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    return signed.split("?", 1)[0]


def _of_endpoint(s3: Any) -> dict[str, str]:
    """An endpoint without TLS, an emulator, cannot serve a stack that refuses requests without it.

    MiniStack makes a bucket without the Object Lock that its template asks for, and then refuses locked objects.
    """
    return {"RequireTls": "false", "AuditLockDays": "0"} if urlsplit(s3.meta.endpoint_url).scheme == "http" else {}
