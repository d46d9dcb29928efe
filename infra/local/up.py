"""`make up`: everything on this machine, started in order, watched, and stopped together.

Prints what it does while it does it, then what is where, then the parts' own logs. Ends with 0 after Ctrl-C, and with a
sentence and 1 when something can't be started or dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from infra.local import emulator
from infra.local.cache import cache_url, start_cache
from infra.local.keys import KeyFile
from infra.local.processes import HOST, Child, StartError, answers, require_free
from infra.local.stack import create_data_plane, functions_environment

ROOT = Path(__file__).resolve().parents[2]
START_PATIENCE_SECONDS = 60.0
WATCH_INTERVAL_SECONDS = 0.5
#: Restarted when a source file changes; the rest keeps running.
RELOADED = ("api", "consumer")
COLOURS = {"api": "36", "consumer": "32", "aws": "33", "cache": "35", "up": "1"}


@dataclass
class Ports:
    api: int
    aws: int
    cache: int


@dataclass
class Running:
    """What has been started, in the order of starting."""

    children: dict[str, Child] = field(default_factory=dict)
    #: Of each part that runs functions.
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)


def say(text: str) -> None:
    print(text, flush=True)


def show_line(name: str, line: str) -> None:
    label = f"{name:<8} |"
    if sys.stdout.isatty():
        label = f"\033[{COLOURS.get(name, '0')}m{label}\033[0m"
    with contextlib.suppress(BrokenPipeError, OSError):
        print(f"{label} {line}", flush=True)


def read_ports(environ: Mapping[str, str]) -> Ports:
    """:raises StartError: a port is not a number from 1 to 65535, or given twice."""

    def port(variable: str, default: int) -> int:
        raw = environ.get(variable) or str(default)
        if not raw.isdigit() or not 1 <= int(raw) <= 65535:
            raise StartError(f"{variable} must be a port from 1 to 65535, not {raw!r}.")
        return int(raw)

    ports = Ports(port("API_PORT", 8000), port("AWS_PORT", 4566), port("CACHE_PORT", 6379))
    if len({ports.api, ports.aws, ports.cache}) < 3:
        raise StartError("API_PORT, AWS_PORT and CACHE_PORT must differ.")
    return ports


def lock(folder: Path) -> IO[str]:
    """:raises StartError: another `make up` runs on this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    held = (folder / "up.pid").open("a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise StartError(
            f"Another 'make up' runs on {folder}. Stop it, or give this one a folder and ports of its own: "
            "make up STATE_DIR=.local2 API_PORT=8010 AWS_PORT=4576 CACHE_PORT=6389"
        ) from None
    held.truncate(0)
    held.write(str(os.getpid()))
    held.flush()
    return held


def go_on(running: Running) -> None:
    """:raises KeyboardInterrupt: Ctrl-C came while we were busy."""
    if running.stopping.is_set():
        raise KeyboardInterrupt


def wait_until(ready: Callable[[], bool], child: Child, what: str, running: Running) -> None:
    """:raises StartError: it died, or was not ready in time."""
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while not ready():
        go_on(running)
        if child.exit_code is not None:
            raise StartError(f"{what} ended with code {child.exit_code} while it was starting; its output is above.")
        if time.monotonic() > deadline:
            raise StartError(f"{what} was not ready within {START_PATIENCE_SECONDS:.0f} s.")
        time.sleep(0.05)


def start_parts(ports: Ports, folder: Path, running: Running) -> dict[str, str]:
    """Valkey, the emulator, the stack; returns the operator's environment."""
    for port, variable, what in (
        (ports.api, "API_PORT", "the API"),
        (ports.aws, "AWS_PORT", "the emulator"),
        (ports.cache, "CACHE_PORT", "Valkey"),
    ):
        require_free(port, variable, what)
    say("Starting Valkey and the emulator ...")
    running.children["cache"] = start_cache(ports.cache, folder / "cache", show_line)
    origins = page_origins(ports, os.environ)
    running.children["aws"] = emulator.start_emulator(
        ports.aws, folder / "aws", show_line, cache_port=ports.cache, page_origins=origins
    )
    wait_until(lambda: answers(ports.cache), running.children["cache"], "Valkey", running)
    wait_until(lambda: emulator.is_ready(ports.aws), running.children["aws"], "The emulator", running)
    say("Creating the stack's tables, buckets and queues ...")
    told: list[str] = []
    try:
        made = create_data_plane(ports.aws, ports.cache, KeyFile(folder / "aws"), told.append, origins)
    except Exception:
        say("\n".join(told))
        raise
    for name, key in made.parts.items():
        running.environments[name] = functions_environment(made.outputs, ports.aws, ports.cache, key)
    running.environments["consumer"]["STREAM_CHECKPOINTS"] = str(folder / "aws" / "checkpoints.json")
    return functions_environment(made.outputs, ports.aws, ports.cache, made.operator)


def page_origins(ports: Ports, environ: Mapping[str, str]) -> list[str]:
    """Whose pages may send bytes straight to storage: those of the API's own address, and of CORS_ORIGINS."""
    own = [f"http://{HOST}:{ports.api}", f"http://localhost:{ports.api}"]
    return own + [origin for raw in environ.get("CORS_ORIGINS", "").split(",") if (origin := raw.strip().rstrip("/"))]


def prepare_data(environment: Mapping[str, str], running: Running) -> None:
    """Migrations, then Acme Corp with its user; both do nothing when they are done already.

    :raises StartError: one of them failed, after its own words.
    """
    for arguments in (["migrate"], ["seed-data"]):
        go_on(running)
        done = subprocess.run(
            [sys.executable, "-m", "infra", *arguments],
            env=dict(environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            # Out of reach of the terminal's Ctrl-C, which would cut it off and look like a failure of ours.
            start_new_session=True,
        )
        for line in (done.stdout + done.stderr).splitlines():
            say(f"  {line}")
        if done.returncode:
            raise StartError(f"strongroom {' '.join(arguments)} failed; its words are above.")


def start_functions(ports: Ports, running: Running) -> None:
    go_on(running)
    say("Starting the API and the queue consumer ...")
    for name in RELOADED:
        running.children[name] = start_function(name, ports, running)
    wait_until(lambda: answers(ports.api), running.children["api"], "The API", running)


def start_function(name: str, ports: Ports, running: Running) -> Child:
    command = [sys.executable, "-m", f"infra.local.{name}"]
    return Child(name, command, {**running.environments[name], "API_PORT": str(ports.api)}, ROOT, show_line)


def welcome(ports: Ports, folder: Path) -> str:
    api = f"http://{HOST}:{ports.api}"
    make = "make smoke" if ports.api == 8000 else f"make smoke API_PORT={ports.api}"
    return f"""
Strongroom is up.

  Console    {api}/           user admin of Acme Corp, at first with the password: password
  API        {api}
  AWS        {emulator.endpoint(ports.aws)}            emulated: S3, SQS, DynamoDB
  Cache      {cache_url(ports.cache)}      Valkey
  Data       {folder}            'make clean-data' empties it

Try in another terminal:
  {make}
  curl -s -c /tmp/jar -H 'Content-Type: application/json' \\
       -d '{{"username":"admin","password":"password"}}' {api}/auth/login
  curl -s -b /tmp/jar -F file=@README.md {api}/files
  curl -s -b /tmp/jar {api}/files

Ctrl-C stops everything. Logs follow.
"""


def watch(ports: Ports, running: Running) -> None:
    """Until stopped: restart what must see changed sources; end when a part dies by itself.

    :raises StartError: a part died.
    """
    seen = source_state()
    edited = False
    broken: set[str] = set()
    while not running.stopping.wait(WATCH_INTERVAL_SECONDS):
        now = source_state()
        if now != seen:
            seen, edited, broken = now, True, set()
            show_line("up", "Sources changed: restarting the API and the consumer")
            for name in RELOADED:
                running.children[name].stop()
                running.children[name] = start_function(name, ports, running)
        for name, child in running.children.items():
            if child.exit_code is None or name in broken:
                continue
            if name in RELOADED and child.exit_code == 1 and edited:
                # An edit that does not import: the next edit may mend it, so the rest stays up.
                show_line("up", f"The {name} ended after the change; waiting for the next one")
                broken.add(name)
                continue
            raise StartError(f"The {name} ended by itself with code {child.exit_code}; its last words are above.")


def source_state() -> dict[str, int]:
    """When each source file of the functions, or of the console, was last changed."""
    files = [ROOT / "app.py", *(ROOT / "chalicelib").rglob("*.py"), *(ROOT / "chalicelib/console/static").rglob("*.*")]
    state = {}
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            state[str(file)] = file.stat().st_mtime_ns
    return state


def stop_all(running: Running) -> None:
    """In the reverse order of starting: first who asks, then who answers."""
    for name, child in reversed(list(running.children.items())):
        if name == "aws" and child.exit_code is None:
            say("Saving the emulator's state ...")
        child.stop()


def main() -> int:
    running = Running()

    def stop(*_: Any) -> None:
        # A second Ctrl-C must not cut the emulator off while it saves.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        running.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    held = None
    try:
        ports = read_ports(os.environ)
        folder = Path(os.environ.get("STATE_DIR") or ".local").resolve()
        held = lock(folder)
        environment = start_parts(ports, folder, running)
        prepare_data(environment, running)
        start_functions(ports, running)
        say(welcome(ports, folder))
        watch(ports, running)
    except KeyboardInterrupt:
        pass
    except StartError as error:
        print(f"\nstrongroom: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        stop(None)
        stop_all(running)
        if held is not None:
            held.close()
    say("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
