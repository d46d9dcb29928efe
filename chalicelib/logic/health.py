"""The state of everything that we depend on, asked all at once so that one that hangs does not add up with others."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.wiring import Stores

#: The answer is due even when nothing else is: what has not answered by then counts as away.
PATIENCE_SECONDS = 2.0


def check(stores: "Stores") -> dict[str, bool]:
    """Name of each dependency -> whether it answered in time."""
    probes: dict[str, Callable[[], bool]] = {
        "database": stores.tables.is_reachable,
        "storage": stores.objects.is_reachable,
        "queue": stores.queue.is_reachable,
        "cache": stores.counters.is_reachable,
    }
    pool = ThreadPoolExecutor(len(probes))
    running = {pool.submit(probe): name for name, probe in probes.items()}
    done, _ = wait(running, timeout=PATIENCE_SECONDS)
    pool.shutdown(wait=False)
    return {name: probe in done and probe.exception() is None and probe.result() for probe, name in running.items()}
