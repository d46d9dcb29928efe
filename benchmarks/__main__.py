"""`make bench`: runs the measurements one after the other, prints tables, writes benchmarks/results/latest.json.

Everything runs on this machine, against the emulator with a real Valkey. So AWS's own latency is not in the figures;
what is in them is our own work: CPU of the application's process, memory, numbers of calls, bytes of the package.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

from benchmarks.machine import started_machine

NAMES = ("compare", "bill", "calls", "coldstart", "events", "listing", "processing", "laptop")
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller lists and files: about a minute")
    parser.add_argument("only", nargs="*", choices=[[], *NAMES], help="which")
    arguments = parser.parse_args()
    wanted = arguments.only or list(NAMES)
    found: dict[str, object] = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }
    with started_machine() as environment:
        os.environ.update(environment)
        from benchmarks import bill, calls, coldstart, compare, events, laptop, listing, processing

        # In the order of NAMES.
        modules = (compare, bill, calls, coldstart, events, listing, processing, laptop)
        measurements = dict(zip(NAMES, modules, strict=True))
        for name in wanted:
            print(f"\n== {name} ==", flush=True)
            found[name] = measurements[name].measure(quick=arguments.quick)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / "latest.json"
    target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"\nWritten to {target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target}")


if __name__ == "__main__":
    main()
