"""Processes one object and prints what that took, as JSON, for benchmarks/processing.py: in a process of its own."""

from __future__ import annotations

import json
import resource
import sys
import time

from tests import aws_calls

#: The emulator does one thing at a time, and copying 2 GB in its memory takes it longer than S3 takes for an answer.
PATIENCE_SECONDS = 900


def main(key: str) -> None:
    aws_calls.listen_to_all_clients()
    from chalicelib.platform import aws, tables

    aws.READ_TIMEOUT_SECONDS = aws.COPY_READ_TIMEOUT_SECONDS = PATIENCE_SECONDS
    tables.READ_TIMEOUT_SECONDS = tables.ClientLimits.read_timeout_seconds = PATIENCE_SECONDS
    from chalicelib.processing.mime import detect_type
    from chalicelib.processing.processing import process_upload
    from chalicelib.wiring import stores

    # Loaded and connected before anything is measured.
    detect_type(b"warm")
    stores().files.find("nobody", "nothing")
    _ = stores().objects
    base = _peak_kilobytes()
    cpu, wall = time.process_time(), time.perf_counter()
    with aws_calls.aws_calls() as made:
        outcome = process_upload(stores(), key, "bench")
    found = {
        "outcome": outcome,
        "calls": len(made),
        "cpu_ms": round((time.process_time() - cpu) * 1000),
        "wall_ms": round((time.perf_counter() - wall) * 1000),
        "peak_mb": round(_peak_kilobytes() / 1024),
        "grown_mb": round((_peak_kilobytes() - base) / 1024),
    }
    print(json.dumps(found))


def _peak_kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1])
