"""Fields of a record that describe themselves: how they stand in JSON, and whether a new attempt resets them.

Row, JSON, OpenAPI schema and reset follow from this description, so that a new field is written down once.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any

_SHOWN, _RESET = "shown", "reset"

NULLABLE_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}


@dataclass(frozen=True)
class Shown:
    """How a field stands in the JSON record.

    :param schema: JSON Schema of the value.
    :param name: in JSON, where it is not the field's own.
    :param null_unless: a field of the record; while that is false, the value is shown as null.
    :param required: False for a field that came later: events that were written before do not have it.
    :param only_of: the value of ``status`` with which the field is shown at all; None shows it always.
    """

    schema: Mapping[str, Any]
    name: str | None = None
    null_unless: str | None = None
    only_of: str | None = None
    required: bool = True


def shown(schema: Mapping[str, Any], *, default: Any = MISSING, reset: bool = False, **how: Any) -> Any:
    """A field that the JSON record has. ``how`` are the parameters of :class:`Shown`."""
    return field(default=default, metadata={_SHOWN: Shown(schema, **how), _RESET: reset})


class ShownProperty(property):
    """A value that the JSON record has and that is computed from the fields."""

    how: Shown


def shown_property(schema: Mapping[str, Any], **how: Any) -> Callable[[Callable[[Any], Any]], ShownProperty]:
    """Decorates what computes it, which stands after the fields. ``how`` are the parameters of :class:`Shown`."""

    def make(compute: Callable[[Any], Any]) -> ShownProperty:
        made = ShownProperty(compute)
        made.how = Shown(schema, **how)
        return made

    return make


def resets(record_type: type) -> dict[str, Any]:
    """Field -> its default, of each field that a new attempt at processing starts without."""
    return {f.name: f.default for f in fields(record_type) if f.metadata.get(_RESET)}


def to_json(record: Any) -> dict[str, Any]:
    """The record as the contract shows it."""
    shape: dict[str, Any] = {}
    kind: Any = type(record)
    for name, how in _shown_fields(kind):
        if how.only_of in (None, record.status):
            hidden = how.null_unless is not None and not getattr(record, how.null_unless)
            shape[how.name or name] = None if hidden else getattr(record, name)
    return shape


def json_schema(record_type: type) -> dict[str, Any]:
    """JSON Schema of what :func:`to_json` makes, as a component of the OpenAPI document."""
    shown_fields = [(how.name or name, how) for name, how in _shown_fields(record_type)]
    schema: dict[str, Any] = {
        "type": "object",
        "required": [name for name, how in shown_fields if how.only_of is None and how.required],
        "properties": {name: dict(how.schema) for name, how in shown_fields},
    }
    for name, how in shown_fields:
        if how.only_of is not None:
            schema.setdefault("allOf", []).append(
                {
                    "if": {"properties": {"status": {"const": how.only_of}}},
                    "then": {"required": [name]},
                    "else": {"properties": {name: False}},
                }
            )
    return schema


@cache
def _shown_fields(record_type: Any) -> list[tuple[str, Shown]]:
    computed = [(name, made.how) for name, made in vars(record_type).items() if isinstance(made, ShownProperty)]
    return [(f.name, f.metadata[_SHOWN]) for f in fields(record_type) if _SHOWN in f.metadata] + computed
