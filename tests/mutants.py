"""Changes operators, numbers and conditions of a module one at a time, and prints what no test notices.

``python -m tests.mutants chalicelib/keys.py tests/unit/properties`` works in a copy of the tree with cosmic-ray, for as
long as ``--seconds`` allows. It is no part of CI: a survivor is a question, not a failure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.protections.__main__ import copy_tree

#: Of one mutation; a change that makes a loop endless ends by it.
LIMIT_SECONDS = 60
CONFIGURATION = """
[cosmic-ray]
module-path = "{module}"
timeout = {limit}.0
excluded-modules = []
test-command = "{python} -m pytest -x -q --tb=no -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("module", help="the file to change, such as chalicelib/keys.py")
    parser.add_argument("tests", nargs="*", default=["tests/unit"], help="the tests that are to notice")
    parser.add_argument("--seconds", type=int, default=600, help="stop after this long")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        tree = Path(directory).resolve()
        copy_tree(tree)
        (tree / "mutants.toml").write_text(
            CONFIGURATION.format(
                module=options.module, limit=LIMIT_SECONDS, python=sys.executable, tests=" ".join(options.tests)
            ),
            encoding="utf-8",
        )
        tools = Path(sys.executable).parent
        session = ["mutants.toml", "mutants.sqlite"]
        subprocess.run([tools / "cosmic-ray", "init", *session], cwd=tree, check=True)
        try:
            subprocess.run([tools / "cosmic-ray", "exec", *session], cwd=tree, check=True, timeout=options.seconds)
        except subprocess.TimeoutExpired:
            print(f"Stopped after {options.seconds} s; what follows is of what was tried.")
        subprocess.run([tools / "cr-report", "--surviving-only", "--show-diff", "mutants.sqlite"], cwd=tree, check=True)


if __name__ == "__main__":
    main()
