"""Runs the unit tests and the fault injections, and writes down what each function needs: `make actions`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.roles.recording import NOTES_VARIABLE, RECORDED, Need, written

SUITES = ("tests/unit", "tests/faults")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        # One after the other: each is processes with a simulated AWS of their own.
        failed = [suite for suite in SUITES if _run(suite, folder) != 0]
        needs: set[Need] = set()
        for notes in Path(folder).glob("*.json"):
            held: dict[str, dict[str, list[str]]] = json.loads(notes.read_text(encoding="utf-8"))
            needs |= {(name, action, place) for name in held for action in held[name] for place in held[name][action]}
    if failed:
        print(f"A test of {', '.join(failed)} fails, so its calls may be missing.")
    RECORDED.write_text(written(needs), encoding="utf-8")
    print(f"{RECORDED.name}: {len(needs)} needs")
    return 1 if failed else 0


def _run(suite: str, folder: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", suite]
    return subprocess.run(command, env={**os.environ, NOTES_VARIABLE: folder}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
