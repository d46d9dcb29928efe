"""Packages, their installer and images are fixed by hash; a look-up that was not made is no good one."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from infra.__main__ import main
from infra.vulnerabilities import NotCheckedError, vulnerable_packages

ROOT = Path(__file__).resolve().parents[3]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_NAMED = re.search(r"^LOCKS := (.*?)\n\n", MAKEFILE, re.MULTILINE | re.DOTALL)
assert _NAMED
LOCKS = [ROOT / f"{name}.txt" for name in _NAMED[1].replace("\\", " ").split()]
# Built from this tree, never pulled.
OWN_IMAGE = "strongroom:local"


def requirements(text: str) -> list[str]:
    """One line for each package, with its hashes."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]


def test_every_lock_file_is_made_by_make_lock() -> None:
    sources = [*ROOT.glob("requirements*.in")]
    for folder in ("infra", "tests", "benchmarks"):
        sources += ROOT.glob(f"{folder}/**/*.in")
    assert {path.with_suffix(".txt") for path in sources} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_package_has_one_version_and_hashes(lock: Path) -> None:
    lines = requirements(lock.read_text(encoding="utf-8"))
    assert lines
    assert [line for line in lines if not re.match(r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==\S+ ", line)] == []
    assert [line for line in lines if not re.search(r"--hash=sha256:[0-9a-f]{64}", line)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_lock_file_names_a_registry(lock: Path) -> None:
    assert not re.search(r"://|--index-url|--extra-index-url|--find-links", lock.read_text(encoding="utf-8"))


def test_every_installation_by_a_script_requires_hashes() -> None:
    files = [ROOT / "infra" / "bootstrap.sh", ROOT / "Dockerfile"]
    commands = [
        command
        for file in files
        for command in re.findall(r"pip\"? install\b[^|;&]*", file.read_text(encoding="utf-8").replace("\\\n", " "))
    ]
    assert len(commands) == 5, "uv by pip, the rest by uv, the rest by pip, the image, and this folder as a command"
    [own] = [command for command in commands if "--require-hashes" not in command]
    assert "--no-index --no-deps --no-build-isolation" in own
    assert own.partition(">")[0].split()[-2:] == ["--editable", "."]


def test_installed_command_is_the_command_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"]["strongroom"].partition(":")
    assert getattr(importlib.import_module(module), function) is main


def test_every_image_is_named_by_digest() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    images = {re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", service["image"]) for service in services.values()}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    images |= set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    images.remove(OWN_IMAGE)
    assert len(images) == 3
    assert [image for image in images if not re.fullmatch(r"[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}", image)] == []


def test_look_up_reports_packages_with_known_vulnerabilities() -> None:
    bad = {"name": "left", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
    good = {"name": "right", "version": "2.0", "vulns": []}
    assert vulnerable_packages(json.dumps({"dependencies": [good, bad]}), "") == [bad]


def test_look_up_does_not_take_a_skipped_package_for_a_sound_one() -> None:
    skipped = {"name": "left", "skip_reason": "Dependency not found on PyPI and could not be audited: left (1.0)"}
    with pytest.raises(NotCheckedError, match="1 of 1 packages"):
        vulnerable_packages(json.dumps({"dependencies": [skipped]}), "No known vulnerabilities found")


def test_look_up_says_that_the_service_was_not_reached() -> None:
    with pytest.raises(NotCheckedError, match=r"could not ask pypi\.org: ConnectionError"):
        vulnerable_packages("", "Traceback ...\nConnectionError: no route to pypi.org")
