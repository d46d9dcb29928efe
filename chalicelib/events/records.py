"""An event: what it tells, and how it stands in JSON. Plain records, no storage in them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from chalicelib.kernel import base62
from chalicelib.kernel.acting import Acting, Actor, acting
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.permissions import Scope

#: Of the form of events. A field that is added does not change it; one that goes, or means something else, does.
FORM_VERSION: Final = 1
#: 62^22 is more than 2^128.
_ID_CHARACTERS = 22
_ID_BYTES = 16


class EventType(StrEnum):
    """What happened, as ``<thing>.<what happened to it>``."""

    FILE_CREATED = "file.created"
    FILE_COMPLETED = "file.completed"
    FILE_HASHED = "file.hashed"
    FILE_FAILED = "file.failed"
    FILE_RENAMED = "file.renamed"
    FILE_RETRIED = "file.retried"
    FILE_DELETED = "file.deleted"
    FILE_RESTORED = "file.restored"
    FILE_DOWNLOADED = "file.downloaded"
    AUDIT_EXPORTED = "audit.exported"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105
    WEBHOOK_ENABLED = "webhook.enabled"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_TEST = "webhook.test"
    USER_CREATED = "user.created"
    USER_ROLE_CHANGED = "user.role_changed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_DELETED = "user.deleted"
    USER_PASSWORD_CHANGED = "user.password_changed"  # noqa: S105 - the name of an event
    USER_SECOND_FACTOR_ENABLED = "user.second_factor_enabled"
    USER_SECOND_FACTOR_DISABLED = "user.second_factor_disabled"
    USER_RECOVERY_CODES_RENEWED = "user.recovery_codes_renewed"
    SESSION_STARTED = "session.started"
    SESSION_FAILED = "session.failed"
    SESSION_ENDED = "session.ended"
    INVITATION_CREATED = "invitation.created"
    INVITATION_RENEWED = "invitation.renewed"
    INVITATION_DELETED = "invitation.deleted"
    INVITATION_ACCEPTED = "invitation.accepted"
    API_KEY_CREATED = "api_key.created"
    API_KEY_CHANGED = "api_key.changed"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    API_KEY_DELETED = "api_key.deleted"
    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_CHANGED = "organization.changed"
    ORGANIZATION_POLICY_CHANGED = "organization.policy_changed"
    ORGANIZATION_QUOTA_CHANGED = "organization.quota_changed"
    ORGANIZATION_SECURITY_CHANGED = "organization.security_changed"
    ORGANIZATION_DELETED = "organization.deleted"
    OPERATOR_ACTED = "operator.acted"


#: What one needs to see events of a thing. What is not named here is the auditor's.
VISIBLE_WITH: Final[Mapping[str, Scope]] = {
    "file": Scope.FILES_READ,
    "user": Scope.USERS_READ,
    "invitation": Scope.USERS_MANAGE,
    "webhook": Scope.WEBHOOKS_MANAGE,
}
#: Whose events tell of what happens before it is known whose it is, such as a login with an unknown name, or of all
#: organisations at once. Nobody can be a member of it, because ids of organisations are UUIDs.
NOBODYS_ORGANIZATION: Final = "nobody"
#: In the audit trail only: they change nothing, so no program has to follow them. Whoever has no account could fill the
#: feed, and the webhooks, with failed logins. A test goes to the endpoint that is tested besides.
AUDIT_ONLY: Final = frozenset({EventType.FILE_DOWNLOADED, EventType.SESSION_FAILED, EventType.WEBHOOK_TEST})


def scope_of(event_type: str) -> Scope:
    """What one needs to see events of this type."""
    return VISIBLE_WITH.get(event_type.partition(".")[0], Scope.AUDIT_READ)


@dataclass(frozen=True)
class Target:
    type: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change, as it is written with it.

    :param occasion: what tells this change from others of the same type and target, such as the version of the row
        that it writes. With it the id is determined: writing the same change again is the same event.
    :param data: the thing as the API shows it, after the change; of a deleted one, as it was.
    :param changes: field -> ``{"from": …, "to": …}``, where a change has such.
    """

    organization_id: str
    type: EventType
    target: Target
    occasion: str
    data: Mapping[str, Any]
    changes: Mapping[str, Any] | None = None
    time: str = field(default_factory=timestamp)
    acting: Acting = field(default_factory=acting)

    @property
    def event_id(self) -> str:
        parts = (self.organization_id, self.type.value, self.target.type, self.target.id, self.occasion)
        digest = hashlib.sha256("\0".join(parts).encode()).digest()
        return f"evt_{base62.encode(digest[:_ID_BYTES], _ID_CHARACTERS)}"

    def by(self, actor: Actor) -> "Event":
        return replace(self, acting=replace(self.acting, actor=actor))

    @property
    def told(self) -> str:
        """JSON of all that the key of its row does not say."""
        body: dict[str, Any] = {
            "type": self.type.value,
            "actor": self.acting.actor.to_json(),
            "target": {"type": self.target.type, "id": self.target.id},
            "data": self.data,
        }
        if self.changes is not None:
            body["changes"] = self.changes
        if self.acting.request_id:
            body["request_id"] = self.acting.request_id
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class PendingEvent:
    """One that is written and may not be published yet. ``told`` as :attr:`Event.told`."""

    organization_id: str
    event_id: str
    time: str
    told: str

    @property
    def line(self) -> str:
        """JSON of all but organisation and sequence, as the feed keeps it."""
        head = json.dumps({"id": self.event_id, "version": FORM_VERSION, "time": self.time}, separators=(",", ":"))
        return f"{head[:-1]},{self.told[1:]}"


@dataclass(frozen=True)
class PublishedEvent:
    """One that has its place in the order of its organisation. ``line`` as :attr:`PendingEvent.line`."""

    organization_id: str
    sequence: int
    published_at: str
    line: str

    def to_json(self, *, with_origin: bool = True) -> dict[str, Any]:
        """The event as the contract shows it.

        :param with_origin: say from where and with what program it was done: the auditor's business only.
        """
        told: dict[str, Any] = json.loads(self.line)
        head = {"id": told.pop("id"), "version": told.pop("version"), "sequence": self.sequence}
        head |= {"type": told.pop("type"), "time": told.pop("time"), "organization_id": self.organization_id}
        if not with_origin:
            # In their order, not as a set, whose order differs from process to process: deliveries repeat their bytes.
            told["actor"] = {key: value for key, value in told["actor"].items() if key not in ("address", "program")}
        return head | {"request_id": None} | told


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` of an event: the fields that differ."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: {"from": before.get(name), "to": after.get(name)} for name in names}
