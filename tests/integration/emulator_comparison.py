"""Run by the emulator's own Python: whether a Query is answered as MiniStack's unchanged code answers it.

Says how many answers were compared, and ends with an error at the first that differs.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

from ministack.services import dynamodb

from infra.local import emulator_queries

ROWS = 500
QUERIES = 600
STATUSES = ("open", "done")
VALUES = {"tenant_id": ("x", "y", "z"), "phase_name": STATUSES, "kind_name": ("k",)}
KEYS: dict[str | None, tuple[str, str | None]] = {
    None: ("tenant_id", "row_id"),
    "by-status": ("phase_name", "row_id"),
    "by-size": ("tenant_id", "byte_count"),
    "by-kind": ("kind_name", None),
    "keys-only": ("phase_name", "byte_count"),
}


def make_table() -> None:
    def schema(names: tuple[str, str | None]) -> list[dict[str, str]]:
        kinds = zip(names, ("HASH", "RANGE"), strict=True)
        return [{"AttributeName": name, "KeyType": kind} for name, kind in kinds if name]

    types = {"tenant_id": "S", "row_id": "S", "phase_name": "S", "byte_count": "N", "kind_name": "S"}
    dynamodb._create_table(
        {
            "TableName": "rows",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
            "KeySchema": schema(("tenant_id", "row_id")),
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": index,
                    "KeySchema": schema(names),
                    "Projection": {"ProjectionType": "KEYS_ONLY" if index == "keys-only" else "ALL"},
                }
                for index, names in KEYS.items()
                if index
            ],
        }
    )


def change(chance: random.Random) -> None:
    key = {"tenant_id": {"S": chance.choice(("x", "y"))}, "row_id": {"S": f"{chance.randrange(ROWS):04}"}}
    if chance.random() < 0.2:
        dynamodb._delete_item({"TableName": "rows", "Key": key})
        return
    more = {
        "phase_name": {"S": chance.choice(STATUSES)},
        "byte_count": {"N": str(chance.choice((-1.5, 0, 7, 1000, 123456)))},
        "kind_name": {"S": "k"},
        "text": {"S": "t" * chance.choice((1, 10, 6_000))},
    }
    item = {**key, **{name: value for name, value in more.items() if chance.random() < 0.9}}
    dynamodb._put_item({"TableName": "rows", "Item": item})


def bound(chance: random.Random, name: str) -> dict[str, str]:
    if name == "byte_count":
        return {"N": str(chance.choice((-2, -1.5, 0, 7, 500, 1000, 999999)))}
    return {"S": chance.choice(("0", "00", "03", "0300", "05", "0699", "9", f"{chance.randrange(ROWS):04}"))}


def condition(chance: random.Random, name: str) -> str:
    form = chance.choice(
        ("{} < :a", "{} <= :a", "{} = :a", "{} > :a", "{} >= :a", ":a < {}", ":a >= {}", "{} BETWEEN :a AND :b",
         "{} between :a and :b", "begins_with({}, :a)", "({} >= :a)", chance.choice(("{} <> :a", "contains({}, :a)")))
    )  # fmt: skip
    return form.format(name)


def request(chance: random.Random) -> dict[str, Any]:
    index = chance.choice(list(KEYS))
    partition, sort = KEYS[index]
    values = {":p": {"S": chance.choice(VALUES[partition])}}
    names = {"#p": partition} if chance.random() < 0.5 else {}
    asked = f"{'#p' if names else partition} = :p"
    if chance.random() < 0.7:
        name = sort or "row_id"
        alias = "#10" if chance.random() < 0.5 else name
        if alias != name:
            names |= {"#10": name}
        asked += f" AND {condition(chance, alias)}"
        values |= {f":{one}": bound(chance, name) for one in "ab" if f":{one}" in asked}
    made: dict[str, Any] = {"TableName": "rows", "KeyConditionExpression": asked, "ExpressionAttributeValues": values}
    if index:
        made["IndexName"] = index
    if names:
        made["ExpressionAttributeNames"] = names
    optional = {
        "Limit": chance.choice((*(1, 2, 20, 100, 5000) * 4, 0)),
        "ScanIndexForward": chance.random() < 0.5,
        "ReturnConsumedCapacity": "INDEXES",
        "ConsistentRead": index is None or chance.random() < 0.1,
        "FilterExpression": "attribute_exists(kind_name)",
        **chance.choice(({"ProjectionExpression": "row_id"}, {"Select": "COUNT"}, {"Select": "ALL_ATTRIBUTES"})),
    }
    return made | {name: value for name, value in optional.items() if chance.random() < 0.5}


def main() -> None:
    chance = random.Random(20261125)
    unchanged = dynamodb._query
    make_table()
    for _ in range(2 * ROWS):
        change(chance)
    changed = emulator_queries.Queries(dynamodb)
    narrowed = found = refused = further = 0
    asked, start_key = {}, None
    for _ in range(QUERIES):
        if start_key is not None and chance.random() < 0.7:
            asked = {**asked, "ExclusiveStartKey": start_key}
            further += 1
        else:
            asked = request(chance)
        narrowed += changed._narrowed(asked) is not None
        expected, got = unchanged(asked), dynamodb._query(asked)
        if (expected[0], expected[2]) != (got[0], got[2]):
            sys.exit(f"{json.dumps(asked)}\nexpected {str(expected)[:2000]}\ngot      {str(got)[:2000]}")
        answer = json.loads(got[2])
        found += bool(answer.get("Count"))
        refused += got[0] != 200
        start_key = answer.get("LastEvaluatedKey")
        change(chance)
    print(json.dumps({"narrowed": narrowed, "found": found, "refused": refused, "further": further}))


if __name__ == "__main__":
    main()
