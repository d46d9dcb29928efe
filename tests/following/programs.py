"""The programs that docs/webhooks.md and docs/following.md show, as a customer would run them."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.processes import Child
from infra.local.up import ROOT

#: Name and status of each file, by its id.
Files = dict[str, tuple[str, str]]


def program_of(page: str) -> str:
    """The one program in Python of a page of docs/."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


@dataclass
class Program:
    """One that can be killed and started again; what it knows is in its folder.

    :param page: of docs/, that shows it.
    """

    page: str
    folder: Path
    environment: dict[str, str]
    said: list[str] = field(default_factory=list)

    def start(self) -> Child:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "program.py").write_text(program_of(self.page), encoding="utf-8")
        # Where the tests' packages are, wherever that is.
        packages = os.pathsep.join(filter(None, sys.path))
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": packages, **self.environment}
        command = [sys.executable, "-u", "program.py"]
        return Child(self.page, command, environment, self.folder, lambda name, line: self.said.append(line))


def files_of_receiver(folder: Path) -> Files:
    """Those that it does not know as deleted."""
    rows = _read(folder / "received.db", "SELECT id, filename, status FROM files WHERE status != 'deleted'")
    return {str(file_id): (str(filename), str(status)) for file_id, filename, status in rows}


def handled_by_receiver(folder: Path) -> set[str]:
    """Ids of the events that it has handled."""
    return {str(event_id) for (event_id,) in _read(folder / "received.db", "SELECT id FROM handled")}


def files_of_poller(folder: Path) -> Files:
    rows = _read(folder / "followed.db", "SELECT id, filename, status FROM files")
    return {str(file_id): (str(filename), str(status)) for file_id, filename, status in rows}


def _read(path: Path, query: str) -> list[tuple[object, ...]]:
    """Nothing where the program has not made its tables yet."""
    if not path.exists():
        return []
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        database.close()
