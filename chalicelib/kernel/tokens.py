"""What is stored of a token."""

import base64
import hashlib


def token_digest(token: str) -> str:
    """What is stored of a session token. The token has 256 random bits, so a plain hash can't be searched."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")


def session_id(token_hash: str) -> str:
    """What names a session to its user. Hashed again: what is stored is not shown."""
    return token_digest(f"session {token_hash}")[:22]
