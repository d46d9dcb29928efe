"""Signatures of webhooks by Standard Webhooks 1.0.0, symmetric scheme ``v1``.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import secrets as random
from collections.abc import Sequence
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105
#: Bytes that a secret may have ("Signature scheme": 192 to 512 bits).
SECRET_BYTES_BOUNDS: Final = (24, 64)
#: As many as HMAC-SHA256 can make use of without hashing the key.
_NEW_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A random secret in the form that receivers configure: ``whsec_`` and base64."""
    return SECRET_PREFIX + base64.b64encode(random.token_bytes(_NEW_SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """
    :raises ValueError: not ``whsec_`` and the base64 of 24 to 64 bytes. The message does not repeat the secret.
    """
    low, high = SECRET_BYTES_BOUNDS
    wanted = f"A secret is {SECRET_PREFIX} and the base64 of {low} to {high} bytes."
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(wanted)
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(wanted) from None
    if not low <= len(key) <= high:
        raise ValueError(wanted)
    return key


def sign(secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery, signed with each of the secrets, in their order.

    :param secrets: one or more; several while a secret is being replaced, so that receivers with either accept it.
    :param id: of the event, the same at each attempt.
    :param timestamp: of this attempt, in seconds since 1970. Verifiers refuse one more than five minutes off.
    :param body: exactly the bytes that are sent.
    :raises ValueError: no secret, one of another form, or an id with a full stop, which is what separates the signed
        parts ("Signature scheme").
    """
    if not secrets or not id or "." in id:
        raise ValueError("A signature needs a secret, and an id without a full stop.")
    signed = f"{id}.{timestamp}.".encode() + body
    signatures = (
        base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode() for secret in secrets
    )
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
