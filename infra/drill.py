"""`make drill-aws`: everything that an emulator can't prove, once, unattended, in a real account.

Deploys a stage of its own, uses it as clients and operators do, breaks it, takes it back, and deletes it, whatever
happened before. An emulator plays all of it in tests/e2e/test_drill.py, with a smaller file.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from infra.deployment import DeploymentError
from infra.drill_report import DrillReport, Step, estimate
from infra.drill_steps import FOLDER, LAST_STEPS, PARAMETERS, STEPS, Drill
from infra.local.emulator import ROOT
from infra.operator_events import act_as_operator
from infra.running import own_version
from infra.template import KEPT_STAGES

DEFAULT_STAGE = "drill"
GIBIBYTE = 1024**3


def run_drill(drill: Drill) -> DrillReport:
    """All steps up to the first that fails; then what deletes everything, but if the stage was not ours."""
    act_as_operator()
    began = time.monotonic()
    report = DrillReport(drill.stage, drill.session.region_name, own_version())
    try:
        for step in STEPS:
            if not _take(step, drill, report):
                break
    finally:
        # Also after Ctrl-C: it costs money while it stands.
        if report.steps and not (report.steps[0].wrong and len(report.steps) == 1):
            for step in LAST_STEPS:
                _take(step, drill, report)
        hours = (time.monotonic() - began) / 3600
        report.dollars = estimate(drill.traffic, hours, own_cache=drill.given.get("RateCounters") == "elasticache")
    return report


def _take(step: Callable[[Drill], str], drill: Drill, report: DrillReport) -> bool:
    name, began = step.__name__.replace("_", " "), time.monotonic()
    drill.say(f"--- {name}")
    said = wrong = ""
    try:
        said = step(drill)
    except Exception as error:
        # Whatever it is, a bug of ours included, it must not keep the stage from being deleted.
        wrong = _without_secrets(f"{type(error).__name__}: {error}", drill)
    report.steps.append(Step(name, round(time.monotonic() - began, 1), said, wrong))
    drill.say(f"    {wrong or said}")
    return not wrong


def _without_secrets(text: str, drill: Drill) -> str:
    for secret in (*drill.passwords, *(client.token for client in drill.clients)):
        text = text.replace(secret, "(secret)")
    # Signed addresses end in a query that lets whoever has it in.
    return " ".join(word.partition("?")[0] if "X-Amz-" in word else word for word in text.split(" "))


def drill_account(arguments: list[str]) -> int:
    import boto3

    from infra.parameters import is_stage, read_pairs

    pairs = [one for one in arguments if one != "--parameter"]
    stage = os.environ.get("DRILL_STAGE") or DEFAULT_STAGE
    if not is_stage(stage) or stage in {*KEPT_STAGES, "local"}:
        print(f"DRILL_STAGE={stage}: the drill deletes its stage, so it takes none that is kept.", file=sys.stderr)
        return 2
    size = int(os.environ.get("DRILL_BYTES") or GIBIBYTE)
    # As Ctrl-C, so that the stage is deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        given = {**PARAMETERS, **read_pairs(pairs)}
    except DeploymentError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    report = run_drill(Drill(boto3.Session(), stage, given, print, size))
    report.write(FOLDER)
    with suppress(BrokenPipeError):
        print(f"\n{report.page()}\nAlso in {FOLDER.relative_to(ROOT)}/report.md and report.json.")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(drill_account(sys.argv[1:]))
