"""The stack's template as data: reads the YAML files of this folder and merges them over what generated.py makes.

Knows YAML, CloudFormation's short forms and which stages keep their data. Must not know AWS accounts or Chalice.
"""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra.functions import FUNCTIONS
from infra.template import generated
from infra.template.tables import tables

Template = dict[str, Any]

FOLDER = Path(__file__).parent

# Stages whose tables, buckets and dead letters outlive the stack. DeletionPolicy takes no condition in CloudFormation,
# so this is decided when the template is written out. See docs/decisions/0015-what-outlives-the-stack.md.
KEPT_STAGES = frozenset({"prod"})
# What belongs to the whole account once it is there: no stage takes it away again.
KEPT_BY_EVERY_STAGE = frozenset({"GatewayLogRole", "GatewayAccount"})

DATA_FILES = ("resources.yaml", "network.yaml")
ENVIRONMENT_FILE = "environment.yaml"
FUNCTION_FILES = ("functions.yaml", "roles.yaml", "gateway.yaml", "monitoring.yaml", "own_metrics.yaml")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x`, `!GetAtt a.b`, `!Sub ...`."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> Template:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


yaml.add_multi_constructor("!", _long_form, Loader=_Loader)


def load(path: Path) -> Template:
    """One template file with every short form written out."""
    return copy.deepcopy(_read(path))


@cache
def _read(path: Path) -> Template:
    """Once in a process: a deployment asks for the template some ten times."""
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    if not isinstance(loaded, dict):
        raise TypeError(f"{path.name} is not a mapping")
    return loaded


def merge(base: Template, extra: Template) -> Template:
    """`base` with `extra` laid over it, mappings merged at every depth, anything else replaced."""
    merged = dict(base)
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _with_policies(template: Template, stage: str) -> Template:
    if stage in KEPT_STAGES:
        return template
    for name, resource in template["Resources"].items():
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
            if attribute in resource and name not in KEPT_BY_EVERY_STAGE:
                resource[attribute] = "Delete"
    return template


def _with_optional_statements(template: Template) -> Template:
    """What each function's role may do besides, where there are traces or a key of the operator's."""
    traces = {
        "Sid": "Traces",
        "Effect": "Allow",
        "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        # They know no resource.
        "Resource": "*",
    }
    # DynamoDB asks for the caller's own permission to use the key (AWS: DynamoDB encryption at rest).
    key = {
        "Sid": "TableKey",
        "Effect": "Allow",
        "Action": [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        "Resource": {"Ref": "TableKeyArn"},
        "Condition": {"StringEquals": {"kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.amazonaws.com"}}},
    }
    for function in FUNCTIONS:
        [policy] = template["Resources"][function.role]["Properties"]["Policies"]
        statements = policy["PolicyDocument"]["Statement"]
        for condition, statement in (("IsTraced", traces), ("HasTableKey", key)):
            statements.append({"Fn::If": [condition, statement, {"Ref": "AWS::NoValue"}]})
    return template


def _with_boundary(template: Template) -> Template:
    """Each role within the policy that the operator names. Here, so that no role is ever forgotten."""
    boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    for resource in template["Resources"].values():
        if resource.get("Type") == "AWS::IAM::Role":
            resource["Properties"]["PermissionsBoundary"] = boundary
    return template


def _merged(names: tuple[str, ...], stage: str, base: Template | None = None) -> Template:
    template: Template = merge({"Resources": tables()}, base or {})
    for name in names:
        template = merge(template, load(FOLDER / name))
    return _with_policies(template, stage)


def data_plane(stage: str) -> Template:
    """Tables, buckets, queues and cache without the functions: a stack of its own on the laptop."""
    # The buckets' rules follow a setting of the functions.
    return merge({"Parameters": {"MultipartDays": generated.parameters()["MultipartDays"]}}, _merged(DATA_FILES, stage))


def function_roles() -> Template:
    """The functions' roles by their logical ids; what they refer to is in :func:`data_plane` and in the next one."""
    resources: Template = load(FOLDER / "roles.yaml")["Resources"]
    return resources


def of_roles() -> Template:
    """Parameters and conditions that the roles refer to and the data plane does not have."""
    roles = load(FOLDER / "roles.yaml")
    return {
        "Parameters": {"MailFrom": generated.parameters()["MailFrom"], **roles["Parameters"]},
        "Conditions": roles["Conditions"],
    }


def everything_but_chalice(stage: str) -> Template:
    """What is merged into the template that `chalice package` writes."""
    own = load(FOLDER / ENVIRONMENT_FILE)
    return _with_boundary(
        _with_optional_statements(_merged(DATA_FILES + FUNCTION_FILES, stage, generated.fragment(own)))
    )


#: How the buckets are named, wherever the template says it.
_BUCKET_NAME = re.compile(r"(\$\{AWS::StackName\}-(?:temp|permanent|audit)-\$\{AWS::AccountId\})")


def with_region_in_bucket_names(template: Template) -> Template:
    """For stacks that are new: the names of buckets are those of all regions.

    Not by a parameter: the text of a bucket's name in a stack that is there is not to change, or CloudFormation would
    have to be trusted to see that the name does not.
    """
    named: Template = json.loads(_BUCKET_NAME.sub(r"\1-${AWS::Region}", json.dumps(template)))
    return named


def dumps(template: Template) -> str:
    """The template as CloudFormation takes it. Compact: 51,200 bytes can be sent without a bucket."""
    return json.dumps(template, separators=(",", ":"))
