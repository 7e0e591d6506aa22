"""Follows rooms for another program: every event once and in order, whatever the link had to skip.

Promises not to know: how the events are printed or carried.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client.inputs import Message
from lairchat.client.link import Link
from lairchat.model import limits
from lairchat.model.refusal import Refusal


def event_object(line: Message, room: str) -> dict[str, Any] | None:
    """Return a line as ``lair tail --json`` prints it, or None for one that is gone."""
    if line.kind == "gone":
        return None
    return {
        "room": room,
        "seq": line.seq,
        "at": line.at,
        "from": line.sender,
        "kind": line.kind,
        "text": line.text,
    }


class Follower:
    """Emits what comes after a place in one room's log, or in all rooms.

    The link shows its screen the latest page when it was away for long; a follower reads what is
    in between from the log.
    room: None for all.  after: the place; None for where the link stands now.
    """

    log = Logger()

    def __init__(
        self,
        link: Link,
        room: int | None,
        after: int | None,
        emit: Callable[[dict[str, Any]], None],
    ) -> None:
        self._link = link
        self._room = room
        self._emit = emit
        self._from_log = after is not None
        self._seen: dict[int, int] = dict(link.rooms.heads)
        if room is not None:
            self._seen = {room: self._seen.get(room, 0) if after is None else after}
        self._held: dict[int, list[Message]] = {}
        self._ended = False

    @property
    def position(self) -> int | None:
        """The last sequence of the one room that is followed."""
        return None if self._room is None else self._seen[self._room]

    async def begin(self) -> None:
        """Listen, and emit what is in the log already; raises a Refusal if it cannot be read."""
        self._link.watchers.append(self._watch)
        self._link.on_sync.append(self._synced)
        if self._room is not None and self._from_log:
            self._held[self._room] = []
            try:
                await self._fill(self._room)
            except Refusal:
                self.end()
                raise

    def end(self) -> None:
        """Emit nothing more."""
        if not self._ended:
            self._ended = True
            self._link.watchers.remove(self._watch)
            self._link.on_sync.remove(self._synced)

    def _watch(self, room: int, line: Message) -> None:
        if self._room not in {None, room}:
            return
        seen = self._seen.setdefault(room, line.seq - 1)
        if room in self._held:
            self._held[room].append(line)
        elif line.seq == seen + 1:
            self._show(room, line)
        elif line.seq > seen:
            self._held[room] = [line]
            self._fill_later(room)

    def _synced(self) -> None:
        for room in list(self._held):
            self._fill_later(room)

    def _fill_later(self, room: int) -> None:
        Deferred.fromCoroutine(self._fill(room)).addErrback(self._not_filled)

    def _not_filled(self, failure: Failure) -> None:
        # What is missing is read after the next reconnect; until then all that comes is held.
        failure.trap(Refusal)
        self.log.debug("not read on: {why}", why=failure.value)

    async def _fill(self, room: int) -> None:
        before, more = self._seen[room], True
        while more and not self._ended:
            seen = self._seen[room]
            page = await self._link.lines(room, after=seen, limit=limits.HISTORY_PAGE)
            for line in page.messages:
                self._show(room, line)
            # What shows nothing stands between the lines, and behind the last of them.
            self._seen[room] = max(self._seen[room], page.end)
            more = page.newer and self._seen[room] > seen
        held = self._held.pop(room, [])
        for line in held:
            # What the log does not lead to was never in it: asking again would never end.
            if self._seen[room] > before or line.seq <= before + len(held):
                self._watch(room, line)

    def _show(self, room: int, line: Message) -> None:
        if self._ended or line.seq <= self._seen[room]:
            return
        self._seen[room] = line.seq
        shown = event_object(line, self._name(room))
        if shown is not None:
            self._emit(shown)

    def _name(self, room: int) -> str:
        info = self._link.rooms.infos.get(room)
        if info is None:
            return f"?{room}"
        title = self._link.rooms.title(info)
        return f"@{title}" if self._link.rooms.is_direct(info) else f"#{title}"
