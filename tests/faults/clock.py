"""Time that passes when the test says so: leases, visibility, ages of objects, all at once and without waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import time_machine

_really_sleep = time.sleep


class Clock:
    def __init__(self, travel: time_machine.Traveller) -> None:
        self._travel = travel
        self._start = time.time()
        self.spent_seconds = 0.0

    def forward(self, seconds: float) -> None:
        """Let this much time pass for everything that asks what time it is."""
        self.spent_seconds += seconds
        self._travel.shift(seconds)

    def now(self) -> float:
        return time.time()

    def back_to(self, moment: float | None) -> None:
        """Epoch seconds; None is the start."""
        self._travel.move_to(self._start if moment is None else moment)
        self.spent_seconds = 0.0


@contextmanager
def virtual_clock() -> Iterator[Clock]:
    """From now on nothing sleeps: a sleep moves the clock instead. The clock also ticks by itself, as usual."""
    with time_machine.travel(time.time(), tick=True) as travel:
        clock = Clock(travel)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.sleep", clock.forward)
            # Waits that are longer or shorter by chance would end in another order in each run.
            patch.setattr("random.uniform", lambda low, high: (low + high) / 2)
            yield clock


def really_sleep(seconds: float) -> None:
    """For what waits for a real process or thread."""
    _really_sleep(seconds)
