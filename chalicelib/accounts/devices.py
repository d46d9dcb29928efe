"""Device cookies: proof that a user has signed in from here before.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

A token is ``<expiry epoch seconds>.<nonce>.<MAC>``; what is sent holds those of the last users of a browser. The key of
the MAC is the user's salted password hash, so there is no secret to deploy, and a new password ends every token.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time

from chalicelib.accounts.records import User

DEVICE_TTL_SECONDS = 180 * 24 * 3600
#: Of one browser; a further user takes the place of the first.
MAX_DEVICE_USERS = 4
_TOKEN = re.compile(r"([0-9]{10,12})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")
#: For an unknown user, for the same work.
_NOBODYS_KEY = "nobody"


def device_tokens(proofs: str | None) -> list[str]:
    """The tokens that have the right form, nothing more is known of them; at most MAX_DEVICE_USERS."""
    parts = (proofs or "")[:1024].split("~")[:MAX_DEVICE_USERS]
    return [part for part in parts if _TOKEN.fullmatch(part)]


def find_device(user: User | None, proofs: str | None) -> str | None:
    """The nonce of this user's token in there, or None: there is none that is genuine and has not expired."""
    for token in device_tokens(proofs):
        expires_at, nonce, mac = token.split(".")
        genuine = hmac.compare_digest(mac, _mac(user, expires_at, nonce))
        if genuine and user is not None and int(expires_at) > time.time():
            return nonce
    return None


def device_proofs(user: User, proofs: str | None) -> str:
    """What to send from now on: a fresh token of this user in front of what the other users of the browser have."""
    expires_at, nonce = str(int(time.time()) + DEVICE_TTL_SECONDS), secrets.token_urlsafe(16)
    token = f"{expires_at}.{nonce}.{_mac(user, expires_at, nonce)}"
    others = [other for other in device_tokens(proofs) if find_device(user, other) is None]
    return "~".join([token, *others[: MAX_DEVICE_USERS - 1]])


def _mac(user: User | None, expires_at: str, nonce: str) -> str:
    key = user.password_hash if user else _NOBODYS_KEY
    bound_to = "\x00".join(["device", user.organization_id, user.user_id] if user else ["device", "", ""])
    digest = hmac.new(key.encode(), f"{bound_to}\x00{expires_at}\x00{nonce}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
