"""Which IP addresses are of the public internet. Knows no names and no connections.

Written down here, and not left to ``ipaddress``, whose ``is_global`` knows another registry in each version of Python.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IANA's special-purpose address registries of IPv4 and IPv6 (RFC 6890, RFC 8190) as of October 2025, whole. Also what
#: they call globally reachable: it is the protocols' own (AS112, AMT, PCP), and a network may answer there by itself.
#: https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
_SPECIAL_PURPOSE = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
    *("::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7"),
    "fe80::/10",
)
#: Not in the registries: multicast (RFC 5771, RFC 4291), and ways into other networks, which are IPv4 in IPv6
#: (RFC 4291, 2.5.5; RFC 2765) and the former site-local (RFC 3879).
_ELSE = ("224.0.0.0/4", "ff00::/8", "::/96", "::ffff:0:0:0/96", "fec0::/10")
_NOT_PUBLIC = tuple(ipaddress.ip_network(network) for network in (*_SPECIAL_PURPOSE, *_ELSE))
#: Nothing else of IPv6 was given to anybody.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def is_public(address: Address) -> bool:
    """Whether this is an address of the public internet, and no way around to another."""
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    # A newer Python may know more than the lists.
    return address.is_global
