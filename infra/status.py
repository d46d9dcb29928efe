"""Gathers what an operator wants to know of a deployment at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3

from infra.functions import QUEUES
from infra.migrations.ledger import APPLIED, Ledger
from infra.migrations.runner import known_migrations

if TYPE_CHECKING:
    import httpx

    from chalicelib.kernel.config import Settings
    from chalicelib.wiring import Stores

_DEPTHS = {
    "waiting": "ApproximateNumberOfMessages",
    "in work": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


def gather(
    stores: Stores, api_url: str | None, transport: httpx.BaseTransport | None = None
) -> dict[str, Mapping[str, Any]]:
    """Sections of named facts.

    :param api_url: where the API answers; None if that is not known.
    :param transport: what requests to the API go through; the network without it.
    """
    settings = stores.settings
    entries = Ledger(settings.table_prefix).entries()
    known = known_migrations()
    first = entries.get("0001_installation")
    reached = {
        "database": stores.organizations.is_reachable(),
        "storage": stores.objects.is_reachable(),
        "queue": stores.queue.is_reachable(),
    }
    api, cache = _ask_api(api_url, all(reached.values()), transport)
    return {
        "Deployment": {
            "stage": settings.stage,
            "tables": f"{settings.table_prefix}-*",
            "temp bucket": settings.temp_bucket,
            "permanent bucket": settings.permanent_bucket,
            "installation": (first.position or {}).get("installation_id", "-") if first else "-",
        },
        "API": api,
        "Dependencies": {**{name: _up(is_up) for name, is_up in reached.items()}, "cache": cache},
        **_queues(settings),
        "Migrations": {
            m.migration_id: entries[m.migration_id].state if m.migration_id in entries else "pending" for m in known
        }
        | {name: "unknown to this version" for name in entries if name not in {m.migration_id for m in known}},
        "Summary": {
            "migrations applied": sum(entry.state == APPLIED for entry in entries.values()),
            "migrations known": len(known),
        },
    }


def _ask_api(url: str | None, others_are_up: bool, transport: httpx.BaseTransport | None) -> tuple[dict[str, str], str]:
    """How the API is, and the cache.

    Only the API's function can reach the cache, and it says in public only whether all is well. So the cache is
    what is left when it is not, and all else can be reached from here.
    """
    if url is None:
        return {"address": "-", "state": "not known"}, "not known"
    from infra.live_check import UNHEALTHY, check_once

    wrong = check_once(url, transport)
    if not wrong:
        return {"address": url, "state": "up"}, "up"
    answers = wrong.startswith(UNHEALTHY)
    state = "unhealthy" if answers else f"down: {wrong}"
    return {"address": url, "state": state}, "down" if answers and others_are_up else "not known"


def _up(reachable: bool) -> str:
    return "up" if reachable else "down"


def _queues(settings: Settings) -> dict[str, dict[str, int]]:
    """For each queue that triggers a function: what is in it, and what is among its dead letters."""
    found: dict[str, dict[str, int]] = {}
    for queue in QUEUES:
        dead_letters = getattr(settings, queue.dead_letters)
        found[queue.title] = _depths(getattr(settings, queue.setting))
        found[queue.dead_letters_title] = _depths(dead_letters) if dead_letters else {}
    return found


def _depths(queue_url: str) -> dict[str, int]:
    sqs: Any = boto3.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=list(_DEPTHS.values()))["Attributes"]
    return {name: int(found[attribute]) for name, attribute in _DEPTHS.items()}
