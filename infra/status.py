"""Gathers what an operator wants to know of a deployment at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3

from infra.functions import QUEUES
from infra.migrations.ledger import APPLIED, Ledger
from infra.migrations.runner import known_migrations

if TYPE_CHECKING:
    from chalicelib.kernel.config import Settings
    from chalicelib.wiring import Stores

_DEPTHS = {
    "waiting": "ApproximateNumberOfMessages",
    "in work": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


def gather(stores: Stores) -> dict[str, Mapping[str, Any]]:
    """Sections of named facts."""
    settings = stores.settings
    entries = Ledger(settings.table_prefix).entries()
    known = known_migrations()
    first = entries.get("0001_installation")
    return {
        "Deployment": {
            "stage": settings.stage,
            "tables": f"{settings.table_prefix}-*",
            "temp bucket": settings.temp_bucket,
            "permanent bucket": settings.permanent_bucket,
            "installation": (first.position or {}).get("installation_id", "-") if first else "-",
        },
        "Dependencies": {
            "database": _up(stores.organizations.is_reachable()),
            "storage": _up(stores.objects.is_reachable()),
            "queue": _up(stores.queue.is_reachable()),
        },
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
