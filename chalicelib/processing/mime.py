"""Detects the type of a file from its content, with libmagic. Name and declared type are not used."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

#: libmagic wants "at least the first 2048 bytes" (python-magic's README); some containers (DOCX, TAR) show
#: themselves later.
HEAD_BYTES = 64 * 1024
EMPTY_TYPE = "application/x-empty"
UNKNOWN_TYPE = "application/octet-stream"


@cache
def _detector() -> Any:
    # pylibmagic brings the library itself and its database. python-magic looks for the library with ldconfig, gcc and
    # ld, which Lambda has not, and finds it there only if it is loaded.
    import pylibmagic

    folder = Path(pylibmagic.__file__).parent
    ctypes.CDLL(str(folder / "libmagic.so.1"))

    import magic  # isort: skip

    return magic.Magic(mime=True, magic_file=str(folder / "magic.mgc"))


def detect_type(head: bytes) -> str:
    """The ``type/subtype`` of a file that starts with these bytes."""
    if not head:
        return EMPTY_TYPE
    detected: str = _detector().from_buffer(head[:HEAD_BYTES])
    # libmagic writes some in capitals (text/PGP). Types have no case (RFC 6838), but filters compare exactly.
    return detected.lower() if "/" in detected else UNKNOWN_TYPE
