"""API keys; plain frozen records, no storage in them."""

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chalicelib.api_keys.key_text import shown_prefix
from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.permissions import Scope

HOUR_SECONDS = 3600
#: Who has made a key by the command line.
OPERATOR = "operator"


@dataclass(frozen=True)
class Maker:
    """Who has made a key: a user, another key, or the operator."""

    type: str
    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key of an organisation. Times are epoch seconds, but for ``created_at``."""

    organization_id: str
    key_id: str
    name: str
    scopes: frozenset[Scope]
    #: Addresses that it works from, in CIDR form; empty: from anywhere.
    networks: tuple[str, ...]
    made_by: Maker
    created_at: str
    #: None: it never expires.
    expires_at: int | None
    secret_hash: str = field(repr=False)
    #: That of before a rotation, which lives on for a while.
    old_secret_hash: str | None = field(default=None, repr=False)
    old_secret_expires_at: int = 0
    revoked_at: int | None = None
    #: Hours since the epoch.
    last_used_hour: int | None = None
    version: int = 1

    @property
    def caller(self) -> Caller:
        return Caller(self.organization_id, self.key_id, self.name, self.scopes, None, ActorType.API_KEY)

    def is_live(self, now: float) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def has_old_secret(self, now: float) -> bool:
        return self.old_secret_hash is not None and self.old_secret_expires_at > now

    def has_secret(self, secret_hash: str, now: float) -> bool:
        if hmac.compare_digest(secret_hash, self.secret_hash):
            return True
        return self.has_old_secret(now) and hmac.compare_digest(secret_hash, self.old_secret_hash or "")

    def allows(self, address: str) -> bool:
        return not self.networks or is_within(address, self.networks)


@dataclass(frozen=True)
class ApiKeys:
    """The keys of an organisation, ended ones included, and how many were ever made."""

    keys: list[ApiKey]
    made: int


def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is in one of the networks. An IPv4 address counts in its IPv6 form as well."""
    from ipaddress import IPv6Address, ip_address, ip_network

    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    known = [ip_network(network) for network in networks]
    return any(form in network for network in known for form in (parsed, mapped) if form is not None)


def time_of(epoch_seconds: int | None) -> str | None:
    """As the contract writes times."""
    return timestamp(datetime.fromtimestamp(epoch_seconds, UTC)) if epoch_seconds is not None else None


def details(key: ApiKey, now: float) -> dict[str, Any]:
    """The key as the API shows it, and as events tell of it. Nothing of its secret.

    :param now: epoch seconds; an old secret that is dead by then is not shown any more.
    """
    used_at = key.last_used_hour * HOUR_SECONDS if key.last_used_hour is not None else None
    return {
        "id": key.key_id,
        "prefix": shown_prefix(key.key_id),
        "name": key.name,
        "scopes": sorted(scope.value for scope in key.scopes),
        "networks": list(key.networks),
        "made_by": {"type": key.made_by.type, "id": key.made_by.id, "name": key.made_by.name},
        "created_at": key.created_at,
        "expires_at": time_of(key.expires_at),
        "last_used_at": time_of(used_at),
        "revoked_at": time_of(key.revoked_at),
        "old_secret_expires_at": time_of(key.old_secret_expires_at) if key.has_old_secret(now) else None,
    }
