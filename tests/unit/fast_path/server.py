"""A server that answers each request with the bytes that it was given, whatever they are."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from infra.local.processes import HOST

#: In place of an answer: nothing is said any more; the connection ends.
SILENCE, END = b"silence", b""
_POLL_SECONDS = 0.02


class Server:
    def __init__(self, answers: Sequence[bytes], tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
        self._tls = tls
        self._listening = socket.create_server((HOST, 0))
        self._listening.settimeout(_POLL_SECONDS)
        self.port: int = self._listening.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    def stop(self) -> None:
        self._stopping.set()
        for thread in list(self._threads):
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with contextlib.suppress(OSError), connection:
            peer = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            self.connections += 1
            with peer:
                while self._read(peer) and self._answers:
                    answer = self._answers.pop(0)
                    if answer == SILENCE:
                        self._stopping.wait(5)
                    if answer in (SILENCE, END):
                        return
                    # In two pieces: whoever reads must not take the first for all.
                    peer.sendall(answer[: len(answer) // 2])
                    time.sleep(0.001)
                    peer.sendall(answer[len(answer) // 2 :])
                    if b"content-length" not in answer.lower() and b"chunked" not in answer.lower():
                        return

    def _read(self, peer: socket.socket) -> bool:
        """One request with its body; false at the end of the connection."""
        peer.settimeout(_POLL_SECONDS)
        received = b""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                piece = peer.recv(65536)
                if not piece:
                    return False
                received += piece
            head, end, body = received.partition(b"\r\n\r\n")
            lengths = [
                line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            ]
            if end and len(body) >= int(lengths[0] if lengths else 0):
                self.requests.append(received)
                peer.settimeout(5)
                return True
        return False


@contextmanager
def serving(*answers: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(answers, tls)
    try:
        yield server
    finally:
        server.stop()


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A plain answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
