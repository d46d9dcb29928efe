"""How far the records of a stream are handled, kept in a file, as Lambda keeps it for an event source.

Without it each start of the consumer would have all records of the day handled again: harmless, but after some
thousands of events new ones would wait for minutes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


class Checkpoints:
    def __init__(self, file: Path | None) -> None:
        """:param file: where they outlive the process; None for nowhere."""
        self._file = file
        self._handled: dict[str, str] = {}
        if file is not None and file.exists():
            self._handled = json.loads(file.read_text(encoding="utf-8"))

    def find(self, shard: str) -> str | None:
        """The sequence number of the last record that was handled."""
        return self._handled.get(shard)

    def move(self, shard: str, sequence_number: str) -> None:
        self._handled[shard] = sequence_number
        if self._file is None:
            return
        # At once: whoever is killed while writing leaves the file as it was.
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self._handled), encoding="utf-8")
        os.replace(written, self._file)
