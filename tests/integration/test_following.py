"""A program that only polls, one that only has a webhook, and an endpoint that lies: all end with what the API shows.

`make soak` does the same for as long as one likes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.kernel.config import load
from chalicelib.wiring import Stores
from tests.following.trial import Trial
from tests.integration.conftest import start_machine

#: Only a failure takes so long.
PATIENCE_SECONDS = 180
#: Behind one cause there are many.
TOLD = 20


def test_followers_end_with_the_files_that_the_api_shows_whatever_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_machine(tmp_path / "machine", []) as machine:
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        trial = Trial(machine, Stores(load(machine.environment)), tmp_path, seed=13)
        with trial.running():
            trial.disturb(seconds=0, between_seconds=(0.3, 1.0))
            found = trial.settle(PATIENCE_SECONDS)
    assert not found.wrong, "\n".join([*found.wrong[:TOLD], machine.output.text()[-4000:]])
    assert found.repeated > 0, "nothing was tried again"
