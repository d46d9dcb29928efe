"""Reading an object from its first byte to its last, over as many connections as that takes."""

from collections.abc import Callable, Generator

from botocore.exceptions import HTTPClientError, IncompleteReadError
from botocore.response import StreamingBody

CHUNK_BYTES = 1024 * 1024


def read_through(
    body: StreamingBody, size_bytes: int, reopen: Callable[[int], StreamingBody]
) -> Generator[bytes, None, None]:
    """The bytes of ``body`` and, where its connection breaks, of what ``reopen`` gives from that byte on.

    botocore tries a call again, but not the body of its answer; and what is read for a quarter of an hour is more
    likely to break once than to arrive.

    :raises HTTPClientError: not a byte has come over the last connection, so that storage is away.
    :raises IncompleteReadError: as before.
    """
    position = 0
    while True:
        opened_at = position
        try:
            for chunk in body.iter_chunks(CHUNK_BYTES):
                position += len(chunk)
                yield chunk
            return
        except (HTTPClientError, IncompleteReadError):
            if position == opened_at:
                raise
        finally:
            body.close()
        if position >= size_bytes:
            # It broke after the last byte, and no range begins there.
            return
        body = reopen(position)
