"""Columns of a table, made from the fields of the record that its rows hold."""

import types
from dataclasses import MISSING, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pynamodb.attributes import Attribute, BooleanAttribute, NumberAttribute, UnicodeAttribute

_COLUMN_OF: dict[type, type[Attribute[Any]]] = {
    str: UnicodeAttribute,
    int: NumberAttribute,
    bool: BooleanAttribute,
}


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


def _plain_type(hint: Any) -> tuple[type, bool]:
    """``str | None`` -> (str, True); a Literal counts as the type of its values."""
    if get_origin(hint) in (Union, types.UnionType):
        [inner] = [part for part in get_args(hint) if part is not type(None)]
        return _plain_type(inner)[0], True
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0]), False
    return hint, False
