"""Takes each protection of the catalogue out, one by one, and runs the tests that must notice.

``python -m tests.protections`` works in copies of the tree. First all named tests have to pass as the code is; then
each edit is made, its tests run, and the edit is undone. ``--write`` writes docs/protections.md, ``--only WORDS`` tries
the protections whose names have these words. Ends with 1 unless every edit applies and is noticed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue

from tests.protections.catalogue import ALL, Protection
from tests.protections.document import DOCUMENT, ROOT, render
from tests.protections.edits import NoEdit, edit

#: The slowest take some 20 s on two cores. One that hangs is not caught: nobody would learn what is wrong.
LIMIT_SECONDS = 300
UNCHANGED_LIMIT_SECONDS = 1200
AT_ONCE = 2
CAUGHT, NOT_CAUGHT, NO_EDIT = "caught", "NOT CAUGHT", "edit no longer applies"


@dataclass(frozen=True)
class Verdict:
    protection: Protection
    outcome: str
    seconds: float
    #: What pytest said, of each test that failed, or why this is no verdict on the tests.
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    exit_code: int | None
    output: str

    @property
    def failures(self) -> list[str]:
        """The lines of the summary that name a failed test."""
        return re.findall(r"^(?:FAILED|ERROR) (tests/.+)$", self.output, re.MULTILINE)

    def has_failed(self, test: str) -> bool:
        return any(re.match(rf"{re.escape(test)}(\[| |$)", line) for line in self.failures)


def copy_tree(target: Path) -> None:
    """What git knows of, and what is new and not ignored; whole files, so that nothing is written to the original."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def run_tests(tree: Path, tests: list[str], limit_seconds: float, *options: str) -> Run:
    # Without bytecode, which some environments forbid to write, a start takes ten seconds instead of two.
    bytecode = {"PYTHONPYCACHEPREFIX": f"{tree}-bytecode", "PYTHONDONTWRITEBYTECODE": ""}
    environment = os.environ | bytecode | {"PYTHONPATH": str(tree), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE", *options, *tests]
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        return Run(None, "")
    finally:
        if process.poll() is None:
            # With what the tests have started.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return Run(process.returncode, output)


def by_kind(tests: Iterable[str]) -> list[list[str]]:
    """Each kind of test in a process of its own: the unit tests and the fault laboratory both own the mock of AWS."""
    return [list(kind) for _, kind in groupby(sorted(set(tests)), lambda test: test.split("/")[1])]


def check_unchanged(tree: Path, protections: list[Protection]) -> bool:
    for tests in by_kind(test for protection in protections for test in protection.tests):
        started = time.monotonic()
        run = run_tests(tree, tests, UNCHANGED_LIMIT_SECONDS)
        folder = "/".join(tests[0].split("/")[:2])
        print(f"as it is: {len(tests)} tests of {folder}, {time.monotonic() - started:.0f} s", flush=True)
        if run.exit_code != 0:
            print(f"They have to pass before anything is taken out.\n{run.output}", file=sys.stderr)
            return False
    return True


def try_without(tree: Path, protection: Protection) -> Verdict:
    try:
        source, changed = edit(tree, protection)
    except NoEdit as error:
        return Verdict(protection, NO_EDIT, 0, (str(error),))
    whole = source.read_text(encoding="utf-8")
    started = time.monotonic()
    put(source, changed)
    try:
        # Of several tests each has to fail, so that none hides behind another.
        runs = [
            run_tests(tree, tests, LIMIT_SECONDS, *(["-x"] if len(tests) == 1 else []))
            for tests in by_kind(protection.tests)
        ]
    finally:
        put(source, whole)
    return judge(protection, runs, time.monotonic() - started)


def put(source: Path, text: str) -> None:
    """Bytecode counts as a file's while time, in seconds, and size are the same; so each text has a time of its own."""
    changed_at = source.stat().st_mtime + 2
    source.write_text(text, encoding="utf-8")
    os.utime(source, (changed_at, changed_at))


def judge(protection: Protection, runs: list[Run], seconds: float) -> Verdict:
    for run in runs:
        if run.exit_code is None:
            return Verdict(protection, NOT_CAUGHT, seconds, (f"no end within {LIMIT_SECONDS} s",))
        if run.exit_code not in (0, 1):
            # A module that can't be imported fails every test, and says nothing about any of them.
            told = f"pytest ended with {run.exit_code}: {run.output[-500:]}"
            return Verdict(protection, NOT_CAUGHT, seconds, (told,))
    silent = [test for test in protection.tests if not any(run.has_failed(test) for run in runs)]
    if silent:
        return Verdict(protection, NOT_CAUGHT, seconds, tuple(f"passes without it: {test}" for test in silent))
    return Verdict(protection, CAUGHT, seconds, tuple(line for run in runs for line in run.failures))


def try_all(trees: list[Path], protections: list[Protection]) -> Iterator[Verdict]:
    """One edit at a time in each tree; the verdicts come in the order of the catalogue."""
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def attempt(protection: Protection) -> Verdict:
        tree = free.get()
        try:
            return try_without(tree, protection)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        yield from pool.map(attempt, protections)


def report(verdicts: list[Verdict], seconds: float) -> bool:
    missed = [verdict for verdict in verdicts if verdict.outcome != CAUGHT]
    print(f"\n{len(verdicts) - len(missed)} of {len(verdicts)} protections are caught, {seconds:.0f} s.")
    for verdict in missed:
        print(f"  {verdict.outcome}: {verdict.protection.name} ({verdict.protection.where})")
        for line in verdict.told:
            print(f"      {line}")
    return not missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.protections", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write docs/protections.md when all are caught")
    parser.add_argument("--only", default="", metavar="WORDS", help="only protections whose names have these words")
    parser.add_argument("--verbose", action="store_true", help="say how each test failed")
    options = parser.parse_args()
    chosen = [p for p in ALL if options.only.lower() in p.name.lower()]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="protections-") as directory:
        trees = [Path(directory).resolve() / f"tree{number}" for number in range(AT_ONCE)]
        for tree in trees:
            copy_tree(tree)
        if not check_unchanged(trees[0], chosen):
            return 1
        verdicts = []
        for verdict in try_all(trees, chosen):
            verdicts.append(verdict)
            place = f"[{len(verdicts):>3}/{len(chosen)}]"
            print(f"{place} {verdict.outcome:<10} {verdict.seconds:5.1f} s  {verdict.protection.name}", flush=True)
            if options.verbose:
                print("".join(f"      {line}\n" for line in verdict.told), end="", flush=True)
    if not report(verdicts, time.monotonic() - started):
        return 1
    if options.write and chosen == ALL:
        DOCUMENT.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
