"""A SHA-256 whose state can be kept, so that another process can go on with it.

hashlib can't save its state, and no library on PyPI that can is both fast and built for every processor and Python that
we run on (docs/decisions/0052). The functions below hashlib can: ``SHA256_Init``, ``_Update``, ``_Final`` of libcrypto,
which Python has loaded already, and whose state is a structure of its public header (openssl/sha.h).
"""

import ctypes
import hashlib
import re
from functools import cache
from importlib import import_module
from typing import Any

#: Bytes of one block of SHA-256 (FIPS 180-4, 5.3.3). A state is kept between two blocks.
BLOCK_BYTES = 64
#: hashlib's own module: what it is linked with is found through it, without searching for a file.
HASHLIB = "_hashlib"
_DIGEST_BYTES = 32
_WORDS = 8
_STATE = re.compile(r"[0-9a-f]{64}")


class _Context(ctypes.Structure):
    """``SHA256_CTX`` of openssl/sha.h: the same since OpenSSL 0.9.8, and in BoringSSL and AWS-LC."""

    _fields_ = (
        ("h", ctypes.c_uint32 * _WORDS),
        # The number of bits so far, low word first.
        ("low", ctypes.c_uint32),
        ("high", ctypes.c_uint32),
        ("data", ctypes.c_uint32 * 16),
        ("num", ctypes.c_uint),
        ("md_len", ctypes.c_uint),
    )


class Sha256:
    """As ``hashlib.sha256()``, with a state."""

    def __init__(self, state: str | None = None, hashed_bytes: int = 0) -> None:
        """
        :param state: as :attr:`state` gave it after ``hashed_bytes`` bytes; None begins anew.
        :raises ValueError: it is no such state.
        """
        self._library = _library()
        self._context = _Context()
        self._library.SHA256_Init(ctypes.byref(self._context))
        self.hashed_bytes = 0
        if state is None:
            return
        if not _STATE.fullmatch(state) or hashed_bytes % BLOCK_BYTES:
            raise ValueError("no state of a SHA-256")
        self.hashed_bytes = hashed_bytes
        bits = hashed_bytes * 8
        self._context.low, self._context.high = bits & 0xFFFFFFFF, bits >> 32
        for word in range(_WORDS):
            self._context.h[word] = int(state[8 * word : 8 * word + 8], 16)

    def update(self, chunk: bytes) -> None:
        self._library.SHA256_Update(ctypes.byref(self._context), chunk, len(chunk))
        self.hashed_bytes += len(chunk)

    @property
    def state(self) -> str:
        """The intermediate hash value in hexadecimal, as FIPS 180-4 defines it, whichever library made it.

        :raises ValueError: in the middle of a block.
        """
        if self.hashed_bytes % BLOCK_BYTES:
            raise ValueError("in the middle of a block")
        return "".join(f"{word:08x}" for word in self._context.h)

    def hexdigest(self) -> str:
        """Of all bytes. Nothing can be added after it."""
        digest = ctypes.create_string_buffer(_DIGEST_BYTES)
        self._library.SHA256_Final(digest, ctypes.byref(self._context))
        return digest.raw.hex()


@cache
def is_available() -> bool:
    """Whether this Python has such functions, and they compute what hashlib does, over a saved state too."""
    try:
        first = Sha256()
        first.update(bytes(range(BLOCK_BYTES)) * 2)
        second = Sha256(first.state, first.hashed_bytes)
        second.update(b"the rest")
        return second.hexdigest() == hashlib.sha256(bytes(range(BLOCK_BYTES)) * 2 + b"the rest").hexdigest()
    except (ImportError, OSError, AttributeError):
        return False


@cache
def _library() -> Any:
    """:raises ImportError, OSError, AttributeError: Python has no OpenSSL, or one that hides these functions."""
    library = ctypes.CDLL(import_module(HASHLIB).__file__)
    library.SHA256_Init.argtypes = (ctypes.c_void_p,)
    library.SHA256_Update.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    library.SHA256_Final.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    return library
