"""The libraries that the console carries: fetched from npm, compared with npm.

`python -m infra.vendored` writes them anew, as `vendor.json` lists them: after a change of a version there, that is how
an update is made. Needs npm and its registry; nothing that is deployed does.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.packaging import ROOT

FOLDER = ROOT / "chalicelib" / "console" / "static" / "vendor"
MANIFEST = FOLDER / "vendor.json"


@dataclass(frozen=True)
class Vendored:
    """One file of ours.

    :param name: in our folder; ``path`` is that in the package.
    :param replaced: text -> what stands for it here. Browsers resolve no bare names of packages.
    """

    package: str
    version: str
    name: str
    path: str
    sha256: str
    replaced: dict[str, str]

    def made_of(self, original: bytes) -> bytes:
        text = original.decode()
        for before, after in self.replaced.items():
            if text.count(before) != 1:
                raise ValueError(f"{before!r} is not once in {self.path} of {self.package} {self.version}")
            text = text.replace(before, after)
        return text.encode()


def listed() -> list[Vendored]:
    """Every file that the manifest lists."""
    packages = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return [
        Vendored(package["name"], package["version"], name, file["path"], file["sha256"], file.get("replaced", {}))
        for package in packages
        for name, file in package["files"].items()
    ]


def from_registry(files: list[Vendored], npm: str = "npm") -> dict[str, bytes]:
    """Name -> bytes, as they would be written now.

    :raises subprocess.CalledProcessError: npm can't reach the registry.
    """
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for package, version in sorted({(file.package, file.version) for file in files}):
            command = [npm, "pack", "--silent", "--ignore-scripts", f"{package}@{version}"]
            packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
                for file in files:
                    if (file.package, file.version) == (package, version):
                        member = archive.extractfile(f"package/{file.path}")
                        if member is None:
                            raise FileNotFoundError(f"{file.path} is no file of {package} {version}")
                        made[file.name] = file.made_of(member.read())
    return made


def write(made: dict[str, bytes]) -> None:
    packages = json.loads(MANIFEST.read_text(encoding="utf-8"))
    for package in packages:
        for name, file in package["files"].items():
            (FOLDER / name).write_bytes(made[name])
            file["sha256"] = hashlib.sha256(made[name]).hexdigest()
    MANIFEST.write_text(json.dumps(packages, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if shutil.which("npm") is None:
        sys.exit("npm is needed to fetch packages.")
    write(from_registry(listed()))
    print(f"{len(listed())} files written to {FOLDER.relative_to(ROOT)}.")
