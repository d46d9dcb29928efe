"""Columns of a table, made from the fields of the record that its rows hold; and the record made of a row."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pynamodb.attributes import Attribute, BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import AttributeDeserializationError

#: A row as DynamoDB tells it: attribute -> {type: value}.
Item = Mapping[str, Mapping[str, Any]]
Record = TypeVar("Record")

_COLUMN_OF: dict[type, type[Attribute[Any]]] = {
    str: UnicodeAttribute,
    int: NumberAttribute,
    bool: BooleanAttribute,
}
#: How DynamoDB marks a value of this type, and what makes the value of it.
_READ_AS: dict[type, tuple[str, Callable[[Any], Any]]] = {str: ("S", str), int: ("N", int), bool: ("BOOL", bool)}


def columns_of(record_type: type, *, partition_key: str, sort_key: str) -> dict[str, Attribute[Any]]:
    """A PynamoDB attribute for each field: of its type, optional where it may be None, with its default.

    :raises KeyError: a field has a type for which there is no column.
    """
    hints = get_type_hints(record_type)
    columns: dict[str, Attribute[Any]] = {}
    for field in fields(record_type):
        kind, optional = _plain_type(hints[field.name])
        options: dict[str, Any] = {"hash_key": field.name == partition_key, "range_key": field.name == sort_key}
        if optional:
            options["null"] = True
        elif field.default is not MISSING:
            options["default"] = field.default
        columns[field.name] = _COLUMN_OF[kind](**options)
    return columns


def reader_of(record_type: Callable[..., Record]) -> Callable[[Item], Record]:
    """What makes a record of a row as DynamoDB tells it, without a model in between: a list is a hundred rows.

    Absent attributes have the field's default, or None, as in a model. The function that is returned raises
    :class:`AttributeDeserializationError` when an attribute has a type that its column does not have.
    """
    hints = get_type_hints(record_type)
    plan = []
    for field in fields(record_type):  # type: ignore[arg-type]
        mark, make = _READ_AS[_plain_type(hints[field.name])[0]]
        plan.append((field.name, mark, make, None if field.default is MISSING else field.default))

    def read(item: Item) -> Record:
        values = {}
        for name, mark, make, absent in plan:
            held = item.get(name)
            if held is None or "NULL" in held:
                values[name] = absent
            elif mark in held:
                values[name] = make(held[mark])
            else:
                raise AttributeDeserializationError(name, mark)
        return record_type(**values)

    return read


def _plain_type(hint: Any) -> tuple[type, bool]:
    """``str | None`` -> (str, True); a Literal counts as the type of its values."""
    if get_origin(hint) in (Union, types.UnionType):
        [inner] = [part for part in get_args(hint) if part is not type(None)]
        return _plain_type(inner)[0], True
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0]), False
    return hint, False
