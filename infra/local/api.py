"""Chalice's own local server, with the answers that on AWS the gateway gives, in the contract's shape.

`chalice local` answers an unknown path with 403 "Missing Authentication Token", reads a body of any length into memory
and takes a Content-Type for binary only when it equals an entry to the letter. This launcher mends just that; the
application runs in Chalice's local gateway as it is. A long body goes to a file, as forms of 50 MB do not exist on AWS,
where the gateway carries 10 MB.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from chalice.cli.factory import CLIFactory
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    LambdaEventConverter,
    LocalDevServer,
    LocalGateway,
    RouteMatcher,
    ThreadedHTTPServer,
)
from chalice.local import create_local_server as make_chalice_local

from chalicelib.kernel.errors import BadInput, MethodNotAllowed, RouteNotFound, StrongroomError, TooLarge
from chalicelib.web.answers import RESPONSE_HEADERS
from chalicelib.web.bodies import SPOOLED_BODY
from infra.local.processes import HOST

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = {
    400: "The request is not valid HTTP.",
    404: RouteNotFound.sentence,
    405: MethodNotAllowed.sentence,
    411: "Send the length of the body in Content-Length.",
    421: "This server answers to 127.0.0.1 and localhost only. API_HOSTS names further hosts.",
    414: "The address is too long.",
    431: "The headers are too large.",
    500: StrongroomError.sentence,
    501: MethodNotAllowed.sentence,
    505: "This version of HTTP is not spoken here.",
}
#: What is not named here is a request that is not valid.
CODES = {
    404: RouteNotFound.code,
    405: MethodNotAllowed.code,
    413: TooLarge.code,
    500: StrongroomError.code,
    501: MethodNotAllowed.code,
}
#: Read and thrown away after a refusal, so that the client gets to read the answer instead of a broken connection.
MAX_DRAINED_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
#: Longer bodies are put into a file. Lower costs a file for each small upload, higher as much memory for each request.
MAX_BODY_BYTES_IN_MEMORY = 1024 * 1024
#: RFC 9112, 5: a token, the colon at once, a value without line breaks and NUL. With a space before the colon it is
#: another name to some readers, so that they disagree on where the body ends; a folded line, or one without a colon, is
#: read in as many ways.
HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\x00]*\r?\n")
#: A page whose own name is made to lead to this machine (DNS rebinding) sends that name. API_HOSTS adds to these.
OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
IDLE_CONNECTION_SECONDS = 60
#: As the gateway of the template compresses.
MIN_COMPRESSED_BYTES = 1024

_log = logging.getLogger("gateway")


class FileBody:
    """A body in a file, in the place of the text that Lambda's event has.

    Chalice turns it into bytes with `encode` when something asks for the whole of it. Who can read a file finds it in
    the request's context.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def encode(self, _: str) -> bytes:
        self.file.seek(0)
        return self.file.read()


class EventConverter(LambdaEventConverter):
    """Lambda's event as a gateway makes it: with a request id and the peer's address. Bodies stay bytes, or a file."""

    def create_lambda_event(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
        event = super().create_lambda_event(method, path, headers, body)
        event["requestContext"]["requestId"] = str(uuid.uuid4())
        if isinstance(body, FileBody):
            event["requestContext"][SPOOLED_BODY] = body.file
        return event

    def _is_binary(self, headers: dict[str, Any]) -> bool:
        # Chalice takes bytes as they come, so encoding 50 MB to base64 and back would be for nothing.
        return False


class Gateway(LocalGateway):
    def __init__(self, app_object: Any, config: Config) -> None:
        super().__init__(app_object, config)
        self.event_converter = EventConverter(RouteMatcher(list(app_object.routes)), app_object.api.binary_types)

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any, address: str) -> Any:
        """:param body: bytes, a FileBody or None.
        :raises KeyError: there is no such path.
        """
        try:
            event = self.event_converter.create_lambda_event(method, path, headers, body)
        except ValueError:
            raise KeyError(path) from None
        event["requestContext"]["identity"]["sourceIp"] = address
        return self._app_object(event, self._generate_lambda_context())


class Header:
    """The lines of a request's header as they were sent: Python reads them with a parser for mail, which takes more for
    a header than HTTP does, and what it can't read for the mail's text.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lines: list[bytes] = []

    def readline(self, limit: int) -> bytes:
        line: bytes = self._stream.readline(limit)
        self._lines.append(line)
        return line

    def is_sound(self) -> bool:
        return all(HEADER_LINE.fullmatch(line) or line in (b"\r\n", b"\n", b"") for line in self._lines)


class RequestHandler(ChaliceRequestHandler):
    """One connection."""

    timeout = IDLE_CONNECTION_SECONDS
    # Headers and body are two writes; with Nagle's algorithm the second waits 40 ms for the client's delayed ACK.
    disable_nagle_algorithm = True
    max_body_bytes = 0
    hosts = OWN_HOSTS

    def __init__(self, request: Any, client_address: Any, server: Any, app_object: Any, config: Config) -> None:
        self._app_object, self._config = app_object, config
        super().__init__(request, client_address, server, app_object, config)

    def _generic_handle(self) -> None:
        try:
            self._handle()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def _handle(self) -> None:
        length = self._body_length()
        if length is None:
            return
        try:
            with self._body(length) as body:
                self._answer(body)
        except EOFError:
            self.close_connection = True

    def _answer(self, body: bytes | FileBody | None) -> None:
        headers = dict(self.headers.items())
        gateway = Gateway(self._app_object, self._config)
        try:
            response = gateway.answer(self.command, self.path, headers, body, self.client_address[0])
        except KeyError:
            self._refuse(404)
            return
        self._send(response["statusCode"], {**response["headers"], **response["multiValueHeaders"]}, response["body"])

    @contextmanager
    def _body(self, length: int) -> Iterator[bytes | FileBody | None]:
        """:raises EOFError: the client left before it had sent all."""
        with ExitStack() as opened:
            if length <= MAX_BODY_BYTES_IN_MEMORY:
                body = self.rfile.read(length)
                if len(body) < length:
                    raise EOFError
                yield body or None
                return
            file = opened.enter_context(tempfile.TemporaryFile())
            for chunk in self._chunks(length):
                file.write(chunk)
            if file.tell() < length:
                raise EOFError
            yield FileBody(file)

    rfile: Any

    def parse_request(self) -> bool:
        stream = self.rfile
        self._header = self.rfile = Header(stream)
        try:
            if not super().parse_request():
                return False
        finally:
            self.rfile = stream
        if not self._header.is_sound():
            self.send_error(400)
            return False
        if not self._host_is_own():
            self.send_error(421)
            return False
        return True

    def _host_is_own(self) -> bool:
        # Programs of HTTP/1.0 send none; browsers always do.
        names = self.headers.get_all("host", [])
        return not names or (len(names) == 1 and re.sub(r":\d*$", "", names[0].strip()).lower() in self.hosts)

    def _body_length(self) -> int | None:
        """How many bytes of body follow, or None after having refused the request."""
        if "transfer-encoding" in self.headers:
            self.close_connection = True
            self._refuse(411)
            return None
        lengths = set(self.headers.get_all("content-length", ["0"]))
        raw = lengths.pop()
        if lengths or not raw.isascii() or not raw.isdigit() or len(raw) > 15:
            self.close_connection = True
            self._refuse(400)
            return None
        if int(raw) > self.max_body_bytes:
            # Said before it is done: a client that was not told would send its next request into a closing connection.
            self.close_connection = True
            self._refuse(413, self._too_large())
            self._drain(int(raw))
            return None
        return int(raw)

    def _too_large(self) -> str:
        from chalicelib.kernel.config import settings
        from chalicelib.uploads.form_uploads import form_too_large

        return form_too_large(settings().max_upload_bytes, settings().max_direct_upload_bytes)

    def handle_expect_100(self) -> bool:
        if not (self._header.is_sound() and self._host_is_own()):
            # Refused when the request has been read.
            return True
        # A client that asks first, as curl does above 1 MB, is refused before it sends anything.
        raw = self.headers.get("content-length", "")
        if raw.isdigit() and int(raw) > self.max_body_bytes:
            self.close_connection = True
            self._refuse(413, self._too_large())
            return False
        return bool(super().handle_expect_100())

    def _drain(self, length: int) -> None:
        for _ in self._chunks(min(length, MAX_DRAINED_BYTES)):
            pass

    def _chunks(self, length: int) -> Iterator[bytes]:
        """What comes of the next so many bytes."""
        while length > 0 and (chunk := self.rfile.read(min(length, CHUNK_BYTES))):
            yield chunk
            length -= len(chunk)

    def _refuse(self, status: int, sentence: str | None = None, allow: str | None = None) -> None:
        sentence = sentence or SENTENCES.get(status, SENTENCES[400])
        request_id = str(uuid.uuid4())
        code = CODES.get(status, BadInput.code)
        body = json.dumps({"error": sentence, "message": sentence, "code": code, "request_id": request_id})
        headers: dict[str, Any] = {"Content-Type": "application/json"}
        if self.close_connection:
            headers["Connection"] = "close"
        if allow is not None:
            headers["Allow"] = allow
        self._send(status, headers, body)
        method = self.command if (self.command or "").isalpha() else "-"
        _log.info("%s (refused before the application) %s request_id=%s", method, status, request_id)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses: malformed requests, unknown methods."""
        self.close_connection = True
        # http.server takes a line that is no request for HTTP/0.9, and would answer it without status and headers.
        self.request_version = "HTTP/1.1"
        if code == 501:
            self._refuse_method()
        else:
            self._refuse(code)

    def _refuse_method(self) -> None:
        """A method that http.server has never heard of, as the application refuses those that it has."""
        routes = self._app_object.routes
        try:
            route = RouteMatcher(list(routes)).match_route(self.path.partition("?")[0]).route
        except ValueError:
            self._refuse(404)
            return
        # RFC 9110, 15.5.6: a 405 says what is allowed.
        self._refuse(405, allow=", ".join(sorted(routes[route])))

    def _send(self, status: int, headers: dict[str, Any], body: str | bytes | None) -> None:
        payload = body.encode() if isinstance(body, str) else (body or b"")
        if len(payload) >= MIN_COMPRESSED_BYTES and "gzip" in self.headers.get("accept-encoding", ""):
            payload = gzip.compress(payload, compresslevel=5, mtime=0)
            headers = {**headers, "Content-Encoding": "gzip", "Vary": _with(headers.get("Vary"), "Accept-Encoding")}
        self.send_response(status)
        for name, value in {**RESPONSE_HEADERS, **headers}.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one)
        if status != 204:
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if payload and self.command != "HEAD" and status != 204:
            self.wfile.write(payload)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = _generic_handle

    def version_string(self) -> str:
        return "strongroom"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the application logs each request, with its route instead of its address."""


def _with(listed: Any, name: str) -> str:
    """A header's list with one more name; the value may be a list of values."""
    values = [listed] if isinstance(listed, str) else list(listed or [])
    return ", ".join([*values, name])


class Server(ThreadedHTTPServer):
    # The system's default of 5 refuses connections of a burst before a thread can take them.
    request_queue_size = 128


def make_server(host: str, port: int) -> LocalDevServer:
    """The server of this process's application, bound but not serving yet."""
    from chalicelib.kernel import logs
    from chalicelib.kernel.config import settings
    from chalicelib.web.forms import FORM_OVERHEAD_BYTES

    logs.configure(settings())
    sys.path.insert(0, str(ROOT))
    factory = CLIFactory(str(ROOT), environ=os.environ)
    config = factory.create_config_obj(chalice_stage_name="local")
    # Chalice's own maker turns the application into one that serves several requests at once.
    make_chalice_local(config.chalice_app, config, host, 0).server.server_close()
    limits = {
        "max_body_bytes": settings().max_upload_bytes + FORM_OVERHEAD_BYTES,
        "hosts": OWN_HOSTS
        | {name.strip().lower() for name in os.environ.get("API_HOSTS", "").split(",") if name.strip()},
    }
    handler = type("Handler", (RequestHandler,), limits)
    return LocalDevServer(config.chalice_app, config, host, port, handler_cls=handler, server_cls=Server)


def serve(host: str, port: int) -> None:
    """Until SIGTERM or SIGINT."""
    server = make_server(host, port)

    def stop(*_: Any) -> None:
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    serve(HOST, int(os.environ.get("API_PORT", "8000")))
