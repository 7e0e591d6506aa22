"""Makes private rooms, also when something comes between its parts.

A room is made by the server, its encryption is set up by this device, and its name is said inside, where
the server does not hear it.  What is still to be done is kept, and done after the next login.
"""

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.features.rooms import messages as rooms
from lairchat.model import faults
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed
    from lairchat.e2ee.room import Room

_MAKING = "making:"
_FOUNDING = "founding:"


class Founding:
    """The private rooms that are being made on this device."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._asking: set[str] = set()

    async def make(self, name: str) -> rooms.RoomInfo:
        """Make a private room of this name, and return what the server says of it; raises a Refusal.

        After NetLost it is made once there is a connection again.
        """
        key = command_id(self._sealed.link.server_now(), self._sealed.random(10))
        self._sealed.opened.marks.keep_fact(_MAKING + key.hex(), name.encode())
        return await self._make(key, name, set(self._sealed.link.rooms.infos))

    async def _make(self, key: bytes, name: str, before: set[int]) -> rooms.RoomInfo:
        marks, fact = self._sealed.opened.marks, _MAKING + key.hex()
        request = rooms.CreateRoom("", access="private", crypto="mls")
        self._asking.add(fact)
        try:
            made: rooms.RoomInfo = await self._sealed.ask(rooms.CREATE, request, key)
            self._sealed.partners.require_new(made, before)
        except faults.NetLost:
            raise
        except Refusal:
            marks.keep_fact(fact, None)
            raise
        finally:
            self._asking.discard(fact)
        self._sealed.link.rooms.joined(made)
        marks.keep_fact(f"{_FOUNDING}{made.room}", name.encode())
        marks.keep_fact(fact, None)
        await self.finish(made.room)
        return made

    async def finish(self, room: int) -> bool:
        """Set up the encryption of a room that was made here; False if none was.  Raises a Refusal."""
        if self._name(room) is None:
            return False
        await self._sealed.entering.found_private(room)
        return True

    def entered(self, state: "Room") -> None:
        """Say the name of a room that was made here, once this device is in it.

        Not where there are others: it would be another room, which the server puts in its place.
        """
        name = self._name(state.room)
        if name is None:
            return
        if {one.account for one in state.members} == {state.own.account}:
            self._sealed.name_room(state.room, name=name)
        self._sealed.opened.marks.keep_fact(f"{_FOUNDING}{state.room}", None)

    def _name(self, room: int) -> str | None:
        found = self._sealed.opened.marks.fact(f"{_FOUNDING}{room}")
        return None if found is None else found.decode()

    def online(self) -> None:
        """Make what was to be made when the connection went."""
        marks = self._sealed.opened.marks
        for fact in marks.facts(_MAKING):
            name = marks.fact(fact)
            if fact not in self._asking and name is not None:
                making = Deferred.fromCoroutine(self._again(fact, name.decode()))
                making.addErrback(self._not_made, name.decode())

    async def _again(self, fact: str, name: str) -> None:
        # By the same id: what has been made is not made twice.  It may be listed by now.
        made = await self._make(bytes.fromhex(fact.removeprefix(_MAKING)), name, set())
        shown = self._sealed.link.rooms.shown(made)
        self._sealed.deliver(inputs.RoomJoined(shown))
        self._sealed.deliver(
            inputs.Notice(f"{name} is made, which the lost connection had kept back")
        )

    def _not_made(self, failure: Failure, name: str) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("a room could not be made", failure)
        elif not isinstance(refusal, faults.NetLost):
            self._sealed.deliver(
                inputs.Notice(f"{name} was not made: {refusal.text}", refusal.code)
            )
