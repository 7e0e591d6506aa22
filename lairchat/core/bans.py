"""Addresses that nobody is let in from, for every door to ask.

The feature that keeps the bans fills it; what stands here is a copy that answers at once, because
a door asks before it spends anything on a stranger.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_network

from lairchat.core.admission import address_of
from lairchat.model.phrases import lasting
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import AddressBanned


class AddressBans:
    """Networks that are banned, and until when.

    now: wall clock, ms.
    watchers: called, on the reactor's thread, whenever other networks are banned than before; a
        door then asks again for every connection that it has.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        # By version and prefix length: one look for each length in use, however many the bans.
        self._networks: dict[tuple[int, int], dict[int, int | None]] = {}
        self.watchers: list[Callable[[], None]] = []

    def replace(self, networks: Iterable[tuple[str, int | None]]) -> None:
        """Ban these networks and no others, each until a time in ms, or for good (None)."""
        found: dict[tuple[int, int], dict[int, int | None]] = {}
        for text, until in networks:
            network = ip_network(text)
            key = (network.version, network.prefixlen)
            number = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            found.setdefault(key, {})[number] = until
        self._networks = found
        for watcher in self.watchers:
            watcher()

    def refuses(self, host: str) -> Refusal | None:
        """Return why nobody is let in from an address, or None; other texts are never banned."""
        address = address_of(host) if self._networks else None
        if address is None:
            return None
        number, now = int(address), self._now()
        for (version, length), banned in self._networks.items():
            if version != address.version:
                continue
            prefix = number >> (address.max_prefixlen - length)
            if prefix in banned:
                until = banned[prefix]
                if until is None or now < until:
                    return AddressBanned(how=lasting(until))
        return None
