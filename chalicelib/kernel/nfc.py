"""Unicode's form NFC, in which names and passwords are kept and compared (RFC 8265).

Keyboards differ in how they encode an accent.
"""

from unicodedata import normalize

#: Longer than any name or password that we take. Composing takes time with the square of the accents in a row, so that
#: a few hundred kB of them would keep a function busy for as long as it lives.
MAX_COMPOSED_CHARACTERS = 2048


def compose(text: str) -> str:
    """What is longer than MAX_COMPOSED_CHARACTERS comes back as it is."""
    return normalize("NFC", text) if len(text) <= MAX_COMPOSED_CHARACTERS else text
