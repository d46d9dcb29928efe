"""What every end-to-end test stands on: one package, one emulator with permissions enforced, one deployed stack.

The package is made by `chalice package` once, and again only when something that goes into it has changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra import packaging, release
from infra.local.emulator import client_environment
from infra.local.keys import KeyFile

from . import servers
from .stack import DeployedStack

ROOT = packaging.ROOT
CACHE = ROOT / "build" / "e2e"
# Everything that goes into the package, or decides what does.
INPUTS = ("app.py", "requirements.txt", ".chalice/config.json", "chalicelib", "infra/template", "infra/packaging.py",
          "infra/sbom.py", "infra/gateway.py", "infra/__init__.py")  # fmt: skip


def _fingerprint() -> str:
    total = hashlib.sha256()
    for name in INPUTS:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(f"{file.relative_to(ROOT)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:20]


@pytest.fixture(scope="session")
def package() -> packaging.Package:
    """The package as it goes to production."""
    folder = CACHE / _fingerprint()
    facts = folder / "facts.json"
    CACHE.parent.mkdir(exist_ok=True)
    with CACHE.with_suffix(".lock").open("w") as lock:
        # Of several processes of tests one makes it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not facts.exists():
            # What was made of earlier contents is of no use to anyone.
            shutil.rmtree(CACHE, ignore_errors=True)
            made = packaging.package("prod", folder)
            facts.write_text(json.dumps({"digest": made.digest, "unpacked_bytes": made.unpacked_bytes}))
    template = json.loads((folder / "sam.json").read_text(encoding="utf-8"))
    return packaging.Package("prod", template, folder / "deployment.zip", **json.loads(facts.read_text()))


@pytest.fixture(scope="session")
def cache_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with servers.valkey(tmp_path_factory.mktemp("valkey")) as port:
        yield port


@pytest.fixture(scope="session")
def endpoint(cache_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator. The environment variables are the standard ones, so that everything finds it by them alone."""
    folder = tmp_path_factory.mktemp("emulator")
    with (
        servers.emulator(cache_port, folder) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        point_at(patch, url, folder)
        yield url


def point_at(patch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    """:param folder: the emulator's, with the operator's key."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in client_environment(int(url.rsplit(":", 1)[1]), KeyFile(folder).operator()).items():
        patch.setenv(name, value)


@pytest.fixture(scope="session")
def stack(endpoint: str, cache_port: int, package: packaging.Package) -> Iterator[DeployedStack]:
    """The stack `strongroom-prod`, deployed by the same code as to AWS, with a cache that is already there."""
    session = boto3.Session()
    done = release.deploy(
        session,
        "prod",
        {
            "CacheUrl": f"redis://127.0.0.1:{cache_port}/0",
            "AlarmEmail": "alarms@example.com",
            "CorsOrigins": "https://app.example.com,https://admin.example.com",
            # All tests come from one address.
            "RateLimitLoginPerAddress": "1000/minute",
            "RateLimitAnonymous": "100000/day",
            "RateLimitUploads": "1000/minute",
            # The receivers of the tests.
            "WebhookAllowedHosts": "127.0.0.1",
        },
        made=package,
    )
    deployed = DeployedStack(session, endpoint, done)
    yield deployed
    deployed.api.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What changes or deletes the stack comes after what only uses it."""
    items.sort(key=lambda item: "test_operations" in item.nodeid)
