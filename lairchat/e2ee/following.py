"""Whether a room's log is whole, and the same for everybody.

The server orders events; it cannot be kept from withholding some or from showing two people different
logs, but it can be kept from doing so unnoticed: each device counts what it sends in a room, and each
sealed message says how far its sender had followed the log and with which hash.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lairchat.model import chain


@dataclass(frozen=True, slots=True)
class Withheld:
    """Messages of a device are missing: the numbers from ``first`` to ``last``."""

    device: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Forked:
    """Somebody was shown another log than this device, up to this place."""

    seq: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """A device sealed two messages under one number: a copy of it is in use, or it lies."""

    device: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Impossible:
    """A message claims to know of the log what came after it."""

    seq: int


Finding = Withheld | Forked | Repeated | Impossible

HashAt = Callable[[int], bytes | None]
"""Gives the chain's hash at a place this device has been, None for those it has not kept."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How far this device has followed a room.

    seq, hash: the last place of the log.
    counts: the highest number seen from each device.  A newcomer begins wherever a device stands.
    """

    seq: int
    hash: bytes
    counts: Mapping[bytes, int]

    @classmethod
    def begin(cls, room: int) -> "Followed":
        """Return the beginning of a room's log."""
        return cls(0, chain.genesis(room), {})

    def event(self, seq: int, kind: int, sender: int, digest: bytes) -> "Followed":
        """Return this after the next event of the log; digest: SHA-256 of its body.

        Raises ValueError if it is not the next: the caller fetches what lies between.
        """
        if seq != self.seq + 1:
            raise ValueError(f"event {seq} does not follow {self.seq}")
        return replace(self, seq=seq, hash=chain.link(self.hash, seq, kind, sender, digest))

    def message(
        self, device: bytes, count: int, seq: int, seen: tuple[int, bytes], hash_at: HashAt
    ) -> tuple["Followed", Finding | None]:
        """Return (this after an opened message, what is wrong with the log if anything is).

        count: the message's number.  seq: its place.  seen: how far its sender had followed.
        """
        place, digest = seen
        last = self.counts.get(device)
        after = replace(self, counts={**self.counts, device: max(count, last or 0)})
        if place >= seq:
            return after, Impossible(seq)
        known = hash_at(place)
        if known is not None and known != digest:
            return after, Forked(place)
        if last is not None and count <= last:
            return after, Repeated(device, count)
        if last is not None and count > last + 1:
            return after, Withheld(device, last + 1, count - 1)
        return after, None
