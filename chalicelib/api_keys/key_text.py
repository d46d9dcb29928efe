"""The text of an API key: ``sr_<id>_<secret><check>``, all of fixed length, letters and digits in between.

The id begins with the organisation, so that one read by primary key finds the key, and goes on with 64 random bits. The
check is the CRC-32 of all before it: a typing error is refused without a look-up, and whoever scans texts for secrets
can tell a key of ours from what only looks like one.
"""

import re
import secrets
import string
import uuid
import zlib
from dataclasses import dataclass, field

PREFIX = "sr_"
#: In the order of ASCII, so that ids sort as their numbers do.
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ORGANIZATION_CHARACTERS = 22
RANDOM_CHARACTERS = 11
ID_CHARACTERS = ORGANIZATION_CHARACTERS + RANDOM_CHARACTERS
#: 256 random bits.
SECRET_CHARACTERS = 43
CHECK_CHARACTERS = 6
#: 32 bytes as secrets.token_urlsafe writes them.
SESSION_TOKEN_CHARACTERS = 43
#: For secret scanners, and in docs/operations.md.
PATTERN = rf"sr_[0-9A-Za-z]{{{ID_CHARACTERS}}}_[0-9A-Za-z]{{{SECRET_CHARACTERS + CHECK_CHARACTERS}}}"
_ID = re.compile(rf"[0-9A-Za-z]{{{ID_CHARACTERS}}}")


@dataclass(frozen=True)
class KeyText:
    """A key as its holder has it."""

    organization_id: str
    key_id: str
    text: str = field(repr=False)


def new_key_id(organization_id: str) -> str:
    organization = _encode(uuid.UUID(organization_id).int, ORGANIZATION_CHARACTERS)
    return organization + _encode(secrets.randbits(64), RANDOM_CHARACTERS)


def new_text(key_id: str) -> str:
    """A new secret for the key with this id. Nothing but this text can be made of it again."""
    unchecked = f"{PREFIX}{key_id}_{_encode(secrets.randbits(256), SECRET_CHARACTERS)}"
    return unchecked + _check(unchecked)


def parse(text: str) -> KeyText | None:
    """None when it is no key: another form, a typing error, or an id that can't be."""
    if re.fullmatch(PATTERN, text) is None or text[-CHECK_CHARACTERS:] != _check(text[:-CHECK_CHARACTERS]):
        return None
    key_id = text[len(PREFIX) : len(PREFIX) + ID_CHARACTERS]
    organization_id = organization_of(key_id)
    return KeyText(organization_id, key_id, text) if organization_id is not None else None


def is_meant_as_key(token: str) -> bool:
    """Whether this is a key, perhaps a mistyped one, and no session's token.

    One of 262,144 tokens of sessions begins like a key; but all of them have one length, and keys have another.
    """
    return token.startswith(PREFIX) and len(token) != SESSION_TOKEN_CHARACTERS


def organization_of(key_id: str) -> str | None:
    """The organisation that the id of a key names; None when it is no such id."""
    if _ID.fullmatch(key_id) is None:
        return None
    number = _decode(key_id[:ORGANIZATION_CHARACTERS])
    # More than 128 bits fit so many characters.
    return str(uuid.UUID(int=number)) if number < 1 << 128 else None


def shown_prefix(key_id: str) -> str:
    """What may be shown of a key, for people to recognise it by."""
    return f"{PREFIX}{key_id}"


def _check(text: str) -> str:
    return _encode(zlib.crc32(text.encode()), CHECK_CHARACTERS)


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    assert number == 0, "the number has too many bits for so many characters"
    return "".join(reversed(digits))


def _decode(text: str) -> int:
    number = 0
    for character in text:
        number = number * len(ALPHABET) + ALPHABET.index(character)
    return number
