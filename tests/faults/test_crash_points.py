"""Dying, or losing the connection, before and after every call; and calls that keep failing; see docs/faults.md."""

from __future__ import annotations

import pytest

from chalicelib.processing.announcements import MAX_RECEIVES
from chalicelib.processing.processing import MAX_STARTS
from tests.faults.audit import audit
from tests.faults.crash_points import prepare, run_point
from tests.faults.lab import Lab
from tests.faults.matrix import documented, sampled
from tests.faults.scenarios import SCENARIOS
from tests.faults.wire import Call, Mode


@pytest.mark.parametrize("key", SCENARIOS)
def test_every_fault_ends_well(lab: Lab, key: str) -> None:
    """A sample of the ways, at every call; `make faults` tries all of them."""
    ready = prepare(lab, SCENARIOS[key])
    points, cells = documented(key)
    assert ready.points == points, "the calls have changed: run make faults"
    wrong, changed = [], []
    for position, name in enumerate(ready.points):
        for mode in sampled(name, position):
            result = run_point(lab, ready, position, mode)
            wrong += [f"{name}, {mode}: {what}" for what in result.wrong]
            if str(result) != cells[position, mode]:
                changed.append(f"{name}, {mode}: {result}, not {cells[position, mode]}")
    assert not wrong
    assert not changed, "the outcomes have changed: run make faults"


@pytest.mark.parametrize(
    "key",
    [
        *("login", "password", "upload", "process", "process-refused", "delete-completed", "direct-parts"),
        *("session-others", "factor-begin", "factor-confirm", "factor-login", "factor-remove", "factor-reset"),
        "key-create",
    ],
)
def test_a_transaction_sent_twice_ends_well_where_tokens_are_not_known(lab: Lab, key: str) -> None:
    """DynamoDB knows a client request token for ten minutes, emulators not at all: then the second one is refused."""
    ready = prepare(lab, SCENARIOS[key])
    transactions = [position for position, name in enumerate(ready.points) if "TransactWriteItems" in name]
    assert transactions
    for position in transactions:
        result = run_point(lab, ready, position, Mode.ANSWER_LOST_ONCE, tokens_are_kept=False)
        assert not result.wrong, (ready.points[position], result.wrong)


def test_a_write_that_is_refused_by_its_own_success_is_a_success(lab: Lab) -> None:
    """Its answer was lost, so the client sent it again: the condition is that of the row before."""
    ready = prepare(lab, SCENARIOS["direct-parts"])
    writes = [position for position, name in enumerate(ready.points) if name.startswith("DynamoDB PutItem files")]
    assert writes
    for position in writes:
        result = run_point(lab, ready, position, Mode.ANSWER_LOST_ONCE)
        assert not result.wrong
        assert result.told == "201"


def calls_of_processing(lab: Lab) -> list[str]:
    names = prepare(lab, SCENARIOS["process"]).points
    # Twice read, once named: a call that keeps failing is known by its name.
    return list(dict.fromkeys(name for name in names if not name.startswith("SQS")))


@pytest.mark.parametrize("mode", [Mode.SERVER_ERROR, Mode.REFUSED, Mode.ANSWER_LOST, Mode.DIES_AFTER])
def test_a_call_that_keeps_failing_ends_in_failed_and_a_redrive_mends_it(lab: Lab, mode: Mode) -> None:
    """Each call of processing in turn fails in every attempt at the file, until somebody repairs it and redrives."""
    for broken in calls_of_processing(lab):
        lab.start_over()
        anna = lab.people["anna"]
        file_id = anna.upload(b"the bytes").body["id"]
        seen: list[str] = []

        def fails(call: Call, broken: str = broken, seen: list[str] = seen) -> Mode | None:
            # The first of this name in an attempt; giving up may use the same call.
            first = call.name == broken and broken not in seen
            seen.append(call.name)
            return mode if first else None

        for _ in range(MAX_STARTS + MAX_RECEIVES):
            while messages := lab.receive():
                seen.clear()
                with lab.wire.watched(fails):
                    lab.handle(messages)
            lab.clock.forward(2 * 3600)
            if not lab.queued():
                lab.sweep()
        row = lab.row(file_id)
        assert row is not None
        if row.attempts or mode not in (Mode.DIES_AFTER, Mode.SERVER_ERROR):
            # Where every worker dies, or the tables are away, before it has begun with any file, none of the files is
            # to blame: they wait.
            assert row.status in ("failed", "completed"), (broken, row.status)
            assert row.status == "completed" or row.error_message, broken
            assert not audit_but_for_temp(lab), (broken, audit_but_for_temp(lab))
        lab.redrive()
        if row.status == "failed" and mode is Mode.DIES_AFTER:
            # Its messages died with the workers; the user asks again.
            lab.sign_in_expired()
            assert anna.request("POST", f"/files/{file_id}/retry").status == 202
        lab.recover()
        mended = lab.row(file_id)
        assert mended is not None
        assert mended.status == "completed", (broken, mended.status, mended.error_message)
        assert not audit(lab)


def audit_but_for_temp(lab: Lab) -> list[str]:
    """The upload of a completed file waits until deletions from the temp bucket work again."""
    return [wrong for wrong in audit(lab) if "was left in the temp bucket" not in wrong]
