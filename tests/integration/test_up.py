"""`make up` itself, as a process of its own: what it says, what it keeps, and that nothing of it ever stays behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from infra.local.processes import HOST, free_port
from infra.local.up import ROOT
from tests.integration.conftest import await_condition

# One after the other, on one worker: each of them is a whole machine.
pytestmark = pytest.mark.xdist_group("up")

PARTS = {
    "api": "infra.local.api",
    "consumer": "infra.local.consumer",
    "aws": "emulator_guard",
    "cache": "valkey-server",
}
CONTENT = b"kept from one up to the next\n"


def processes() -> dict[int, tuple[str, str]]:
    """Every process of ours: id -> its command line, and the same followed by its environment."""

    def ps(*options: str) -> dict[int, str]:
        out = subprocess.run(["ps", *options, "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
        rows = (line.strip().partition(" ") for line in out.splitlines())
        return {int(pid): command for pid, _, command in rows}

    commands, full = ps("axww"), ps("axeww")
    return {pid: (commands[pid], full[pid]) for pid in commands.keys() & full.keys()}


@dataclass
class Up:
    """A `make up` with a folder and ports of its own."""

    folder: Path
    root: Path
    ports: dict[str, int] = field(
        default_factory=lambda: {name: free_port() for name in ("API_PORT", "AWS_PORT", "CACHE_PORT")}
    )
    settings: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def start(self) -> Up:
        self.lines = []
        self.process = subprocess.Popen(
            [str(self.root / ".venv/bin/python"), "-m", "infra.local.up"],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        ports = {name: str(port) for name, port in self.ports.items()}
        return {**kept, **ports, **self.settings, "STATE_DIR": str(self.folder), "BCRYPT_COST": "4"}

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def await_line(self, text: str, times: int = 1) -> None:
        def said() -> bool:
            assert self.process.poll() is None or self.output.count(text) >= times, self.output
            return self.output.count(text) >= times

        await_condition(said, f"the line {text!r}")

    def await_up(self) -> Up:
        self.await_line("Ctrl-C stops everything.")
        return self

    def exit_code(self) -> int:
        code = self.process.wait(60)
        self._finish_reading()
        return code

    def _finish_reading(self) -> None:
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal sends it: to the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.exit_code()

    def processes(self) -> dict[int, str]:
        """Every process that was started by or for this `make up`, however it was started: id -> command line.

        They have the folder in their environment; Valkey overwrites its own with a title that names its address.
        """
        address = f"{HOST}:{self.ports['CACHE_PORT']}"
        return {
            pid: command
            for pid, (command, full) in processes().items()
            if f"STATE_DIR={self.folder}" in full or ("valkey-server" in command and address in command)
        }

    def parts(self) -> dict[str, int]:
        """Which of the parts run, and their process ids."""
        return {name: pid for pid, command in self.processes().items() for name in PARTS if PARTS[name] in command}

    def remains(self) -> list[str]:
        return list(self.processes().values())

    @contextlib.contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Signed in with what `make up` says."""
        base_url = f"http://{HOST}:{self.ports['API_PORT']}"
        with httpx.Client(base_url=base_url, timeout=30, follow_redirects=True) as client:
            answer = client.post("/auth/login", json={"username": "admin", "password": "password"})
            assert answer.status_code == 200, answer.text
            yield client

    def destroy(self) -> None:
        """Whatever a failed test has left."""
        if not hasattr(self, "process"):
            return
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._finish_reading()


def copy_sources(root: Path) -> Path:
    """What `make up` needs, to be changed by the test and by nobody else: each change restarts the functions."""
    for name in ("chalicelib", "infra"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", root)
    (root / ".chalice").mkdir()
    shutil.copy(ROOT / ".chalice/config.json", root / ".chalice")
    for name in (".venv", ".venv-emulator"):
        (root / name).symlink_to(ROOT / name)
    return root


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def another(tmp_path: Path, sources: Path) -> Iterator[Up]:
    up = Up(tmp_path / "state", sources)
    yield up
    up.destroy()


@dataclass
class FirstRun:
    """What a run left, that was used and ended by Ctrl-C."""

    up: Up
    file_id: str
    parts: dict[str, int]
    exit_code: int
    output: str
    remains: list[str]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Iterator[FirstRun]:
    up = Up(tmp_path_factory.mktemp("up") / "state", sources)
    try:
        up.start().await_up()
        with up.client() as client:
            file_id = client.post("/files", files={"file": ("kept.txt", CONTENT)}).json()["id"]
            await_condition(lambda: client.get(f"/files/{file_id}").json()["status"] == "completed", "processing")
        parts = up.parts()
        exit_code = up.interrupt()
        yield FirstRun(up, file_id, parts, exit_code, up.output, up.remains())
    finally:
        up.destroy()


@pytest.fixture(scope="module")
def second_run(first_run: FirstRun) -> Up:
    return first_run.up.start().await_up()


# ---- coming up and going down ------------------------------------------------------------------------------------
def test_it_says_what_is_where(first_run: FirstRun) -> None:
    ports = first_run.up.ports
    for address in (
        f"http://{HOST}:{ports['API_PORT']}",
        f"http://{HOST}:{ports['AWS_PORT']}",
        f"redis://{HOST}:{ports['CACHE_PORT']}/0",
        f"make smoke API_PORT={ports['API_PORT']}",
        str(first_run.up.folder),
        "user admin of Acme Corp, at first with the password: password",
    ):
        assert address in first_run.output
    assert "Made Acme Corp with the user admin." in first_run.output


def test_ctrl_c_ends_it_with_0_and_leaves_no_process(first_run: FirstRun) -> None:
    assert set(first_run.parts) == set(PARTS)
    assert first_run.exit_code == 0
    assert first_run.output.endswith("Stopped.")
    assert "Traceback" not in first_run.output
    assert first_run.remains == []


def test_next_up_finds_the_data_of_the_one_before(first_run: FirstRun, second_run: Up) -> None:
    assert "admin of Acme Corp is there already." in second_run.output
    assert "Migrations: nothing to do." in second_run.output
    with second_run.client() as client:
        [listed] = client.get("/files").json()["files"]
        assert (listed["id"], listed["filename"], listed["status"]) == (first_run.file_id, "kept.txt", "completed")
        assert client.get(f"/files/{first_run.file_id}/content").content == CONTENT


def test_operators_commands_find_it_and_their_key_by_its_port_and_folder(second_run: Up) -> None:
    def operate(*arguments: str) -> subprocess.CompletedProcess[str]:
        """In a shell that knows nothing of the deployment but what `make up` was told."""
        given = ("PATH", "AWS_PORT", "STATE_DIR")
        environment = {name: value for name, value in second_run.environment().items() if name in given}
        return subprocess.run(
            [sys.executable, "-m", "infra", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
        )

    found = operate("status")
    assert found.returncode == 0, found.stderr
    assert ["storage", "up"] in [line.split() for line in found.stdout.splitlines()]
    wrong = operate("status", "--stage", "elsewhere")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Error: ")
    assert len(wrong.stderr.splitlines()) == 1


# ---- what is in the way ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("variable", ["API_PORT", "AWS_PORT", "CACHE_PORT"])
def test_port_in_use_is_told_with_the_variable_that_changes_it(second_run: Up, another: Up, variable: str) -> None:
    another.ports[variable] = port = second_run.ports[variable]
    assert another.start().exit_code() == 1
    assert another.lines[-1].startswith(f"strongroom: Port {port} of {HOST} is in use")
    assert another.lines[-1].endswith(f"make up {variable}={port + 10}")
    another.ports[variable] = free_port()
    assert another.remains() == []


def test_folder_in_use_is_told_and_its_owner_is_not_disturbed(second_run: Up, another: Up) -> None:
    own = another.folder
    another.folder = second_run.folder
    another.start()
    assert another.exit_code() == 1
    another.folder = own
    assert another.lines[-1].startswith(f"strongroom: Another 'make up' runs on {second_run.folder}.")
    assert set(second_run.parts()) == set(PARTS)
    assert (second_run.folder / "up.pid").read_text() == str(second_run.process.pid)


@pytest.mark.parametrize("wrong", ["http", "0", "65536"])
def test_port_that_is_none_is_told(another: Up, wrong: str) -> None:
    another.ports["AWS_PORT"] = wrong  # type: ignore[assignment]
    assert another.start().exit_code() == 1
    assert another.lines[-1] == f"strongroom: AWS_PORT must be a port from 1 to 65535, not {wrong!r}."


# ---- deaths ------------------------------------------------------------------------------------------------------
def test_part_that_dies_ends_all_with_a_sentence(second_run: Up) -> None:
    """The last of the second run."""
    os.kill(second_run.parts()["aws"], signal.SIGKILL)
    assert second_run.exit_code() == 1
    assert f"strongroom: The aws ended by itself with code {-signal.SIGKILL}" in second_run.output
    assert "Traceback" not in second_run.output
    assert second_run.remains() == []


def test_ctrl_c_while_it_comes_up_ends_it_with_0_too(another: Up) -> None:
    another.start()
    await_condition(
        lambda: any(" infra migrate" in command for command in another.remains()), "the start of the migrations"
    )
    assert another.interrupt() == 0, another.output
    assert another.output.endswith("Stopped.")
    assert another.remains() == []


# ---- changed sources ---------------------------------------------------------------------------------------------
def test_changed_source_restarts_the_functions_only_and_a_killed_runner_leaves_nothing(another: Up) -> None:
    before = another.start().await_up().parts()
    health = f"http://{HOST}:{another.ports['API_PORT']}/health"

    def serves() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(health).status_code == 200
        return False

    source = another.root / "chalicelib" / "keys.py"
    good = source.read_text()
    source.write_text(good + "\nthis is no Python\n")
    another.await_line("waiting for the next one", times=2)
    assert set(another.parts()) == {"aws", "cache"}
    source.write_text(good)
    await_condition(serves, "the API serving again")
    await_condition(lambda: set(another.parts()) == set(PARTS), "all parts running again")
    after = another.parts()
    assert {name for name in PARTS if after[name] != before[name]} == {"api", "consumer"}

    another.process.kill()
    await_condition(lambda: another.remains() == [], "the end of everything that the killed runner had started")
