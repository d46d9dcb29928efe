"""The state of everything that we depend on, asked all at once so that one that hangs does not add up with others.

Anybody may ask, so an answer is kept for some seconds: however many ask, the backends are asked at a bounded rate.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.wiring import Stores

#: The answer is due even when nothing else is: what has not answered by then counts as away.
PATIENCE_SECONDS = 2.0
#: How old an answer may be that is given again.
FRESH_SECONDS = 5.0

_log = logging.getLogger(__name__)

_asking = threading.Lock()
_asked: "dict[tuple[int, str], Future[bool]]" = {}
#: When the dependencies were asked last, and what they answered.
_kept: "WeakKeyDictionary[Stores, tuple[float, dict[str, bool]]]" = WeakKeyDictionary()


def check(stores: "Stores") -> dict[str, bool]:
    """Name of each dependency -> whether it answered in time, at most five seconds ago. What is down is logged."""
    asked_at, found = _kept.get(stores, (float("-inf"), {}))
    if time.monotonic() - asked_at >= FRESH_SECONDS:
        found = _check(stores)
        _kept[stores] = time.monotonic(), found
        down = [name for name, up in found.items() if not up]
        if down:
            _log.warning("Down: %s", ", ".join(down))
    return found


def says_yes(question: "Callable[[], bool]") -> bool:
    """The answer to something that asks a dependency itself; no when it does not come in time, or the asking fails."""
    asked = _questions().submit(question)
    wait([asked], timeout=PATIENCE_SECONDS)
    return asked.done() and asked.exception() is None and asked.result()


def _check(stores: "Stores") -> dict[str, bool]:
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


@cache
def _questions() -> ThreadPoolExecutor:
    # Apart from the probes: those who ask much take time from each other only.
    return ThreadPoolExecutor(2, thread_name_prefix="health-question")
