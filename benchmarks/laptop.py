"""What a laptop's user waits for and pays: from accepted to completed, and the emulator's memory by bytes uploaded.

On a machine of its own that keeps its state, as `make up` does.
"""

from __future__ import annotations

import os
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

from benchmarks.machine import started_machine
from benchmarks.processes import resident_bytes
from benchmarks.served import PASSWORD, Served, form_of, our_app, wait_until_completed
from benchmarks.table import show
from chalicelib.accounts import users
from chalicelib.kernel.config import load
from chalicelib.tenants import organizations
from chalicelib.wiring import Stores
from infra.local.processes import Child

MEGABYTE = 1024 * 1024
SMALL_BYTES, LARGE_BYTES = 10_000, 45 * MEGABYTE
CLIENTS = 2
#: Short beside what is measured; each look is a request of 5 ms that the processing has to share the machine with.
LOOK_SECONDS = 0.005
#: As somebody who uploads one file after the other.
PAUSE_SECONDS = 0.2


def measure(*, quick: bool) -> list[dict[str, Any]]:
    children: list[Child] = []
    with started_machine(keep_state=True, children=children) as environment:
        username = _user(environment)
        [emulator] = [child for child in children if child.name == "aws"]
        with our_app(environment, username) as served:
            row: dict[str, Any] = {"completed_p50_ms": _until_completed(served, 10 if quick else 60)}
            row["emulator_mb"] = resident_bytes(emulator.pid) // MEGABYTE
            for total in (500, 1_000) if quick else (1_000, 5_000):
                _upload(served, total * MEGABYTE - row.get("uploaded_mb", 0) * MEGABYTE)
                row["uploaded_mb"] = total
                row[f"emulator_mb_after_{total}"] = resident_bytes(emulator.pid) // MEGABYTE
    show([name.replace("_", " ") for name in row], [list(row.values())])
    return [row]


def _user(environment: dict[str, str]) -> str:
    username = f"bench-{uuid.uuid4().hex[:8]}"
    # AWS's clients look there; the process's own variables are of the machine that the other measurements use.
    with patch.dict(os.environ, environment):
        stores = Stores(load(environment))
        organization = organizations.create_organization(stores, f"Benchmark of {username}", quota_bytes=2**50)
        users.create_user(stores, organization.organization_id, username, PASSWORD)
    return username


def _until_completed(served: Served, files: int) -> float:
    """From the answer 201 to the first that says completed, in ms; the median."""
    caller, milliseconds = served.caller(), []
    for number in range(files + 3):
        accepted = caller.ask("POST", "/files", *form_of(bytes(SMALL_BYTES)))
        started = time.perf_counter()
        file_id = accepted.json["id"]
        while caller.ask("GET", f"/files/{file_id}").json["status"] != "completed":
            time.sleep(LOOK_SECONDS)
        if number >= 3:
            milliseconds.append((time.perf_counter() - started) * 1000)
        time.sleep(PAUSE_SECONDS)
    return round(statistics.median(milliseconds), 1)


def _upload(served: Served, total_bytes: int) -> None:
    body = form_of(bytes(LARGE_BYTES))

    def upload(_: int) -> str:
        answer = served.caller().ask("POST", "/files", *body)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        file_ids = list(pool.map(upload, range(total_bytes // LARGE_BYTES)))
    wait_until_completed(served.caller(), file_ids)
