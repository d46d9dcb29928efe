"""What an upload is: read once, as a stream."""

from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.kernel.errors import ObjectChanged
from chalicelib.processing.digests import Digests
from chalicelib.processing.mime import HEAD_BYTES, detect_type
from chalicelib.processing.ports import CheckedBytes, TempObject


@dataclass(frozen=True)
class Examined:
    """Size, hashes and type, as read from the object. ``checked`` None: too large to be hashed at once."""

    size_bytes: int
    checked: CheckedBytes | None
    mime_type: str
    #: As storage verified it, if it did.
    crc64nvme: str | None = None


def examine(source: TempObject) -> Examined:
    """Read the object once, as a stream; only its head when storage has verified the hash of the whole already."""
    if source.verified_sha256 is not None:
        return _by_head(source, CheckedBytes(source.verified_sha256))
    chunks = _chunks_with_head(source.chunks)
    head = next(chunks, b"")
    digests = Digests(source.copy_part_bytes)
    digests.update(head)
    for chunk in chunks:
        digests.update(chunk)
    if digests.size_bytes != source.size_bytes:
        raise ObjectChanged(f"read {digests.size_bytes} of {source.size_bytes} bytes")
    return Examined(digests.size_bytes, digests.finish(), detect_type(head), source.verified_crc64nvme)


def examine_head(source: TempObject) -> Examined:
    """Without its hash."""
    return _by_head(source, None)


def _by_head(source: TempObject, checked: CheckedBytes | None) -> Examined:
    head = next(_chunks_with_head(source.chunks), b"")
    return Examined(source.size_bytes, checked, detect_type(head), source.verified_crc64nvme)


def _chunks_with_head(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, with a first piece that is long enough to detect the type, if the file is."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    if head:
        yield head
    yield from chunks
