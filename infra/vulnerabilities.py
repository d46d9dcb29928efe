"""Looks the packages of lock files up among the known vulnerabilities, by pip-audit. Needs the network.

Runs in the environment of pip-audit, so it uses the standard library only.
Ends with 0 (none known), 1 (some are known), 2 (the service could not be asked).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SOME_KNOWN = 1
NOT_ASKED = 2


class NotCheckedError(Exception):
    """Nothing, or not everything, could be looked up; the sentence says why."""


def known_vulnerabilities(lock_file: str) -> list[dict[str, Any]]:
    """The packages of a lock file that have known vulnerabilities.

    :raises NotCheckedError: as `vulnerable_packages` does.
    """
    # The lock files are complete, so that nothing has to be resolved or downloaded.
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off",
               "--timeout", "15", "--format", "json", "--requirement", lock_file]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return vulnerable_packages(done.stdout, done.stderr)


def vulnerable_packages(report: str, errors: str) -> list[dict[str, Any]]:
    """Read pip-audit's JSON report; `errors` is what it wrote to standard error.

    :raises NotCheckedError: there is no report, or pip-audit skipped a package. It calls a skipped package no error:
        behind a package mirror, which has no advisories, it skips all of them and ends with "none known".
    """
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (json.JSONDecodeError, KeyError) as error:
        last = errors.strip().splitlines()[-1:] or ["no message"]
        raise NotCheckedError(f"pip-audit could not ask pypi.org: {last[0][:200]}") from error
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        raise NotCheckedError(f"pypi.org answered nothing about {len(skipped)} of {len(packages)} packages")
    return [package for package in packages if package.get("vulns")]


def main(lock_files: list[str]) -> int:
    """Print what is known; returns the exit status."""
    known = unchecked = 0
    for lock_file in lock_files:
        try:
            found = known_vulnerabilities(lock_file)
        except NotCheckedError as error:
            print(f"{lock_file}: NOT CHECKED, {error}", file=sys.stderr)
            unchecked += 1
            continue
        for package in found:
            for vulnerability in package["vulns"]:
                fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
                print(f"{lock_file}: {package['name']} {package['version']}: {vulnerability['id']}, fixed in {fixed}")
        known += len(found)
        print(f"{lock_file}: {f'{len(found)} packages with known vulnerabilities' if found else 'none known'}")
    if unchecked:
        print(
            f"{unchecked} of {len(lock_files)} files were not checked, which says nothing about them. The advisories "
            "need a connection to https://pypi.org itself; a mirror of the registry does not have them.",
            file=sys.stderr,
        )
    return SOME_KNOWN if known else NOT_ASKED if unchecked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
