"""Looks at an account before anything is made in it: what would stop a deployment, or spoil something of others.

Reads only. Each check ends in findings with a sentence that says what to do. A check that can't be made says so and
does not stop the others. Knows AWS; names are taken from the template.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.platform.aws import error_code
from infra.account import check_concurrency, concurrent_executions, gateway_log_role
from infra.artifacts import artifacts_bucket
from infra.deployment import NEVER_CREATED, DeploymentError, find_stack
from infra.parameters import check_kept, check_parameters, check_together, of_stack
from infra.stages import check_bucket_names, names_buckets_by_region, stack_name_of
from infra.template import everything_but_chalice, with_region_in_bucket_names

POLICIES = tuple(
    Path(__file__).resolve().parents[1] / "docs" / name for name in ("deployer-policy.json", "operator-policy.json")
)
#: Below, uploads and requests soon wait for each other; a new account has 10.
ENOUGH_CONCURRENCY = 100
#: VPCs in a region, unless the account has another quota (Service Quotas, "VPCs per Region").
DEFAULT_VPCS = 5
VPC_QUOTA_CODE = "L-F678F1CE"
#: SimulatePrincipalPolicy answers in pages; asking for less at a time keeps one answer short.
ACTIONS_AT_ONCE = 40
CLOUDFORMATION = "cloudformation.amazonaws.com"
_THROUGH_CLOUDFORMATION = {"ForAnyValue:StringEquals": {"aws:CalledVia": CLOUDFORMATION}}
_GONE = frozenset({"404", "NoSuchBucket", "NotFound", "ResourceNotFoundException"})
_FORBIDDEN = frozenset({"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden"})


class State(StrEnum):
    OK = "ok"
    #: Works, and somebody should know.
    WARNING = "warning"
    #: A deployment would fail.
    WRONG = "wrong"
    #: It could not be looked at.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    check: str
    state: State
    sentence: str


@dataclass(frozen=True)
class Account:
    """Where to look.

    :param given: parameters of the deployment to come.
    :param stack: as CloudFormation describes it; None when there is none yet.
    """

    session: Any
    account: str
    arn: str
    stage: str
    given: Mapping[str, str]
    stack: Mapping[str, Any] | None

    @property
    def region(self) -> str:
        region: str = self.session.region_name
        return region

    @property
    def name(self) -> str:
        return stack_name_of(self.stage)


def preflight(session: Any, stage: str, given: Mapping[str, str]) -> list[Finding]:
    """All findings; those of the first checks alone when nothing else can be asked."""
    findings, account = _identify(session, stage, given)
    if account is None:
        return findings
    for check in CHECKS:
        findings.extend(_looked(check, account))
    return findings


def _identify(session: Any, stage: str, given: Mapping[str, str]) -> tuple[list[Finding], Account | None]:
    if not session.region_name:
        sentence = "No region is set. Set AWS_REGION, such as eu-central-1."
        return [Finding("region", State.WRONG, sentence)], None
    try:
        caller = session.client("sts").get_caller_identity()
        stack = find_stack(session.client("cloudformation"), stack_name_of(stage))
    except (ClientError, BotoCoreError) as error:
        sentence = (
            f"AWS does not take these credentials: {error}. Sign in (aws sso login), or set AWS_PROFILE or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
        return [Finding("credentials", State.WRONG, sentence)], None
    account = Account(session, caller["Account"], caller["Arn"], stage, given, stack)
    who = Finding("credentials", State.OK, f"Account {account.account} as {account.arn}.")
    if account.arn.endswith(":root"):
        who = Finding("credentials", State.WARNING, "These are the root user's. Use a user or role with less.")
    return [who], account


def _looked(check: Callable[[Account], Iterator[Finding]], account: Account) -> list[Finding]:
    name = check.__name__.strip("_").replace("_", " ")
    try:
        found = list(check(account))
    except ClientError as error:
        code = error_code(error)
        what = "these credentials may not look" if code in _FORBIDDEN else f"AWS answers {code}"
        return [Finding(name, State.UNKNOWN, f"Not looked at: {what} ({error.operation_name}).")]
    except BotoCoreError as error:
        return [Finding(name, State.UNKNOWN, f"Not looked at: {error}.")]
    return found


# ---- the checks --------------------------------------------------------------------------------------------------
def _region(account: Account) -> Iterator[Finding]:
    services = ("lambda", "apigateway", "dynamodb", "sqs", "s3", "elasticache", "logs", "events")
    known = {service: account.session.get_available_regions(service) for service in services}
    lacking = [service for service, regions in known.items() if account.region not in regions]
    if lacking:
        yield Finding("region", State.WRONG, f"{account.region} has no {', '.join(lacking)}. Choose another region.")
    else:
        yield Finding("region", State.OK, f"{account.region} has all services.")


def _parameters(account: Account) -> Iterator[Finding]:
    try:
        check_parameters(account.stage, account.given)
        check_kept(account.stage, account.given, account.stack)
        check_together(account.stage, account.given, account.stack)
        if account.stack is None:
            check_bucket_names(account.stage, account.region, account.account)
    except DeploymentError as error:
        yield Finding("parameters", State.WRONG, str(error))
        return
    yield Finding("parameters", State.OK, f"{len(account.given)} are given, and can be right.")


def _stack(account: Account) -> Iterator[Finding]:
    status = account.stack["StackStatus"] if account.stack else ""
    if not status:
        yield Finding("stack", State.OK, f"There is no {account.name} yet; it will be created.")
    elif status.endswith("_IN_PROGRESS"):
        sentence = f"{account.name} is {status}: another deployment is running. Wait for it."
        yield Finding("stack", State.WRONG, sentence)
    elif status in NEVER_CREATED:
        sentence = f"{account.name} is {status}: its first creation failed. 'deploy' removes what is left of it."
        yield Finding("stack", State.WARNING, sentence)
    elif status.endswith("_FAILED"):
        sentence = f"{account.name} is {status}. See docs/operations.md, 'When a rollback fails'."
        yield Finding("stack", State.WRONG, sentence)
    else:
        yield Finding("stack", State.OK, f"{account.name} is {status}; it will be updated.")


def _names(account: Account) -> Iterator[Finding]:
    """Buckets share their names with the whole world, tables and queues with this account."""
    s3 = account.session.client("s3")
    wanted = _names_of(account, "AWS::S3::Bucket", "BucketName") if account.stack is None else []
    taken = []
    for bucket in [*wanted, artifacts_bucket(account.account, account.region)]:
        owner = _owner_of(s3, bucket, account.account)
        if owner == "another":
            taken.append(f"the bucket {bucket} belongs to another account")
        elif owner == "ours" and bucket in wanted:
            taken.append(f"the bucket {bucket} is left from an earlier deployment")
    if account.stack is None:
        dynamodb = account.session.client("dynamodb")
        for table in _names_of(account, "AWS::DynamoDB::Table", "TableName"):
            try:
                dynamodb.describe_table(TableName=table)
            except ClientError as error:
                if error_code(error) in _GONE:
                    continue
                raise
            taken.append(f"the table {table} is left from an earlier deployment")
    if taken:
        advice = f"Delete it, if its data is of no use: strongroom destroy --stage {account.stage} --data."
        yield Finding("names", State.WRONG, f"Names are taken: {'; '.join(taken)}. {advice}")
    else:
        yield Finding("names", State.OK, "No name is taken.")


def _concurrency(account: Account) -> Iterator[Finding]:
    limit = concurrent_executions(account.session)
    said: list[str] = []
    try:
        check_concurrency(limit, {**of_stack(account.stack), **account.given}, said.append)
    except DeploymentError as error:
        yield Finding("concurrency", State.WRONG, str(error))
        return
    if limit < ENOUGH_CONCURRENCY:
        sentence = (
            f"Lambda runs at most {limit} functions at once here, the API's requests included. Ask for 1,000, which is "
            "free: Service Quotas, 'AWS Lambda', 'Concurrent executions'."
        )
        yield Finding("concurrency", State.WARNING, " ".join([sentence, *said]))
    elif said:
        yield Finding("concurrency", State.WARNING, said[0])
    else:
        yield Finding("concurrency", State.OK, f"Lambda runs up to {limit} functions at once.")


def _network(account: Account) -> Iterator[Finding]:
    """Only ElastiCache needs a VPC."""
    own_cache = account.given.get("RateCounters") == "elasticache" and not account.given.get("CacheUrl")
    if account.stack is not None or not own_cache:
        yield Finding("network", State.OK, "No VPC has to be made.")
        return
    there = len(account.session.client("ec2").describe_vpcs()["Vpcs"])
    try:
        quota = account.session.client("service-quotas").get_service_quota(ServiceCode="vpc", QuotaCode=VPC_QUOTA_CODE)
        most = int(quota["Quota"]["Value"])
    except (ClientError, BotoCoreError):
        most = DEFAULT_VPCS
    if there >= most:
        sentence = (
            f"There are {there} VPCs of {most}, and the stack makes one for its cache. Delete one, ask for more "
            "(Service Quotas, 'Amazon VPC', 'VPCs per Region'), or count in the table: RateCounters=table."
        )
        yield Finding("network", State.WRONG, sentence)
    else:
        yield Finding("network", State.OK, f"There are {there} VPCs of {most}; one more is made for the cache.")


def _log_role(account: Account) -> Iterator[Finding]:
    """One role of the whole account and region writes the logs of all its APIs."""
    arn = gateway_log_role(account.session) or ""
    own = f"/{account.name}-" in arn
    if arn and not own and account.given.get("ManageGatewayLogRole") == "true":
        sentence = (
            f"API Gateway writes the logs of this account by {arn}, which is not of this stage, and would no longer. "
            "Leave ManageGatewayLogRole out: 'deploy' then uses the one that is there."
        )
        yield Finding("log role", State.WARNING, sentence)
    else:
        yield Finding("log role", State.OK, "No log role of others is in the way.")


def _domain(account: Account) -> Iterator[Finding]:
    name, arn = account.given.get("DomainName", ""), account.given.get("CertificateArn", "")
    if not name and not arn:
        return
    if not (name and arn):
        yield Finding("domain", State.WRONG, "DomainName and CertificateArn belong together; give both.")
        return
    if arn.split(":")[3:4] != [account.region]:
        yield Finding("domain", State.WRONG, f"The certificate has to be in {account.region}, as the API is.")
        return
    found = account.session.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    names = {found["DomainName"], *found.get("SubjectAlternativeNames", [])}
    if found["Status"] != "ISSUED":
        sentence = f"The certificate is {found['Status']}. Validate it: ACM shows the record that DNS needs."
        yield Finding("domain", State.WRONG, sentence)
    elif name not in names and f"*.{name.partition('.')[2]}" not in names:
        yield Finding("domain", State.WRONG, f"The certificate is for {', '.join(sorted(names))}, not for {name}.")
    else:
        yield Finding("domain", State.OK, f"The certificate is for {name}.")


def _mail(account: Account) -> Iterator[Finding]:
    sender = account.given.get("MailFrom", "")
    if not sender:
        return
    ses = account.session.client("sesv2")
    if not any(_is_verified(ses, identity) for identity in (sender, sender.partition("@")[2])):
        yield Finding("mail", State.WARNING, f"SES has verified neither {sender} nor its domain in {account.region}.")
    elif not ses.get_account()["ProductionAccessEnabled"]:
        sentence = "SES is in its sandbox here and sends to verified addresses only. Request production access."
        yield Finding("mail", State.WARNING, sentence)
    else:
        yield Finding("mail", State.OK, f"SES sends as {sender}.")


def _permissions(account: Account) -> Iterator[Finding]:
    """What the documented policy allows, asked of IAM for these credentials."""
    if account.arn.endswith(":root"):
        yield Finding("permissions", State.OK, "The root user may do everything.")
        return
    iam = account.session.client("iam")
    denied: list[str] = []
    for direct, actions, resources in _needed(account):
        for start in range(0, len(actions), ACTIONS_AT_ONCE):
            context = [] if direct else [_called_via_cloudformation()]
            answer = iam.simulate_principal_policy(
                PolicySourceArn=principal_of(account.arn),
                ActionNames=actions[start : start + ACTIONS_AT_ONCE],
                ResourceArns=resources,
                ContextEntries=context,
            )
            denied += [one["EvalActionName"] for one in answer["EvaluationResults"] if one["EvalDecision"] != "allowed"]
    if denied:
        names = ", ".join(sorted(set(denied)))
        sentence = f"These credentials may not: {names}. Attach docs/deployer-policy.json and operator-policy.json."
        yield Finding("permissions", State.WRONG, sentence)
    else:
        yield Finding("permissions", State.OK, "What the documented policy allows is allowed (simulated by IAM).")


CHECKS = (_region, _parameters, _stack, _names, _concurrency, _network, _log_role, _domain, _mail, _permissions)


# ---- how it is done ----------------------------------------------------------------------------------------------
def principal_of(arn: str) -> str:
    """The role of a session, as IAM names it; anything else as it is.

    A role's path is in no session's name. AWS's own (SSO) are below one, and are looked up nowhere: IAM then says so.
    """
    before, _, name = arn.partition(":assumed-role/")
    if not name:
        return arn
    return f"{before.replace(':sts:', ':iam:')}:role/{name.partition('/')[0]}"


def _needed(account: Account) -> Iterator[tuple[bool, list[str], list[str]]]:
    """Of each statement: whether it is for direct calls, its actions without wildcards, its resources."""
    for statement in (one for path in POLICIES for one in json.loads(path.read_text(encoding="utf-8"))["Statement"]):
        if statement["Effect"] != "Allow" or statement.get("Condition") not in (None, _THROUGH_CLOUDFORMATION):
            # Of a context that only the call itself has, such as the boundary of the role that it makes.
            continue
        actions, resources = (_as_list(statement[field]) for field in ("Action", "Resource"))
        named = [action for action in actions if "*" not in action]
        # A name of each kind: IAM simulates no patterns.
        filled = [_named(account, resource) for resource in resources]
        if named:
            yield "Condition" not in statement, named, [one for one in filled if one != "*"] or ["*"]


def _named(account: Account, resource: str) -> str:
    text = resource.replace("ACCOUNT", account.account).replace("REGION", account.region)
    return text if text == "*" else text.replace("strongroom-*", account.name).replace("*", "x")


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _called_via_cloudformation() -> dict[str, Any]:
    return {
        "ContextKeyName": "aws:CalledVia",
        "ContextKeyType": "stringList",
        "ContextKeyValues": [CLOUDFORMATION],
    }


def _names_of(account: Account, resource_type: str, attribute: str) -> list[str]:
    """Names of the template's resources of a type, as this stack has them."""
    values = {
        "${AWS::StackName}": account.name,
        "${AWS::AccountId}": account.account,
        "${AWS::Region}": account.region,
    }
    found = []
    template = everything_but_chalice(account.stage)
    if names_buckets_by_region(account.stack, account.region):
        template = with_region_in_bucket_names(template)
    for resource in template["Resources"].values():
        name = resource.get("Properties", {}).get(attribute) if resource.get("Type") == resource_type else None
        text = name.get("Fn::Sub", "") if isinstance(name, dict) else name or ""
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        if text and "${" not in text:
            found.append(text)
    return found


def _owner_of(s3: Any, bucket: str, account: str) -> str:
    """``ours``, ``another`` account, or ``nobody``."""
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        code = error_code(error)
        if code in _GONE:
            return "nobody"
        if code in _FORBIDDEN:
            return "another"
        raise
    return "ours"


def _is_verified(ses: Any, identity: str) -> bool:
    try:
        return bool(ses.get_email_identity(EmailIdentity=identity)["VerifiedForSendingStatus"])
    except ses.exceptions.NotFoundException:
        return False
