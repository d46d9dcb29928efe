"""A server that gets webhooks: it notes them, and answers, stalls, drips or dies as it is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
#: Gets the connection when the request is read; what it does is the answer.
Behaviour = Callable[[socket.socket], None]


@dataclass
class Receiver:
    """
    :param received: head and body of each request.
    :param choose: the behaviour for a request, where it is not the same for all.
    """

    port: int = 0
    behaviour: Behaviour = lambda wire: wire.sendall(OK)
    choose: Callable[[str, bytes], Behaviour] | None = None
    received: list[tuple[str, bytes]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/hook"


def answer(raw: bytes) -> Behaviour:
    return lambda wire: wire.sendall(raw)


@contextmanager
def receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Listening on 127.0.0.1, until the end of the block."""
    made = Receiver()
    with socket.create_server(("127.0.0.1", 0)) as server:
        made.port = server.getsockname()[1]
        threading.Thread(target=_serve, args=(server, made, context), daemon=True).start()
        yield made
        made.stopping.set()


def _serve(server: socket.socket, made: Receiver, context: ssl.SSLContext | None) -> None:
    while not made.stopping.is_set():
        try:
            wire, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_handle, args=(wire, made, context), daemon=True).start()


def _handle(wire: socket.socket, made: Receiver, context: ssl.SSLContext | None) -> None:
    try:
        with context.wrap_socket(wire, server_side=True) if context else wire as secured:
            head, body = _read(secured)
            made.received.append((head, body))
            behaviour = made.choose(head, body) if made.choose is not None else made.behaviour
            behaviour(secured)
    except OSError:
        # The other side has gone, or has not agreed to our certificate.
        return


def _read(wire: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _piece(wire)
    head, _, body = data.partition(b"\r\n\r\n")
    [length] = [
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    ] or [0]
    while len(body) < length:
        body += _piece(wire)
    return head.decode(), body


def _piece(wire: socket.socket) -> bytes:
    piece = wire.recv(65536)
    if not piece:
        raise OSError("closed")
    return piece
