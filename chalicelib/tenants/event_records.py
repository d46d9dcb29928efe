"""What the changes of organisations tell. Counters move with files, whose own events tell it."""

from typing import Any

from chalicelib.events.records import Event, EventType, Target, changed
from chalicelib.tenants.organization import Organization, details, details_of_policy


def event_of_creation(organization: Organization) -> Event:
    return _event(EventType.ORGANIZATION_CREATED, organization, None)


def event_of_deletion(organization: Organization) -> Event:
    """
    :param organization: as it was.
    """
    return _event(EventType.ORGANIZATION_DELETED, organization, None)


def events_of_change(before: Organization, after: Organization) -> list[Event]:
    """One for each subject that has changed.

    :param after: as it is written, with its new version.
    """
    changes = {
        EventType.ORGANIZATION_CHANGED: changed({"name": before.name}, {"name": after.name}),
        EventType.ORGANIZATION_POLICY_CHANGED: changed(
            details_of_policy(before.policy), details_of_policy(after.policy)
        ),
        EventType.ORGANIZATION_QUOTA_CHANGED: changed(_quota(before), _quota(after)),
        EventType.ORGANIZATION_SECURITY_CHANGED: changed(_security(before), _security(after)),
    }
    return [_event(kind, after, change) for kind, change in changes.items() if change]


def event_of_repair(organization: Organization, differences: list[str]) -> Event:
    """Of an operator who has replaced the counters.

    :param differences: a line for each that was wrong.
    """
    return Event(
        organization_id=organization.organization_id,
        type=EventType.OPERATOR_ACTED,
        target=Target("organization", organization.organization_id),
        # A repair writes the counters as they were after so many changes, and counts as one itself.
        occasion=f"recount {organization.counter_changes}",
        data={"command": "recount --repair", "differences": differences},
    )


def _event(kind: EventType, organization: Organization, changes: dict[str, Any] | None) -> Event:
    return Event(
        organization_id=organization.organization_id,
        type=kind,
        target=Target("organization", organization.organization_id),
        occasion=str(organization.version),
        data={**details(organization), "quota": _quota(organization)},
        changes=changes,
    )


def _quota(organization: Organization) -> dict[str, Any]:
    return {"bytes": organization.quota_bytes, "files": organization.quota_files}


def _security(organization: Organization) -> dict[str, Any]:
    return {"require_second_factor": organization.require_second_factor}
