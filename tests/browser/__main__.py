"""`make test-browser`: Uppy as it is, in both of its lines, in a real Chromium, against the real stack."""

from __future__ import annotations

import subprocess
import sys

from infra.packaging import ROOT
from tests.browser import environment


def main() -> int:
    try:
        environment.prepare()
    except environment.NotPreparedError as error:
        print(error, file=sys.stderr)
        return 1
    return subprocess.run([sys.executable, "-m", "pytest", *(sys.argv[1:] or ["tests/browser"])], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
