"""How large an item of DynamoDB is, and what writing it costs (AWS: "DynamoDB item sizes and formats")."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def size_bytes(item: dict[str, dict[str, Any]]) -> int:
    """:param item: attribute -> its value, as in DynamoDB's JSON."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def write_units(items: Iterable[dict[str, dict[str, Any]]], *, in_transaction: bool) -> int:
    """One for each kilobyte begun, in a transaction two."""
    return sum(math.ceil(size_bytes(item) / 1024) for item in items) * (2 if in_transaction else 1)


def _size(value: dict[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return math.ceil(len(content.lstrip("-0").replace(".", "")) / 2) + 1
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "L":
        return 3 + sum(1 + _size(element) for element in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _size(element) for name, element in content.items())
    if kind == "SS":
        return sum(len(element.encode()) for element in content)
    raise ValueError(f"{kind} is not a type that our tables have")
