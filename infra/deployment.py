"""Creates and updates CloudFormation stacks by change set, and says what happens while it does.

The laptop's `make up`, the end-to-end tests and `deploy` to AWS all come through `deploy_stack`. Knows CloudFormation;
must not know Chalice, nor whether the endpoint is AWS: where the two could differ it looks at the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.platform.aws import error_code
from infra.stack_changes import Change, read_change, refusal_of, summary_of
from infra.template import Template, dumps

Report = Callable[[str], None]

# Bytes that CloudFormation takes in the request itself; a longer template has to lie in a bucket.
INLINE_TEMPLATE_BYTES = 51_200
# IAM: the functions' roles. AUTO_EXPAND: SAM is a transform, run by CloudFormation.
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
# Seconds. A first deploy with ElastiCache takes about 15 minutes.
DEFAULT_TIMEOUT_SECONDS = 3600
# CloudFormation throttles describe calls at a few a second in an account; emulators are done within the first step.
FIRST_POLL_SECONDS = 0.2
LAST_POLL_SECONDS = 3.0

# What a first creation that failed is left in.
NEVER_CREATED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")


class DeploymentError(Exception):
    """A deployment that did not happen. The sentence says why and what to do."""


#: Asked whether to make these changes.
Confirm = Callable[[list[Change]], bool]


@dataclass(frozen=True)
class Watch:
    """Alarms by which CloudFormation takes an update back, while it makes it and for some time afterwards.

    AWS: "Use CloudFormation rollback triggers". One that is in alarm already takes it back at once.

    :param alarm_arns: of alarms that are there.
    :param minutes: after the last resource was changed; at most 180.
    """

    alarm_arns: tuple[str, ...] = ()
    minutes: int = 0


@dataclass(frozen=True)
class Deployment:
    """What a stack is after a deployment: its outputs, and whether anything was changed."""

    outputs: dict[str, str]
    changed: bool


def find_stack(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    """The stack's description, or None where there is none of that name."""
    try:
        stacks = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if error_code(error) == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def standing_stack(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    """The description of a stack that was created once. None also for what is left of a first creation that failed."""
    stack = find_stack(cloudformation, stack_name)
    return None if stack is None or stack["StackStatus"] in (*NEVER_CREATED, "REVIEW_IN_PROGRESS") else stack


def stack_outputs(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """Outputs by name. Raises DeploymentError where the stack does not exist."""
    stack = find_stack(cloudformation, stack_name)
    if stack is None:
        raise DeploymentError(f"There is no stack {stack_name} in this account and region. Deploy it first.")
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def deploy_stack(
    cloudformation: Any,
    stack_name: str,
    template: Template,
    parameters: Mapping[str, str],
    *,
    report: Report = print,
    template_url: str = "",
    tags: Mapping[str, str] | None = None,
    allow_data_loss: bool = False,
    confirm: Confirm | None = None,
    dry_run: bool = False,
    watch: Watch | None = None,
    before_creation: Callable[[], None] | None = None,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Deployment:
    """Create or update the stack and wait for it. Parameters that are not named keep the value they have.

    `template_url` names the same template in a bucket, needed above `INLINE_TEMPLATE_BYTES`. `confirm` is asked once
    the changes are reported, and before any of them is made; with `dry_run` none is. `before_creation` clears the way
    for a stack that is not there yet. `watch` is for one that is. Raises DeploymentError, with the resources that
    failed, after CloudFormation has gone back to what ran before.
    """
    existing = _ready_stack(cloudformation, stack_name, report, timeout_seconds)
    if existing is None and before_creation is not None and not dry_run:
        before_creation()
    watch = watch if watch is not None and existing is not None else Watch()
    change_set = f"deploy-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{time.time_ns() % 1_000_000:06d}"
    source = {"TemplateURL": template_url} if template_url else {"TemplateBody": dumps(template)}
    created = cloudformation.create_change_set(
        StackName=stack_name,
        ChangeSetName=change_set,
        ChangeSetType="UPDATE" if existing else "CREATE",
        Capabilities=CAPABILITIES,
        Parameters=_parameters(template, parameters, existing, report),
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        # Said each time: CloudFormation keeps those of the last time.
        RollbackConfiguration={
            "RollbackTriggers": [{"Arn": arn, "Type": "AWS::CloudWatch::Alarm"} for arn in watch.alarm_arns],
            "MonitoringTimeInMinutes": watch.minutes,
        },
        **source,
    )
    stack_id = created["StackId"]
    # Both names in each call: permissions are given by the stack's.
    planned = {"StackName": stack_name, "ChangeSetName": change_set}
    changes = _planned_changes(cloudformation, planned, timeout_seconds)
    if changes is None:
        cloudformation.delete_change_set(**planned)
        report(f"{stack_name}: nothing to change.")
        return Deployment(stack_outputs(cloudformation, stack_name), changed=False)
    report(f"{stack_name}: {summary_of(changes)}")
    for change in changes:
        report(change.line())
    lost = [change for change in changes if change.loses_data]
    if lost and not allow_data_loss:
        _drop_plan(cloudformation, planned, existing)
        raise DeploymentError(refusal_of(lost))
    if dry_run:
        _drop_plan(cloudformation, planned, existing)
        return Deployment({}, changed=False)
    if confirm is not None and not confirm(changes):
        _drop_plan(cloudformation, planned, existing)
        raise DeploymentError("Not deployed: the changes were not confirmed. Nothing was changed.")
    seen = {event["EventId"] for event in _events(cloudformation, stack_id)}
    cloudformation.execute_change_set(**planned)
    news = _of_interest({change.logical_id for change in changes}, report)
    _follow(cloudformation, stack_id, stack_name, seen, report, timeout_seconds + watch.minutes * 60, news)
    return Deployment(stack_outputs(cloudformation, stack_name), changed=True)


def _drop_plan(cloudformation: Any, planned: dict[str, str], existing: dict[str, Any] | None) -> None:
    """With the name that a change set for a first creation reserves."""
    cloudformation.delete_change_set(**planned)
    if existing is None:
        cloudformation.delete_stack(StackName=planned["StackName"])


def delete_stack(
    cloudformation: Any,
    stack_name: str,
    *,
    report: Report = print,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> None:
    """Delete the stack and wait. What the template retains stays behind."""
    stack = find_stack(cloudformation, stack_name)
    if stack is None:
        return
    stack_id = stack["StackId"]
    seen = {event["EventId"] for event in _events(cloudformation, stack_id)}
    cloudformation.delete_stack(StackName=stack_name)

    def tell(event: dict[str, Any]) -> None:
        if not event["ResourceStatus"].endswith("_IN_PROGRESS"):
            report(_event_line(event))

    _follow(cloudformation, stack_id, stack_name, seen, report, timeout_seconds, tell)


def _ready_stack(cloudformation: Any, stack_name: str, report: Report, timeout_seconds: float) -> dict[str, Any] | None:
    """The stack to update, or None when it has to be created; a failed first creation is cleared away before."""
    stack = find_stack(cloudformation, stack_name)
    status = stack["StackStatus"] if stack else ""
    if stack is None or status == "REVIEW_IN_PROGRESS":
        return None
    if status in NEVER_CREATED:
        report(f"{stack_name}: its first creation had failed; removing what is left of it.")
        delete_stack(cloudformation, stack_name, report=report, timeout_seconds=timeout_seconds)
        return None
    if status.endswith("_IN_PROGRESS"):
        raise DeploymentError(f"{stack_name} is {status}: another deployment is running. Wait for it, then try again.")
    if status.endswith("_FAILED"):
        raise DeploymentError(
            f"{stack_name} is {status}. See docs/operations.md, 'When a rollback fails', then try again."
        )
    return stack


def _parameters(
    template: Template, given: Mapping[str, str], existing: dict[str, Any] | None, report: Report
) -> list[dict[str, Any]]:
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise DeploymentError(f"The template has no parameter {', '.join(unknown)}. It has: {', '.join(declared)}.")
    before = {
        parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in (existing or {}).get("Parameters", [])
    }
    kept = {key: value for key, value in before.items() if key in declared and key not in given}
    moved = moved_into_bounds(declared, kept)
    for key, value in sorted(moved.items()):
        report(f"{key} was {kept[key]}, which this version does not take: it becomes {value}.")
    values = [{"ParameterKey": key, "ParameterValue": value} for key, value in {**given, **moved}.items()]
    return values + [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(set(kept) - set(moved))]


def moved_into_bounds(declared: Mapping[str, Any], kept: Mapping[str, str]) -> dict[str, str]:
    """The kept numbers that the template no longer takes, with the nearest value that it does.

    CloudFormation checks a previous value against the new template, so that without this a narrower bound would refuse
    each update of a stack that has the old default.
    """
    moved: dict[str, str] = {}
    for key, value in kept.items():
        bounds = declared[key]
        if bounds.get("Type") != "Number":
            continue
        inside = min(max(float(value), bounds.get("MinValue", float(value))), bounds.get("MaxValue", float(value)))
        if inside != float(value):
            moved[key] = str(int(inside))
    return moved


def _pauses(timeout_seconds: float, waiting_for: str) -> Iterator[None]:
    """Yields, with growing pauses, until the time is up, and raises then."""
    deadline = time.monotonic() + timeout_seconds
    pause = FIRST_POLL_SECONDS
    while True:
        yield
        if time.monotonic() > deadline:
            raise DeploymentError(
                f"Gave up after {timeout_seconds:.0f} s waiting for {waiting_for}. It may still go on."
            )
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_POLL_SECONDS)


def _planned_changes(cloudformation: Any, planned: dict[str, str], timeout_seconds: float) -> list[Change] | None:
    """The changes of a change set once it is computed; None when there are none."""
    for _ in _pauses(timeout_seconds, f"the change set of {planned['StackName']}"):
        page = cloudformation.describe_change_set(**planned)
        if page["Status"] == "FAILED":
            reason = page.get("StatusReason", "no reason given")
            if any(words in reason for words in _UNCHANGED):
                return None
            raise DeploymentError(f"CloudFormation refuses the template of {planned['StackName']}: {reason}")
        if page["Status"] == "CREATE_COMPLETE":
            break
    found = page["Changes"]
    while page.get("NextToken"):
        page = cloudformation.describe_change_set(**planned, NextToken=page["NextToken"])
        found = found + page["Changes"]
    return [read_change(item["ResourceChange"]) for item in found if "ResourceChange" in item]


def _events(cloudformation: Any, stack_id: str) -> list[dict[str, Any]]:
    """All events of the stack, oldest first."""
    found: list[dict[str, Any]] = []
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        found.extend(page["StackEvents"])
    return found[::-1]


def _follow(
    cloudformation: Any,
    stack_id: str,
    stack_name: str,
    seen: set[str],
    report: Report,
    timeout_seconds: float,
    news: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Report each new event until the stack rests; raise if it did not get where it was going.

    :param news: reports an event in the place of a line for each.
    """
    tell = news or (lambda event: report(_event_line(event)))
    failures: list[str] = []
    own = "no resource gave a reason"
    for _ in _pauses(timeout_seconds, stack_name):
        # The status first: events that come between the two calls are then seen by this round or the next.
        status = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        for event in _events(cloudformation, stack_id):
            if event["EventId"] in seen:
                continue
            seen.add(event["EventId"])
            state, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            tell(event)
            # When one resource fails, the others are told to stop: they are not the cause.
            if event["LogicalResourceId"] == stack_name:
                # Of the stack itself, such as an alarm that took the update back.
                own = reason if "ROLLBACK" in state and reason else own
            elif state.endswith("_FAILED") and "cancelled" not in reason:
                failures.append(f"{event['LogicalResourceId']} [{event['ResourceType']}]: {reason}")
        if status.endswith("_IN_PROGRESS"):
            continue
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"):
            return
        after = {
            "UPDATE_ROLLBACK_COMPLETE": "The version that ran before runs again.",
            "ROLLBACK_COMPLETE": "What had been created was removed again.",
        }.get(status, f"The stack is {status}.")
        why = "\n  ".join(failures) or own
        raise DeploymentError(f"{stack_name} was not deployed. {after} What failed:\n  {why}")


def _event_line(event: dict[str, Any]) -> str:
    reason = event.get("ResourceStatusReason", "")
    return f"  {event['ResourceStatus']:<28} {event['LogicalResourceId']}" + (f": {reason}" if reason else "")


def _of_interest(planned: set[str], report: Report) -> Callable[[dict[str, Any]], None]:
    """Reports of what a change set has named when it is done, and of every failure. The rest is unchanged, and an
    emulator tells of it all the same.
    """

    def tell(event: dict[str, Any]) -> None:
        state = event["ResourceStatus"]
        if state.endswith("_FAILED") or (event["LogicalResourceId"] in planned and state.endswith("_COMPLETE")):
            report(_event_line(event))

    return tell
