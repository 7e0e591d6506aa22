"""When a device was last heard in a room, as this one has followed it, and which have fallen silent.

A device that lies in a drawer for months keeps keys of the room that nobody renews: whoever finds it
reads what is said now.  Each member looks at its own record alone: messages that opened, and commits
that were followed.  Both are signed, so that nobody but the device itself can be heard; typing is not,
and does not count.  One that somebody else brings in has its time from then on, and speaks for nobody:
any member may add devices of a person who is there.

A server can withhold what a device says.  It has to do so for all of the time, to a member that hears
the room meanwhile: time in which this device was not there itself, by its own clock, is nobody's
silence, nor is a leap of that clock.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lairchat.model import limits
from lairchat.trust.leaf import LeafIdentity

_SILENT_MS: Final = 1000 * limits.DAY * limits.SILENT_DAYS
_GAP_MS: Final = 1000 * limits.DAY * limits.LISTENING_GAP_DAYS


@dataclass(frozen=True, slots=True)
class Heard:
    """What this device has heard of a room, by its own clock, ms.

    since: from when on it has followed the room without a long break; 0: not yet.
    at: when it followed an event last.  devices: when each was heard last, by account and id: an
    account could give a device of its own the id of somebody else's.
    """

    since: int = 0
    at: int = 0
    devices: Mapping[bytes, int] = field(default_factory=dict)

    def followed(self, now_ms: int) -> "Heard":
        """Return this after an event of the room's log, whatever it is."""
        if self.since and self.since <= now_ms and now_ms - self.at <= _GAP_MS:
            return replace(self, at=now_ms)
        # What was heard before counts no more; a clock that was ahead had it heard in times to come.
        return Heard(now_ms, now_ms)

    def heard(self, devices: Iterable[LeafIdentity], now_ms: int) -> "Heard":
        """Return this after some devices have been heard, or have come in."""
        return replace(self, devices={**self.devices, **dict.fromkeys(map(_key, devices), now_ms)})

    def among(self, members: Iterable[LeafIdentity]) -> "Heard":
        """Return this for who is inside: devices that come and go for ever must not pile up."""
        inside = self.devices.keys() & set(map(_key, members))
        return replace(self, devices={who: self.devices[who] for who in inside})

    def last(self, device: LeafIdentity) -> int:
        """Return when a device was heard last, ms; 0: never."""
        return self.devices.get(_key(device), 0)

    def silent(
        self, members: Iterable[LeafIdentity], now_ms: int, mute: Collection[LeafIdentity] = ()
    ) -> list[LeafIdentity]:
        """Return the devices that should go: silent for so long, while another of the person is not.

        Nobody loses a room by being away: where all devices of somebody are silent, all stay, and
        whoever comes back has one inside that lets it in.
        mute: those that have signed nothing for the group since they were brought in.
        """
        if not self.since or now_ms - self.since < _SILENT_MS or now_ms - self.at > _GAP_MS:
            return []
        found, speaking = [], set()
        for one in members:
            last = max(self.last(one), self.since)
            if now_ms - last >= _SILENT_MS:
                found.append(one)
            elif one not in mute:
                speaking.add(one.account)
        return [one for one in found if one.account in speaking]


def _key(device: LeafIdentity) -> bytes:
    return device.account + device.device
