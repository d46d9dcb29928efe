"""What may be a password, and its hashing with bcrypt."""

import string

import bcrypt

from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.nfc import compose

#: bcrypt reads no more than 72 bytes; bcrypt 5 raises instead of cutting. OWASP's advice is to refuse longer ones.
MAX_PASSWORD_BYTES = 72
MIN_PASSWORD_CHARACTERS = 8
MIN_DIFFERENT_CHARACTERS = 4
_DECORATION = string.digits + string.punctuation + string.whitespace


def hash_password(password: str, cost: int, username: str | None) -> str:
    """
    :param username: whose it is to be; None where anything goes, as for a laptop's first user.
    :raises BadInput: too short, too long in UTF-8, with a NUL, which bcrypt can't take, or too easy to guess.
    """
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise BadInput(f"A password needs at least {MIN_PASSWORD_CHARACTERS} characters.")
    encoded = _encoded(password)
    if len(encoded) > MAX_PASSWORD_BYTES:
        raise BadInput(
            f"A password may take at most {MAX_PASSWORD_BYTES} bytes in UTF-8; this one takes {len(encoded)}."
        )
    if b"\x00" in encoded:
        raise BadInput("A password can't contain a NUL character.")
    if username is not None and _is_tried_first(password, username):
        raise BadInput(
            "The password is too easy to guess: a common one, the username, or a repetition, with little around it. "
            "Take several words, or more characters."
        )
    return bcrypt.hashpw(encoded, bcrypt.gensalt(cost)).decode()


def password_matches(password: str, password_hash: str | None, cost: int) -> bool:
    """Whether it is the password; the same work is done when there is nothing to compare with.

    :param password_hash: None for an unknown user.
    """
    encoded = _encoded(password)
    comparable = len(encoded) <= MAX_PASSWORD_BYTES and b"\x00" not in encoded
    if password_hash is None or not comparable:
        bcrypt.checkpw(encoded[:MAX_PASSWORD_BYTES].replace(b"\x00", b"x"), _decoy(cost))
        return False
    return bcrypt.checkpw(encoded, password_hash.encode())


def _decoy(cost: int) -> bytes:
    """A salt and a hash of that cost that belong to no password: all zero bits. Made of nothing, so that the first
    unknown user of a process costs no more than the next."""
    return b"$2b$%02d$" % cost + b"." * 53


def _encoded(password: str) -> bytes:
    return compose(password).encode("utf-8", "surrogatepass")


def _is_tried_first(password: str, username: str) -> bool:
    """A common password or the username, whatever digits and signs are around it (OWASP ASVS 5, 6.2.4 and 6.2.11), or
    few characters again and again."""
    # Read only where a password is set: 30,000 strings, 80 ms. Of its package we use the list alone: its estimate of
    # strength takes time without bound for some passwords of 72 bytes.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

    plain = password.casefold()
    forms = {plain, plain.strip(_DECORATION)}
    tried_first = username.casefold() in forms or not forms.isdisjoint(FREQUENCY_LISTS["passwords"])
    return tried_first or len(set(plain)) < MIN_DIFFERENT_CHARACTERS
