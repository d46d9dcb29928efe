"""What a change of a webhook tells. Of its address only the origin, and of its secrets nothing."""

from collections.abc import Mapping
from typing import Any

from chalicelib.events.records import Event, EventType, Target, changed
from chalicelib.webhooks.records import Webhook


def event_of(kind: EventType, webhook: Webhook, *, occasion: str | None = None) -> Event:
    """
    :param webhook: after the change; a deleted one as it was.
    :param occasion: where the version does not tell this change from others.
    """
    return _event(kind, webhook, occasion or str(webhook.version))


def events_of_change(before: Webhook, after: Webhook) -> list[Event]:
    """What people have changed; being enabled or disabled is an event of its own."""
    occasion = str(after.version)
    events = []
    changes = changed(_told(before), _told(after))
    if before.url != after.url:
        # Also when only what is not told has changed.
        changes["origin"] = {"from": before.origin, "to": after.origin}
    if changes:
        events.append(_event(EventType.WEBHOOK_CHANGED, after, occasion, changes))
    if before.enabled != after.enabled:
        kind = EventType.WEBHOOK_ENABLED if after.enabled else EventType.WEBHOOK_DISABLED
        events.append(_event(kind, after, occasion))
    return events


def _told(webhook: Webhook) -> dict[str, Any]:
    return {
        "origin": webhook.origin,
        "types": sorted(webhook.types) if webhook.types is not None else None,
        "description": webhook.description,
    }


def _event(kind: EventType, webhook: Webhook, occasion: str, changes: Mapping[str, Any] | None = None) -> Event:
    return Event(
        organization_id=webhook.organization_id,
        type=kind,
        target=Target("webhook", webhook.webhook_id),
        occasion=occasion,
        data={
            "id": webhook.webhook_id,
            **_told(webhook),
            "enabled": webhook.enabled,
            "disabled_reason": webhook.disabled_reason,
        },
        changes=changes,
    )
