"""Who a request comes from, for limits by address."""

from chalice.app import Request


def source_address(request: Request) -> str:
    """Who asks, for limits: the peer as the gateway saw it, of IPv6 the network of 64 bits.

    One customer of a provider gets at least so many addresses (RFC 6177), so one address is nobody. X-Forwarded-For is
    whatever the client wrote, so it is not asked.
    """
    address = str(request.context.get("identity", {}).get("sourceIp") or "unknown")
    return _network(address) if ":" in address else address


def _network(address: str) -> str:
    from ipaddress import IPv6Address, IPv6Network

    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
