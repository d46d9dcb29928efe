"""`make fuzz`: schemathesis over the API's own description, against the application in a process of its own.

Fails on any 5xx, any undocumented status, and any answer that is not of the shape that the document gives it; errors
have the contract's one shape there. `--requests` bounds the whole: the number is spread over the operations.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from infra.local.processes import HOST, answers, free_port
from tests.fuzz import server

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_REQUESTS = 12_000
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=DEFAULT_REQUESTS, help="about how many requests")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same requests")
    arguments = parser.parse_args()
    return fuzz(arguments.requests, arguments.seed)


def fuzz(requests: int, seed: int) -> int:
    """:returns: 0 when nothing was wrong."""
    port = free_port()
    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.server", str(port)], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                if running.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    print(said.read().decode(errors="replace"), file=sys.stderr)
                    return 1
                time.sleep(0.1)
            return _run_schemathesis(f"http://{HOST}:{port}", requests, seed)
        finally:
            running.terminate()
            running.wait(10)


def _run_schemathesis(base_url: str, requests: int, seed: int) -> int:
    document = json.loads((ROOT / "chalicelib" / "openapi.json").read_text(encoding="utf-8"))
    # Logging out would make every later request a 401; it has tests of its own.
    operations = sum(len(set(item) - {"parameters"}) for path, item in document["paths"].items()) - 1
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{base_url}/openapi.json", "--url", base_url),
        *("--header", f"Authorization: Bearer {_token(base_url)}", "--checks", CHECKS, "--mode", "all"),
        *("--phases", "coverage,fuzzing,stateful", "--max-examples", str(max(3, requests // operations // 2))),
        *("--exclude-path", "/auth/logout", "--generation-database", "none", "--seed", str(seed)),
        *("--request-timeout", "30", "--continue-on-failure", "--no-color", "--suppress-health-check", "all"),
    ]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _token(base_url: str) -> str:
    body = json.dumps({"username": server.USERNAME, "password": server.PASSWORD}).encode()
    request = urllib.request.Request(f"{base_url}/auth/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        cookie: str = answer.headers["Set-Cookie"]
    return cookie.partition("=")[2].partition(";")[0]


if __name__ == "__main__":
    sys.exit(main())
