"""Metrics of our own, as lines of the log that CloudWatch turns into numbers (AWS: embedded metric format).

No call, and nothing to wait for. Where logs are for people nothing is written.
"""

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from chalicelib.kernel.config import Settings

NAMESPACE = "Strongroom"
#: Values of one metric in one line (AWS limit).
MAX_VALUES = 100


#: Of the units that CloudWatch knows, those that are used here.
Unit = Literal["Milliseconds", "Seconds", "Count"]


def put_milliseconds(settings: Settings, name: str, values: Sequence[float]) -> None:
    """How long something took, each time that it happened."""
    put_values(settings, name, values, "Milliseconds")


def put_values(settings: Settings, name: str, values: Sequence[float], unit: Unit) -> None:
    if settings.log_format != "json":
        return
    for start in range(0, len(values), MAX_VALUES):
        described = {
            "Namespace": NAMESPACE,
            "Dimensions": [["Stage"]],
            "Metrics": [{"Name": name, "Unit": unit}],
        }
        line = {
            "_aws": {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [described]},
            "Stage": settings.stage,
            name: [round(value) for value in values[start : start + MAX_VALUES]],
        }
        sys.stdout.write(json.dumps(line) + "\n")


def put_count(settings: Settings, name: str, count: int) -> None:
    """How often something has happened since the last time that this was told."""
    put_values(settings, name, [count], "Count")


def milliseconds_since(moment: str) -> float:
    """Since a time of the contract's form, by this machine's clock; never below 0."""
    return max(0.0, (time.time() - datetime.fromisoformat(moment).timestamp()) * 1000)
