"""Who follows the events knows what the tables hold: people, sessions, keys, invitations and the organisation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.accounts.rows import SessionRow, UserRow
from chalicelib.api_keys.rows import ApiKeyRow
from chalicelib.invitations.rows import InvitationRow
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.tokens import session_id
from chalicelib.tenants.rows import OrganizationRow

if TYPE_CHECKING:
    from tests.faults.lab import Lab

Things = dict[str, dict[str, Any]]
#: Types after which a thing is no more.
ENDED = {"user.deleted", "invitation.deleted", "invitation.accepted", "api_key.deleted"}


@dataclass(frozen=True)
class Known:
    """What the rows of an organisation hold: thing -> id -> fields; and the ids of its live sessions with their end."""

    things: dict[str, Things]
    sessions: dict[str, str]


NOTHING = Known({"user": {}, "invitation": {}, "api_key": {}, "organization": {}}, {})


def known(lab: Lab) -> dict[str, Known]:
    """Of each organisation."""
    return {
        row.organization_id: Known(
            {
                "user": _users(lab, row.organization_id),
                "invitation": _invitations(lab, row.organization_id),
                "api_key": _keys(lab, row.organization_id),
                "organization": {row.organization_id: _organization(row)},
            },
            {session_id(one.token_hash): _time(one.expires_at) or "" for one in _sessions(lab, row.organization_id)},
        )
        for row in lab.cloud.rows(OrganizationRow)
    }


def wrong_following_of_people(before: Known, now: Known, told: list[dict[str, Any]]) -> Iterator[str]:
    """
    :param before: as it was when following began.
    :param told: all events of the organisation since, in their order.
    """
    followed = {thing: dict(things) for thing, things in before.things.items()}
    for event in told:
        thing, target = event["type"].partition(".")[0], event["target"]["id"]
        if thing not in followed:
            continue
        known_of_it = followed[thing].get(target, {})
        for field, change in event.get("changes", {}).items():
            # What was told twice begins where it ends.
            if field in known_of_it and known_of_it[field] != change["from"]:
                yield f"{event['type']} of {target}: {field} was {known_of_it[field]}, not {change['from']}"
        followed[thing][target] = event["data"]
        if event["type"] in ENDED:
            del followed[thing][target]
    for thing, rows in now.things.items():
        shown = {
            target: {field: data[field] for field in rows.get(target, data)} for target, data in followed[thing].items()
        }
        if shown != rows:
            yield f"who follows the events knows of {thing}: {shown}, the rows are {rows}"
    sessions = _followed_sessions(before.sessions, told)
    if sessions != now.sessions.keys():
        yield f"who follows the events knows the sessions {sessions}, live are {set(now.sessions)}"


def _followed_sessions(before: dict[str, str], told: list[dict[str, Any]]) -> set[str]:
    """Those that have started, have not ended, and whose time is not over."""
    expiry = dict(before)
    for event in told:
        if event["type"] == "session.started":
            expiry |= dict.fromkeys(event["data"]["sessions"], event["data"]["expires_at"])
        elif event["type"] == "session.ended":
            for session in event["data"]["sessions"]:
                expiry.pop(session, None)
    now = timestamp(datetime.fromtimestamp(time.time(), UTC))
    return {session for session, expires_at in expiry.items() if expires_at > now}


def _sessions(lab: Lab, organization_id: str) -> list[SessionRow]:
    """Live ones; tickets, and logins that wait for a code, are none."""
    return [
        row
        for row in lab.cloud.rows(SessionRow)
        if row.organization_id == organization_id
        and row.expires_at > time.time()
        and row.ticket_of is None
        and row.challenge_of is None
    ]


def _users(lab: Lab, organization_id: str) -> Things:
    return {
        row.user_id: {
            "username": row.username,
            "role": row.role,
            "disabled": row.disabled,
            "second_factor": row.totp_secret is not None,
        }
        for row in lab.cloud.rows(UserRow)
        if row.organization_id == organization_id
    }


def _invitations(lab: Lab, organization_id: str) -> Things:
    return {
        row.invitation_id: {"email": row.email, "expires_at": timestamp(datetime.fromtimestamp(row.expires_at, UTC))}
        for row in lab.cloud.rows(InvitationRow)
        if row.organization_id == organization_id
    }


def _keys(lab: Lab, organization_id: str) -> Things:
    return {
        row.key_id: {"name": row.name, "revoked_at": _time(row.revoked_at)}
        for row in lab.cloud.rows(ApiKeyRow)
        # The row that counts them has no name.
        if row.organization_id == organization_id and row.name is not None
    }


def _time(epoch_seconds: float | None) -> str | None:
    return timestamp(datetime.fromtimestamp(int(epoch_seconds), UTC)) if epoch_seconds is not None else None


def _organization(row: OrganizationRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "require_second_factor": bool(row.require_second_factor),
        "quota": {"bytes": int(row.quota_bytes), "files": int(row.quota_files)},
    }
