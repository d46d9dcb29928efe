"""What the stack of a stage is called and where it answers, and what a template cannot say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from infra import APPLICATION
from infra.deployment import DeploymentError, Report, Watch
from infra.gateway import ensure_gateway_responses
from infra.template import KEPT_STAGES
from infra.template.tables import table_names

API_STAGE = "api"
#: What a new version that does not work sets off, by their ids in the template.
RELEASE_ALARMS = ("ApiErrorsAlarm", "ApiFunctionErrorsAlarm", "ProcessFunctionErrorsAlarm", "UploadsFailedAlarm")


def stack_name_of(stage: str) -> str:
    return f"{APPLICATION}-{stage}"


def api_url(session: Any, outputs: Mapping[str, str]) -> str:
    """Where this session's API Gateway serves the API.

    On AWS that is the output ApiUrl. A gateway at an endpoint of its own serves every API below that endpoint.
    """
    endpoint = session.client("apigateway").meta.endpoint_url
    if (urlsplit(endpoint).hostname or "").startswith("apigateway."):
        return outputs["ApiUrl"]
    return f"{endpoint}/restapis/{outputs['RestAPIId']}/{API_STAGE}/_user_request_"


#: Of a bucket's name (AWS limit).
MAX_BUCKET_NAME = 63


def names_buckets_by_region(stack: Mapping[str, Any] | None, region: str) -> bool:
    """Whether the names of a stack's buckets have the region in them: all but those of stacks from before they had.

    :param stack: as CloudFormation describes it; None when there is none yet.
    """
    if stack is None:
        return True
    outputs: dict[str, str] = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return outputs.get("TempBucket", "").endswith(f"-{region}")


def check_bucket_names(stage: str, region: str, account: str) -> None:
    """:raises DeploymentError: the names of the buckets of a new stack would be too long."""
    excess = len(f"{stack_name_of(stage)}-permanent-{account}-{region}") - MAX_BUCKET_NAME
    if excess > 0:
        raise DeploymentError(
            "The names of the buckets hold stage, account and region, and would be too long for S3. In "
            f"{region} the name of a stage has at most {len(stage) - excess} letters."
        )


def watch_of(cloudformation: Any, stack: Mapping[str, Any] | None, region: str, account: str, minutes: int) -> Watch:
    """The alarms of a stack by which an update of it is taken back.

    :param stack: as CloudFormation describes it; None when there is none yet, and so no alarm.
    :param minutes: 0 for none.
    """
    if stack is None or not minutes:
        return Watch()
    partition = stack["StackId"].split(":")[1]
    names = [
        cloudformation.describe_stack_resource(StackName=stack["StackName"], LogicalResourceId=alarm)[
            "StackResourceDetail"
        ]["PhysicalResourceId"]
        for alarm in RELEASE_ALARMS
    ]
    return Watch(tuple(f"arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}" for name in names), minutes)


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
