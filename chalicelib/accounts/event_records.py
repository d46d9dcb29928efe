"""What the changes of users and their sessions tell. Passwords, codes, tokens and hashes of them are in none of it.

The target is always the user: so all of a user's events stay in their order, and one search finds them.
"""

import hashlib
import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from chalicelib.accounts.records import EndReason, Session, SignInMethod, User, details
from chalicelib.events.records import NOBODYS_ORGANIZATION, Event, EventType, Target, changed
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.tokens import session_id

#: Of four hexadecimal digits. See decision 0036: a longer hash could be looked up in a list of names or passwords.
_NAME_HASH_CHARACTERS = 4


def event_of_creation(user: User) -> Event:
    return _of_user(EventType.USER_CREATED, user)


def events_of_change(before: User, after: User, ended: Collection[str], reason: EndReason | None) -> list[Event]:
    """
    :param after: as it is written, with its new version.
    :param ended: token hashes of the sessions that end with the change.
    :param reason: why they end, where the change itself does not say so.
    """
    events = []
    if after.role != before.role:
        events.append(_of_change(EventType.USER_ROLE_CHANGED, before, after))
    if after.disabled != before.disabled:
        kind = EventType.USER_DISABLED if after.disabled else EventType.USER_ENABLED
        events.append(_of_change(kind, before, after))
    if after.password_hash != before.password_hash:
        events.append(_of_user(EventType.USER_PASSWORD_CHANGED, after))
    if kind_of_factor := _change_of_second_factor(before, after):
        events.append(_of_change(kind_of_factor, before, after))
    return [*events, *_ended_of(before, after, ended, reason or _reason_of(before, after))]


def events_of_deletion(user: User, ended: Collection[str]) -> list[Event]:
    return [_of_user(EventType.USER_DELETED, user), *_ended_of(user, user, ended, EndReason.USER_DELETED)]


def events_of_start(
    user: User, session: Session, how: SignInMethod, ended: Collection[str], occasion: str
) -> list[Event]:
    """
    :param ended: token hashes of the sessions that make room for this one.
    :param occasion: the version of the user that is written with it.
    """
    started = Event(
        organization_id=user.organization_id,
        type=EventType.SESSION_STARTED,
        target=Target("user", user.user_id),
        occasion=occasion,
        data={**_shown(user, [session.token_hash]), "how": how.value, "expires_at": _moment(session.expires_at)},
    )
    return [started, *_event_of_end(user, ended, EndReason.TOO_MANY, occasion)]


def event_of_end(organization_id: str, user_id: str, username: str, token_hash: str) -> Event:
    """Of a session that is on no user's list."""
    name = session_id(token_hash)
    return Event(
        organization_id=organization_id,
        type=EventType.SESSION_ENDED,
        target=Target("user", user_id),
        occasion=name,
        data={"username": username, "sessions": [name], "reason": EndReason.SIGNED_OUT.value},
    )


def event_of_failure(caller: Caller | None, name: str, step: str, occasion: str) -> Event:
    """
    :param caller: whose name it is; None when nobody is called so. No organisation can read the event then: it may be
        that somebody has typed a password where the name belongs.
    :param name: as it was typed, normalised.
    :param step: ``password`` or ``code``: what was wrong.
    """
    hashed = hashlib.sha256(name.encode()).hexdigest()[:_NAME_HASH_CHARACTERS]
    return Event(
        organization_id=caller.organization_id if caller else NOBODYS_ORGANIZATION,
        type=EventType.SESSION_FAILED,
        target=Target("user", caller.user_id) if caller else Target("username", hashed),
        occasion=occasion,
        data={"username_hash": hashed, "step": step},
    )


def _change_of_second_factor(before: User, after: User) -> EventType | None:
    old, new = before.second_factor, after.second_factor
    if new is None:
        return EventType.USER_SECOND_FACTOR_DISABLED if old is not None else None
    if old is None or new.secret != old.secret:
        return EventType.USER_SECOND_FACTOR_ENABLED
    # One that is used goes from the list; others are new ones.
    renewed = not set(new.recovery_codes) <= set(old.recovery_codes)
    return EventType.USER_RECOVERY_CODES_RENEWED if renewed else None


def _reason_of(before: User, after: User) -> EndReason:
    if after.disabled and not before.disabled:
        return EndReason.USER_DISABLED
    if after.password_hash != before.password_hash:
        return EndReason.PASSWORD_CHANGED
    if _change_of_second_factor(before, after) is not None:
        return EndReason.SECOND_FACTOR_CHANGED
    return EndReason.SIGNED_OUT


def _ended_of(before: User, after: User, ended: Collection[str], reason: EndReason) -> list[Event]:
    # Those whose time was over have ended before.
    now = time.time()
    listed = (entry.partition(":") for entry in before.live_sessions)
    live = [token_hash for expires_at, _, token_hash in listed if token_hash in ended and int(expires_at) > now]
    return _event_of_end(after, live, reason, str(after.version))


def _event_of_end(user: User, ended: Collection[str], reason: EndReason, occasion: str) -> list[Event]:
    if not ended:
        return []
    return [
        Event(
            organization_id=user.organization_id,
            type=EventType.SESSION_ENDED,
            target=Target("user", user.user_id),
            occasion=occasion,
            data={**_shown(user, ended), "reason": reason.value},
        )
    ]


def _shown(user: User, token_hashes: Collection[str]) -> dict[str, Any]:
    return {"username": user.username, "sessions": [session_id(token_hash) for token_hash in token_hashes]}


def _of_change(kind: EventType, before: User, after: User) -> Event:
    return _of_user(kind, after, changed(details(before), details(after)))


def _of_user(kind: EventType, user: User, changes: dict[str, Any] | None = None) -> Event:
    return Event(
        organization_id=user.organization_id,
        type=kind,
        target=Target("user", user.user_id),
        occasion=str(user.version),
        data=details(user),
        changes=changes or None,
    )


def _moment(epoch_seconds: int) -> str:
    return timestamp(datetime.fromtimestamp(epoch_seconds, UTC))
