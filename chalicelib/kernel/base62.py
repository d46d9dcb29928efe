"""Letters and digits only: what is marked by a double click and goes through every URL, form and terminal as it is."""

import secrets
import string

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def random_text(characters: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(characters))


def encode(data: bytes, characters: int) -> str:
    """Of a fixed length, which has to be enough for any data of this length."""
    number, text = int.from_bytes(data, "big"), ""
    for _ in range(characters):
        number, digit = divmod(number, len(ALPHABET))
        text = ALPHABET[digit] + text
    return text


def decode(text: str, length_bytes: int) -> bytes | None:
    """None for what :func:`encode` does not make of data of this length."""
    number = 0
    for character in text:
        digit = ALPHABET.find(character)
        if digit < 0:
            return None
        number = number * len(ALPHABET) + digit
    return number.to_bytes(length_bytes, "big") if number < 256**length_bytes else None
