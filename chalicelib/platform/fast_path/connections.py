"""HTTP/1.1 over connections that are kept: the plain answer read at once, any other by the standard library.

A plain answer has one Content-Length and no transfer coding. Raises what botocore's own session raises, so that
botocore's retries and our :mod:`chalicelib.platform.outages` see no difference.
"""

import io
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import ProtocolError as Urllib3ProtocolError
from urllib3.exceptions import ReadTimeoutError as Urllib3ReadTimeoutError

MAX_HEAD_BYTES = 64 * 1024
#: Up to this a body is read with its head; a longer one that is to be streamed is read by whoever wants it.
MAX_READ_AT_ONCE_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})(?: [^\r\n]*)?")
#: RFC 9110, 5.6.2: a token, the colon at once.
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_LENGTH_DIGITS = 15


class Origin(NamedTuple):
    host: str
    port: int
    tls: bool


class Head(NamedTuple):
    status: int
    #: By names in small letters.
    headers: dict[str, str]


class Body:
    """What botocore takes for the raw stream of an answer."""

    def read(self, amt: int | None = -1, /) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        """Give up what has not been read."""

    def stream(self, amt: int | None = None) -> Iterator[bytes]:
        while piece := self.read(amt or _RECEIVE_BYTES):
            yield piece


class WholeBody(Body):
    """A body that has been read."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, amt: int | None = -1, /) -> bytes:
        return self._content.read(amt)


class _NotPlainError(Exception):
    """The answer is to be read by the standard library."""


class Connection:
    """One connection; used by one request at a time."""

    def __init__(self, origin: Origin, connect_seconds: float, read_seconds: float, tls: ssl.SSLContext | None) -> None:
        self._socket = socket.create_connection((origin.host, origin.port), connect_seconds)
        try:
            # Head and body of a request are one write, but a long one is several packets.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=origin.host)
        except BaseException:
            self._socket.close()
            raise
        # Between two pieces, as of every client of ours.
        self._socket.settimeout(read_seconds)
        self._received = bytearray()

    def close(self) -> None:
        self._socket.close()

    def is_dropped(self) -> bool:
        """Whether the peer has closed it, or says something that nobody asked for."""
        if self._received or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_head(self) -> tuple[Head, int]:
        """Head and length of a plain answer.

        :raises _NotPlainError: the standard library has to read it; nothing of it has been taken away.
        :raises ConnectionError: there is no answer.
        """
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                raise ConnectionResetError("the head of the answer does not end")
            self._receive()
        head = _parse_head(bytes(self._received[:end]))
        length = _plain_length(head)
        del self._received[: end + 4]
        return head, length

    def read_exactly(self, length: int) -> bytes:
        while len(self._received) < length:
            self._receive()
        body = bytes(self._received[:length])
        del self._received[:length]
        return body

    def read_some(self, most: int) -> bytes:
        if not self._received:
            self._receive()
        piece = bytes(self._received[:most])
        del self._received[:most]
        return piece

    def read_by_library(self, method: str) -> tuple[Head, bytes]:
        """Whatever answer comes, chunked, after a 1xx, or ended by the end of the connection, which is of no use then.

        :raises HTTPException: it is not HTTP.
        """
        answer = HTTPResponse(_Replayed(bytes(self._received), self._socket), method=method)  # type: ignore[arg-type]
        self._received.clear()
        answer.begin()
        body = answer.read()
        headers: dict[str, str] = {}
        for name, value in answer.getheaders():
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        return Head(answer.status, headers), body

    def _receive(self) -> None:
        piece = self._socket.recv(_RECEIVE_BYTES)
        if not piece:
            raise ConnectionResetError("the connection was closed before the answer was complete")
        self._received += piece


class _Replayed(io.RawIOBase):
    """For the standard library: what has been received, then what else comes."""

    def __init__(self, received: bytes, following: socket.socket) -> None:
        self._received = received
        self._following = following

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._received:
            count = min(len(buffer), len(self._received))
            buffer[:count], self._received = self._received[:count], self._received[count:]
            return count
        return self._following.recv_into(buffer)


def _parse_head(head: bytes) -> Head:
    status_line, *lines = head.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(status_line)
    if status is None:
        raise _NotPlainError
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        key = name.decode("latin-1").lower()
        if not colon or not _HEADER_NAME.fullmatch(name) or key in headers or b"\n" in value or b"\r" in value:
            raise _NotPlainError
        headers[key] = value.strip(b" \t").decode("latin-1")
    return Head(int(status[1]), headers)


def _plain_length(head: Head) -> int:
    if "transfer-encoding" in head.headers:
        raise _NotPlainError
    if head.status in (204, 304):
        return 0
    length = head.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) <= _MAX_LENGTH_DIGITS):
        raise _NotPlainError
    return int(length)


class Connections:
    """The connections of one client that wait for their next request, by where they lead."""

    def __init__(
        self, connect_seconds: float, read_seconds: float, most_kept: int, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        """:param tls: what checks certificates; asked for when there is one to check."""
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._most_kept = most_kept
        self._tls = tls
        self._kept: dict[Origin, deque[Connection]] = {}

    def exchange(self, origin: Origin, method: str, data: bytes, url: str, *, stream: bool) -> tuple[Head, Body]:
        """Send a request and read the answer; with ``stream``, of a long body only the head.

        :raises botocore.exceptions.HTTPClientError: as botocore's own session raises it.
        """
        connection = self._take(origin, url)
        try:
            connection.send(data)
            head, body = self._read(origin, connection, method, url, stream)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=url, error=error) from error
        except ssl.SSLError as error:
            connection.close()
            raise SSLError(endpoint_url=url, error=error) from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=url, error=error) from error
        except BaseException:
            # What is left on it is of this answer.
            connection.close()
            raise
        return head, body

    def _read(self, origin: Origin, connection: Connection, method: str, url: str, stream: bool) -> tuple[Head, Body]:
        try:
            head, length = connection.read_head()
        except _NotPlainError:
            head, content = connection.read_by_library(method)
            connection.close()
            return head, WholeBody(content)
        if stream and head.status < 300 and length > MAX_READ_AT_ONCE_BYTES:
            return head, _LongBody(self, origin, connection, head, length, url)
        content = connection.read_exactly(length)
        self.keep(origin, connection, head)
        return head, WholeBody(content)

    def _take(self, origin: Origin, url: str) -> Connection:
        kept = self._kept.setdefault(origin, deque())
        while True:
            try:
                connection = kept.pop()
            except IndexError:
                return self._open(origin, url)
            if not connection.is_dropped():
                return connection
            connection.close()

    def _open(self, origin: Origin, url: str) -> Connection:
        try:
            return Connection(origin, self._connect_seconds, self._read_seconds, self._tls() if origin.tls else None)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=url, error=error) from error
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=url, error=error) from error

    def keep(self, origin: Origin, connection: Connection, head: Head) -> None:
        """For the next request, unless the peer closes it."""
        kept = self._kept[origin]
        if head.headers.get("connection", "").lower() == "close" or len(kept) >= self._most_kept:
            connection.close()
        else:
            kept.append(connection)


class _LongBody(Body):
    """A body that is read from its connection, which is kept once all of it has been."""

    def __init__(
        self, pool: Connections, origin: Origin, connection: Connection, head: Head, length: int, url: str
    ) -> None:
        self._pool = pool
        self._head = head
        self._origin = origin
        self._connection: Connection | None = connection
        self._left = length
        self._url = url

    def read(self, amt: int | None = -1, /) -> bytes:
        if amt is None or amt < 0:
            return b"".join(self.stream())
        if self._connection is None or not self._left:
            return b""
        try:
            piece = self._connection.read_some(min(amt, self._left))
        except TimeoutError as error:
            self.close()
            raise Urllib3ReadTimeoutError(None, self._url, "Read timed out.") from error  # type: ignore[arg-type]
        except OSError as error:
            self.close()
            raise Urllib3ProtocolError(f"Connection broken: {error!r}", error) from error
        self._left -= len(piece)
        if not self._left:
            self._pool.keep(self._origin, self._connection, self._head)
            self._connection = None
        return piece

    def close(self) -> None:
        """What has not been read is on the connection, so nobody else can use it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
