"""An answer of HTTP whose head has come to its end.

Python's client takes the end of the connection for the end of the head: a server that dies, or is cut off, after
``HTTP/1.1 200 OK`` would count as one that has answered. RFC 9112, 8: a head without the empty line is incomplete.
"""

from http.client import HTTPResponse
from typing import Any

_EMPTY_LINES = (b"\r\n", b"\n")


class WholeHeadResponse(HTTPResponse):
    """For ``response_class`` of a connection."""

    def begin(self) -> None:
        """:raises ConnectionAbortedError: the connection has ended in the head."""
        stream = self.fp
        head: Any = _Head(stream)
        self.fp = head
        try:
            super().begin()
        finally:
            if self.fp is head:
                self.fp = stream
        if head.last_line not in _EMPTY_LINES:
            raise ConnectionAbortedError("The connection has ended in the head of the answer.")


class _Head:
    """The stream of an answer, which is asked for lines until the head is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last_line = b""

    def readline(self, limit: int) -> bytes:
        self.last_line = self._stream.readline(limit)
        return self.last_line

    def close(self) -> None:
        self._stream.close()
