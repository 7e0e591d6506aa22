"""Tells newcomers what a room is called: its name and topic were said before they could read.

Whoever has added them does it at once; should that device be gone, another one of somebody who may name
the room does it a moment later, unless it was done.
"""

from typing import TYPE_CHECKING

from lairchat.e2ee.fold import NAMES_ROOMS
from lairchat.trust.policy import Kind
from lairchat.trust.structure import Change

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

SPREAD_SECONDS = 4.0
"""seconds: within which one of those who may name a room does so, if the one who should has not."""


class Titles:
    """Names and topics of rooms, for those who come."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._named: dict[int, int] = {}

    def named(self, room: int, seq: int) -> None:
        """Note where a room was named last."""
        self._named[room] = seq

    def newcomers(self, room: int, seq: int, change: Change) -> None:
        """Note that somebody, or a new device, came into a room by the commit at this place."""
        state = self._sealed.following(room).state
        if state is None or state.policy.kind == Kind.DIRECT:
            return
        if state.policy.role(state.own.account) < NAMES_ROOMS:
            return
        mine = change.committer == state.own
        wait = 0.0 if mine else 1.0 + SPREAD_SECONDS * self._sealed.random(1)[0] / 256
        self._sealed.later(wait, self._tell, room, seq)

    def _tell(self, room: int, seq: int) -> None:
        if not self._sealed.ready or self._named.get(room, 0) > seq:
            return
        title = self._sealed.opened.marks.title(room)
        if title.name and self._sealed.following(room).state is not None:
            self._sealed.name_room(room, name=title.name, topic=title.topic or None)
