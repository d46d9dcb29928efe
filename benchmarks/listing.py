"""Listing an organisation of many files: the first page, and the last one by cursor."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.table import show
from chalicelib import keys
from chalicelib.files.cursors import make_cursor
from chalicelib.files.logic import list_files
from chalicelib.files.record import File
from chalicelib.files.rows import FileRow
from chalicelib.files.store import _to_row
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.tenants import organizations as tenants
from chalicelib.wiring import stores

REPEATS = 7
PAGE = 20


def measure(*, quick: bool) -> list[dict[str, Any]]:
    rows = []
    for count in (1_000, 3_000) if quick else (1_000, 10_000, 100_000):
        print(f"  filling {count} rows ...", flush=True)
        organization = tenants.create_organization(stores(), f"Benchmark of {count}", quota_files=10**9)
        caller = Caller(organization.organization_id, "user", "bench")
        oldest = _fill(caller, count)
        last_page = make_cursor(organization.organization_id, None, None, oldest)
        row: dict[str, Any] = {"files": count}
        for page, cursor in (("first_page", None), ("last_page", last_page)):
            cpu, wall = [], []
            for _ in range(REPEATS):
                started, clock = time.process_time(), time.perf_counter()
                listing = list_files(stores(), caller, limit=PAGE, cursor=cursor)
                cpu.append((time.process_time() - started) * 1000)
                wall.append((time.perf_counter() - clock) * 1000)
                assert len(listing.files) == PAGE
            row[f"{page}_cpu_ms"] = round(statistics.median(cpu), 2)
            # With the emulator's own work: what a list takes on a laptop.
            row[f"{page}_wall_ms"] = round(statistics.median(wall), 1)
        rows.append(row)
    show(
        ["files", "first page, CPU ms", "wall ms", "last page by cursor, CPU ms", "wall ms"],
        [list(row.values()) for row in rows],
    )
    return rows


def _fill(caller: Caller, count: int) -> str:
    """Rows as the application writes them, in batches. Returns the id before which the last page starts."""
    now = timestamp()
    ids = [keys.new_file_id() for _ in range(count)]
    model = stores().tables.bind(FileRow)
    with model.batch_write() as batch:
        for file_id in ids:
            batch.save(
                _to_row(
                    model,
                    File(
                        organization_id=caller.organization_id,
                        file_id=file_id,
                        filename="report.pdf",
                        object_name="report.pdf",
                        status="completed",
                        file_size=1000,
                        reserved_bytes=1000,
                        uploaded_by_id=caller.user_id,
                        uploaded_by_username=caller.username,
                        created_at=now,
                        touched_at=now,
                        mime_type="application/pdf",
                        sha256_hash="0" * 64,
                        processed_at=now,
                    ),
                )
            )
    return ids[PAGE]
