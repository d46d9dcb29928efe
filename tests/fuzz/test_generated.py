"""The short form of `make fuzz`, for every run of the tests."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.fuzz.__main__ import ROOT

#: schemathesis's boundary values alone are some hundreds; this adds a few random requests to each operation.
REQUESTS = 300
LEAST_REQUESTS = 800


@pytest.mark.timeout(300)
def test_generated_requests_find_nothing_wrong() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--requests", str(REQUESTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    counted = re.search(r"(\d+) requests in all", done.stdout)
    assert counted is not None
    assert int(counted[1]) >= LEAST_REQUESTS
