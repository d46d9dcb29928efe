"""MiniStack in place of AWS: started from its own virtual environment, so that its packages never meet ours.

Permissions are enforced, and pages of other origins kept out (see emulator_guard.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from infra.local.keys import Key, KeyFile
from infra.local.processes import HOST, Child, Sink, StartError

ROOT = Path(__file__).resolve().parents[2]
VIRTUAL_ENVIRONMENT = ROOT / ".venv-emulator"
GUARD = Path(__file__).with_name("emulator_guard.py")
REGION = "us-east-1"

#: Of glibc. It learns from the first large blocks to take later ones from the heap, where the small ones between them
#: keep it from giving anything back: the process grows by half of what is uploaded. At these sizes it asks the system.
ALLOCATION = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}


def start_emulator(
    port: int,
    folder: Path,
    sink: Sink,
    *,
    cache_port: int | None = None,
    keep_state: bool = True,
    page_origins: Sequence[str] = (),
) -> Child:
    """:param cache_port: where the endpoint is that ElastiCache resources report.
    :param keep_state: save on SIGTERM, and find it again at the next start in the same folder.
    :param page_origins: of pages that send bytes straight to storage. Pages of no other origin get an answer.
    :raises StartError: its environment is missing.
    """
    python = VIRTUAL_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise StartError(f"{VIRTUAL_ENVIRONMENT.name} is missing. Run: make up, or infra/bootstrap.sh emulator")
    state, objects = folder / "state", folder / "objects"
    for made in (state, objects):
        made.mkdir(parents=True, exist_ok=True)
    # The saved state holds the users' keys.
    folder.chmod(0o700)
    environment = {
        **_without_aws(os.environ),
        **KeyFile(folder).operator().variables(),
        "EMULATOR_ORIGINS": ",".join(page_origins),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "STATE_DIR": str(state),
        "S3_DATA_DIR": str(objects),
        "AUTH": "true",
        "LOG_LEVEL": "ERROR",
        "PYTHONUNBUFFERED": "1",
        **ALLOCATION,
    }
    if keep_state:
        environment |= {"PERSIST_STATE": "1", "S3_PERSIST": "1"}
    if cache_port is not None:
        environment |= {"REDIS_HOST": HOST, "REDIS_PORT": str(cache_port)}
    return Child("aws", [str(python), "-P", str(GUARD)], environment, folder, sink)


def endpoint(port: int) -> str:
    return f"http://{HOST}:{port}"


def is_ready(port: int) -> bool:
    try:
        with urlopen(f"{endpoint(port)}/_ministack/health", timeout=1) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def client_environment(port: int, key: Key) -> dict[str, str]:
    """The standard variables with which every AWS client finds the emulator."""
    return {
        **key.variables(),
        "AWS_ENDPOINT_URL": endpoint(port),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """A developer's own profile must never reach the emulator, nor the emulator's clients a real account."""
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}
