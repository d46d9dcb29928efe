"""List cursors: what goes in comes out, and nothing else does."""

from __future__ import annotations

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.files.cursors import make_cursor, read_cursor
from chalicelib.kernel.errors import BadInput

ORGANIZATIONS = st.uuids().map(str)
STATUSES = st.sampled_from([None, "pending", "processing", "completed", "failed"])
TYPES = st.one_of(st.none(), st.from_regex(r"[a-z0-9.+-]{1,20}/[a-z0-9.+-]{1,20}", fullmatch=True))
IDS = st.uuids().map(str)


@given(ORGANIZATIONS, STATUSES, TYPES, IDS)
def test_round_trip(organization: str, status: str | None, mime_type: str | None, last_id: str) -> None:
    cursor = make_cursor(organization, status, mime_type, last_id)
    assert read_cursor(organization, status, mime_type, cursor) == last_id
    assert cursor.isascii()
    assert last_id not in cursor


@given(ORGANIZATIONS, STATUSES, TYPES, STATUSES, TYPES, IDS)
def test_other_filters_are_refused(
    organization: str,
    status: str | None,
    mime_type: str | None,
    other_status: str | None,
    other_type: str | None,
    last_id: str,
) -> None:
    assume((status, mime_type) != (other_status, other_type))
    cursor = make_cursor(organization, status, mime_type, last_id)
    with pytest.raises(BadInput):
        read_cursor(organization, other_status, other_type, cursor)


@given(ORGANIZATIONS, ORGANIZATIONS, IDS)
def test_other_organization_is_refused(organization: str, other: str, last_id: str) -> None:
    assume(organization != other)
    cursor = make_cursor(organization, None, None, last_id)
    with pytest.raises(BadInput):
        read_cursor(other, None, None, cursor)


@given(ORGANIZATIONS, IDS)
def test_every_flipped_bit_is_refused(organization: str, last_id: str) -> None:
    cursor = make_cursor(organization, None, None, last_id)
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for position in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[position // 8] ^= 1 << position % 8
        tampered = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        with pytest.raises(BadInput):
            read_cursor(organization, None, None, tampered)


@given(ORGANIZATIONS, IDS, st.integers(0, 200), st.characters())
def test_every_changed_character_is_refused(organization: str, last_id: str, position: int, character: str) -> None:
    cursor = make_cursor(organization, None, None, last_id)
    position %= len(cursor)
    for changed in (
        cursor[:position] + character + cursor[position + 1 :],
        cursor[:position] + character + cursor[position:],
        cursor[:position] + cursor[position + 1 :],
        cursor[:position],
    ):
        if changed != cursor:
            with pytest.raises(BadInput):
                read_cursor(organization, None, None, changed)


@given(
    ORGANIZATIONS,
    st.one_of(st.text(max_size=100), st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode())),
)
def test_anything_else_is_refused(organization: str, text: str) -> None:
    with pytest.raises(BadInput):
        read_cursor(organization, None, None, text)


@given(ORGANIZATIONS, IDS)
def test_other_spelling_of_the_same_bytes_is_refused(organization: str, last_id: str) -> None:
    """The last character of the text has two bits to spare, and padding is optional to whoever decodes."""
    cursor = make_cursor(organization, None, None, last_id)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for spelling in (cursor + "=", *(cursor[:-1] + last for last in alphabet if last != cursor[-1])):
        with pytest.raises(BadInput):
            read_cursor(organization, None, None, spelling)
