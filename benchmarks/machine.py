"""The emulator, Valkey and the stack, started for the measurements and stopped after them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local import emulator
from infra.local.cache import start_cache
from infra.local.keys import KeyFile
from infra.local.processes import Child, answers, free_port
from infra.local.stack import create_data_plane, functions_environment

#: Out of the way: what is measured is the work, not the refusals.
LIMITS = (
    "RATE_LIMIT_LOGIN_PER_ADDRESS",
    "RATE_LIMIT_LOGIN_PER_USERNAME",
    "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS",
    "RATE_LIMIT_LOGIN_PER_DEVICE",
    "RATE_LIMIT_PASSWORD",
    "RATE_LIMIT_TICKETS",
    "RATE_LIMIT_HEALTH",
    "RATE_LIMIT_UPLOADS",
    "RATE_LIMIT_ANONYMOUS",
    "RATE_LIMIT_SIGNED_IN",
)


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the emulator or Valkey did not start within 60 s")
        time.sleep(0.05)


@contextmanager
def started_machine(*, keep_state: bool = False, children: list[Child] | None = None) -> Iterator[dict[str, str]]:
    """Yields the functions' environment.

    :param keep_state: as `make up` does.
    :param children: gets the processes.
    """
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        aws_port, cache_port = free_port(), free_port()
        cache = start_cache(cache_port, Path(folder) / "cache", lambda name, line: said.append(line))
        aws = emulator.start_emulator(
            aws_port, Path(folder) / "aws", lambda name, line: said.append(line), keep_state=keep_state
        )
        if children is not None:
            children += [cache, aws]
        try:
            _wait(lambda: answers(cache_port) and emulator.is_ready(aws_port))
            data = create_data_plane(aws_port, cache_port, KeyFile(Path(folder) / "aws"), said.append)
            # The measurements set up, act and look behind the API in one process.
            environment = functions_environment(data.outputs, aws_port, cache_port, data.operator)
            limits = dict.fromkeys(LIMITS, "1000000/minute")
            big = {"MAX_DIRECT_UPLOAD_BYTES": str(8 * 1024**3), "LOG_LEVEL": "ERROR"}
            yield {**environment, **limits, **big}
        finally:
            aws.stop()
            cache.stop()
