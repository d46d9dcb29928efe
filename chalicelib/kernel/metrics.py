"""Metrics of our own, as lines of the log that CloudWatch turns into numbers (AWS: embedded metric format).

No call, and nothing to wait for. Where logs are for people nothing is written.
"""

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime

from chalicelib.kernel.config import Settings

NAMESPACE = "Strongroom"
#: Values of one metric in one line (AWS limit).
MAX_VALUES = 100


def put_milliseconds(settings: Settings, name: str, values: Sequence[float]) -> None:
    """How long something took, each time that it happened."""
    for start in range(0, len(values), MAX_VALUES):
        _put(settings, name, "Milliseconds", [round(value) for value in values[start : start + MAX_VALUES]])


def put_count(settings: Settings, name: str, count: int) -> None:
    """How often something has happened since the last time that this was told."""
    _put(settings, name, "Count", count)


def _put(settings: Settings, name: str, unit: str, value: int | list[int]) -> None:
    if settings.log_format != "json":
        return
    described = {"Namespace": NAMESPACE, "Dimensions": [["Stage"]], "Metrics": [{"Name": name, "Unit": unit}]}
    line = {
        "_aws": {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [described]},
        "Stage": settings.stage,
        name: value,
    }
    sys.stdout.write(json.dumps(line) + "\n")


def milliseconds_since(moment: str) -> float:
    """Since a time of the contract's form, by this machine's clock; never below 0."""
    return max(0.0, (time.time() - datetime.fromisoformat(moment).timestamp()) * 1000)
