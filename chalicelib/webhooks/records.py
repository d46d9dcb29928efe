"""Webhooks and deliveries: plain frozen records, no storage in them. Times are epoch seconds unless told otherwise."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from chalicelib.events.records import AUDIT_ONLY, EventType, scope_of
from chalicelib.kernel.permissions import Scope

#: Of one delivery, the newest. Each has up to a kilobyte of the endpoint's answer.
MAX_KEPT_TRIES = 10


@dataclass(frozen=True)
class Replay:
    """Old events that are being sent again: from the one after ``position`` up to ``until``.

    :param replay_id: tells it from one that takes its place.
    """

    replay_id: str
    position: int
    until: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far delivering has come. Only the holder of the lease moves it.

    :param position: sequence up to which events were taken over: each is delivered, or is a delivery with a next try.
    :param failing_since: of the first try that failed after the last one that did not.
    :param quiet_until: before this moment a failing endpoint is left alone.
    :param wakes: how often somebody asked the holder of the lease to look again.
    :param wake_at: when somebody has to look at it at the latest; None while it is disabled.
    """

    position: int
    failing_since: int | None = None
    quiet_until: int = 0
    replay: Replay | None = None
    lease: str | None = None
    lease_until: int = 0
    wakes: int = 0
    wake_at: int | None = None

    def is_leased(self, now: float) -> bool:
        return self.lease is not None and self.lease_until > now

    def is_quiet(self, now: float) -> bool:
        return self.quiet_until > now


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """An endpoint of an organisation that its events are posted to.

    :param types: what it is told; None for all that need no more than ``scopes``, those that come later included.
    :param scopes: of whoever asked for all types, those with which events are seen.
    :param version: of all but the progress.
    """

    organization_id: str
    webhook_id: str
    url: str = field(repr=False)
    types: frozenset[str] | None
    scopes: frozenset[Scope] = frozenset()
    description: str = ""
    created_at: str
    secret: str = field(repr=False)
    old_secret: str | None = field(default=None, repr=False)
    old_secret_expires_at: int = 0
    enabled: bool = True
    disabled_at: int | None = None
    disabled_reason: str | None = None
    version: int = 1
    progress: Progress

    def wants(self, event_type: str, target_id: str) -> bool:
        """Whether an event goes to this endpoint. A test goes to the one that is tested, whatever its types."""
        if event_type == EventType.WEBHOOK_TEST:
            return target_id == self.webhook_id
        if self.types is not None:
            return event_type in self.types
        return event_type not in AUDIT_ONLY and scope_of(event_type) in self.scopes

    @property
    def scopes_needed(self) -> frozenset[Scope]:
        """What one needs to see all that this endpoint is told."""
        return self.scopes if self.types is None else frozenset(scope_of(kind) for kind in self.types)

    def has_old_secret(self, now: float) -> bool:
        return self.old_secret is not None and self.old_secret_expires_at > now

    def secrets_at(self, now: float) -> list[str]:
        """Those that an endpoint may verify with at this moment, the newest first."""
        old = [self.old_secret] if self.old_secret is not None and self.has_old_secret(now) else []
        return [self.secret, *old]

    @property
    def origin(self) -> str:
        """Where it is, without path and query: those of many services are secrets."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


@dataclass(frozen=True)
class Webhooks:
    """The webhooks of an organisation, and how many were ever made."""

    webhooks: list[Webhook]
    made: int


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    #: All tries have failed.
    FAILED = "failed"


@dataclass(frozen=True)
class Try:
    """One time that an event was posted.

    :param at: ISO 8601.
    :param status: HTTP's; None when there was no answer, and then ``error`` says why.
    :param answer: how it begins, at most a kilobyte.
    """

    at: str
    status: int | None
    milliseconds: int
    answer: str
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint.

    :param attempts: tries since it was first sent, or since somebody asked for it again.
    :param tries: the newest ones, those before somebody asked for it again included.
    :param created_at: ISO 8601.
    :param next_try_at: None unless it is pending.
    """

    organization_id: str
    webhook_id: str
    sequence: int
    event_id: str
    event_type: str
    created_at: str
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    tries: tuple[Try, ...] = ()
    next_try_at: int | None = None


@dataclass(frozen=True)
class Due:
    """That a delivery is to be tried at a moment. It means nothing when the delivery itself has another moment."""

    organization_id: str
    webhook_id: str
    sequence: int
    at: int
