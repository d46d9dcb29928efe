"""What a deployment takes over from the account that it goes to: parameters that nobody has to think of.

An account has one quota of concurrent executions for all of its functions, and one role with which API Gateway writes
logs, for all of its APIs. Both are looked up before a stack is changed. Knows the services' words; must not know the
steps of a deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.platform.aws import error_code
from infra.deployment import DeploymentError, Report
from infra.parameters import of_stack

#: What a new account has (AWS: Lambda quotas), and what is assumed where it can't be read.
NEW_ACCOUNT_EXECUTIONS = 10
#: As in functions.yaml: more is not taken by itself, however much the account has.
USUAL_SHARE = 20
#: AWS's least for the concurrency of a trigger.
LEAST_SHARE = 2


def parameters_of_account(
    session: Any, stack: Mapping[str, Any] | None, given: Mapping[str, str], report: Report
) -> dict[str, str]:
    """The parameters that follow from the account. What the operator has given is not among them.

    :param stack: the stack's description as it is; None before its creation.
    :raises DeploymentError: the concurrency that was chosen leaves too little to the API.
    """
    kept = of_stack(stack)
    executions = _executions_or_those_of_a_new_account(session, report)
    shares = concurrency_shares(executions)
    check_concurrency(executions, {**kept, **given}, report)
    process = int({**kept, **given}.get("MaxProcessConcurrency") or shares["ProcessConcurrencyShare"])
    shares["OrganizationConcurrencyShare"] = organization_share(process)
    found = {name: str(share) for name, share in shares.items() if name not in given}
    if "ManageGatewayLogRole" not in given:
        manages = manages_log_role(gateway_log_role(session), kept.get("ManageGatewayLogRole"))
        found["ManageGatewayLogRole"] = manages
        if manages == "false" and stack is None:
            report("API Gateway has a role for its logs in this account already: it is used as it is.")
    return found


def concurrency_shares(executions: int) -> dict[str, int]:
    """Parameter -> how many uploads, and webhooks, may be worked on at once.

    Together at most half of what the account runs at once, so that a burst of uploads leaves the API the other half.
    Who is refused by Lambda has still received its message, and after three of those it is a dead letter.
    """
    half = executions // 2
    process = min(USUAL_SHARE, max(LEAST_SHARE, half - half // 2))
    deliver = min(USUAL_SHARE, max(LEAST_SHARE, half - process))
    return {"ProcessConcurrencyShare": process, "DeliverConcurrencyShare": deliver}


def organization_share(process: int) -> int:
    """How many of the uploads at once may be of one organisation: three quarters, never all of several."""
    return max(1, process * 3 // 4)


def check_concurrency(executions: int, chosen: Mapping[str, str], report: Report) -> None:
    """Of what the operator has chosen for the triggers.

    :param chosen: parameters; the shares stand for those that are not among them.
    :raises DeploymentError: it is all that the account runs at once, or more.
    """
    shares = concurrency_shares(executions)
    process = int(chosen.get("MaxProcessConcurrency") or shares["ProcessConcurrencyShare"])
    deliver = int(chosen.get("MaxDeliverConcurrency") or shares["DeliverConcurrencyShare"])
    said = (
        f"Uploads ({process} at once) and webhooks ({deliver}) may take {process + deliver} of the {executions} "
        "concurrent executions of this account"
    )
    if process + deliver >= executions:
        raise DeploymentError(
            f"{said}: the API would have none. Lower MaxProcessConcurrency or MaxDeliverConcurrency, or request a "
            "higher quota (Service Quotas, Lambda, Concurrent executions)."
        )
    if process + deliver > executions // 2:
        report(f"{said}, more than half. The API answers 429 or 500 when a burst of uploads takes the rest.")


def manages_log_role(role_of_account: str | None, kept: str | None) -> str:
    """The parameter ManageGatewayLogRole: whether this stack sets the account's role.

    :param role_of_account: the ARN of a role that exists.
    :param kept: what the parameter is; None before the creation.
    """
    if kept == "true":
        # The role is this stack's own.
        return "true"
    return "true" if role_of_account is None else "false"


def concurrent_executions(session: Any) -> int:
    """Of all functions of the account and region together.

    :raises ClientError: they can't be read.
    """
    return int(session.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"])


def _executions_or_those_of_a_new_account(session: Any, report: Report) -> int:
    try:
        return concurrent_executions(session)
    except ClientError as error:
        why = error_code(error)
        report(f"The account's concurrent executions can't be read ({why}): assuming {NEW_ACCOUNT_EXECUTIONS}.")
        return NEW_ACCOUNT_EXECUTIONS


def gateway_log_role(session: Any) -> str | None:
    """ARN of the role by which API Gateway writes the logs of all APIs of the account and region.

    :returns: None when there is none, or when a role is named that is gone.
    """
    arn: str | None = session.client("apigateway").get_account().get("cloudwatchRoleArn")
    if not arn:
        return None
    try:
        session.client("iam").get_role(RoleName=arn.rsplit("/", 1)[-1])
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return None
        if error_code(error) not in ("AccessDenied", "AccessDeniedException"):
            raise
    return arn
