"""`make soak`: many users of several organisations upload for a while, in every way; nothing may be lost or grow.

The API and the queue's consumer run as `make up` runs them. Ends with 1 when anything accepted is lost or failed, an
answer is a refusal or a 5xx, a counter is off, an object has no row, or memory or open files of our processes grow.
Times are printed, never judged.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.machine import started_machine
from benchmarks.parts import Gauge, make_users, running_parts
from benchmarks.table import show
from benchmarks.visitors import MIX, SETTLE_PATIENCE_SECONDS, Book, Visitor

REPORT_SECONDS = 10.0
SAMPLE_SECONDS = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long uploads are started")
    parser.add_argument("--organizations", type=int, default=4)
    parser.add_argument("--users", type=int, default=2, help="of each organisation")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with started_machine() as environment:
        os.environ.update(environment)
        with running_parts() as (base_url, gauges):
            from chalicelib.kernel.config import load
            from chalicelib.wiring import Stores

            stores = Stores(load(environment))
            organizations, tokens = make_users(stores, base_url, arguments.organizations, arguments.users)
            book = soak(base_url, tokens, gauges, arguments.seconds)
            wrong = [*verdict(book, gauges), *left_behind(stores, organizations)]
            figures = report(book, gauges)
    if arguments.json:
        arguments.json.write_text(json.dumps({**figures, "wrong": wrong}, indent=2) + "\n", encoding="utf-8")
    for sentence in wrong:
        print(f"WRONG: {sentence}", file=sys.stderr)
    print("\nNothing was lost, nothing failed, nothing grew." if not wrong else f"\n{len(wrong)} things are wrong.")
    return 1 if wrong else 0


def soak(base_url: str, tokens: list[str], gauges: list[Gauge], seconds: float) -> Book:
    """Until the time is over, or Ctrl-C; then what is under way is seen through."""
    book, stopping = Book(), threading.Event()
    visitors = [Visitor(base_url, token, book, stopping) for token in tokens]
    begun = time.monotonic()
    print(f"{len(visitors)} users upload for {seconds:.0f} s ...", flush=True)
    for visitor in visitors:
        visitor.start()
    try:
        reported = begun
        while (now := time.monotonic()) < begun + seconds:
            for gauge in gauges:
                gauge.read()
            if now >= reported + REPORT_SECONDS:
                reported = now
                print(progress(book, gauges, now - begun), flush=True)
            time.sleep(SAMPLE_SECONDS)
    except KeyboardInterrupt:
        print("Stopped; what is under way is seen through ...", flush=True)
    stopping.set()
    for visitor in visitors:
        visitor.join(SETTLE_PATIENCE_SECONDS)
    return book


def progress(book: Book, gauges: list[Gauge], seconds: float) -> str:
    with book.lock:
        outcomes = [upload.outcome for upload in book.uploads]
    waiting = outcomes.count(None)
    counts = ", ".join(f"{outcome} {outcomes.count(outcome)}" for outcome in ("completed", "failed"))
    memory = ", ".join(
        f"{gauge.name} {gauge.resident_bytes[-1] >> 20} MB {gauge.open_files[-1]} files" for gauge in gauges
    )
    return f"{seconds:6.0f} s  accepted {len(outcomes)}, {counts}, under way {waiting}; {memory}"


def verdict(book: Book, gauges: list[Gauge]) -> list[str]:
    """What must not be so."""
    wrong = [f"{upload.way} of {upload.size_bytes} bytes: {upload.outcome or 'lost: never seen through'}"
             for upload in book.uploads if upload.outcome != "completed"]  # fmt: skip
    if not book.uploads:
        wrong.append("nothing was accepted")
    return [*wrong, *book.wrong, *(sentence for gauge in gauges for sentence in gauge.growth())]


def left_behind(stores: Any, organizations: list[str]) -> list[str]:
    """Every file was deleted, so nothing may be left anywhere, and all counters are zero."""
    from chalicelib.files.recounting import recount

    wrong = []
    for organization_id in organizations:
        if recount(stores, organization_id).differences:
            wrong.append(f"the counters of {organization_id} are off")
        organization = stores.organizations.find(organization_id)
        if organization is None or organization.usage.files_used:
            wrong.append(f"{organization_id} still uses room")
    s3 = stores.objects._s3
    for bucket in (stores.settings.temp_bucket, stores.settings.permanent_bucket):
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        wrong += [f"{key} is left in {bucket}" for key in keys]
        uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        wrong += [f"a multipart upload is left in {bucket}" for _ in uploads]
    return wrong


def report(book: Book, gauges: list[Gauge]) -> dict[str, Any]:
    """Prints the tables and returns their figures."""
    rows = []
    for way, size_bytes, _ in MIX:
        own = [upload for upload in book.uploads if (upload.way, upload.size_bytes) == (way, size_bytes)]
        done = sorted(upload.seconds for upload in own if upload.outcome == "completed")
        failed = sum(upload.outcome == "failed" for upload in own)
        cuts = quantiles(done, n=20) if len(done) > 1 else [float("nan")] * 19
        rows.append((way, size_bytes, len(own), len(done), failed, len(own) - len(done) - failed,
                     f"{cuts[9]:.2f}", f"{cuts[18]:.2f}"))  # fmt: skip
    headings = ("way", "bytes", "accepted", "completed", "failed", "lost", "p50 s", "p95 s")
    print()
    show(headings, rows)
    print("\nHighest of each quarter of the time:")
    levels = [
        (gauge.name, what, *(f"{value >> shift}" for value in gauge.highest(values)))
        for gauge in gauges
        for what, values, shift in (("MB resident", gauge.resident_bytes, 20), ("open files", gauge.open_files, 0))
    ]
    show(("process", "what", "1st", "2nd", "3rd", "4th"), levels)
    print("\nAnswers: " + ", ".join(f"{what} {count}" for what, count in sorted(book.answers.items())))
    return {
        "uploads": [dict(zip(headings, row, strict=True)) for row in rows],
        "levels": levels,
        "answers": book.answers,
    }


if __name__ == "__main__":
    sys.exit(main())
