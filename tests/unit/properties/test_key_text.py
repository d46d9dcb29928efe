"""The text of an API key: what is made can be read again, and nothing else can."""

from __future__ import annotations

import re
import string
import uuid

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.accounts.sessions import TOKEN_BYTES
from chalicelib.api_keys import key_text
from chalicelib.kernel.logs import mask

ORGANIZATIONS = st.uuids(version=None).map(str)
CHARACTERS = string.ascii_letters + string.digits
NOBODY = str(uuid.UUID(int=0))


def new_key(organization_id: str) -> str:
    return key_text.new_text(key_text.new_key_id(organization_id))


@given(ORGANIZATIONS)
def test_what_is_made_is_read_again(organization_id: str) -> None:
    key_id = key_text.new_key_id(organization_id)
    text = key_text.new_text(key_id)
    parsed = key_text.parse(text)
    assert parsed == key_text.KeyText(organization_id, key_id, text)
    assert re.fullmatch(key_text.PATTERN, text)
    assert key_text.organization_of(key_id) == organization_id
    assert text.startswith(key_text.shown_prefix(key_id))
    assert key_text.is_meant_as_key(text)


@given(ORGANIZATIONS, st.data())
def test_one_wrong_character_is_refused(organization_id: str, data: st.DataObject) -> None:
    """CRC-32 notices every error within 32 bits, and so every wrong character."""
    text = new_key(organization_id)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(CHARACTERS + "_-").filter(lambda c: c != text[place]))
    assert key_text.parse(text[:place] + other + text[place + 1 :]) is None


@given(ORGANIZATIONS, st.data())
def test_two_characters_changed_about_are_refused(organization_id: str, data: st.DataObject) -> None:
    text = new_key(organization_id)
    place = data.draw(st.integers(0, len(text) - 2).filter(lambda p: text[p] != text[p + 1]))
    assert key_text.parse(text[:place] + text[place + 1] + text[place] + text[place + 2 :]) is None


@given(ORGANIZATIONS, st.data())
def test_what_is_cut_or_lengthened_is_refused(organization_id: str, data: st.DataObject) -> None:
    text = new_key(organization_id)
    assert key_text.parse(text[: data.draw(st.integers(0, len(text) - 1))]) is None
    for longer in (f"{text}\n", f" {text}", text + data.draw(st.sampled_from(CHARACTERS))):
        assert key_text.parse(longer) is None


@given(st.text())
def test_any_text_at_all_is_no_key(text: str) -> None:
    assert key_text.parse(text) is None
    assert key_text.organization_of(text) is None


def test_id_that_names_no_organization_is_refused() -> None:
    """Twenty-two characters can say more than a UUID can."""
    key_id = "z" * key_text.ID_CHARACTERS
    assert key_text.organization_of(key_id) is None
    assert key_text.parse(key_text.new_text(key_id)) is None


def test_no_two_are_the_same() -> None:
    assert len({key_text.new_key_id(NOBODY) for _ in range(1000)}) == 1000
    key_id = key_text.new_key_id(NOBODY)
    assert len({key_text.new_text(key_id) for _ in range(1000)}) == 1000


def test_token_of_a_session_that_begins_like_a_key_is_none() -> None:
    token = "sr_" + "x" * 40
    assert len(token) == len("x" * (TOKEN_BYTES * 8 // 6 + 1)) == key_text.SESSION_TOKEN_CHARACTERS
    assert not key_text.is_meant_as_key(token)
    assert key_text.is_meant_as_key(token + "x")


@given(ORGANIZATIONS, st.text(max_size=5), st.text(max_size=5))
def test_log_never_shows_the_secret(organization_id: str, before: str, after: str) -> None:
    text = new_key(organization_id)
    secret = text.rpartition("_")[2]
    assert secret not in mask(f"{before} {text}{after}")
    assert secret not in mask(f"Authorization: Bearer {text}")
    assert secret not in mask(f'{{"key": "{text}"}}')
