"""CPU time and memory of a program and of everything that it has started."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.02


def _fields(session: int) -> Iterator[list[str]]:
    """Of each process of the session, what proc_pid_stat(5) tells from its third field on."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                told = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if told[3] == str(session):
                yield told


def cpu_ms(session: int) -> float:
    """Of all processes that ``Child`` has started as one session, and of their children that have ended."""
    return sum(sum(map(int, told[11:15])) for told in _fields(session)) * 1000 / _TICKS_PER_SECOND


def resident_bytes(session: int) -> int:
    return sum(int(told[21]) for told in _fields(session)) * _PAGE_BYTES


@contextmanager
def peak_of(session: int) -> Iterator[list[int]]:
    """Yields a list that has, after the block, the highest sum of resident bytes."""
    found, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            found[0] = max(found[0], resident_bytes(session))

    sampler = threading.Thread(target=look)
    sampler.start()
    try:
        yield found
    finally:
        done.set()
        sampler.join()
