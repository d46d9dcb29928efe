"""A file of what has changed since the emulator's last snapshot, so that a kill loses nothing that was answered.

A line is a batch: a JSON list of entries that hold together or not at all, such as the rows of a transaction. The write
has reached the operating system when `write` returns, which outlives the process; it does not outlive a power cut, as a
laptop's development data need not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any


class Journal:
    def __init__(self, file: Path) -> None:
        self._path = file
        # Rows hold password hashes and sessions.
        self._descriptor = self._open()

    def read(self) -> Iterator[list[Any]]:
        """The batches, oldest first. A last one that was cut off by a kill was answered to nobody and is removed."""
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield json.loads(line)
        os.truncate(self._path, whole)

    def write(self, entries: Sequence[str]) -> None:
        """:param entries: each as JSON. Nothing at all is written when there are none."""
        if entries:
            self._append(self._descriptor, entries)

    def replace(self, batches: Iterable[Sequence[str]]) -> None:
        """Begin anew with these: what was written before is in a snapshot now."""
        written = self._path.with_suffix(".new")
        written.unlink(missing_ok=True)
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        for entries in batches:
            self._append(descriptor, entries)
        os.replace(written, self._path)
        os.close(self._descriptor)
        self._descriptor = descriptor

    @property
    def size_bytes(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @staticmethod
    def _append(descriptor: int, entries: Sequence[str]) -> None:
        # The end of the line is the last byte, so a line without one is not whole.
        left = memoryview(f"[{','.join(entries)}]\n".encode())
        while left:
            left = left[os.write(descriptor, left) :]
