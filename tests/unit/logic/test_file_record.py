"""The file record is described once; row, JSON, schema and reset follow from it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import jsonschema_rs
import pytest
from pynamodb.exceptions import AttributeDeserializationError

from chalicelib.files.record import File
from chalicelib.kernel.fields import json_schema, resets, shown, to_json
from chalicelib.platform.columns import columns_of, reader_of
from tests.unit.world import World


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A record with each kind of field."""

    depot: str
    parcel_id: str = shown({"type": "string"}, name="id")
    status: Literal["open", "lost"] = shown({"type": "string"})
    grams: int = shown({"type": ["integer", "null"]}, null_unless="is_weighed")
    loss: str | None = shown({"type": "string"}, default=None, reset=True, only_of="lost")
    is_weighed: bool = False
    tries: int | None = None


PARCEL = Parcel(depot="d", parcel_id="1", status="open", grams=5)


def test_only_shown_fields_are_in_the_json_and_by_their_public_names() -> None:
    assert to_json(replace(PARCEL, is_weighed=True)) == {"id": "1", "status": "open", "grams": 5}


def test_value_is_null_while_it_is_not_known() -> None:
    assert to_json(PARCEL)["grams"] is None


def test_field_of_one_status_is_shown_with_that_status_only() -> None:
    assert "loss" not in to_json(replace(PARCEL, loss="fell off"))
    assert to_json(replace(PARCEL, status="lost", loss="fell off"))["loss"] == "fell off"


@pytest.mark.parametrize(
    ("answer", "fits"),
    [
        ({"id": "1", "status": "open", "grams": None}, True),
        ({"id": "1", "status": "lost", "grams": 1, "loss": "x"}, True),
        ({"id": "1", "status": "lost", "grams": 1}, False),
        ({"id": "1", "status": "open", "grams": 1, "loss": "x"}, False),
        ({"id": "1", "status": "open"}, False),
    ],
)
def test_schema_tells_what_the_json_has(answer: dict[str, Any], fits: bool) -> None:
    assert jsonschema_rs.Draft202012Validator(json_schema(Parcel)).is_valid(answer) is fits


def test_columns_have_the_types_of_the_fields() -> None:
    columns = columns_of(Parcel, partition_key="depot", sort_key="parcel_id")
    assert {name: column.attr_type for name, column in columns.items()} == {
        "depot": "S",
        "parcel_id": "S",
        "status": "S",
        "grams": "N",
        "loss": "S",
        "is_weighed": "BOOL",
        "tries": "N",
    }
    assert [name for name, column in columns.items() if column.is_hash_key] == ["depot"]
    assert [name for name, column in columns.items() if column.is_range_key] == ["parcel_id"]
    assert {name for name, column in columns.items() if column.null} == {"loss", "tries"}


def test_new_attempt_starts_without_what_the_last_one_found() -> None:
    assert resets(Parcel) == {"loss": None}


def test_each_field_of_a_file_survives_its_row(world: World) -> None:
    """Each with a value that is not its default, so that one that is not stored is seen."""
    kinds: dict[str, Any] = {"str": "text", "int": 7, "bool": True}
    given: dict[str, Any] = {}
    for field in fields(File):
        kind = str(field.type).removesuffix(" | None")
        value = kinds.get(getattr(field.type, "__name__", kind), "pending" if field.name == "status" else "post")
        given[field.name] = (not field.default) if isinstance(field.default, bool) else value
    given["organization_id"] = world.organization().organization_id
    written = world.stores.files.create(File(**given))
    assert world.stores.files.find(written.organization_id, written.file_id) == written
    assert all(
        getattr(written, f.name) != f.default for f in fields(File) if f.name not in ("version", "listed_as_open")
    )


ITEM: dict[str, dict[str, Any]] = {
    "depot": {"S": "d"},
    "parcel_id": {"S": "1"},
    "status": {"S": "open"},
    "grams": {"N": "5"},
}


def test_record_is_read_of_a_row_with_the_defaults_of_absent_attributes() -> None:
    read = reader_of(Parcel)
    assert read(ITEM) == PARCEL
    row = {**ITEM, "loss": {"NULL": True}, "is_weighed": {"BOOL": True}, "tries": {"N": "2"}, "unknown": {"L": []}}
    assert read(row) == replace(PARCEL, is_weighed=True, tries=2)


def test_attribute_of_another_type_is_not_read() -> None:
    with pytest.raises(AttributeDeserializationError, match="'grams'"):
        reader_of(Parcel)({**ITEM, "grams": {"S": "five"}})
