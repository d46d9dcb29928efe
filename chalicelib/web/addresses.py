"""Where a request comes from: for limits by address, and for keys that are bound to networks."""

from chalice.app import Request

from chalicelib.kernel.config import settings


def source_address(request: Request) -> str:
    """Who asks, for limits: the peer as the gateway saw it, of IPv6 the network of 64 bits.

    One customer of a provider gets at least so many addresses (RFC 6177), so one address is nobody.
    """
    address = exact_address(request)
    return _network(address) if ":" in address else address


def exact_address(request: Request) -> str:
    """The peer as the gateway saw it, for what is bound to networks; behind trusted proxies, as the first of them did.

    Each proxy, and then the gateway, adds its own peer to the end of X-Forwarded-For; what is before that is whatever
    the client wrote. So only as many entries count as there are proxies that the operator vouches for.
    """
    peer = str(request.context.get("identity", {}).get("sourceIp") or "unknown")
    proxies = settings().trusted_proxies
    if proxies == 0:
        return peer
    told = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    # The last one is the peer of the gateway: the last proxy.
    return told[-1 - proxies] if len(told) > proxies and _is_address(told[-1 - proxies]) else peer


def _is_address(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _network(address: str) -> str:
    from ipaddress import IPv6Address, IPv6Network

    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
