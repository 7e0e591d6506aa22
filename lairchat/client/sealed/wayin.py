"""Whether the way into a room that its last committer left is the group's own; a false one is mended.

Only members can tell, and a device that comes in by a false one halts the room.  The next commit brings
a right one; made by one member and not by all at once, and ever more rarely where it does not help: a
server that lies of it would else have them commit for ever.
"""

from typing import TYPE_CHECKING

from twisted.logger import Logger

from lairchat.e2ee.rejoining import check_info
from lairchat.features.delivery import messages as wire
from lairchat.mls.errors import MLSError
from lairchat.model import limits

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

FIRST_SECONDS = 2.0
"""seconds: within which a false way in is mended, unless another member was quicker."""


class WayIn:
    """Looks after the ways into rooms."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._waits: dict[int, float] = {}
        self._mending: set[int] = set()

    def lost(self) -> None:
        """Mend nothing more: the connection is gone."""
        self._mending.clear()

    async def check(self, room: int) -> None:
        """Look at the way into a room after somebody else's commit; raises a Refusal."""
        if room in self._mending or await self._is_right(room):
            return
        wait = self._waits.get(room, FIRST_SECONDS)
        self._waits[room] = min(2 * wait, limits.HOUR)
        self._mending.add(room)
        jitter = 0.5 + self._sealed.random(1)[0] / 510
        self._sealed.later(wait * jitter, self._sealed.mend_way_in, room)

    async def mend(self, room: int) -> None:
        """Commit, if the way in is still a false one; raises a Refusal."""
        self._mending.discard(room)
        if not await self._is_right(room):
            await self._sealed.commits.change(room, lambda _: {})

    async def _is_right(self, room: int) -> bool:
        told: wire.GroupInformation = await self._sealed.ask(wire.INFO, wire.AskGroup(room))
        state = self._sealed.following(room).state
        if state is None or told.epoch != state.group.context.epoch:
            return True  # whoever follows to that epoch looks again
        try:
            check_info(state.group, told.info)
        except MLSError as error:
            self.log.info("the way into a room is not its own: {why}", why=str(error))
            return False
        self._waits.pop(room, None)
        return True
