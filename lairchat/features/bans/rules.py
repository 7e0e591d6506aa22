"""What a ban of an address covers, and how it is written."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from lairchat.features.bans.messages import Kind
from lairchat.model.refusals import NetworkBad

_WORD = {"ip": "address", "net": "network"}
_LIKE = {"ip": "203.0.113.7", "net": "203.0.113.0/24"}
_MAPPED = IPv6Network("::ffff:0:0/96")
_LOOPBACK: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("127.0.0.0/8"),
    IPv6Network("::1/128"),
)
_SUBSCRIBER = 64
"""bits: one subscriber has a whole IPv6 network of this length, and any address in it."""


def network_of(kind: Kind, text: str) -> str:
    """Return the network that is meant, in its one form: ``203.0.113.7`` or ``203.0.113.0/24``.

    Raises NetworkBad.
    """
    try:
        if "%" in text:
            raise ValueError("a zone means something on one machine only")
        if kind == "ip":
            address = ip_address(text)
            if isinstance(address, IPv6Address):
                prefix = 128 if address in _MAPPED else _SUBSCRIBER
                network = IPv6Network((int(address), prefix), strict=False)
                return _form(network)
            return str(address)
        return _form(ip_network(text))
    except ValueError as error:
        why = "it has host bits set" if "host bits" in str(error) else "it cannot be read"
        raise NetworkBad(
            text=text, kind=_WORD[kind], why=why, like=_LIKE[kind], field="$.target"
        ) from None


def _form(network: IPv4Network | IPv6Network) -> str:
    # An IPv4 client on a socket that takes both is known by its IPv4 address.
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        number = int(network.network_address) & 0xFFFF_FFFF
        network = IPv4Network((number, network.prefixlen - 96))
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def holds_loopback(network: str) -> bool:
    """Say whether a network in its one form holds an address by which a machine names itself."""
    banned = ip_network(network)
    return any(one.version == banned.version and banned.overlaps(one) for one in _LOOPBACK)


def kind_of(network: str) -> Kind:
    """Return by which word a network in its one form is named."""
    return "net" if "/" in network else "ip"
