"""MiniStack's Query, without sorting the partition at each one. Run by the emulator's own Python.

It copies all rows of a partition into a list, sorts it, compares each row with the condition and takes a page: seconds
for 100,000 rows. Here the keys of a large partition are kept sorted, and MiniStack's own function is given a table that
has only the rows that the page can consist of. So what it answers is its own; what it would not find is left out.
Where a request is not understood here, it gets the whole table.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import FunctionType
from typing import Any

#: Smaller partitions are sorted by MiniStack.
SMALL_PARTITION_ROWS = 100

Table = dict[str, Any]
#: What is sorted by, and the row's own key.
Entry = tuple[tuple[Any, ...], Any, Any]


@dataclass(frozen=True)
class Order:
    """How an index, or the table itself, divides and sorts rows.

    :param index: None for the table.
    :param sort_name: None for an index without a sort key.
    :param names: name and type of each attribute that is sorted by.
    """

    index: str | None
    partition_name: str
    sort_name: str | None
    names: tuple[tuple[str, str], ...]


class Sorted:
    """The sorted keys of the large partitions of one table that have been asked for."""

    def __init__(self, dynamodb: Any, table: Table) -> None:
        self._dynamodb = dynamodb
        self.table = table
        self._partitions: dict[tuple[Order, Any], list[Entry]] = {}

    def partition(self, order: Order, value: Any) -> list[Entry] | None:
        """None when it is small."""
        found = self._partitions.get((order, value))
        if found is None:
            keys = self._keys_of(order, value)
            if len(keys) <= SMALL_PARTITION_ROWS:
                return None
            items = self.table["items"]
            found = sorted(self._entry(order, items[base][sort], base, sort) for base, sort in keys)
            self._partitions[order, value] = found
        return found

    def change(self, base: Any, sort: Any, before: Any, after: Any) -> None:
        """:param before: the row as it was, or None; ``after`` likewise."""
        for order in {order for order, _ in self._partitions}:
            left, entered = (self._place(order, item, base, sort) for item in (before, after))
            if left == entered:
                continue
            if left is not None:
                entries = self._partitions.get((order, left[0]), [])
                at = bisect_left(entries, left[1])
                if at < len(entries) and entries[at] == left[1]:
                    del entries[at]
            if entered is not None and (order, entered[0]) in self._partitions:
                insort(self._partitions[order, entered[0]], entered[1])

    def _place(self, order: Order, item: Any, base: Any, sort: Any) -> tuple[Any, Entry] | None:
        names = [order.partition_name] if order.sort_name is None else [order.partition_name, order.sort_name]
        if item is None or any(name not in item for name in names):
            return None
        return self._dynamodb._extract_key_val(item[order.partition_name]), self._entry(order, item, base, sort)

    def _keys_of(self, order: Order, value: Any) -> list[tuple[Any, Any]]:
        if order.index is None:
            return [(value, sort) for sort in self.table["items"].get(value, ())]
        return list(self._dynamodb._index_members(self.table).get(order.index, {}).get(value, ()))

    def _entry(self, order: Order, item: Any, base: Any, sort: Any) -> Entry:
        value = self._dynamodb._index_order_value
        return tuple(value(item, name, kind) for name, kind in order.names), base, sort


class Queries:
    """MiniStack's Query from now on."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self._sorted: dict[int, Sorted] = {}
        self._query = dynamodb._query
        self._set_item, self._remove_item = dynamodb._set_item, dynamodb._remove_item
        self._items_replaced = dynamodb._items_replaced
        dynamodb._query = self.query
        dynamodb._set_item, dynamodb._remove_item = self._on_set, self._on_remove
        dynamodb._items_replaced = self._on_replaced

    def query(self, request: dict[str, Any]) -> Any:
        narrowed = self._narrowed(request)
        if narrowed is None:
            return self._query(request)
        # The same code, for which this is the only table.
        only = {**self._query.__globals__, "_tables": _OneTable(narrowed)}
        return FunctionType(self._query.__code__, only)(request)

    def _on_set(self, table: Table, base: Any, sort: Any, item: Any) -> Any:
        before = self._set_item(table, base, sort, item)
        self._change(table, base, sort, before, item)
        return before

    def _on_remove(self, table: Table, base: Any, sort: Any) -> Any:
        before = self._remove_item(table, base, sort)
        self._change(table, base, sort, before, None)
        return before

    def _change(self, table: Table, base: Any, sort: Any, before: Any, after: Any) -> None:
        known = self._sorted.get(id(table))
        if known is not None and known.table is table:
            known.change(base, sort, before, after)

    def _on_replaced(self, table: Table) -> None:
        self._sorted.pop(id(table), None)
        self._items_replaced(table)

    def _narrowed(self, request: dict[str, Any]) -> Table | None:
        """The table with no rows but those that can be in the page; None where that is not known."""
        condition, index = request.get("KeyConditionExpression"), request.get("IndexName")
        table = self._dynamodb._tables.get(self._dynamodb._normalize_table_name(request.get("TableName")))
        if not isinstance(condition, str) or not condition.strip() or table is None:
            return None
        order = self._order(table, index)
        if order is None:
            return None
        names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
        value = self._dynamodb._extract_pk_from_condition(condition, values, names, order.partition_name)
        entries = self._known(table).partition(order, value)
        if entries is None:
            return None
        found = self._range(order, entries, condition, names, values)
        if found is None:
            return None
        first, end = self._after_start_key(order, entries, request, *found)
        forward = request.get("ScanIndexForward", True)
        numbers = range(first, end) if forward else range(end - 1, first - 1, -1)
        page = list(self._page(table, index, (entries[number] for number in numbers), request.get("Limit")))
        # Some faults of a request are found only when a row is compared with it; this one it lets fall.
        return _with_rows(table, index, value, page or entries[:1])

    def _known(self, table: Table) -> Sorted:
        known = self._sorted.get(id(table))
        if known is None or known.table is not table:
            known = self._sorted[id(table)] = Sorted(self._dynamodb, table)
        return known

    def _order(self, table: Table, index: str | None) -> Order | None:
        if index is None:
            partitions, sorts = [table["pk_name"]], [table["sk_name"]]
            if not table["sk_name"]:
                return None
        else:
            definition = self._dynamodb._index_def(table, index)
            if definition is None:
                return None
            partitions, sorts = self._dynamodb._index_key_lists(definition)
        if len(partitions) != 1 or len(sorts) > 1:
            return None
        names = tuple(self._dynamodb._index_order_keys(table, sorts))
        return Order(index, partitions[0], sorts[0] if sorts else None, names)

    def _range(
        self, order: Order, entries: list[Entry], condition: str, names: dict[str, str], values: dict[str, Any]
    ) -> tuple[int, int] | None:
        """Where the entries begin and end that the condition on the sort key lets through."""
        everything = 0, len(entries)
        if order.sort_name is None:
            return everything
        mentions = [order.sort_name, *(alias for alias, name in names.items() if name == order.sort_name)]
        named = [name for name in mentions if re.search(rf"(?<![\w#:.]){re.escape(name)}(?!\w)", condition)]
        if not named:
            return everything
        if len(named) > 1:
            return None
        kind = order.names[0][1]

        def bound(reference: str) -> Any:
            return self._dynamodb._sort_key_value(values[reference], kind)

        def at(reference: str, *, after: bool) -> int:
            cut = bisect_right if after else bisect_left
            return cut(entries, bound(reference), key=_sort_value)

        name = re.escape(named[0])
        try:
            if found := re.search(rf"(?:^|[\s(]){name}\s*(<=|>=|=|<|>)\s*(:\w+)", condition):
                operator, reference = found.groups()
            elif found := re.search(rf"(:\w+)\s*(<=|>=|=|<|>)\s*{name}(?:$|[\s)])", condition):
                reference, operator = found[1], found[2].translate(str.maketrans("<>", "><"))
            elif found := re.search(rf"{name}\s+BETWEEN\s+(:\w+)\s+AND\s+(:\w+)", condition, re.IGNORECASE):
                return at(found[1], after=False), at(found[2], after=True)
            elif found := re.search(rf"begins_with\s*\(\s*{name}\s*,\s*(:\w+)\s*\)", condition, re.IGNORECASE):
                prefix, first = bound(found[1]), at(found[1], after=False)
                return first, bisect_right(entries, prefix, first, key=lambda one: _sort_value(one)[: len(prefix)])
            else:
                return None
            first = at(reference, after=operator == ">") if operator in (">", ">=", "=") else 0
            end = at(reference, after=operator != "<") if operator in ("<", "<=", "=") else len(entries)
        except (KeyError, TypeError):
            # Left to MiniStack to refuse.
            return None
        return first, end

    def _after_start_key(
        self, order: Order, entries: list[Entry], request: dict[str, Any], first: int, end: int
    ) -> tuple[int, int]:
        start_key = request.get("ExclusiveStartKey")
        if not isinstance(start_key, dict) or not start_key:
            return first, end
        cursor = tuple(self._dynamodb._index_order_value(start_key, name, kind) for name, kind in order.names)
        if request.get("ScanIndexForward", True):
            return max(first, bisect_right(entries, cursor, key=_sorted_by)), end
        return first, min(end, bisect_left(entries, cursor, key=_sorted_by))

    def _page(self, table: Table, index: str | None, entries: Iterator[Entry], limit: Any) -> Iterator[Entry]:
        """One more than MiniStack takes, by its own limits, so that it finds that there are more."""
        most = int(limit) if str(limit).isdigit() else None
        left = self._dynamodb._DDB_PAGE_SIZE_BYTES
        for entry in islice(entries, None if most is None else most + 1):
            yield entry
            if left < 0:
                return
            item = _row(table, entry)
            read = self._dynamodb._apply_index_projection(item, table, index) if index else item
            left -= self._dynamodb._item_size_bytes(read)


class _OneTable:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, *_: Any) -> Table:
        return self._table


def _with_rows(table: Table, index: str | None, value: Any, entries: list[Entry]) -> Table:
    items: dict[Any, dict[Any, Any]] = {}
    members: dict[tuple[Any, Any], None] = {}
    for entry in entries:
        _, base, sort = entry
        items.setdefault(base, {})[sort] = _row(table, entry)
        members[base, sort] = None
    return {**table, "items": items, "_index_members": {index: {value: members}}}


def _row(table: Table, entry: Entry) -> Any:
    # Rows that have expired are removed by a thread of MiniStack's.
    return table["items"].get(entry[1], {}).get(entry[2], {})


def _sorted_by(entry: Entry) -> tuple[Any, ...]:
    return entry[0]


def _sort_value(entry: Entry) -> Any:
    return entry[0][0]
