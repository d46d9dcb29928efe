"""One server for all tests of this folder, and ways to send it what a decent HTTP client would not."""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fuzz.__main__ import running_server
from tests.fuzz.hooks import log_in
from tests.fuzz.server import FOREIGN_USERNAME, MANAGED, MANAGING_USERNAME, UPLOADING_USERNAME
from tests.sentences import foreign_words

PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Site:
    base_url: str
    token: str = field(repr=False)
    foreign_token: str = field(repr=False)
    managing_token: str = field(repr=False)

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        token: str | None = None,
    ) -> Answer:
        """One request on a connection of its own; the target goes out as it is."""
        address = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_SECONDS)
        # http.client refuses targets that a hostile client would send.
        connection._validate_path = lambda _: None  # type: ignore[attr-defined]
        connection._encode_request = lambda request: request.encode("latin-1")  # type: ignore[attr-defined]
        own = self.managing_token if MANAGED.match(target) else self.token
        sent = {"Authorization": f"Bearer {token or own}", **(headers or {})}
        try:
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            lowered = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, lowered, response.read())
        finally:
            connection.close()

    def send_json(self, method: str, target: str, body: Any, **options: Any) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(method, target, raw, {"Content-Type": "application/json"}, **options)

    def send_raw(self, request: bytes) -> Answer:
        """Bytes as they are; the answer up to the end of the connection, or of its body."""
        address = urlsplit(self.base_url)
        with socket.create_connection((str(address.hostname), address.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(status_line.split()[1]), headers, body)

    def upload(self, content: bytes = b"hello\n") -> str:
        """The id of a new file."""
        answer = self.send("POST", "/files", form(content), {"Content-Type": "multipart/form-data; boundary=b"})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    @property
    def user_id(self) -> str:
        """Of the user who asks for changes of users."""
        return str(self.send("GET", "/auth/me", token=self.managing_token).json["user"]["id"])

    def make_key(self) -> Any:
        """A new API key as it is shown, its text included."""
        answer = self.send_json("POST", "/api-keys", {"name": "robot", "scopes": ["files:read"]})
        assert answer.status == 201, answer.body
        return answer.json

    def count(self) -> int:
        """How many files there are."""
        return int(self.send("GET", "/files?limit=1").json["total"])


def form(content: bytes, name: str = "file", filename: str = "a.txt", boundary: str = "b") -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def check_refusal(answer: Answer, *statuses: int) -> None:
    """An error of the contract's shape, and none of ours."""
    assert answer.status in statuses, (answer.status, answer.body[:500])
    assert set(answer.json) == {"error", "message", "code", "request_id"}
    assert answer.json["error"] == answer.json["message"]
    assert not foreign_words(answer.json["error"]), f"not our words: {answer.json['error']}"
    assert answer.json["request_id"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with tempfile.TemporaryFile() as log, running_server(log) as base_url:
        users = (UPLOADING_USERNAME, FOREIGN_USERNAME, MANAGING_USERNAME)
        yield Site(base_url, *(log_in(base_url, username) for username in users))
