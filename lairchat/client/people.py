"""Keeps the member lists that the screen shows fresh, without asking too often.

Promises not to know: the screen, the network; it is told of changes and asks through a function.
"""

from collections.abc import Callable
from typing import Any

from lairchat.client.rooms import Rooms

#: A room's list is asked for at most this often, however many people come and go.
REFRESH_SECONDS = 2.0
#: Lists of larger rooms are not refreshed: their count is, with every statement of the server.
MEMBERS_REFRESHED = 200


class People:
    """Which rooms' members are on show, and which of those lists are stale.

    clock: has ``seconds`` and ``callLater``.  refresh: asks for a room's members.
    """

    def __init__(self, clock: Any, rooms: Rooms, refresh: Callable[[int], None]) -> None:
        self._clock = clock
        self._rooms = rooms
        self._refresh = refresh
        self._asked: dict[int, float] = {}
        self._waiting: dict[int, Any] = {}

    def asked(self, room: int) -> None:
        """Note that a room's members were asked for: from now on they are kept fresh."""
        self._asked[room] = self._clock.seconds()

    def changed(self, room: int) -> None:
        """Note that somebody came into a room, or left it."""
        info = self._rooms.infos.get(room)
        if room not in self._asked or room in self._waiting or info is None:
            return
        if info.members > MEMBERS_REFRESHED:
            return
        # A moment at least, so that those who come together cost one question.
        wait = max(0.1, self._asked[room] + REFRESH_SECONDS - self._clock.seconds())
        self._waiting[room] = self._clock.callLater(wait, self._now, room)

    def online(self) -> None:
        """Ask anew after a reconnect: who came and went meanwhile was not told."""
        for room in list(self._asked):
            if room in self._rooms.infos:
                self.changed(room)
            else:
                del self._asked[room]

    def forget(self) -> None:
        """Forget everything: another account logs in."""
        self.rest()
        self._asked.clear()

    def rest(self) -> None:
        """Ask for nothing more."""
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            call.cancel()

    def _now(self, room: int) -> None:
        del self._waiting[room]
        if room in self._rooms.infos:
            self._refresh(room)
