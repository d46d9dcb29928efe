"""`make test-localstack`: the integration tests against LocalStack itself, without Docker."""

from __future__ import annotations

import subprocess
import sys

from infra.packaging import ROOT
from tests.localstack import environment


def main() -> int:
    subprocess.run([str(ROOT / "infra" / "bootstrap.sh"), "emulator"], check=True)
    try:
        environment.prepare()
    except environment.NoPythonError as error:
        print(error, file=sys.stderr)
        return 1
    return subprocess.run([sys.executable, "-m", "pytest", "tests/localstack", *sys.argv[1:]], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
