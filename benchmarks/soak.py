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
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx

from benchmarks.machine import started_machine
from benchmarks.table import show
from benchmarks.visitors import MIX, SETTLE_PATIENCE_SECONDS, Book, Visitor
from infra.local.processes import HOST, Child, answers, free_port
from infra.local.up import ROOT

REPORT_SECONDS = 10.0
SAMPLE_SECONDS = 1.0
PASSWORD = "correct horse battery"
PARTS = ("api", "consumer")
#: The first quarter warms up: code is loaded, pools are filled. After it the highest of a quarter may differ by the
#: luck of how many large forms are in memory at once, but not by more than this.
MEMORY_SLACK = 1.25
#: Connections come and go with the load.
OPEN_FILES_SLACK = 10


@dataclass
class Gauge:
    """Memory and open files of a process over time."""

    name: str
    pid: int
    resident_bytes: list[int] = field(default_factory=list)
    open_files: list[int] = field(default_factory=list)

    def read(self) -> None:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.resident_bytes.append(pages * os.sysconf("SC_PAGE_SIZE"))
        self.open_files.append(len(os.listdir(f"/proc/{self.pid}/fd")))

    def highest(self, values: list[int]) -> list[int]:
        """Of each quarter of the time."""
        length = max(1, len(values) // 4)
        return [max(values[start : start + length]) for start in range(0, 4 * length, length)]

    def growth(self) -> list[str]:
        memory, files = self.highest(self.resident_bytes), self.highest(self.open_files)
        wrong = []
        if memory[3] > MEMORY_SLACK * memory[1]:
            wrong.append(f"memory of {self.name} grew from {memory[1]} to {memory[3]} bytes")
        if files[3] > files[1] + OPEN_FILES_SLACK:
            wrong.append(f"open files of {self.name} grew from {files[1]} to {files[3]}")
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long uploads are started")
    parser.add_argument("--organizations", type=int, default=4)
    parser.add_argument("--users", type=int, default=2, help="of each organisation")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    with started_machine() as environment, running_parts(environment) as (base_url, gauges):
        from chalicelib.kernel.config import load
        from chalicelib.wiring import Stores

        os.environ.update(environment)
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


@contextmanager
def running_parts(environment: dict[str, str]) -> Iterator[tuple[str, list[Gauge]]]:
    """The API and the consumer."""
    port = free_port()
    own = {
        **environment,
        "API_PORT": str(port),
        "BCRYPT_COST": "4",
        # The least that S3 allows, so that parts come into play with files that the emulator can keep in memory.
        "MULTIPART_THRESHOLD_BYTES": str(5 * 1024 * 1024),
        "LOG_LEVEL": "WARNING",
    }
    children = [
        Child(
            name, [sys.executable, "-m", f"infra.local.{name}"], own, ROOT, lambda name, line: print(f"{name}: {line}")
        )
        for name in PARTS
    ]
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            if time.monotonic() > deadline:
                raise TimeoutError("the API did not start within 60 s")
            time.sleep(0.1)
        yield f"http://{HOST}:{port}", [Gauge(child.name, child.pid) for child in children]
    finally:
        for child in reversed(children):
            child.stop()


def make_users(stores: Any, base_url: str, organizations: int, users: int) -> tuple[list[str], list[str]]:
    """:returns: the organisations' ids, and a session's token of each user."""
    from chalicelib.accounts import users as accounts
    from chalicelib.tenants import organizations as tenants

    ids, tokens = [], []
    for number in range(organizations):
        organization = tenants.create_organization(stores, f"Organisation {number}")
        ids.append(organization.organization_id)
        for _ in range(users):
            credentials = {"username": f"user-{uuid.uuid4().hex[:12]}", "password": PASSWORD}
            accounts.create_user(stores, organization.organization_id, credentials["username"], PASSWORD)
            answer = httpx.post(f"{base_url}/auth/login", json=credentials, timeout=30)
            tokens.append(answer.headers["set-cookie"].partition("=")[2].partition(";")[0])
    return ids, tokens


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
