"""What a room is, and with whom: by its group once there is one, by the server's word only before.

A server that could call the conversation with one person by the name of another would have people say
things to somebody else, sealed and signed.
"""

from typing import TYPE_CHECKING

from lairchat.e2ee.room import Room
from lairchat.model import refusals
from lairchat.model.names import name_key
from lairchat.trust.policy import Kind, Policy

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed
    from lairchat.features.rooms.messages import RoomInfo


class Partners:
    """Who is at the other end of direct conversations."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    def is_direct(self, room: int) -> bool:
        """Tell whether a room is a direct conversation."""
        state = self._state(room)
        if state is not None:
            return state.policy.kind == Kind.DIRECT
        return self._said(room) != ""

    def name(self, room: int) -> str:
        """Return the name of the other one in a direct conversation; empty for another room."""
        state = self._state(room)
        if state is None:
            return self._said(room)
        if state.policy.kind != Kind.DIRECT:
            return ""
        other = next((one for one in state.policy.parties if one != state.own.account), None)
        return self._sealed.name if other is None else self._sealed.names.shown(other)

    def require(self, room: int, policy: Policy) -> None:
        """Refuse a group that is not what the server calls the room; raises GroupRefused.

        By that name it is on the screen, and something may have been typed for it.
        """
        name = self._said(room)
        if (policy.kind == Kind.DIRECT) != bool(name):
            raise refusals.GroupRefused(why="it is another kind of room than the server says")
        if not name:
            return
        own = self._sealed.require_own().identity.account
        other = next((one for one in policy.parties if one != own), own)
        pin = self._sealed.directory.pin(name)
        if own not in policy.parties or self._sealed.directory.name_of(other) != name_key(name):
            raise refusals.GroupRefused(why="it is the conversation of two other people")
        if pin is not None and other not in (pin.account, pin.changed):
            raise refusals.GroupRefused(why=f"it is not {name} who is in it")

    def require_asked(self, info: "RoomInfo", name: str) -> None:
        """Refuse another conversation than the one with somebody; raises GroupRefused."""
        there = self.name(info.room) if self._state(info.room) is not None else info.name
        if (info.crypto, info.kind) != ("mls", "direct") or name_key(there) != name_key(name):
            raise refusals.GroupRefused(why="the server gave another conversation than asked for")

    def require_new(self, info: "RoomInfo", before: set[int]) -> None:
        """Refuse a room that was to be made and is an old one, or a plain one; raises GroupRefused.

        before: the rooms there were when it was asked for.
        """
        old = info.room in before or self._state(info.room) is not None
        if old or (info.crypto, info.kind, info.access) != ("mls", "room", "private"):
            raise refusals.GroupRefused(why="the server gave another room than a new private one")

    def _state(self, room: int) -> Room | None:
        store = self._sealed.store
        return None if store is None else store.room(room)

    def _said(self, room: int) -> str:
        info = self._sealed.link.rooms.infos.get(room)
        return info.name if info is not None and info.kind == "direct" else ""
