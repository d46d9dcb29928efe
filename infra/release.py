"""A whole deployment of a stage: package, upload, change set, migrations, address.

The same steps for AWS and for every emulator; the endpoint comes from the session's own configuration (AWS_ENDPOINT_URL
and its like). Knows the order of the steps; each is done elsewhere.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError

from infra.account import parameters_of_account
from infra.deployment import (
    INLINE_TEMPLATE_BYTES,
    Confirm,
    DeploymentError,
    Report,
    deploy_stack,
    standing_stack,
)
from infra.gateway import ensure_gateway_responses, with_noted_parameters
from infra.leftovers import clear_leftovers
from infra.origins import cookie_notes
from infra.packaging import Package, package, with_code_at
from infra.template import KEPT_STAGES, Template, dumps
from infra.template.tables import table_names

APPLICATION = "strongroom"
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
    confirm: Confirm | None = None,
) -> Release:
    """Deploy a stage with a boto3 session.

    `parameters` are those of the template; what is not named keeps the value it has, or its default the first time.
    `made` is a package that is already there, else one is made. `migrate` gets the stack's outputs once it runs.
    `confirm` is asked before the changes are made.
    """
    if not session.region_name:
        raise DeploymentError("No region is set. Set AWS_REGION or AWS_DEFAULT_REGION, or a region in your profile.")
    account = session.client("sts").get_caller_identity()["Account"]
    report(f"Deploying {stack_name_of(stage)} to account {account}, {session.region_name}.")
    with tempfile.TemporaryDirectory() as folder:
        if made is None:
            report("Packaging ...")
            made = package(stage, Path(folder))
        size = made.zip_path.stat().st_size
        report(f"Package: {size / 1e6:.1f} MB, {made.unpacked_bytes / 1e6:.1f} MB unpacked, {made.digest[:12]}.")
        s3 = session.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        bucket = ensure_artifacts_bucket(s3, account, session.region_name)
        template = with_code_at(made.template, bucket, _upload_code(s3, bucket, made, report))
    stack = standing_stack(session.client("cloudformation"), stack_name_of(stage))
    given = {"Stage": stage, **_of_endpoint(s3), **parameters}
    given |= parameters_of_account(session, stack, given, report)
    values = effective_parameters(template, stack, given)
    for note in cookie_notes(values["CorsOrigins"], values["DomainName"]):
        report(note)
    template = with_noted_parameters(template, values)
    names = {"AWS::StackName": stack_name_of(stage), "AWS::AccountId": account, "AWS::Region": session.region_name}
    result = deploy_stack(
        session.client("cloudformation"),
        stack_name_of(stage),
        template,
        given,
        report=report,
        template_url=_upload_template(s3, bucket, template),
        tags={"application": APPLICATION, "stage": stage},
        allow_data_loss=allow_data_loss,
        confirm=confirm,
        before_creation=lambda: clear_leftovers(session, template, names, report),
    )
    settle(session, stage, result.outputs, report)
    if migrate is not None:
        report("Migrations ...")
        migrate(result.outputs)
    url = api_url(session, result.outputs)
    report(f"{stack_name_of(stage)} runs at {url}")
    return Release(stack_name_of(stage), result.outputs, url, result.changed)


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
    kept = {item["ParameterKey"]: item["ParameterValue"] for item in (stack or {}).get("Parameters", [])}
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    return {**defaults, **{name: value for name, value in kept.items() if name in defaults}, **given}


def api_url(session: Any, outputs: Mapping[str, str]) -> str:
    """Where this session's API Gateway serves the API.

    On AWS that is the output ApiUrl. A gateway at an endpoint of its own serves every API below that endpoint.
    """
    endpoint = session.client("apigateway").meta.endpoint_url
    if (urlsplit(endpoint).hostname or "").startswith("apigateway."):
        return outputs["ApiUrl"]
    return f"{endpoint}/restapis/{outputs['RestAPIId']}/{API_STAGE}/_user_request_"


def ensure_artifacts_bucket(s3: Any, account: str, region: str) -> str:
    """The bucket of this account and region that holds packages and templates; made when missing, never emptied.

    CloudFormation takes the old package from it when it has to roll back.
    """
    bucket = f"{APPLICATION}-artifacts-{account}-{region}"
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket", "NotFound"):
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
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
            raise
        s3.upload_file(str(made.zip_path), bucket, key)
        report("Package: uploaded.")
    return key


def _upload_template(s3: Any, bucket: str, template: Template) -> str:
    """The template's address in the bucket, or nothing when it is short enough to go without."""
    body = dumps(template).encode()
    if len(body) <= INLINE_TEMPLATE_BYTES:
        return ""
    key = f"templates/{hashlib.sha256(body).hexdigest()}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    signed: str = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    return signed.split("?", 1)[0]


def _of_endpoint(s3: Any) -> dict[str, str]:
    """An endpoint without TLS, an emulator, cannot serve a stack that refuses requests without it.

    MiniStack makes a bucket without the Object Lock that its template asks for, and then refuses locked objects.
    """
    return {"RequireTls": "false", "AuditLockDays": "0"} if urlsplit(s3.meta.endpoint_url).scheme == "http" else {}
