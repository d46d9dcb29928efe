"""Where a request comes from: for limits by address, and for keys that are bound to networks."""

from chalice.app import Request


def source_address(request: Request) -> str:
    """Who asks, for limits: the peer as the gateway saw it, of IPv6 the network of 64 bits.

    One customer of a provider gets at least so many addresses (RFC 6177), so one address is nobody. X-Forwarded-For is
    whatever the client wrote, so it is not asked.
    """
    address = exact_address(request)
    return _network(address) if ":" in address else address


def exact_address(request: Request) -> str:
    """The peer as the gateway saw it, for what is bound to networks."""
    return str(request.context.get("identity", {}).get("sourceIp") or "unknown")


def _network(address: str) -> str:
    from ipaddress import IPv6Address, IPv6Network

    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
