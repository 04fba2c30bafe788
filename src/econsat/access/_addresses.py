"""What an IP address is: public, private, this machine, or one that is never asked.

The ranges are those of the IANA special-purpose registries (RFC 6890 and its updates). They stand here because
Python's own `is_global` and `is_private` changed their answers between versions.
"""

from __future__ import annotations

import ipaddress
import re

__all__ = ["NEVER", "Address", "Network", "kind_of", "kind_of_name", "literal", "looks_numeric", "never_in"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NEVER = {
    "unspecified": "an unspecified address (it stands for no host, and on many systems for this machine)",
    "link-local": "a link-local address (where clouds keep their metadata service)",
    "metadata": "the metadata service of a cloud",
    "multicast": "a multicast address",
    "reserved": "a reserved address",
}
"""Kinds of addresses that nothing permits, in words."""

# Addresses of metadata services outside the link-local range. Amazon EC2's over IPv6 (docs.aws.amazon.com, "Instance
# metadata and user data"), Alibaba Cloud's, which lies in the shared space 100.64.0.0/10 (alibabacloud.com/help,
# "View instance metadata"), and Azure's platform address, which looks public (learn.microsoft.com, "What is IP
# address 168.63.129.16?").
_METADATA = frozenset(ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16"))
# Names that lead to metadata services, whatever they resolve to.
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
# RFC 6761 (localhost), and what Linux distributions write into /etc/hosts.
_LOOPBACK_NAMES = frozenset(
    {
        "localhost",
        "localhost.localdomain",
        "localhost4",
        "localhost4.localdomain4",
        "localhost6",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
        "loopback",
    }
)
# RFC 6762 (local), RFC 8375 (home.arpa), ICANN's resolution on "internal", and RFC 6762's appendix G.
_PRIVATE_ENDS = (".local", ".internal", ".home.arpa", ".localdomain", ".intranet", ".private", ".corp", ".home", ".lan")

_V4: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "private"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "reserved"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "private"),
    ("198.51.100.0/24", "reserved"),
    ("203.0.113.0/24", "reserved"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
# What is in none of them and not in 2000::/3, the only global unicast space, is reserved.
_V6: tuple[tuple[str, str], ...] = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "reserved"),
    ("3fff::/20", "reserved"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "reserved"),
    ("ff00::/8", "multicast"),
)
_TABLE: dict[int, tuple[tuple[Network, str], ...]] = {
    4: tuple((ipaddress.ip_network(text), kind) for text, kind in _V4),
    6: tuple((ipaddress.ip_network(text), kind) for text, kind in _V6),
}
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
# IPv4 in the last 32 bits: NAT64 (RFC 6052), translated (RFC 2765), compatible (RFC 4291, deprecated).
_LAST_32 = tuple(ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96"))
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_TEREDO = ipaddress.IPv6Network("2001::/32")

_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
_PLAIN_V4 = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")


def literal(host: str) -> Address | None:
    """Return the address that a host is, in its plain spelling; None for a name or an odd spelling.

    An IPv4 address that IPv6 maps is returned as the IPv4 address that it is.

    Examples
    --------
    >>> literal("127.0.0.1"), literal("::ffff:127.0.0.1"), literal("0x7f.1")
    (IPv4Address('127.0.0.1'), IPv4Address('127.0.0.1'), None)
    """
    try:
        if ":" not in host:
            return ipaddress.IPv4Address(host) if _PLAIN_V4.fullmatch(host) else None
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return None
    return address.ipv4_mapped or address


def looks_numeric(host: str) -> bool:
    """Say whether resolvers would read a host as a number, in whatever spelling.

    Examples
    --------
    >>> looks_numeric("2130706433"), looks_numeric("0x7f.1"), looks_numeric("017700000001"), looks_numeric("a.b1")
    (True, True, True, False)
    """
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def kind_of(address: Address) -> str:
    """Return what an address is: ``"public"``, ``"private"``, ``"loopback"``, or a key of `NEVER`.

    Examples
    --------
    >>> kind_of(ipaddress.ip_address("10.1.2.3")), kind_of(ipaddress.ip_address("64:ff9b::a01:203"))
    ('private', 'reserved')
    """
    if address in _METADATA:
        return "metadata"
    if isinstance(address, ipaddress.IPv6Address):
        if address in _MAPPED:
            return kind_of(_v4(int(address)))
        inner = _inside(address)
        if inner:
            # No transition scheme may carry anything but public addresses.
            kinds = [kind_of(one) for one in inner]
            worst = next((kind for kind in kinds if kind in NEVER), None)
            return worst or ("public" if all(kind == "public" for kind in kinds) else "reserved")
    kind = next((kind for network, kind in _TABLE[address.version] if address in network), None)
    if kind is not None:
        return kind
    return "public" if isinstance(address, ipaddress.IPv4Address) or address in _GLOBAL_V6 else "reserved"


def never_in(network: Network) -> str | None:
    """Return the key of `NEVER` that holds for all of a network, None where some of it may be asked."""
    if network.num_addresses == 1:
        kind = kind_of(network.network_address)
        return kind if kind in NEVER else None
    for outer, kind in _TABLE[network.version]:
        if kind in NEVER and int(outer[0]) <= int(network[0]) and int(network[-1]) <= int(outer[-1]):
            return kind
    return None


def kind_of_name(name: str) -> str:
    """Return what a host's name says: ``"public"``, ``"private"``, ``"loopback"`` or ``"metadata"``.

    Examples
    --------
    >>> kind_of_name("localhost"), kind_of_name("nas"), kind_of_name("data.example.org")
    ('loopback', 'private', 'public')
    """
    if name in _METADATA_NAMES:
        return "metadata"
    if name in _LOOPBACK_NAMES or name.endswith(".localhost"):
        return "loopback"
    return "private" if "." not in name or name.endswith(_PRIVATE_ENDS) else "public"


def _v4(number: int) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(number & 0xFFFFFFFF)


def _inside(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that lie in an IPv6 address of a transition scheme."""
    number = int(address)
    if number <= 1:
        return []
    if any(address in network for network in _LAST_32):
        return [_v4(number)]
    if address in _SIX_TO_FOUR:
        return [_v4(number >> 80)]
    if address in _TEREDO:
        # The client's address is stored with all its bits turned over (RFC 4380).
        return [_v4(number >> 64), _v4(~number)]
    if (number >> 32) & 0xFCFFFFFF == 0x5EFE:
        # ISATAP (RFC 5214).
        return [_v4(number)]
    return []
