"""The local consumer with the times of the product made short, as a process of its own.

What a crash leaves is found after a quarter of an hour, and a failing endpoint is asked again over three days. A trial
has to see the end of it, so here seconds stand for minutes. No code is replaced, only numbers.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

#: Longer than it takes to hear of a failure at all.
ATTEMPT_SECONDS: Final = 2.0
#: Module -> name of a constant -> its value here. The order of the product is kept: an attempt is shorter than a
#: worker's visit, and that is shorter than the lease.
SHORT: Final[dict[str, dict[str, Any]]] = {
    "chalicelib.platform.outbound": {"ATTEMPT_SECONDS": ATTEMPT_SECONDS},
    "chalicelib.webhooks.delivering": {"WORK_SECONDS": 2, "LEASE_SECONDS": 6, "RETRY_SECONDS": 1},
    "chalicelib.webhooks.batches": {"RETRY_SECONDS": 1},
    "chalicelib.webhooks.wakeups": {"FIRST_PAUSE_SECONDS": 1, "FAILING_SECONDS": 3, "MAX_PAUSE_SECONDS": 2},
    "chalicelib.webhooks.tries": {"WAITS_SECONDS": (1, 1, 2, 2, *[3] * 200)},
    "infra.local.queue_reader": {"HOLD_SECONDS": 3, "RENEWAL_SECONDS": 1.0},
}
#: A file that has not moved for so long is looked at by the sweep.
STALE_SECONDS: Final = 5
#: Settings of the process.
ENVIRONMENT: Final = {"SWEEP_INTERVAL_SECONDS": "1", "PROCESSING_LEASE_SECONDS": "10"}


def make_short() -> None:
    """:raises AttributeError: the product has no such constant any more."""
    for module_name, values in SHORT.items():
        module = importlib.import_module(module_name)
        for name, value in values.items():
            getattr(module, name)
            setattr(module, name, value)
    from chalicelib.sweep import sweeping

    defaults = sweeping.sweep.__kwdefaults__
    assert defaults is not None
    assert defaults.keys() == {"stale_seconds"}
    defaults["stale_seconds"] = STALE_SECONDS


if __name__ == "__main__":
    make_short()
    from infra.local import consumer

    consumer.main()
