"""What runs in a stage, by its records: whether it answers, the way back to the version before, and the next record.

A run can die between a change and its record. So what runs is read off the stack itself, and a version that no record
knows counts as one that nobody has seen answering.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra import APPLICATION, VERSION
from infra.artifacts import template_key, url_of
from infra.candidate import runtime_of
from infra.deployment import Deployment, DeploymentError, Report, deploy_stack, find_stack
from infra.functions import API
from infra.live_check import PATIENCE_SECONDS, STANDARD, LiveCheck, check_once
from infra.packaging import ROOT
from infra.parameters import of_stack, without_secrets
from infra.release_history import Record, Version, new_release_id, read_all, read_template, write
from infra.stages import api_url, settle, stack_name_of


def version_of_stack(cloudformation: Any, name: str) -> Version | None:
    """Template and parameters that a stack has; None where there is none."""
    stack = find_stack(cloudformation, name)
    if stack is None:
        return None
    # As it was sent, not as SAM has transformed it.
    template = cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    return Version(template_key(template), without_secrets(of_stack(stack), template["Parameters"]))


def require_same_runtime(cloudformation: Any, name: str, runtime: str) -> None:
    """Who deploys from another machine changes the functions' version of Python, unless somebody looks.

    :raises DeploymentError: the stack runs on another one.
    """
    template = cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    if API.logical_id not in template["Resources"]:
        # The laptop's stack has the data and no functions.
        return
    running = runtime_of(template)
    if running != runtime:
        raise DeploymentError(
            f"Not deployed: {name} runs on {running}, and the package of this machine is for {runtime}. Deploy with "
            f"that version of Python (make clean, then make deploy PYTHON={running}), or allow it: --new-runtime."
        )


@dataclass(frozen=True)
class Running:
    """:param bucket: with packages, templates and records."""

    session: Any
    stage: str
    s3: Any
    bucket: str
    report: Report
    live: LiveCheck = STANDARD

    def version(self) -> Version | None:
        return version_of_stack(self.session.client("cloudformation"), stack_name_of(self.stage))

    def good_release(self, stack: Mapping[str, Any] | None) -> Record | None:
        """The version to return to: that which runs, if it answers. None when there is none, or it is not known.

        If another one runs than the last record tells of, it is the record's: nobody has seen the other one answer.
        """
        if stack is None:
            return None
        records = read_all(self.s3, self.bucket, self.stage)
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if not records or "RestAPIId" not in outputs:
            return None
        if self.version() == records[0].what_runs and check_once(api_url(self.session, outputs), self.live.transport):
            return None
        return records[0]

    def require_answer(self, url: str, good: Record | None) -> None:
        """Wait for the API; when it does not answer as it should, deploy the good release again.

        :raises DeploymentError: it does not answer.
        """
        wrong = self.live.wait(url)
        if not wrong:
            return
        name = stack_name_of(self.stage)
        if good is None:
            raise DeploymentError(
                f"{name} does not answer as it should: {wrong}\nNo version that did is known, so it stays. "
                f"See its log: strongroom logs --stage {self.stage}"
            )
        if self.version() == good.what_runs:
            raise DeploymentError(f"There was nothing to change, and {name} does not answer as it should: {wrong}")
        self.report(f"The new version does not answer as it should: {wrong}")
        self.report(f"Returning to {good.release_id} ...")
        self.deploy_record(good)
        # However little the new version was given: a function starts anew, and keeps for seconds what it knew.
        after = replace(self.live, patience_seconds=max(self.live.patience_seconds, PATIENCE_SECONDS)).wait(url)
        what = f"does not answer either: {after}" if after else "runs again"
        raise DeploymentError(f"The new version was taken back: {wrong}\nThe version before {what}.")

    def deploy_record(self, record: Record) -> Deployment:
        template = read_template(self.s3, self.bucket, record)
        given = {name: value for name, value in record.parameters.items() if name in template["Parameters"]}
        result = deploy_stack(
            self.session.client("cloudformation"),
            stack_name_of(self.stage),
            template,
            given,
            report=self.report,
            template_url=url_of(self.s3, self.bucket, record.template_key),
            tags={"application": APPLICATION, "stage": self.stage},
        )
        settle(self.session, self.stage, result.outputs, self.report)
        return result

    def note(self, digest: str, version: str | None = None) -> None:
        """Write the record of what runs, unless the last one is it: it has answered.

        :param digest: of its package.
        """
        running = self.version()
        records = read_all(self.s3, self.bucket, self.stage)
        if running is None or (records and records[0].what_runs == running):
            return
        record = Record(
            release_id=new_release_id(),
            version=version or own_version(),
            digest=digest,
            template_key=running.template_key,
            parameters=running.parameters,
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
