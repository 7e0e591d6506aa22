"""Rooms in which nothing can be sent yet: what they wait for, and getting it.

Promises not to know: what is typed meanwhile.
"""

from typing import TYPE_CHECKING

from lairchat.model import faults
from lairchat.model.refusal import Refusal
from lairchat.trust.policy import Kind

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

COPY = (
    "a copy of this device has taken its place in a room: another lair uses the same profile. Revoke"
    " this device with another one of yours, and link it anew: /devices, /revoke"
)
_NO_KEYS = (
    "there are no keys of {name} yet: {name} has to open lair once. What you type waits, and leaves when"
    " they are here; it is tried each minute"
)
_HELD = "keys of {name} are being fetched; what you type waits, and leaves when they are here"


class Waiting:
    """What rooms wait for."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._fetching: set[int] = set()
        self._keyless: set[int] = set()

    def forget(self) -> None:
        """Forget the rooms of an account that is logged out."""
        self._keyless.clear()

    @property
    def keyless(self) -> list[int]:
        """The rooms whose keys are asked for again and again."""
        return list(self._keyless)

    async def fetch(self, room: int) -> None:
        """Try to get what is missing before somebody can be written to; raises a Refusal."""
        info = self._sealed.link.rooms.infos.get(room)
        if info is None or room in self._fetching:
            return
        self._fetching.add(room)
        try:
            if self._sealed.following(room).state is None:
                await self._sealed.entering.settle(info)
            else:
                await self._sealed.adding.add_partner(room)
        finally:
            self._fetching.discard(room)
            if self.holds(room):
                self._keyless.add(room)
            else:
                self._keyless.discard(room)
        self._sealed.relabel(room)

    def holds(self, room: int) -> bool:
        """Tell whether keys are missing that a room needs before anything is sent there."""
        following = self._sealed.following(room)
        state = following.state
        if state is None or not self._sealed.ready or state.behind is not None or following.trouble:
            return True
        if state.policy.kind != Kind.DIRECT:
            return False
        inside = {one.account for one in state.members}
        return not set(state.policy.parties) <= inside

    def why(self, room: int) -> str:
        """Say what a room is waiting for, and what to do."""
        if self._sealed.store is None:
            return faults.StoreShut().text
        if not self._sealed.device.certified:
            return faults.DeviceNew().text
        if self._sealed.is_copied(room):
            return COPY
        outside = (
            ""
            if self._sealed.position(room) is not None
            else self._sealed.directs.why_outside(room)
        )
        if outside:
            return outside
        state = self._sealed.following(room).state
        if state is not None and state.behind is not None:
            return "this device was away for long: it comes in again by itself"
        if self._sealed.following(room).trouble:
            return self._sealed.following(room).trouble
        name = self._sealed.peer_name(room)
        text = _NO_KEYS if room in self._keyless else _HELD
        return text.format(name=name or "the room")

    def refusal(self, room: int) -> Refusal:
        """Return why a room cannot be changed now."""
        if self._sealed.store is None:
            return faults.StoreShut()
        if not self._sealed.device.certified:
            return faults.DeviceNew()
        _, text = self._sealed.labels.of(room)
        why, _, advice = (text or self.why(room)).partition(". ")
        return faults.RoomHeld(why=why, advice=advice or "It comes by itself.")
