"""`make soak`, its second part: who follows the events ends with what the API shows, whatever is killed meanwhile.

Files of an organisation are changed while the API, the consumer, the receiver of docs/webhooks.md and the poller of
docs/following.md are killed by SIGKILL one after the other, and a further endpoint answers falsely, late or not at all.
Ends with 1 when an event is lost, invented, changed or in the feed twice, when a signature is wrong, or when a follower
knows another list of files than the API shows. Times are printed, never judged.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import show
from tests.following.trial import Findings, Trial
from tests.integration.conftest import start_machine

#: How long what is under way at the end may take to its end.
PATIENCE_SECONDS = 600
#: All is left alone for so long after each kill.
BETWEEN_SECONDS = (3.0, 12.0)
#: Between two changes of a member: some three changes a second by both.
PAUSE_SECONDS = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak_following", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long files are changed and processes killed")
    parser.add_argument("--seed", type=int, default=round(time.time()), help="of what is changed, killed and answered")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    print(
        f"Files are changed and processes killed for {arguments.seconds:.0f} s, seed {arguments.seed} ...", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), arguments.seconds, arguments.seed)
    report(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(vars(found), indent=2) + "\n", encoding="utf-8")
    for sentence in found.wrong:
        print(f"WRONG: {sentence}", file=sys.stderr)
    agreed = "\nEvery event was delivered, none was invented, and all know the files that the API shows."
    print(agreed if not found.wrong else f"\n{len(found.wrong)} things are wrong.")
    return 1 if found.wrong else 0


def run(folder: Path, seconds: float, seed: int) -> Findings:
    with start_machine(folder / "machine", []) as machine:
        machine.environment["LOG_LEVEL"] = "WARNING"
        os.environ.update(machine.environment)
        from chalicelib.kernel.config import load
        from chalicelib.wiring import Stores

        trial = Trial(machine, Stores(load(machine.environment)), folder, seed, PAUSE_SECONDS)
        with trial.running():
            trial.disturb(seconds, BETWEEN_SECONDS)
            ended = time.monotonic()
            found = trial.settle(PATIENCE_SECONDS)
            print(f"{'All agreed' if not found.wrong else 'Given up'} after another {time.monotonic() - ended:.0f} s.")
    return found


def report(found: Findings) -> None:
    print()
    show(("event", "times"), sorted(found.types.items()))
    print()
    show(("killed", "times"), sorted(found.kills.items()))
    print()
    show(("the endpoint that lies", "times"), sorted(found.behaved.items()))
    print(f"\n{found.events} events; {found.repeated} posts to that endpoint beyond the first of an event.")
    print("Answers: " + ", ".join(f"{what} {count}" for what, count in sorted(found.answers.items())))
    if found.wrong:
        print(*found.webhooks, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
