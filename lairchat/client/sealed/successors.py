"""Rooms in the place of others: of one that is held for good, and of one from before encryption.

Nothing is turned on in a room that stands: another one is founded, with the same people, each of whom
is invited there.  How a direct conversation goes on is in ``directs``.
"""

from typing import TYPE_CHECKING

from lairchat.client import effects, inputs
from lairchat.features.rooms import messages as rooms
from lairchat.model import faults, refusals
from lairchat.model.refusal import Refusal

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Successors:
    """Founds rooms anew."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    async def refound(self, room: int) -> None:
        """Found a successor of a room that is held for good; raises a Refusal."""
        self._sealed.require_own()
        if self._sealed.partners.is_direct(room):
            await self._sealed.directs.refound(room)
            return
        state = self._sealed.following(room).state
        if state is None or not self._sealed.labels.is_lost(state):
            raise refusals.GroupRefused(why="the room is not held for good")
        title = self._sealed.opened.marks.title(room)
        accounts = {one.account for one in state.members} - {state.own.account}
        names = sorted(self._sealed.directory.name_of(one) for one in accounts)
        timer = self._sealed.opened.marks.timer(room)
        await self._found(title.name or f"room-{room}", title.topic, names, 0, timer)

    async def succeed(self, room: int, ref: int) -> None:
        """Open the encrypted successor of a plain room; raises a Refusal."""
        self._sealed.require_own()
        info = self._sealed.link.rooms.infos.get(room)
        if info is None or info.crypto != "plain":
            raise refusals.RoomUnknown
        if info.kind == "direct":
            self._sealed.link.perform(effects.OpenDirect(ref, info.name))
            return
        listed: rooms.MemberList = await self._sealed.ask(rooms.MEMBERS, rooms.ListMembers(room))
        own = self._sealed.name.lower()
        names = [one.name for one in listed.members if one.name.lower() != own]
        await self._found(info.name, info.topic, names, ref)

    async def _found(
        self, name: str, topic: str, people: list[str], ref: int, timer: int = 0
    ) -> None:
        try:
            made = await self._sealed.founding.make(name)
        except faults.NetLost:
            # It comes to be by itself; who was in the other one is not kept.
            self._not_invited(people)
            raise
        if timer:
            self._sealed.expiring.set_timer(made.room, timer)
        if topic:
            self._sealed.name_room(made.room, topic=topic)
        shown = self._sealed.link.rooms.shown
        self._sealed.deliver(inputs.RoomJoined(shown(made), show=True, ref=ref))
        left = []
        for person in people:
            try:
                await self._sealed.invitations.invite(made.room, person)
            except Refusal as refusal:
                left.append(f"{person} ({refusal.code})")
        self._not_invited(left)

    def _not_invited(self, left: list[str]) -> None:
        if left:
            self._sealed.deliver(inputs.Notice(f"not invited: {', '.join(left)}"))
