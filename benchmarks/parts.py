"""The API and the consumer as `make up` runs them, and users of them, for the soak and for measurements."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.local.processes import HOST, Child, Sink, answers, free_port
from infra.local.up import ROOT

PASSWORD = "correct horse battery"
PARTS = ("api", "consumer")
#: The first quarter warms up: code is loaded, pools are filled. After it the highest of a quarter may differ by the
#: luck of how many large forms are in memory at once, but not by more than this.
MEMORY_SLACK = 1.25
#: Connections come and go with the load.
OPEN_FILES_SLACK = 10


@dataclass
class Gauge:
    """Memory and open files of a process over time."""

    name: str
    pid: int
    resident_bytes: list[int] = field(default_factory=list)
    open_files: list[int] = field(default_factory=list)

    def read(self) -> None:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.resident_bytes.append(pages * os.sysconf("SC_PAGE_SIZE"))
        self.open_files.append(len(os.listdir(f"/proc/{self.pid}/fd")))

    def highest(self, values: list[int]) -> list[int]:
        """Of each quarter of the time."""
        length = max(1, len(values) // 4)
        return [max(values[start : start + length]) for start in range(0, 4 * length, length)]

    def growth(self) -> list[str]:
        memory, files = self.highest(self.resident_bytes), self.highest(self.open_files)
        wrong = []
        if memory[3] > MEMORY_SLACK * memory[1]:
            wrong.append(f"memory of {self.name} grew from {memory[1]} to {memory[3]} bytes")
        if files[3] > files[1] + OPEN_FILES_SLACK:
            wrong.append(f"open files of {self.name} grew from {files[1]} to {files[3]}")
        return wrong


@contextmanager
def running_parts(
    more: Mapping[str, str] | None = None, sink: Sink = lambda name, line: print(f"{name}: {line}")
) -> Iterator[tuple[str, list[Gauge]]]:
    """The API and the consumer, with the environment of this process.

    :param more: settings besides.
    :param sink: gets what they say.
    """
    port = free_port()
    own = {
        **os.environ,
        "API_PORT": str(port),
        "BCRYPT_COST": "4",
        # The least that S3 allows, so that parts come into play with files that the emulator can keep in memory.
        "MULTIPART_THRESHOLD_BYTES": str(5 * 1024 * 1024),
        "LOG_LEVEL": "WARNING",
        **(more or {}),
    }
    children = [Child(name, [sys.executable, "-m", f"infra.local.{name}"], own, ROOT, sink) for name in PARTS]
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            if time.monotonic() > deadline:
                raise TimeoutError("the API did not start within 60 s")
            time.sleep(0.1)
        yield f"http://{HOST}:{port}", [Gauge(child.name, child.pid) for child in children]
    finally:
        for child in reversed(children):
            child.stop()


def make_users(stores: Any, base_url: str, organizations: int, users: int) -> tuple[list[str], list[str]]:
    """:returns: the organisations' ids, and a session's token of each user."""
    from chalicelib.accounts import users as accounts
    from chalicelib.tenants import organizations as tenants

    ids, tokens = [], []
    for number in range(organizations):
        organization = tenants.create_organization(stores, f"Organisation {number}")
        ids.append(organization.organization_id)
        for _ in range(users):
            credentials = {"username": f"user-{uuid.uuid4().hex[:12]}", "password": PASSWORD}
            accounts.create_user(stores, organization.organization_id, credentials["username"], PASSWORD)
            answer = httpx.post(f"{base_url}/auth/login", json=credentials, timeout=30)
            tokens.append(answer.headers["set-cookie"].partition("=")[2].partition(";")[0])
    return ids, tokens
