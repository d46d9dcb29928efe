"""The bytes of an upload on their way to storage: in memory, or in a file when they are too many for it."""

import hashlib
import io
from typing import BinaryIO

#: A file can be read several times, each time from its start.
Content = bytes | BinaryIO
_CHUNK_BYTES = 256 * 1024


def size_of(content: Content) -> int:
    """In bytes."""
    return len(content) if isinstance(content, bytes) else content.seek(0, io.SEEK_END)


def sha256_of(content: Content) -> str:
    """In hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    content.seek(0)
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def rewound(content: Content) -> Content:
    """For a reader that goes on from where the file is."""
    if not isinstance(content, bytes):
        content.seek(0)
    return content
