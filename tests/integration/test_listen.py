"""`strongroom listen` as a developer runs it, with the receiver of docs/webhooks.md, against the real stack."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.local.processes import HOST, Child, answers, free_port
from infra.local.up import ROOT
from tests.integration.conftest import Output, Running, Tenant, await_condition, start_part

GUIDE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
(RECEIVER,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


class Desk:
    """A developer's machine, on which programs are started and ended."""

    def __init__(self, folder: Path, running: Running) -> None:
        self.folder, self._running = folder, running
        self.port = free_port()
        self.listening = Output()
        self._stack = ExitStack()
        # The receiver's own folder is where it keeps what it has received.
        (folder / "receiver.py").write_text(RECEIVER)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_receiver(self, secret: str) -> Child:
        environment = {"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret, "PORT": str(self.port)}
        # Where the tests' packages are, wherever that is.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        child = self._start("receiver", [sys.executable, "receiver.py"], environment, self.folder, Output())
        await_condition(lambda: answers(self.port), "the receiver listening")
        return child

    def listen(self, *arguments: str, key: str = "", base_url: str | None = None) -> Child:
        """:returns: once it is following, with the secret that it has printed in :attr:`secret`."""
        environment = {"PATH": os.environ["PATH"], "BASE_URL": base_url or self._running.base_url}
        if key:
            environment["STRONGROOM_API_KEY"] = key
        command = [sys.executable, "-m", "infra", "listen", "--forward", f"http://{HOST}:{self.port}/hook", *arguments]
        child = self._start("listen", command, environment, ROOT, self.listening)
        await_condition(lambda: self.said("Posting what comes after"), "listen following the feed")
        return child

    def start_api(self, port: int) -> Child:
        machine = self._running.machine
        environment = {**machine.environment, "API_PORT": str(port), **machine.parts["api"].variables()}
        child = start_part("api", environment, Output())
        self._stack.callback(child.stop)
        await_condition(lambda: answers(port), "the second API listening")
        return child

    @property
    def secret(self) -> str:
        (found,) = re.findall(r"Signing secret: (whsec_\S+)", self.listening.text())
        return str(found)

    def said(self, words: str) -> bool:
        return words in self.listening.text()

    def received(self) -> dict[str, str]:
        """Id -> status of each file, as the receiver of the guide keeps it."""
        with sqlite3.connect(self.folder / "received.db") as database:
            found = database.execute("SELECT id, status FROM files").fetchall()
        database.close()
        return dict(found)

    def await_received(self, expected: dict[str, str]) -> None:
        try:
            await_condition(lambda: self.received() == expected, f"receiving {expected}")
        except AssertionError as error:
            raise AssertionError(f"{error}; received {self.received()}\n{self.listening.text()}") from None

    def _start(self, name: str, command: list[str], environment: dict[str, str], folder: Path, output: Output) -> Child:
        child = Child(name, command, environment, folder, output.take)
        self._stack.callback(child.stop)
        return child


@pytest.fixture
def desk(tmp_path: Path, running: Running) -> Iterator[Desk]:
    with Desk(tmp_path, running) as made:
        yield made


@pytest.fixture
def key(tenant: Tenant) -> str:
    answer = tenant.client.post("/api-keys", json={"name": "laptop", "scopes": ["files:read"]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def upload(tenant: Tenant, name: str = "a.txt") -> str:
    return str(tenant.await_settled(tenant.upload(name, b"hello, world\n", "text/plain")["id"])["id"])


def test_receiver_of_the_guide_ends_with_the_files_that_the_api_shows(desk: Desk, tenant: Tenant, key: str) -> None:
    before = upload(tenant)
    desk.listen(key=key)
    # Nothing is there yet: what happens now waits for it.
    kept, deleted = upload(tenant, "kept.txt"), upload(tenant, "deleted.txt")
    await_condition(lambda: desk.said("cannot connect"), "the first attempt")
    receiver = desk.start_receiver(desk.secret)
    desk.await_received({kept: "completed", deleted: "completed"})
    receiver.kill()
    assert tenant.client.delete(f"/files/{deleted}").status_code == 204
    desk.start_receiver(desk.secret)
    desk.await_received({kept: "completed", deleted: "deleted"})
    assert before not in desk.received()


def test_receiver_of_the_guide_refuses_another_secret(desk: Desk, tenant: Tenant, key: str) -> None:
    desk.start_receiver("whsec_" + "A" * 32)
    desk.listen("--after", "0", key=key)
    upload(tenant)
    await_condition(lambda: desk.said("  401  "), "the refusal")
    assert desk.received() == {}


def test_api_that_is_restarted_is_waited_for(desk: Desk, tenant: Tenant, key: str) -> None:
    port = free_port()
    api = desk.start_api(port)
    listener = desk.listen(key=key, base_url=f"http://{HOST}:{port}")
    desk.start_receiver(desk.secret)
    first = upload(tenant)
    desk.await_received({first: "completed"})
    api.kill()
    second = upload(tenant)
    await_condition(lambda: desk.said("is it running?"), "the complaint")
    desk.start_api(port)
    desk.await_received({first: "completed", second: "completed"})
    assert listener.exit_code is None


def test_interrupt_ends_it_and_tells_where_to_go_on(desk: Desk, tenant: Tenant, key: str) -> None:
    listener = desk.listen(key=key)
    desk.start_receiver(desk.secret)
    first = upload(tenant)
    desk.await_received({first: "completed"})
    os.kill(listener.pid, signal.SIGINT)
    await_condition(lambda: listener.exit_code is not None, "the end")
    listener.stop()
    assert listener.exit_code == 0
    (after,) = re.findall(r"Stopped\. To go on from here: --after (\d+)", desk.listening.text())
    second = upload(tenant)
    desk.listen("--after", after, "--secret", desk.secret, key=key)
    desk.await_received({first: "completed", second: "completed"})
    assert desk.listening.text().count("file.created") == 2


def test_what_the_api_refuses_ends_it_with_the_apis_sentence(desk: Desk, tenant: Tenant) -> None:
    command = [sys.executable, "-m", "infra", "listen", "--forward", f"http://{HOST}:{desk.port}/hook"]
    command += ["--username", tenant.username, "--password-stdin"]
    environment = {"PATH": os.environ["PATH"], "BASE_URL": str(tenant.client.base_url)}
    done = subprocess.run(
        command, input="not it\n", env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert "password" in done.stderr
