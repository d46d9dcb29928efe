"""What the local gateway itself answers, over a real socket: the contract's shape, whatever is sent."""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.processes import HOST
from tests.integration.conftest import Running, Tenant

MEGABYTE = 1024 * 1024
SHAPE = {"error", "message", "code", "request_id"}


def raw_exchange(running: Running, request: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are; returns the status and the JSON body."""
    port = int(running.base_url.rpartition(":")[2])
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
            head, separator, body = received.partition(b"\r\n\r\n")
            if separator and body.endswith(b"}"):
                break
    return int(head.split()[1]), json.loads(body)


def test_unknown_path_is_404(running: Running) -> None:
    answer = httpx.get(f"{running.base_url}/nothing/here")
    assert answer.status_code == 404
    assert set(answer.json()) == SHAPE


def test_unknown_path_with_authorization_is_404_and_does_not_repeat_the_token(running: Running) -> None:
    answer = httpx.get(f"{running.base_url}/nothing", headers={"Authorization": "Bearer s3cret"})
    assert answer.status_code == 404
    assert "s3cret" not in answer.text


def test_long_answer_is_compressed_for_who_asks(running: Running) -> None:
    address = f"{running.base_url}/openapi.json"
    plain = httpx.get(address, headers={"Accept-Encoding": "identity"})
    packed = httpx.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.json() == plain.json()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "PROPFIND"])
def test_wrong_method_is_405(running: Running, method: str) -> None:
    answer = httpx.request(method, f"{running.base_url}/health")
    assert answer.status_code == 405
    assert set(answer.json()) == SHAPE


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (
            b"POST /files HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n",
            413,
        ),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_malformed_request_is_refused_in_the_contracts_shape(
    running: Running, request_bytes: bytes, status: int
) -> None:
    found, body = raw_exchange(running, request_bytes)
    assert found == status
    assert set(body) == SHAPE


def test_form_above_the_limit_is_413_and_the_client_gets_to_read_it(tenant: Tenant) -> None:
    answer = tenant.client.post("/files", files={"file": ("big.bin", b"x" * (52 * 1024 * 1024))})
    assert answer.status_code == 413
    assert "52428800" in answer.json()["error"]
    assert tenant.client.get("/files").json()["total"] == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=b",
        "Multipart/Form-Data; charset=utf-8; boundary=b",
        'multipart/form-data;boundary="b"',
    ],
)
def test_binary_form_arrives_unchanged_however_its_type_is_spelled(tenant: Tenant, content_type: str) -> None:
    content = bytes(range(256)) * 400
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="all.bin"\r\n\r\n' + content + b"\r\n--b--\r\n"
    )
    answer = tenant.client.post("/files", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 201, answer.text
    assert answer.json()["file_size"] == len(content)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux's /proc")
def test_long_forms_at_once_are_not_held_in_memory(running: Running, tenant: Tenant) -> None:
    content = bytes(45 * MEGABYTE)
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda number: tenant.upload(f"{number}.bin", content), range(4)))
    for record in sent:
        assert tenant.await_settled(record["id"])["file_size"] == len(content)
    status = Path(f"/proc/{running.api.pid}/status").read_text(encoding="ascii")
    peak_kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak_kilobytes * 1024 < 200 * MEGABYTE


def test_head_has_no_body(tenant: Tenant) -> None:
    record = tenant.upload("a.txt", b"a")
    tenant.await_settled(record["id"])
    answer = tenant.client.head(f"/files/{record['id']}/content")
    assert answer.status_code == 302
    assert answer.content == b""


def test_version_of_the_server_is_not_told(running: Running) -> None:
    assert httpx.get(f"{running.base_url}/health").headers["server"] == "strongroom"
