"""List cursors: what goes in comes out, and nothing else does."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.files.cursors import make_cursor, read_cursor
from chalicelib.kernel.errors import BadInput
from chalicelib.tenants.organization import Organization, Policy, Usage


def an_organization(organization_id: object, cursor_key: bytes) -> Organization:
    return Organization(
        organization_id=str(organization_id),
        name="n",
        created_at="2026-01-01T00:00:00Z",
        quota_bytes=0,
        quota_files=0,
        usage=Usage(bytes_used=0, bytes_available=0, files_used=0, files_available=0),
        policy=Policy(),
        counts={},
        counter_changes=0,
        cursor_key=cursor_key,
    )


ORGANIZATIONS = st.builds(an_organization, st.uuids(), st.binary(min_size=32, max_size=32))
STATUSES = st.sampled_from([None, "pending", "processing", "completed", "failed"])
TYPES = st.one_of(st.none(), st.from_regex(r"[a-z0-9.+-]{1,20}/[a-z0-9.+-]{1,20}", fullmatch=True))
IDS = st.uuids().map(str)


@given(ORGANIZATIONS, STATUSES, TYPES, IDS)
def test_round_trip(organization: Organization, status: str | None, mime_type: str | None, last_id: str) -> None:
    cursor = make_cursor(organization, status, mime_type, last_id)
    assert read_cursor(organization, status, mime_type, cursor) == last_id
    assert cursor.isascii()
    assert last_id not in cursor


@given(ORGANIZATIONS, STATUSES, TYPES, STATUSES, TYPES, IDS)
def test_other_filters_are_refused(
    organization: Organization,
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
def test_other_organization_is_refused_even_with_the_same_key(
    organization: Organization, other: Organization, last_id: str
) -> None:
    assume(organization.organization_id != other.organization_id)
    cursor = make_cursor(organization, None, None, last_id)
    for reader in (other, replace(other, cursor_key=organization.cursor_key)):
        with pytest.raises(BadInput):
            read_cursor(reader, None, None, cursor)


@given(ORGANIZATIONS, IDS)
def test_every_flipped_bit_is_refused(organization: Organization, last_id: str) -> None:
    cursor = make_cursor(organization, None, None, last_id)
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for position in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[position // 8] ^= 1 << position % 8
        tampered = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        with pytest.raises(BadInput):
            read_cursor(organization, None, None, tampered)


@given(ORGANIZATIONS, IDS, st.integers(0, 200), st.characters())
def test_every_changed_character_is_refused(
    organization: Organization, last_id: str, position: int, character: str
) -> None:
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
def test_anything_else_is_refused(organization: Organization, text: str) -> None:
    with pytest.raises(BadInput):
        read_cursor(organization, None, None, text)


@given(ORGANIZATIONS, IDS)
def test_other_spelling_of_the_same_bytes_is_refused(organization: Organization, last_id: str) -> None:
    """The last character of the text has two bits to spare, and padding is optional to whoever decodes."""
    cursor = make_cursor(organization, None, None, last_id)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for spelling in (cursor + "=", *(cursor[:-1] + last for last in alphabet if last != cursor[-1])):
        with pytest.raises(BadInput):
            read_cursor(organization, None, None, spelling)


def test_key_and_its_text_are_not_shown() -> None:
    organization = an_organization(uuid.uuid4(), b"very secret key")
    assert "secret" not in repr(organization)
