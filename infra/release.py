"""A whole deployment of a stage: checks, package, upload, trial, change set, migrations, address; and the way back.

The same steps for AWS and for every emulator; the endpoint comes from the session's own configuration (AWS_ENDPOINT_URL
and its like). Knows the order of the steps; each is done elsewhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra import APPLICATION
from infra.account import parameters_of_account
from infra.artifacts import artifacts_bucket, ensure_artifacts_bucket, s3_client, upload_code, upload_template, url_of
from infra.candidate import own_runtime, runtime_of, try_import, try_in_account
from infra.deployment import Confirm, DeploymentError, Report, deploy_stack, standing_stack
from infra.gateway import with_noted_parameters
from infra.leftovers import clear_leftovers
from infra.live_check import STANDARD, LiveCheck
from infra.origins import cookie_notes
from infra.packaging import Package, package, with_code_at
from infra.parameters import (
    changed_parameters,
    check_kept,
    check_parameters,
    check_together,
    declared,
    is_stage,
    of_stack,
)
from infra.release_history import Record
from infra.running import Running, require_same_runtime
from infra.stages import (
    api_url,
    check_bucket_names,
    names_buckets_by_region,
    settle,
    stack_name_of,
    watch_of,
)
from infra.template import Template, with_region_in_bucket_names


@dataclass(frozen=True)
class Release:
    """What runs after a deployment."""

    stack_name: str
    outputs: dict[str, str]
    url: str
    changed: bool


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
    live: LiveCheck = STANDARD,
    confirm: Confirm | None = None,
    dry_run: bool = False,
    new_runtime: bool = False,
    watch_minutes: int = 0,
) -> Release:
    """Deploy a stage with a boto3 session.

    Names and values are checked before anything is packaged; the new version answers before it gets traffic, and again
    afterwards: if it does not, the version before is deployed again.

    :param parameters: those of the template; what is not named keeps the value it has, or its default the first time.
    :param made: a package that is already there, else one is made.
    :param migrate: gets the stack's outputs once it runs.
    :param unchecked: deploy a version that is not tried, and leave it even when it does not answer.
    :param live: how the deployed API is asked.
    :param confirm: is asked before the changes are made.
    :param dry_run: show the changes and make none. The package is uploaded all the same: CloudFormation reads it.
    :param new_runtime: the package may be for another version of Python than the one that runs.
    :param watch_minutes: for which the alarms of a stack that is updated are watched: one that goes off takes it back.
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
    check_together(stage, parameters, before)
    by_region = names_buckets_by_region(before, session.region_name)
    if before is None:
        check_bucket_names(stage, session.region_name, account)
    elif not new_runtime:
        require_same_runtime(cloudformation, stack_name_of(stage), runtime_of(made.template) if made else own_runtime())
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
        template = with_code_at(made.template, bucket, upload_code(s3, bucket, made, report))
    given = {"Stage": stage, **_of_endpoint(s3), **parameters}
    given |= parameters_of_account(session, before, given, report)
    values = effective_parameters(template, before, given)
    for note in cookie_notes(values["CorsOrigins"], values["DomainName"]):
        report(note)
    template = with_noted_parameters(with_region_in_bucket_names(template) if by_region else template, values)
    names = {"AWS::StackName": stack_name_of(stage), "AWS::AccountId": account, "AWS::Region": session.region_name}
    if before is not None and not unchecked and not dry_run:
        try_in_account(session, stack_name_of(stage), template, given, report)
    runs = Running(session, stage, s3, bucket, report, live)
    good = runs.good_release(before)
    result = deploy_stack(
        cloudformation,
        stack_name_of(stage),
        template,
        given,
        report=report,
        template_url=url_of(s3, bucket, upload_template(s3, bucket, template)),
        tags={"application": APPLICATION, "stage": stage},
        allow_data_loss=allow_data_loss,
        confirm=confirm,
        dry_run=dry_run,
        watch=watch_of(cloudformation, before, session.region_name, account, watch_minutes),
        before_creation=lambda: clear_leftovers(session, template, names, report),
    )
    if dry_run:
        report("A dry run: nothing was changed.")
        return Release(stack_name_of(stage), result.outputs, "", changed=False)
    settle(session, stage, result.outputs, report)
    url = api_url(session, result.outputs)
    if not unchecked:
        runs.require_answer(url, good)
    runs.note(made.digest)
    if migrate is not None:
        report("Migrations ...")
        migrate(result.outputs)
    report(f"{stack_name_of(stage)} runs at {url}")
    return Release(stack_name_of(stage), result.outputs, url, result.changed)


def roll_back(
    session: Any, stage: str, record: Record, *, report: Report = print, live: LiveCheck = STANDARD
) -> Release:
    """Deploy a version that ran before, with the parameters that it had. Secrets and data stay as they are.

    :raises DeploymentError: as :func:`deploy`; or it does not answer, and is left as it is.
    """
    account = _account_of(session)
    s3 = s3_client(session)
    runs = Running(session, stage, s3, artifacts_bucket(account, session.region_name), report, live)
    report(f"Returning {stack_name_of(stage)} to {record.release_id}, version {record.version}.")
    result = runs.deploy_record(record)
    url = api_url(session, result.outputs)
    wrong = live.wait(url)
    if wrong:
        raise DeploymentError(f"{record.release_id} is deployed, and does not answer as it should: {wrong}")
    runs.note(record.digest, record.version)
    report(f"{stack_name_of(stage)} runs at {url}")
    return Release(stack_name_of(stage), result.outputs, url, result.changed)


def _account_of(session: Any) -> str:
    if not session.region_name:
        raise DeploymentError("No region is set. Set AWS_REGION or AWS_DEFAULT_REGION, or a region in your profile.")
    account: str = session.client("sts").get_caller_identity()["Account"]
    return account


def effective_parameters(
    template: Template, stack: Mapping[str, Any] | None, given: Mapping[str, str]
) -> dict[str, str]:
    """What each parameter will be: as given, else as it is, else the template's default."""
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    return {**defaults, **{name: value for name, value in of_stack(stack).items() if name in defaults}, **given}


def _of_endpoint(s3: Any) -> dict[str, str]:
    """An endpoint without TLS, an emulator, cannot serve a stack that refuses requests without it.

    MiniStack makes a bucket without the Object Lock that its template asks for, and then refuses locked objects.
    """
    return {"RequireTls": "false", "AuditLockDays": "0"} if urlsplit(s3.meta.endpoint_url).scheme == "http" else {}
