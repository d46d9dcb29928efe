"""The part of the template that follows from the settings and from the registry of functions.

Knows CloudFormation's words for a parameter and for what each function has. The values that are the stack's own come
from environment.yaml, and what only one function has from functions.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.kernel.config import described
from chalicelib.kernel.setting import EVERY_FUNCTION, Setting
from infra.functions import FUNCTIONS, Function
from infra.template.tables import index_names

#: In environment.yaml, what every function gets.
ALL = "all"


def camel_case(variable: str) -> str:
    """The name of a variable as parameters and outputs of the stack have it."""
    return "".join(part.capitalize() for part in variable.split("_"))


def fragment(own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Parameters, functions and log groups.

    :param own: function's name or `all` -> variable -> value, as in environment.yaml.
    """
    unknown = set(own) - {ALL} - {function.name for function in FUNCTIONS}
    if unknown:
        raise ValueError(f"infra/functions.py has no function {', '.join(sorted(unknown))}")
    resources: dict[str, Any] = {}
    for function in FUNCTIONS:
        variables = {**own[ALL], **own.get(function.name, {}), **_chosen(function)}
        resources[function.logical_id] = {
            "DependsOn": function.logs,
            "Properties": {
                "FunctionName": {"Fn::Sub": f"${{AWS::StackName}}-{function.name}"},
                "Role": {"Fn::GetAtt": [function.role, "Arn"]},
                "MemorySize": function.memory_mb,
                "Timeout": function.timeout_seconds,
                "Tracing": {"Fn::If": ["IsTraced", "Active", "PassThrough"]},
                "Environment": {"Variables": variables},
            },
        }
        resources[function.logs] = _log_group(function)
    return {"Parameters": parameters(), "Resources": {**resources, **_index_alarms()}}


def parameters() -> dict[str, Any]:
    """Parameters of the stack that are settings of the application."""
    return {
        camel_case(variable): _parameter(setting)
        for variable, setting in described().items()
        if setting.parameter is not None
    }


def _parameter(setting: Setting) -> dict[str, Any]:
    how = setting.parameter
    assert how is not None
    default = setting.default if how.default is None else how.default
    made: dict[str, Any] = {"Type": "String", "Default": default}
    if how.pattern is not None:
        made |= {"Default": str(default), "AllowedPattern": how.pattern}
    elif setting.bounds is not None:
        low, high = setting.bounds
        made |= {"Type": "Number", "MinValue": low, "MaxValue": high if how.high is None else how.high}
    elif setting.choices:
        made["AllowedValues"] = list(setting.choices)
    if how.description is not None:
        made["Description"] = how.description
    return made


def _chosen(function: Function) -> dict[str, Any]:
    """The variables that take their value from a parameter."""
    return {
        variable: {"Ref": camel_case(variable)}
        for variable, setting in described().items()
        if setting.parameter is not None
        and (setting.parameter.functions == EVERY_FUNCTION or function.name in setting.parameter.functions)
    }


def _index_alarms() -> dict[str, Any]:
    """One alarm for each index of files: writes that an index refuses do not count at its table.

    One and not a sum of all: an emulator takes no alarm that computes, and AWS bills both by the metrics read.
    """
    return {
        f"FilesBy{camel_case(index.removeprefix('by_'))}ThrottlesAlarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmDescription": f'DynamoDB refuses writes to the index {index} of files. See "Hot counters".',
                "Namespace": "AWS/DynamoDB",
                "MetricName": "WriteThrottleEvents",
                "Dimensions": [
                    {"Name": "TableName", "Value": {"Ref": "FilesTable"}},
                    {"Name": "GlobalSecondaryIndexName", "Value": index},
                ],
                "Statistic": "Sum",
                "Period": 300,
                "EvaluationPeriods": 1,
                "Threshold": 0,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "notBreaching",
                "AlarmActions": [{"Ref": "AlarmTopic"}],
                "OKActions": [{"Ref": "AlarmTopic"}],
            },
        }
        for index in index_names("FilesTable")
    }


def _log_group(function: Function) -> dict[str, Any]:
    """The functions may write to it but not make one, so that no log is ever kept for ever."""
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": {"Fn::Sub": f"/aws/lambda/${{AWS::StackName}}-{function.name}"},
            "RetentionInDays": {"Ref": "LogRetentionDays"},
        },
    }
