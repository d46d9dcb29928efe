"""The two applications as they are run on one machine, and a client that asks both the same."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.processes import HOST, Child, answers, free_port

ROOT = Path(__file__).resolve().parents[1]
PLAIN = ROOT / ".venv-plain" / "bin"
PASSWORD = "correct horse battery"
START_PATIENCE_SECONDS = 60
#: More than the two processors of the machine that the goals were set on would help nobody.
PROCESSES = "2"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One connection that is kept, as a browser's or a program's."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Answer:
        headers = {**self._headers, **({"Content-Type": content_type} if content_type else {})}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read())

    def log_in(self, username: str) -> str:
        body = json.dumps({"username": username, "password": PASSWORD}).encode()
        self._connection.request("POST", "/auth/login", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        cookies = answer.headers.get_all("Set-Cookie") or []
        answer.read()
        [token] = [cookie.partition("=")[2].partition(";")[0] for cookie in cookies if cookie.startswith("session=")]
        return token


@dataclass(frozen=True)
class Served:
    """A running application. ``web`` and ``worker`` are the sessions of its processes."""

    name: str
    port: int
    token: str
    web: int
    worker: int

    def caller(self) -> Caller:
        return Caller(self.port, self.token)


@contextmanager
def plain_app(folder: Path, cache_url: str, files: int) -> Iterator[Served]:
    environment = {**os.environ, "DATA_FOLDER": str(folder), "CACHE_URL": cache_url, "PYTHONPATH": str(ROOT)}
    port, username = free_port(), "bench"
    seed = [str(PLAIN / "python"), "-m", "benchmarks.plain.seed", username, PASSWORD, str(files)]
    subprocess.run(seed, env=environment, cwd=ROOT, check=True)
    gunicorn = [str(PLAIN / "gunicorn"), "benchmarks.plain.web:app", "--bind", f"{HOST}:{port}", "--no-control-socket"]
    celery = [str(PLAIN / "celery"), "-A", "benchmarks.plain.tasks", "worker", "--loglevel", "WARNING"]
    programs = {
        "web": [*gunicorn, "--workers", PROCESSES, "--threads", "4"],
        "worker": [*celery, "--concurrency", PROCESSES],
    }
    with _running("plain", programs, environment, port) as sessions:
        yield Served("plain app", port, Caller(port).log_in(username), sessions["web"], sessions["worker"])


@contextmanager
def our_app(environment: dict[str, str], username: str) -> Iterator[Served]:
    """As `make up` runs it, on tables where the user is known."""
    port = free_port()
    programs = {
        "web": [sys.executable, "-m", "infra.local.api"],
        "worker": [sys.executable, "-m", "infra.local.consumer"],
    }
    with _running("ours", programs, {**environment, "API_PORT": str(port)}, port) as sessions:
        yield Served("ours, make up", port, Caller(port).log_in(username), sessions["web"], sessions["worker"])


@contextmanager
def _running(
    name: str, programs: dict[str, list[str]], environment: dict[str, str], port: int
) -> Iterator[dict[str, int]]:
    said: list[str] = []
    children: list[Child] = []
    try:
        for part, command in programs.items():
            children.append(Child(f"{name} {part}", command, environment, ROOT, lambda _, line: said.append(line)))
        _wait(lambda: answers(port), f"{name} did not start: {said[-5:]}")
        yield {part: child.pid for part, child in zip(programs, children, strict=True)}
    except Exception:
        print("\n".join(said[-30:]), file=sys.stderr)
        raise
    finally:
        for child in reversed(children):
            child.stop()


def _wait(ready: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.05)


def form_of(content: bytes) -> tuple[bytes, str]:
    """``(body, content type)`` of an upload."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()
    body = head + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def wait_until_completed(caller: Caller, file_ids: list[str]) -> None:
    for file_id in file_ids:
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while (status := caller.ask("GET", f"/files/{file_id}").json["status"]) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise AssertionError(f"{file_id} is {status}")
            with suppress(InterruptedError):
                time.sleep(0.02)
