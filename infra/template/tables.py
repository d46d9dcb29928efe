"""The tables of the template, made from the models whose rows they hold.

Every module of the application that is named `rows` or `…_rows` is read, and the ledger of the migrations. Two models
may be rows of one table. On demand: cost follows the requests, and there is no capacity to plan. Deletion protection is
set after the creation (infra/release.py): with it CloudFormation could not remove a table when the creation of the
stack fails, and the next creation would find that it exists.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

from pynamodb.models import Model

import chalicelib
from infra.migrations.ledger import LedgerRow

_WITH_KEY = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "TableKeyArn"}}


def table_models() -> list[type[Model]]:
    """Every model that the deployment has rows of, in the order of the modules' names."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(chalicelib.__path__, "chalicelib.")
        if re.search(r"\.(\w+_)?rows$", found.name)
    ]
    found = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module.__name__
    ]
    return [*found, LedgerRow]


def tables() -> dict[str, Any]:
    """Logical id -> the table as a resource of the template."""
    made: dict[str, Any] = {}
    for model in table_models():
        described: Any = model
        logical_id = "".join(part.capitalize() for part in described.Meta.table_name.split("-")) + "Table"
        resource = _table(described)
        known = made.setdefault(logical_id, resource)
        if known["Properties"]["KeySchema"] != resource["Properties"]["KeySchema"]:
            raise ValueError(f"{model.__name__} has other keys than the rest of its table")
        if len(resource["Properties"]) > len(known["Properties"]):
            # The model that has the table's indexes.
            made[logical_id] = resource
    return made


def table_names() -> list[str]:
    """Without the prefix of the deployment."""
    return [
        resource["Properties"]["TableName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
        for resource in tables().values()
    ]


def index_names(table: str) -> list[str]:
    """Of the table with this logical id."""
    return [index["IndexName"] for index in tables()[table]["Properties"].get("GlobalSecondaryIndexes", [])]


def _table(model: Any) -> dict[str, Any]:
    schema = model._get_schema()
    properties: dict[str, Any] = {
        "TableName": {"Fn::Sub": f"${{AWS::StackName}}-{model.Meta.table_name}"},
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": sorted(schema["attribute_definitions"], key=lambda known: str(known["AttributeName"])),
        "KeySchema": _keys(schema["key_schema"]),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        # Encrypted in any case: by default with a key that DynamoDB owns, which is free.
        "SSESpecification": {"Fn::If": ["HasTableKey", _WITH_KEY, {"Ref": "AWS::NoValue"}]},
    }
    if schema["global_secondary_indexes"]:
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index["index_name"],
                "KeySchema": _keys(index["key_schema"]),
                "Projection": index["projection"],
            }
            for index in schema["global_secondary_indexes"]
        ]
    expires = getattr(model.Meta, "expires_by", None)
    if expires is not None:
        properties["TimeToLiveSpecification"] = {"AttributeName": expires, "Enabled": True}
    stream = getattr(model.Meta, "stream", None)
    if stream is not None:
        properties["StreamSpecification"] = {"StreamViewType": stream}
    return {
        "Type": "AWS::DynamoDB::Table",
        # For a stage that is kept; infra/template/__init__.py relaxes it to Delete for the others.
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def _keys(schema: list[dict[str, str]]) -> list[dict[str, str]]:
    """HASH first, as CloudFormation demands."""
    return sorted(schema, key=lambda key: key["KeyType"])
