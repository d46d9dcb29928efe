"""The drill of `make drill-aws`, played by the emulator: all of its steps, with a file of 12 MB instead of 1 GiB."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import boto3
import pytest

from infra.drill import drill_account, run_drill
from infra.drill_steps import LAST_STEPS, PARAMETERS, STEPS, Drill
from infra.packaging import Package

LARGE_BYTES = 12_000_000


def drill_on(cache_port: int, package: Package, said: list[str]) -> Drill:
    given = {**PARAMETERS, "CacheUrl": f"redis://127.0.0.1:{cache_port}/0"}
    return Drill(boto3.Session(), "drill", given, said.append, LARGE_BYTES, dataclasses.replace(package, stage="drill"))


def test_every_step_goes_as_promised_and_nothing_is_left(
    endpoint: str, cache_port: int, package: Package, tmp_path: Path
) -> None:
    said: list[str] = []
    drill = drill_on(cache_port, package, said)
    report = run_drill(drill)
    assert [(step.name, step.wrong) for step in report.steps] == [
        (step.__name__.replace("_", " "), "") for step in (*STEPS, *LAST_STEPS)
    ]
    report.write(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["passed"]
    secrets = [*drill.passwords, *(client.token for client in drill.clients)]
    written = "".join(path.read_text() for path in tmp_path.iterdir()) + "".join(said)
    assert len(secrets) == 4
    assert not [secret for secret in secrets if secret in written]
    assert "X-Amz-Signature" not in written
    assert 0 < report.dollars < 1


def test_step_that_fails_ends_the_drill_and_the_stage_is_deleted(
    endpoint: str, cache_port: int, package: Package
) -> None:
    drill = drill_on(cache_port, package, [])
    drill.multipart_bytes = -1
    report = run_drill(drill)
    assert [step.name for step in report.steps if step.wrong] == ["multipart"], report
    assert [step.name for step in report.steps][-3:] == ["multipart", "tear down", "nothing left"]
    assert not report.passed


@pytest.mark.parametrize("stage", ["prod", "local", "My_Stage"])
def test_stage_that_is_kept_is_refused(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRILL_STAGE", stage)
    assert drill_account([]) == 2
