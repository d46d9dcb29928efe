"""The watch over what tests log."""

from __future__ import annotations

import io
import sys

import pytest

from tests.unit.logbook import Watch, kept_in_place


@pytest.mark.parametrize("captured_by_pytest", [True, False])
def test_output_is_noted_and_passed_on(monkeypatch: pytest.MonkeyPatch, captured_by_pytest: bool) -> None:
    """With ``pytest -s`` nobody puts another output back between the set-up and the test."""
    outside, of_pytest = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", outside)
    with Watch() as logbook:
        if captured_by_pytest:
            monkeypatch.setattr(sys, "stdout", of_pytest)
        with kept_in_place(logbook):
            print("told")
        assert sys.stdout is (of_pytest if captured_by_pytest else logbook)
    assert logbook.output == "told\n"
    assert (of_pytest if captured_by_pytest else outside).getvalue() == "told\n"
