"""How many strangers one address may be at once, and how often they may come to nothing.

A connection costs memory and a TLS handshake before anybody has proven who they are; these two
bounds keep one address from spending the server's share of both (security.md, "Floors").
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from lairchat.core.throttle import Rate, Throttle


@lru_cache(maxsize=1_024)
def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, which a connection's life asks for several times; None for other texts.

    An IPv4 address in IPv6 clothes is the IPv4 address.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped  # an IPv4 client on a socket that takes both
    return address


def source_of(host: str) -> str:
    """Return what counts as one source: an IPv4 address, an IPv6 /64 network, or the text itself.

    One subscriber has a whole /64, so that counting single IPv6 addresses would bound nothing.
    """
    address = address_of(host)
    if address is None:
        return host
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)


class Admission:
    """Counts unauthenticated connections by source.

    at_once: unauthenticated connections that a source may hold.
    wasted: how many may end without having authenticated, as a rate.
    exempt: networks that are not counted (a trusted proxy, a test's loopback).
    """

    def __init__(
        self, throttle: Throttle, *, at_once: int, wasted: Rate, exempt: Iterable[str] = ()
    ) -> None:
        self._throttle = throttle
        self._strangers: dict[str, int] = {}
        self.change(at_once=at_once, wasted=wasted, exempt=exempt)

    def change(self, *, at_once: int, wasted: Rate, exempt: Iterable[str] = ()) -> None:
        """Take over other bounds; connections that are there are counted anew as they go."""
        self._at_once = at_once
        self._wasted = wasted
        self._exempt: list[IPv4Network | IPv6Network] = [ip_network(net) for net in exempt]
        # A source that is exempt from now on, or no longer, was counted by the other rule.
        self._strangers.clear()

    def exempts(self, host: str) -> bool:
        """Say whether an address is exempt from being counted."""
        address = address_of(host) if self._exempt else None
        if address is None:
            return False
        return any(address in network for network in self._exempt)

    def arrive(self, host: str) -> str | None:
        """Count a new connection; return the refusal's code when it is one too many."""
        if self.exempts(host):
            return None
        source = source_of(host)
        if self._strangers.get(source, 0) >= self._at_once:
            return "LC-CONNECTIONS"
        if self._throttle.peek(("stranger", source), self._wasted):
            return "LC-CONNECTIONS"
        self._strangers[source] = self._strangers.get(source, 0) + 1
        return None

    def authenticated(self, host: str) -> None:
        """Stop counting a connection that has proven who it is."""
        self._drop(host)

    def leave(self, host: str) -> None:
        """Count a connection that ended as a stranger against its source."""
        if self._drop(host):
            self._throttle.take(("stranger", source_of(host)), self._wasted)

    def penalise(self, host: str) -> None:
        """Charge a source for breaking the protocol, as much as for a wasted connection."""
        if not self.exempts(host):
            self._throttle.take(("stranger", source_of(host)), self._wasted)

    def _drop(self, host: str) -> bool:
        if self.exempts(host):
            return False
        source = source_of(host)
        left = self._strangers.get(source, 0) - 1
        if left > 0:
            self._strangers[source] = left
        else:
            self._strangers.pop(source, None)
        return True

    def __len__(self) -> int:
        """Count the sources that hold unauthenticated connections."""
        return len(self._strangers)
