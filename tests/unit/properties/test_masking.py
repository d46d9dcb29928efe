"""logs.mask: the last line of defence, for texts that nobody foresaw. And what is masked stays one line of JSON."""

from __future__ import annotations

import json
import logging
import sys

from hypothesis import assume, example, given
from hypothesis import strategies as st

from chalicelib import keys
from chalicelib.invitations.invitation_tokens import new_token, read_token
from chalicelib.kernel import base62, logs

TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=20, max_size=64)
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
#: How tokens, signatures and passwords stand in what libraries write.
CONTEXTS = st.sampled_from(
    [
        "Authorization: Bearer {}",
        "authorization: bearer {}",
        "{{'Authorization': 'Bearer {}'}}",
        '{{"Authorization": "Bearer {}", "x": 1}}',
        "Authorization={}",
        "'authorization': '{}'",
        "Cookie: session={}; other=1",
        "Set-Cookie: __Host-session={}; Path=/; HttpOnly",
        "https://b.s3.amazonaws.com/k?X-Amz-Expires=300&X-Amz-Signature={}&x=1",
        "?x-amz-signature={}",
        "X-Amz-Security-Token={}&X-Amz-Date=1",
        "X-Amz-Credential={}",
        "{{'username': 'anna', 'password': '{}'}}",
        '{{"username": "anna", "password": "{}"}}',
        '{{"password":"{}"}}',
        "password={}&username=anna",
        "password: {}",
        "Password = {}",
        "redis://:{}@cache.example:6379/0",
        "rediss://user:{}@cache.example:6379/0",
        "otpauth://totp/Strongroom:anna?issuer=Strongroom&secret={}",
        "otpauth://totp/{}?issuer=Strongroom",
        "{{'second_factor': 'required', 'challenge': '{}'}}",
        '{{"secret":"{}"}}',
        "recovery_code={}",
    ]
)


@given(CONTEXTS, TOKENS, ANY_TEXT, ANY_TEXT)
def test_no_secret_in_a_known_place_comes_through(context: str, token: str, before: str, after: str) -> None:
    assume(token not in before + after)
    text = f"{before} {context.format(token)} {after}"
    assert token not in logs.mask(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="@ \t\r\n", exclude_categories=["Z", "C"]), min_size=8))
def test_password_of_a_cache_url_is_masked_whole(password: str) -> None:
    masked = logs.mask(f"Error 111 connecting to rediss://:{password}@cache.example:6379/0. Refused.")
    assert masked == "Error 111 connecting to rediss://:***@cache.example:6379/0. Refused."


@given(st.text(st.characters(codec="utf-8", exclude_characters=":="), max_size=200))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    if "bearer" not in text.lower():
        assert logs.mask(text) == text


def record(message: str, extra: object, exception: str | None) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.INFO, "f.py", 1, "%s", (message,), None)
    made.told = extra
    if exception is not None:
        try:
            raise RuntimeError(exception)
        except RuntimeError:
            made.exc_info = sys.exc_info()
    return made


MESSAGES = st.one_of(
    ANY_TEXT, st.builds(str.format, CONTEXTS, TOKENS), st.builds('Bearer {}"{}'.format, TOKENS, ANY_TEXT)
)


@given(
    MESSAGES,
    st.one_of(st.none(), st.booleans(), st.integers(), MESSAGES, st.dictionaries(ANY_TEXT, MESSAGES)),
    st.one_of(st.none(), MESSAGES),
)
@example('bearer x"y', None, None)
@example("session=abc\\", None, 'password: "x" \n y')
def test_json_line_is_one_line_of_json_whatever_is_in_it(message: str, extra: object, exception: str | None) -> None:
    line = logs.JsonFormatter().format(record(message, extra, exception))
    assert "\n" not in line
    assert "\r" not in line
    parsed = json.loads(line)
    assert parsed["message"] == logs.mask(message)
    assert ("exception" in parsed) == (exception is not None)


@given(CONTEXTS, TOKENS)
def test_neither_form_shows_a_secret_in_message_field_or_exception(context: str, token: str) -> None:
    text = context.format(token)
    made = record(text, {"sent": text}, text)
    assert token not in logs.JsonFormatter().format(made)
    assert token not in logs.TextFormatter().format(made)


@given(MESSAGES)
@example("Processed upload x\n12:00:00 INFO forged")
@example("Processed upload x\r12:00:00 INFO forged")
def test_readable_line_is_one_line(message: str) -> None:
    line = logs.TextFormatter().format(record(message, None, None))
    assert "\n" not in line
    assert "\r" not in line


@given(st.text(st.sampled_from(base62.ALPHABET), min_size=43, max_size=43), st.sampled_from(["", "#token=", '"']))
def test_token_of_an_invitation_is_masked_wherever_it_stands(secret: str, before: str) -> None:
    organization_id, invitation_id = keys.new_organization_id(), keys.new_invitation_id()
    token = new_token(organization_id, invitation_id)
    assert read_token(token) == (organization_id, invitation_id)
    ids, _, _ = token.removeprefix("inv_").partition("_")
    masked = logs.mask(f"said {before}inv_{ids}_{secret} to them")
    assert secret not in masked
    assert masked.endswith(" to them")
