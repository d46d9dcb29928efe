"""Child processes: started in a group of their own, their output passed on line by line, ended for certain.

A child also ends when we are killed without a chance to end it: Linux sends it SIGTERM then (PR_SET_PDEATHSIG).
Elsewhere only a SIGKILL of the runner leaves children behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HOST = "127.0.0.1"
#: The emulator writes its state down on SIGTERM, which takes a moment per gigabyte.
STOP_PATIENCE_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
#: Below the range that systems take the ports of outgoing connections from, any of which may take a port in between.
_FREE_PORTS = range(15_000, 32_000)

# Each process begins elsewhere: those that run side by side don't draw the same.
_next_port = itertools.islice(itertools.cycle(_FREE_PORTS), secrets.randbelow(len(_FREE_PORTS)), None)

Sink = Callable[[str, str], None]


class StartError(Exception):
    """Something could not be started; the sentence says what to do."""


class Child:
    """A running program and the thread that reads what it says."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, sink: Sink
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            # Its own group: Ctrl-C in the terminal reaches us alone, and we end the children in the right order.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        self._reader = threading.Thread(target=self._read, args=(sink,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def stop(self, patience_seconds: float = STOP_PATIENCE_SECONDS) -> None:
        """SIGTERM, then SIGKILL for the whole group when it does not end. Repeatable."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        # What it started itself, such as the emulator's function workers, must not outlive it.
        self._signal(signal.SIGKILL)
        self._finish_reading()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._finish_reading()

    def _finish_reading(self) -> None:
        self._reader.join(timeout=2)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self, sink: Sink) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            sink(self.name, line.rstrip("\n"))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Another one at each call, so that two that are asked for before either is listened on differ."""
    for _ in _FREE_PORTS:
        port = next(_next_port)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise StartError(f"No port from {_FREE_PORTS.start} to {_FREE_PORTS.stop - 1} is free.")


def require_free(port: int, variable: str, what: str) -> None:
    """:raises StartError: something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise StartError(
                f"Port {port} of {HOST} is in use, so {what} can't start there. Stop what uses it, or choose another: "
                f"make up {variable}={port + 10}"
            ) from None


def answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=0.5):
            return True
    except OSError:
        return False
