"""What the changes of API keys tell. Neither a key's text nor a hash of it is in it."""

import time

from chalicelib.api_keys.records import ApiKey, details
from chalicelib.events.records import Event, EventType, Target, changed

#: What one event each tells of, so not once more among what has changed.
_TOLD_BY_TYPE = {"revoked_at": EventType.API_KEY_REVOKED, "old_secret_expires_at": EventType.API_KEY_ROTATED}


def event_of_creation(key: ApiKey) -> Event:
    return _event(EventType.API_KEY_CREATED, key)


def events_of_change(before: ApiKey, after: ApiKey) -> list[Event]:
    """:param after: as it is written, with its new version."""
    changes = changed(details(before, time.time()), details(after, time.time()))
    events = []
    if after.secret_hash != before.secret_hash:
        events.append(_event(EventType.API_KEY_ROTATED, after))
    if after.revoked_at != before.revoked_at:
        events.append(_event(EventType.API_KEY_REVOKED, after))
    others = {name: change for name, change in changes.items() if name not in _TOLD_BY_TYPE}
    if others:
        events.append(_event(EventType.API_KEY_CHANGED, after, others))
    return events


def event_of_deletion(key: ApiKey) -> Event:
    return _event(EventType.API_KEY_DELETED, key)


def _event(kind: EventType, key: ApiKey, changes: dict[str, object] | None = None) -> Event:
    return Event(
        organization_id=key.organization_id,
        type=kind,
        target=Target("api_key", key.key_id),
        occasion=str(key.version),
        data=details(key, time.time()),
        changes=changes,
    )
