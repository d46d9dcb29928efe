"""Two blocks of 128 bytes with one MD5 (X. Wang and H. Yu, Eurocrypt 2005); a common suffix keeps the MD5 equal."""

from __future__ import annotations

import hashlib

_FIRST = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
_SECOND = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a"
    "085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)


def pair(suffix: bytes = b"") -> tuple[bytes, bytes]:
    """Two bodies that differ, with one length and one MD5, so one ETag."""
    first, second = _FIRST + suffix, _SECOND + suffix
    assert first != second
    assert hashlib.md5(first).digest() == hashlib.md5(second).digest()
    return first, second
