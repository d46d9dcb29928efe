"""Reads the functions' logs from CloudWatch, and makes lines for people of the JSON in them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from infra.deployment import DeploymentError
from infra.environment import LOCAL_STAGE, NotReachable

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
#: FilterLogEvents is throttled at some calls a second in an account.
FOLLOW_PAUSE_SECONDS = 2.0
#: Events can arrive that late, and are shown once all the same.
OVERLAP_MS = 60_000
#: What each line has; the others follow as name=value.
_HEAD = ("time", "level", "message")


def group_of(stack_name: str, function: str) -> str:
    return f"/aws/lambda/{stack_name}-{function}"


def read_age(text: str) -> int:
    """Seconds of ``90s``, ``15m``, ``2h`` or ``3d``.

    :raises ValueError: none of these.
    """
    found = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time such as 90s, 15m, 2h or 3d.")
    return int(found[1]) * _UNITS[found[2]]


def require_logs(stage: str) -> None:
    """:raises NotReachable: the functions of this stage run in a terminal."""
    if stage == LOCAL_STAGE:
        raise NotReachable("On the stage local the log is in the terminal of 'make up'.")


def events(client: Any, group: str, since_seconds: int, pattern: str, *, follow: bool) -> Iterator[str]:
    """Messages, the oldest first.

    :param pattern: as CloudWatch Logs takes it ("Filter pattern syntax"); empty for all.
    :param follow: go on for ever with what comes.
    :raises DeploymentError: there is no such log, or the pattern is none.
    """
    start_ms = int((time.time() - since_seconds) * 1000)
    seen: dict[str, int] = {}
    while True:
        for event in _page_through(client, group, start_ms, pattern):
            if event["eventId"] not in seen:
                seen[event["eventId"]] = event["timestamp"]
                yield event["message"].rstrip("\n")
        if not follow:
            return
        start_ms = max(start_ms, max(seen.values(), default=start_ms) - OVERLAP_MS)
        seen = {name: at for name, at in seen.items() if at >= start_ms}
        time.sleep(FOLLOW_PAUSE_SECONDS)


def for_people(message: str) -> str:
    """One line; what is no JSON, such as Lambda's own lines, stays as it is."""
    try:
        told = json.loads(message)
    except ValueError:
        return message
    if not isinstance(told, dict) or "message" not in told:
        return message
    rest = " ".join(
        f"{name}={_short(value)}"
        for name, value in told.items()
        if name not in (*_HEAD, "exception") and value is not None
    )
    head = f"{_time_of(told)} {told.get('level', ''):<7} {told['message']}"
    trace = f"\n{told['exception']}" if told.get("exception") else ""
    return f"{head}  {rest}".rstrip() + trace


def _time_of(told: dict[str, Any]) -> str:
    moment = told.get("time")
    if isinstance(moment, int | float):
        return datetime.fromtimestamp(moment, UTC).isoformat()
    return str(moment or "")


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _page_through(client: Any, group: str, start_ms: int, pattern: str) -> Iterator[dict[str, Any]]:
    options: dict[str, Any] = {"logGroupName": group, "startTime": start_ms}
    if pattern:
        options["filterPattern"] = pattern
    try:
        for page in client.get_paginator("filter_log_events").paginate(**options):
            yield from page.get("events", [])
    except client.exceptions.ResourceNotFoundException:
        raise DeploymentError(f"There is no log {group}. Is the stage deployed in this account and region?") from None
    except client.exceptions.InvalidParameterException as error:
        raise DeploymentError(f"CloudWatch does not take this filter: {error}") from None
