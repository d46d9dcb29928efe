"""A worker that stops in the middle for longer than its lease (a suspended laptop) and then goes on where it was.

Meanwhile the file is swept and processed by another, or deleted, or nothing happens. Whatever the sleeper does when it
wakes up must not touch what has become of the file, nor leave anything behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.audit import audit
from tests.faults.crash_points import Prepared, prepare
from tests.faults.lab import Lab
from tests.faults.scenarios import SCENARIOS
from tests.faults.wire import Call, Mode

LEASE_IS_OVER_SECONDS = 3600


def overtaken(lab: Lab) -> None:
    """The sweep announces the file again, and another worker takes it to its end."""
    lab.clock.forward(LEASE_IS_OVER_SECONDS)
    lab.sweep()
    lab.deliver()


def deleted(lab: Lab) -> None:
    """The user deletes the file, and the sweep finishes that when the lease is over."""
    for file_id in lab.accepted:
        assert lab.people["anna"].delete(file_id).status in (204, 404)
    lab.clock.forward(LEASE_IS_OVER_SECONDS)
    lab.sweep()


def deleted_while_the_lease_runs(lab: Lab) -> None:
    for file_id in lab.accepted:
        assert lab.people["anna"].delete(file_id).status in (204, 404)


def slept(lab: Lab) -> None:
    lab.clock.forward(LEASE_IS_OVER_SECONDS)


MEANWHILES: list[Callable[[Lab], None]] = [overtaken, deleted, deleted_while_the_lease_runs, slept]


def stall(lab: Lab, ready: Prepared, position: int, meanwhile: Callable[[Lab], None]) -> None:
    """Run the scenario in a thread that stops before the call at this position until ``meanwhile`` has happened."""
    lab.start_over(ready.state)
    arrived, go_on = threading.Event(), threading.Event()

    def stops(call: Call) -> Mode | None:
        if call.position == position:
            arrived.set()
            assert go_on.wait(30)
        return ready.scenario.standing_fault(call) if ready.scenario.standing_fault else None

    def work() -> None:
        with lab.wire.watched(stops, only_this_thread=True):
            ready.scenario.act(lab, ready.subject)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert arrived.wait(30)
        meanwhile(lab)
    finally:
        go_on.set()
        worker.join(30)
    lab.recover()


@pytest.mark.parametrize("meanwhile", MEANWHILES, ids=lambda meanwhile: meanwhile.__name__)
@pytest.mark.parametrize("key", ["process", "process-unverified", "process-refused", "give-up"])
def test_a_stalled_worker_does_no_harm(lab: Lab, key: str, meanwhile: Callable[[Lab], Any]) -> None:
    ready = prepare(lab, SCENARIOS[key])
    for position, name in enumerate(ready.points):
        stall(lab, ready, position, meanwhile)
        assert not audit(lab), f"asleep before {name}: {audit(lab)}"
