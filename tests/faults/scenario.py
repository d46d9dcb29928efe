"""What a scenario is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.lab import Lab
from tests.faults.people import Answer
from tests.faults.wire import Plan


def nothing(lab: Lab) -> Any:
    return None


def _never(lab: Lab, prepared: Any) -> None:
    return None


@dataclass(frozen=True)
class Scenario:
    title: str
    #: What was there before and what is done, for the reader of the table.
    story: str
    act: Callable[[Lab, Any], Answer | None]
    prepare: Callable[[Lab], Any] = nothing
    #: After an answer other than ``hoped_for``.
    again: Callable[[Lab, Any], None] = _never
    hoped_for: int = 200
    #: Faults that are there in the undisturbed run already.
    standing_fault: Plan | None = None
    #: What may become of the file; anything else is a bad row. Empty: the scenario has no file.
    ends: tuple[str, ...] = ()
    #: Whether it is about posting to an endpoint; then the table says how often the event was posted.
    posts: bool = False
    #: The copier takes anything for too large for a single call.
    copies_in_parts: bool = False
    #: No upload in parts is hashed at once, and each invocation has time for one piece of a file.
    in_steps: bool = False
    #: The client does not wait for a day before it tries again.
    at_once: bool = False
