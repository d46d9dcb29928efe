"""A Query of the emulator of `make up` is answered as the emulator's unchanged code answers it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from infra.local.emulator import VIRTUAL_ENVIRONMENT


def test_answers_are_those_of_the_unchanged_code() -> None:
    """Compared in the emulator's own Python, on rows that change meanwhile."""
    script = Path(__file__).with_name("emulator_comparison.py")
    done = subprocess.run(
        [str(VIRTUAL_ENVIRONMENT / "bin/python"), "-P", str(script)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    # Most of them have rows, and are answered from a part of the table; some are refused.
    assert counted["narrowed"] > 300
    assert counted["found"] > 200
    assert counted["further"] > 50
    assert counted["refused"] > 20
