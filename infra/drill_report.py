"""What a drill leaves behind: which step took how long and what was wrong, and what it cost. No secrets, no account."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.drill_client import Traffic

GIGABYTE = 10**9
HOURS_A_MONTH = 730
#: US dollars in us-east-1, as in docs/operations.md, "Cost"; other regions differ by some ten percent.
PRICES = {
    "API Gateway, a request": 3.50 / 10**6,
    "Lambda, a GB-second": 16.67 / 10**6,
    "S3, a write": 5.00 / 10**6,
    "S3, a GB and month": 0.023,
    "DynamoDB, a write unit": 0.625 / 10**6,
    "traffic out, a GB": 0.09,
    "cache node, an hour": 0.0128,
    "interface endpoint, an hour": 0.01,
}
#: Of Lambda for a request, and for a GB that is hashed and copied; of write units for a request. Rounded up.
GB_SECONDS_A_REQUEST = 0.2
GB_SECONDS_A_GB = 20
WRITE_UNITS_A_REQUEST = 10


@dataclass(frozen=True)
class Step:
    """:param wrong: empty when it went as promised."""

    name: str
    seconds: float
    said: str
    wrong: str = ""

    @property
    def outcome(self) -> str:
        line = " ".join(self.wrong.split())
        return f"**{line}**" if line else self.said


@dataclass
class DrillReport:
    stage: str
    region: str
    version: str
    steps: list[Step] = field(default_factory=list)
    dollars: float = 0.0

    @property
    def passed(self) -> bool:
        return all(not step.wrong for step in self.steps)

    def write(self, folder: Path) -> None:
        """As `report.json` and `report.md`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps({**asdict(self), "passed": self.passed}, indent=2) + "\n")
        (folder / "report.md").write_text(self.page())

    def page(self) -> str:
        lines = [
            f"# Drill of the stage {self.stage} in {self.region}: {'passed' if self.passed else 'FAILED'}",
            "",
            f"Version {self.version}. About ${self.dollars:.2f} by list prices; what counts is the next bill.",
            "",
            "| step | seconds | |",
            "|---|--:|---|",
            *(f"| {step.name} | {step.seconds:.0f} | {step.outcome} |" for step in self.steps),
        ]
        return "\n".join(lines) + "\n"


def estimate(traffic: Traffic, hours: float, *, own_cache: bool) -> float:
    """US dollars by list prices, without any free tier."""
    requests = traffic.api_requests
    gigabytes = traffic.bytes_sent / GIGABYTE
    total = requests * (
        PRICES["API Gateway, a request"]
        + GB_SECONDS_A_REQUEST * PRICES["Lambda, a GB-second"]
        + WRITE_UNITS_A_REQUEST * PRICES["DynamoDB, a write unit"]
        + PRICES["S3, a write"]
    )
    total += gigabytes * GB_SECONDS_A_GB * PRICES["Lambda, a GB-second"]
    total += gigabytes * 2 * PRICES["S3, a GB and month"] * max(hours, 1) / HOURS_A_MONTH
    total += traffic.bytes_received / GIGABYTE * PRICES["traffic out, a GB"]
    if own_cache:
        # Billed by begun hours, in two zones.
        total += (int(hours) + 1) * (PRICES["cache node, an hour"] + 2 * PRICES["interface endpoint, an hour"])
    return total
