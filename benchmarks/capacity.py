"""Capacity units of DynamoDB, counted from the requests that are really sent.

The rules are those of AWS's pages "DynamoDB read and write operations", "Amazon DynamoDB Transactions: How it works"
and "Using Global Secondary Indexes": a write costs a unit for each kilobyte begun of the larger of the item before and
after, in a transaction two; an index costs a unit for each entry that is put, rewritten or deleted, and two when its
key changes; a consistent read costs a unit for each 4 KB begun, in a transaction two, and half of it when it may lag.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.awsrequest import AWSPreparedRequest

from infra.template.tables import tables
from tests.aws_calls import listening
from tests.item_size import size_bytes

Item = dict[str, dict[str, Any]]
WRITE_BYTES = 1024
READ_BYTES = 4096


class Reader(Protocol):
    """Reads tables behind the back of what is counted."""

    def get_item(self, **request: Any) -> Any: ...
    def query(self, **request: Any) -> Any: ...


@dataclass(frozen=True)
class Index:
    name: str
    keys: tuple[str, ...]
    #: None: all attributes.
    projected: frozenset[str] | None


@dataclass(frozen=True)
class Use:
    """What one item, or one read, costs."""

    step: str
    table: str
    #: Of the table's own item.
    item_units: int = 0
    #: By the index.
    index_units: tuple[tuple[str, int], ...] = ()
    read_units: float = 0
    after: Item | None = None

    @property
    def write_units(self) -> int:
        return self.item_units + sum(units for _, units in self.index_units)


@dataclass
class _Write:
    step: str
    table: str
    key: Item
    before: Item | None
    in_transaction: bool


def index_units(index: Index, before: Item | None, after: Item | None) -> int:
    """Of one index, for the change of an item from one form to the other; None where there is no item."""
    was, now = _entry(index, before), _entry(index, after)
    if was == now:
        return 0
    if was is None or now is None:
        return _kilobytes(was or now or {})
    if any(was[key] != now[key] for key in index.keys):
        return _kilobytes(was) + _kilobytes(now)
    return max(_kilobytes(was), _kilobytes(now))


def item_units(before: Item | None, after: Item | None, *, in_transaction: bool) -> int:
    return max(_kilobytes(before or {}), _kilobytes(after or {})) * (2 if in_transaction else 1)


class Meter:
    """Counts what is sent within :meth:`step`. For one thread."""

    def __init__(self, reader: Reader, table_prefix: str) -> None:
        self.uses: list[Use] = []
        #: ``(step, call)`` -> the step that begins with this call.
        self.turns: dict[tuple[str, str], str] = {}
        #: ``(step, service.Operation)`` of every call, DynamoDB's too.
        self.calls: list[tuple[str, str]] = []
        self._reader = reader
        self._prefix = f"{table_prefix}-"
        self._pending: list[_Write] = []
        self._step = ""
        self._reading = False
        self._keys, self._indexes = _shapes()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """:param name: of what goes on meanwhile."""
        self._step = name
        with listening(self._hear):
            yield
            self._settle()

    def _hear(self, operation: str, request: AWSPreparedRequest) -> None:
        if self._reading:
            return
        self._settle()
        self._step = self.turns.get((self._step, operation), self._step)
        self.calls.append((self._step, operation))
        service, _, name = operation.partition(".")
        if service == "dynamodb":
            body = json.loads(_text(request.body))
            _OF_OPERATION[name](self, body)

    # ---- writes ----------------------------------------------------------------------------------------------------
    def _write(self, table: str, key_or_item: Item, *, in_transaction: bool = False) -> None:
        name = table.removeprefix(self._prefix)
        key = {attribute: key_or_item[attribute] for attribute in self._keys[name]}
        self._pending.append(_Write(self._step, name, key, self._item(name, key), in_transaction))

    def _settle(self) -> None:
        """The request before is done: its items are now as it left them."""
        pending, self._pending = self._pending, []
        for write in pending:
            after = self._item(write.table, write.key)
            of_indexes = tuple(
                (index.name, index_units(index, write.before, after)) for index in self._indexes[write.table]
            )
            units = item_units(write.before, after, in_transaction=write.in_transaction)
            self.uses.append(Use(write.step, write.table, units, of_indexes, after=after))

    def _one_write(self, body: dict[str, Any]) -> None:
        self._write(body["TableName"], body.get("Item") or body["Key"])

    def _transaction(self, body: dict[str, Any]) -> None:
        for action in body["TransactItems"]:
            ((_, asked),) = action.items()
            self._write(asked["TableName"], asked.get("Item") or asked["Key"], in_transaction=True)

    # ---- reads -----------------------------------------------------------------------------------------------------
    def _read(self, table: str, bytes_read: int, factor: float) -> None:
        units = max(1, math.ceil(bytes_read / READ_BYTES)) * factor
        self.uses.append(Use(self._step, table.removeprefix(self._prefix), read_units=units))

    def _get(self, body: dict[str, Any]) -> None:
        item = self._item(body["TableName"].removeprefix(self._prefix), body["Key"])
        self._read(body["TableName"], size_bytes(item or {}), _factor(body))

    def _get_in_transaction(self, body: dict[str, Any]) -> None:
        for asked in (action["Get"] for action in body["TransactItems"]):
            item = self._item(asked["TableName"].removeprefix(self._prefix), asked["Key"])
            self._read(asked["TableName"], size_bytes(item or {}), 2)

    def _query(self, body: dict[str, Any]) -> None:
        asked = {name: value for name, value in body.items() if name not in ("Select", "ReturnConsumedCapacity")}
        with self._behind_the_back():
            found = self._reader.query(**asked)["Items"]
        self._read(body["TableName"], sum(map(size_bytes, found)), _factor(body))

    def _item(self, table: str, key: Item) -> Item | None:
        with self._behind_the_back():
            found: Item | None = self._reader.get_item(
                TableName=self._prefix + table, Key=key, ConsistentRead=True
            ).get("Item")
        return found

    @contextmanager
    def _behind_the_back(self) -> Iterator[None]:
        self._reading = True
        try:
            yield
        finally:
            self._reading = False


#: Whatever else is sent fails here, and gets its rule then.
_OF_OPERATION: dict[str, Callable[[Meter, dict[str, Any]], None]] = {
    "PutItem": Meter._one_write,
    "UpdateItem": Meter._one_write,
    "DeleteItem": Meter._one_write,
    "TransactWriteItems": Meter._transaction,
    "GetItem": Meter._get,
    "TransactGetItems": Meter._get_in_transaction,
    "Query": Meter._query,
}


def _text(body: Any) -> str | bytes:
    """The AWS client sends DynamoDB no streams."""
    assert isinstance(body, str | bytes)
    return body


def _factor(body: dict[str, Any]) -> float:
    return 1 if body.get("ConsistentRead") else 0.5


def _shapes() -> tuple[dict[str, tuple[str, ...]], dict[str, list[Index]]]:
    """The attributes of the key, and the indexes, of each table."""
    keys, indexes = {}, {}
    for resource in tables().values():
        properties = resource["Properties"]
        name = properties["TableName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
        own = keys[name] = _names(properties["KeySchema"])
        indexes[name] = [_index(described, own) for described in properties.get("GlobalSecondaryIndexes", [])]
    return keys, indexes


def _index(described: dict[str, Any], own: tuple[str, ...]) -> Index:
    names, projection = _names(described["KeySchema"]), described["Projection"]
    if projection["ProjectionType"] == "ALL":
        return Index(described["IndexName"], names, None)
    return Index(described["IndexName"], names, frozenset({*own, *names, *projection.get("NonKeyAttributes", ())}))


def _names(schema: list[dict[str, str]]) -> tuple[str, ...]:
    return tuple(key["AttributeName"] for key in schema)


def _entry(index: Index, item: Item | None) -> Item | None:
    """What the index holds of an item; None where it has no entry, because a key is absent."""
    if item is None or any("S" not in item.get(key, {}) and "N" not in item.get(key, {}) for key in index.keys):
        return None
    return {name: value for name, value in item.items() if index.projected is None or name in index.projected}


def _kilobytes(item: Item) -> int:
    return max(1, math.ceil(size_bytes(item) / WRITE_BYTES))
