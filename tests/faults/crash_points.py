"""Runs a scenario once undisturbed to learn its calls, then again for every call and every way in which it can fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.faults.audit import audit
from tests.faults.lab import Lab, State
from tests.faults.people import Answer
from tests.faults.scenario import Scenario
from tests.faults.wire import Call, Mode

MODES = tuple(mode for mode in Mode if mode not in (Mode.HANGS, Mode.REFUSED))


@dataclass(frozen=True)
class Result:
    """What became of one fault. ``wrong`` is empty when the promise was kept."""

    told: str
    end: str
    by: str
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(part for part in (self.told, self.end, self.by) if part)


@dataclass
class Prepared:
    """A scenario, ready to be acted from the same state again and again."""

    scenario: Scenario
    state: State
    subject: Any
    points: list[str]


def prepare(lab: Lab, scenario: Scenario) -> Prepared:
    """Make the state once, and learn the calls from an undisturbed run, which must itself end well."""
    if scenario.title not in lab.prepared:
        lab.prepared[scenario.title] = _prepare(lab, scenario)
    ready: Prepared = lab.prepared[scenario.title]
    return ready


def _prepare(lab: Lab, scenario: Scenario) -> Prepared:
    lab.start_over()
    ready = Prepared(scenario, lab.keep(), None, [])
    ready.subject = scenario.prepare(lab)
    ready.state = lab.keep()
    _start(lab, ready)
    with lab.wire.watched(scenario.standing_fault) as calls:
        answer = scenario.act(lab, ready.subject)
    ready.points = [call.name for call in calls]
    assert answer is None or answer.status == scenario.hoped_for, f"undisturbed, but answered {answer}"
    lab.recover()
    wrong = audit(lab)
    assert not wrong, wrong
    return ready


def _start(lab: Lab, ready: Prepared) -> None:
    lab.start_over(ready.state)
    if ready.scenario.copies_in_parts:
        lab.copy_in_parts_above(1)
    if ready.scenario.in_steps:
        lab.work_in_steps()


def run_point(lab: Lab, ready: Prepared, position: int, mode: Mode, *, tokens_are_kept: bool = True) -> Result:
    """Act, with the call at this position failing in this way; then let everything recover."""
    scenario, name = ready.scenario, ready.points[position]
    _start(lab, ready)
    lab.wire.tokens.are_kept = tokens_are_kept
    reached = []

    def plan(call: Call) -> Mode | None:
        if call.position == position:
            reached.append(call.name)
            return mode
        return scenario.standing_fault(call) if scenario.standing_fault else None

    with lab.wire.watched(plan):
        answer = scenario.act(lab, ready.subject)
    known = {row.file_id for row in lab.rows()}
    assert reached == [name], f"call {position} was {reached}, not {name}: the scenario is not the same every time"
    if answer is not None and answer.status is None:
        lab.new_process()
    wrong = _finish(lab, scenario, ready.subject, answer)
    ends = sorted({row.status for row in lab.rows() if row.file_id in known}) or ["absent"]
    if scenario.ends and not set(ends) <= set(scenario.ends):
        wrong.append(f"ended {ends}, not {scenario.ends}")
    return Result(
        told=_told(answer),
        end=_posted(lab, ready) if scenario.posts else ", ".join(ends) if scenario.ends else "",
        by=_helper(lab),
        wrong=tuple(wrong),
    )


def _finish(lab: Lab, scenario: Scenario, subject: Any, answer: Answer | None) -> list[str]:
    try:
        wrong = []
        if not scenario.at_once:
            lab.recover()
            wrong = audit(lab)
        if answer is not None and answer.status != scenario.hoped_for:
            lab.sign_in_expired()
            scenario.again(lab, subject)
        lab.recover()
        wrong += audit(lab)
    except AssertionError as error:
        return [str(error)]
    return wrong


def _told(answer: Answer | None) -> str:
    """What the client was told."""
    if answer is None:
        return ""
    return "no answer" if answer.status is None else str(answer.status)


def _posted(lab: Lab, ready: Prepared) -> str:
    """Since the scenario began. How much more often than once is a matter of the seconds of the clock."""
    count = len(lab.endpoint.posts) - len(ready.state.endpoint.received)
    return {0: "not posted", 1: "posted once"}.get(count, "posted more than once")


def _helper(lab: Lab) -> str:
    """Who brought it to its end."""
    repairs = sorted({what for done in lab.swept for what in done if what != "left"})
    helpers = ["sweep"] if repairs else ([f"delivery {lab.deliveries}"] if lab.deliveries > 1 else [])
    return ", ".join(helpers + (["lifecycle"] if lab.lifecycle_used else []))
