"""Between the application and the emulator: passes requests on, or does to them what networks and services do.

Knows HTTP well enough to tell DynamoDB, SQS and S3 apart, which on AWS have addresses of their own. What it passes on
is untouched, signatures and all.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.local.processes import HOST

PATIENCE_SECONDS = 60


class Trouble(Enum):
    #: The connection is closed at once.
    REFUSED = auto()
    #: Nothing comes back.
    SILENT = auto()
    #: It is done, but the answer never arrives.
    ANSWER_LOST = auto()
    THROTTLED = auto()
    BROKEN = auto()


_SAID: dict[tuple[str, Trouble], tuple[int, str]] = {
    ("DynamoDB", Trouble.THROTTLED): (400, "ThrottlingException"),
    ("DynamoDB", Trouble.BROKEN): (500, "InternalServerError"),
    ("SQS", Trouble.THROTTLED): (400, "RequestThrottled"),
    ("SQS", Trouble.BROKEN): (500, "InternalFailure"),
    ("S3", Trouble.THROTTLED): (503, "SlowDown"),
    ("S3", Trouble.BROKEN): (500, "InternalError"),
}


@dataclass
class Proxy:
    """:attr:`trouble` says what happens to which service's requests, and to how many of them (0 to 1)."""

    upstream_port: int
    port: int = 0
    trouble: dict[str, tuple[Trouble, float]] = field(default_factory=dict)
    passed: int = 0
    troubled: int = 0
    _restored: threading.Event = field(default_factory=threading.Event)
    _random: random.Random = field(default_factory=lambda: random.Random(4))
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server((HOST, self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._restored.set()
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def troubles(self, trouble: Trouble, *services: str, share: float = 1.0) -> Iterator[None]:
        """For a while; by default all requests to the named services, or to all of them."""
        self._restored.clear()
        self.trouble = dict.fromkeys(services or ("DynamoDB", "SQS", "S3"), (trouble, share))
        try:
            yield
        finally:
            self.trouble = {}
            self._restored.set()

    def trouble_for(self, service: str) -> Trouble | None:
        trouble, share = self.trouble.get(service, (None, 0.0))
        if trouble is None or self._random.random() >= share:
            self.passed += 1
            return None
        self.troubled += 1
        return trouble

    def wait_until_restored(self) -> None:
        self._restored.wait(PATIENCE_SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; with Nagle's algorithm the second waits 40 ms for the client's delayed ACK.
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            service = self._service()
            trouble = self.proxy.trouble_for(service)
            if trouble is None:
                self._pass_on(body)
            elif trouble in (Trouble.THROTTLED, Trouble.BROKEN):
                self._refuse(*_SAID[service, trouble])
            else:
                if trouble is Trouble.ANSWER_LOST:
                    self._ask(body)
                if trouble is not Trouble.REFUSED:
                    self.proxy.wait_until_restored()
                self._hang_up()
            return
        self._hang_up()

    def _service(self) -> str:
        target = self.headers.get("X-Amz-Target", "")
        return "DynamoDB" if target.startswith("DynamoDB") else "SQS" if target.startswith("AmazonSQS") else "S3"

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = http.client.HTTPConnection(HOST, self.proxy.upstream_port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            return answer, answer.read()

    def _pass_on(self, body: bytes) -> None:
        answer, payload = self._ask(body)
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(payload))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(payload)

    def _refuse(self, status: int, code: str) -> None:
        if self.headers.get("X-Amz-Target"):
            kind, payload = "application/x-amz-json-1.0", json.dumps({"__type": code, "message": code}).encode()
        else:
            kind = "application/xml"
            payload = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests say what went wrong."""
