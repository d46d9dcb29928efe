"""LocalStack 4.14.0 from PyPI, in host mode: no Docker, an environment of its own, one loopback port.

It needs Python 3.13. What works there without Docker is S3, SQS, notifications and CloudFormation; DynamoDB wants a jar
that it downloads and Lambda wants Docker, so the tables are on MiniStack and the functions run as `make up` runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from infra.local.processes import Child, Sink
from infra.packaging import ROOT

FOLDER = ROOT / "build" / "localstack"
PYTHON_VERSION = "3.13"
# The last three hold LocalStack's own requirements together; newer releases of them break it.
PACKAGES = ("localstack-core[runtime]==4.14.0", "cbor2==5.8.0", "pyopenssl==25.3.0", "localstack-twisted==25.5.0")


class NoPythonError(Exception):
    """There is no Python 3.13 here; the sentence says what to do."""


def find_python() -> Path:
    """An interpreter of version 3.13: PYTHON313, the command, or one of pyenv's."""
    candidates = [os.environ.get("PYTHON313", ""), shutil.which(f"python{PYTHON_VERSION}") or ""]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path / "bin" / "python") for path in sorted(pyenv.glob(f"{PYTHON_VERSION}*"), reverse=True)]
    for candidate in filter(None, candidates):
        # A command may be there that answers for no installed version (pyenv's shims).
        said = subprocess.run([candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        if said.stdout.strip() == PYTHON_VERSION:
            return Path(candidate)
    raise NoPythonError(
        f"LocalStack 4.14.0 without Docker needs Python {PYTHON_VERSION}, and there is none here. "
        "Install it, or name it: make test-localstack PYTHON313=/path/to/python3.13"
    )


def prepare() -> Path:
    """The interpreter of LocalStack's environment, which is made the first time (about 500 MB)."""
    environment = FOLDER / "venv"
    python, marker = environment / "bin" / "python", environment / "installed"
    wanted = "\n".join(PACKAGES)
    if not marker.exists() or marker.read_text() != wanted:
        base = find_python()
        print(f"Installing LocalStack into {environment.relative_to(ROOT)}; this takes a minute or two ...", flush=True)
        shutil.rmtree(environment, ignore_errors=True)
        subprocess.run([str(base), "-m", "venv", str(environment)], check=True)
        if subprocess.run(_uv_install(python), capture_output=True, check=False).returncode != 0:
            # uv does not read pip's configuration, which may be what makes the registry reachable.
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
            subprocess.run(pip, check=True)
        marker.write_text(wanted)
    return python


def _uv_install(python: Path) -> list[str]:
    uv = Path(sys.executable).with_name("uv")
    return [str(uv), "pip", "install", "--quiet", "--python", str(python), *PACKAGES] if uv.exists() else ["false"]


def start(port: int, folder: Path, sink: Sink) -> Child:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(folder),
        # Written so, it listens on loopback only; a plain 127.0.0.1:port would take every interface.
        "GATEWAY_LISTEN": f"[::ffff:127.0.0.1]:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "SQS_ENDPOINT_STRATEGY": "path",
        # Without a connection to its maker it takes every resource for unsupported and refuses the template; told to
        # go on, it makes those that it knows. The tests look that each is there.
        "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES": "1",
    }
    folder.mkdir(parents=True, exist_ok=True)
    return Child("localstack", [str(prepare()), "-m", "localstack.runtime.main"], environment, folder, sink)


def is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/_localstack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
