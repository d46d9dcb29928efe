"""What somebody wants of a new API key, checked: by its form, and against the key that asks for it."""

from collections.abc import Collection
from dataclasses import dataclass

from chalicelib.api_keys.records import ApiKey
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput, MissingPermission
from chalicelib.kernel.nfc import compose
from chalicelib.kernel.permissions import Scope

MAX_NAME_CHARACTERS = 100
MAX_NETWORKS = 20
DEFAULT_DAYS = 90
MAX_DAYS = 365
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class KeyIntent:
    """
    :param days: how long the key lives; None for the usual time.
    :param never: it does not expire.
    """

    name: str
    scopes: Collection[str]
    networks: Collection[str] = ()
    days: int | None = None
    never: bool = False


def checked_name(raw: str) -> str:
    """:raises BadInput: empty, too long, or of characters that can't be shown."""
    name = compose(raw.strip())
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise BadInput(f"A key's name has from 1 to {MAX_NAME_CHARACTERS} characters that can be shown.")
    return name


def checked_scopes(names: Collection[str]) -> frozenset[Scope]:
    """:raises BadInput: none, or one that there is not."""
    known = {scope.value: scope for scope in Scope}
    if not names or not known.keys() >= set(names):
        raise BadInput(f"scopes must name at least one of {', '.join(Scope)}, and nothing else.")
    return frozenset(known[name] for name in names)


def checked_networks(texts: Collection[str]) -> tuple[str, ...]:
    """In one spelling each.

    :raises BadInput: too many, or not a network.
    """
    from ipaddress import ip_network

    if len(texts) > MAX_NETWORKS:
        raise BadInput(f"A key is bound to at most {MAX_NETWORKS} networks.")
    networks = []
    for text in texts:
        try:
            # The zone of an IPv6 address names an interface of one machine, so it means nothing here.
            networks.append(str(ip_network(text if "%" not in text else "")))
        except ValueError:
            raise BadInput(
                "Each of networks must be an address or a network such as 203.0.113.0/24, without bits to the right of "
                "its prefix."
            ) from None
    return tuple(dict.fromkeys(networks))


def checked_days(days: int | None) -> int | None:
    """:raises BadInput: out of bounds."""
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise BadInput(f"A key lives from 1 to {MAX_DAYS} days.")
    return days


def check_scopes(caller: Caller, scopes: frozenset[Scope]) -> None:
    """:raises MissingPermission: these are more than the caller has."""
    more = sorted(scopes - caller.scopes)
    if more:
        raise MissingPermission(
            f"You can neither give nor change a key with {more[0]}, which you do not have yourself."
        )


def expiry_within(asking: ApiKey | None, days: int | None, never: bool, now: float) -> int | None:
    """:raises MissingPermission: the key would outlive the one that asks."""
    expires_at = None if never else int(now) + (days or DEFAULT_DAYS) * _DAY_SECONDS
    if asking is None or asking.expires_at is None:
        return expires_at
    if expires_at is not None and (days is None or expires_at <= asking.expires_at):
        return min(expires_at, asking.expires_at)
    raise MissingPermission("A key can't make one that outlives itself. Ask for fewer days, or name none.")


def networks_within(asking: ApiKey | None, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """:raises MissingPermission: the key would work from where the one that asks does not."""
    from ipaddress import ip_network

    if asking is None or not asking.networks:
        return wanted
    bounds = [ip_network(bound) for bound in asking.networks]
    for network in map(ip_network, wanted):
        # Networks of the two versions can't be compared.
        if not any(bound.version == network.version and network.subnet_of(bound) for bound in bounds):  # type: ignore[arg-type]
            raise MissingPermission(f"A key can give nothing that works from {network}, where it does not work itself.")
    return wanted or asking.networks


def check_may_hold(asking: ApiKey, key: ApiKey) -> None:
    """Whether a key may be given the secret of another.

    :raises MissingPermission: the other one outlives it, or works from where it does not.
    """
    if asking.networks and not key.networks:
        raise MissingPermission("A key can't rotate one that works from everywhere when it does not do so itself.")
    networks_within(asking, key.networks)
    if asking.expires_at is not None and (key.expires_at is None or key.expires_at > asking.expires_at):
        raise MissingPermission("A key can't rotate one that outlives itself.")
