"""What followers know, held against what the API shows. Each function returns sentences; none means that all agree."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import httpx

from tests.following.endpoint import Got
from tests.following.programs import Files

#: A trial without one of these has not tried what it is for.
EXPECTED_TYPES: Final = frozenset(
    f"file.{what}" for what in ("created", "completed", "failed", "retried", "renamed", "deleted")
)


def files_of(api: httpx.Client) -> Files:
    """All that GET /files shows."""
    found: Files = {}
    query: dict[str, Any] = {"limit": 100}
    while True:
        page = _json(api.get("/files", params=query))
        found |= {file["id"]: (file["filename"], file["status"]) for file in page["files"]}
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def events_of(api: httpx.Client) -> list[dict[str, Any]]:
    """All that GET /events shows, from the first on."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        page = _json(api.get("/events", params={"after": after, "limit": 1000}))
        if page["next_after"] == after:
            return found
        found += page["events"]
        after = page["next_after"]


def differences(who: str, known: Files, shown: Files) -> list[str]:
    return [
        f"{who} knows {known.get(file_id)} of {file_id}, the API shows {shown.get(file_id)}"
        for file_id in sorted(known.keys() | shown.keys())
        if known.get(file_id) != shown.get(file_id)
    ]


def handled_wrongly(handled: Collection[str], events: list[dict[str, Any]], after: int) -> list[str]:
    """:param after: number of the last event before the webhook."""
    wanted = {event["id"] for event in events if event["sequence"] > after}
    return [
        *(f"the receiver never got {event_id}" for event_id in sorted(wanted - set(handled))),
        *(f"the receiver got {event_id}, which the feed does not have" for event_id in sorted(set(handled) - wanted)),
    ]


def posted_wrongly(got: Mapping[str, Got], events: list[dict[str, Any]], after: int) -> list[str]:
    """Each event accepted in the end, none invented, the same bytes at each attempt, and those that the feed shows.

    :param after: number of the last event before the webhook.
    """
    wanted = {event["id"]: event for event in events if event["sequence"] > after}
    wrong = [f"{event_id} was posted, but the feed does not have it" for event_id in got.keys() - wanted.keys()]
    for event_id, event in wanted.items():
        # Others may be noting something at this moment.
        found, bodies = got.get(event_id), list(got[event_id].bodies) if event_id in got else []
        if found is None or not found.is_accepted:
            wrong.append(f"{event_id} ({event['type']}) was never accepted")
        elif len(bodies) != 1:
            wrong.append(f"{event_id} had {len(bodies)} different bodies")
        elif json.loads(bodies[0]) != _as_posted(event):
            wrong.append(f"{event_id} was posted as {bodies[0]!r}, and is {event}")
    if len({event["id"] for event in events}) != len(events):
        wrong.append("an event is in the feed twice")
    return wrong


def missing_types(events: list[dict[str, Any]]) -> list[str]:
    return [f"there was no {kind}" for kind in sorted(EXPECTED_TYPES - {event["type"] for event in events})]


def _as_posted(event: dict[str, Any]) -> dict[str, Any]:
    """What docs/webhooks.md says of the body: without address and program, and with the time once more."""
    actor = {name: value for name, value in event["actor"].items() if name not in ("address", "program")}
    return {**event, "actor": actor, "timestamp": event["time"]}


def _json(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body
