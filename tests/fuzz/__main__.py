"""`make fuzz`: schemathesis over the API's own description, against the application in a process of its own.

Fails on any 5xx, any undocumented status, header or body, any error that is not of the contract's shape, wrong input
that is accepted, a route that forgets to ask for a session, a deleted file that is still there. The number of requests
is spread over the operations.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from infra.local.processes import HOST, answers, free_port

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_REQUESTS = 12_000
#: Of the requests asked for; with the default that makes 10,000 the least.
LEAST_SHARE = 5 / 6
#: What schemathesis sends for boundary values and undeclared methods, however few examples it is asked for; and how
#: many requests it makes of one example for each operation: some are filtered out, some repeated without a session.
FIXED_REQUESTS, REQUESTS_OF_ONE_EXAMPLE = 900, 0.9
CHECKS = (
    "contract",
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "wrong_input_is_refused",
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
START_PATIENCE_SECONDS = 60
MOST_ERRORS_SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=DEFAULT_REQUESTS, help="about how many requests")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same requests")
    parser.add_argument("--phases", default="coverage,fuzzing,stateful", help="of schemathesis")
    arguments = parser.parse_args()
    with tempfile.TemporaryFile() as log:
        with running_server(log) as base_url:
            code = fuzz(base_url, arguments.requests, arguments.seed, arguments.phases)
        if code:
            show_errors(log)
        return code


@contextmanager
def running_server(log: IO[bytes]) -> Iterator[str]:
    """Yields the address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.server", str(port)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise RuntimeError("the server did not start:\n" + log.read().decode(errors="replace"))
            time.sleep(0.1)
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(10)


def show_errors(log: IO[bytes]) -> None:
    """The stack traces behind the first 5xx answers, which the answers themselves keep to themselves."""
    log.seek(0)
    said = re.split(r"(?m)^(?=\d\d:\d\d:\d\d\.\d{3} )", log.read().decode(errors="replace"))
    for entry in [entry for entry in said if " ERROR " in entry][:MOST_ERRORS_SHOWN]:
        print(entry, file=sys.stderr)


def fuzz(base_url: str, requests: int, seed: int, phases: str) -> int:
    """:returns: 0 when nothing was wrong."""
    os.environ["FUZZ_BASE_URL"] = base_url
    from schemathesis.cli import schemathesis as command

    from tests.fuzz import hooks

    hooks.learn_failed_files(base_url)
    document = json.loads((ROOT / "chalicelib" / "web" / "openapi.json").read_text(encoding="utf-8"))
    operations = sum(len(set(item) - {"parameters"}) for item in document["paths"].values())
    examples = max(3, round((requests - FIXED_REQUESTS) / operations / REQUESTS_OF_ONE_EXAMPLE))
    arguments = [
        *("run", f"{base_url}/openapi.json", "--url", base_url, "--checks", ",".join(CHECKS), "--mode", "all"),
        *("--phases", phases, "--max-examples", str(examples)),
        *("--generation-database", "none", "--seed", str(seed), "--request-timeout", "30"),
        *("--continue-on-failure", "--no-color", "--warnings", "off", "--suppress-health-check", "all"),
    ]
    try:
        code = command.main(arguments, standalone_mode=False)
    except SystemExit as end:
        code = end.code
    print(hooks.summary())
    if hooks.requests_in_all() < LEAST_SHARE * requests:
        print(f"That is less than {LEAST_SHARE:.0%} of the {requests} that were asked for.", file=sys.stderr)
        return 1
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
