"""The state of everything that we depend on, asked all at once so that one that hangs does not add up with others."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.wiring import Stores

#: The answer is due even when nothing else is: what has not answered by then counts as away.
PATIENCE_SECONDS = 2.0

_asking = threading.Lock()
_asked: "dict[tuple[int, str], Future[bool]]" = {}


def check(stores: "Stores") -> dict[str, bool]:
    """Name of each dependency -> whether it answered in time."""
    probes: dict[str, Callable[[], bool]] = {
        "database": stores.organizations.is_reachable,
        "storage": stores.objects.is_reachable,
        "queue": stores.queue.is_reachable,
        "cache": stores.counters.is_reachable,
    }
    running = {name: _ask((id(stores), name), probe) for name, probe in probes.items()}
    done, _ = wait(running.values(), timeout=PATIENCE_SECONDS)
    return {name: probe in done and probe.exception() is None and probe.result() for name, probe in running.items()}


def _ask(key: tuple[int, str], probe: "Callable[[], bool]") -> "Future[bool]":
    """Start a probe, or join the one that is still waiting: monitors ask often, and during an outage each question
    would leave one more thread behind that hangs until its client gives up.
    """
    with _asking:
        asked = _asked.get(key)
        if asked is None or asked.done():
            asked = _asked[key] = _pool().submit(probe)
        return asked


@cache
def _pool() -> ThreadPoolExecutor:
    # One for each dependency, so that one that hangs never keeps the question to another waiting.
    return ThreadPoolExecutor(4, thread_name_prefix="health")
