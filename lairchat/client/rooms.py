"""Keeps every room's events complete and in order, across reconnects and gaps.

The rule (decision 1): an event is shown when it is the next of its room; one that was seen is
dropped; one that comes too early means a gap, which is read from the log first.
Promises not to know: the screen, sockets; it asks through a function and delivers inputs.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import catalog, inputs
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as wire_rooms
from lairchat.model import limits
from lairchat.model.faults import NetLost
from lairchat.model.refusal import Refusal
from lairchat.wire.contract import Command

Ask = Callable[[Command[Any, Any], msgspec.Struct], "Deferred[Any]"]
Deliver = Callable[[inputs.Input], None]
Later = Callable[..., Any]

#: A room that is further behind than this is shown from its latest page instead.
CATCH_UP_EVENTS = 500
#: How many events of one room are held back; then only the newest, and the log has the others.
HELD_EVENTS = 1_000
#: How many rooms are taken from a server: it could list invented ones for ever.
ROOMS_TAKEN = 10_000

_COUNTS = {"joined": 1, "left": -1, "kicked": -1, "banned": -1}
_CLOSED = {"archived": True, "restored": False}


def room_info(info: wire_rooms.RoomInfo, sync: wire.RoomSync | None) -> inputs.RoomInfo:
    """Turn what the server says of a room into what the screen shows."""
    return inputs.RoomInfo(
        info.room,
        info.name,
        direct=info.kind == "direct",
        topic=info.topic,
        role=info.role or "guest",
        access=info.access,
        unread=sync.unread if sync else 0,
        members=info.members,
        read_seq=sync.read if sync else 0,
        head_seq=sync.head if sync else info.head,
        label="PLAIN" if info.crypto == "plain" else "E2E?",
        archived=info.archived,
    )


class SealedSide(Protocol):
    """What has the encrypted rooms: their logs are followed there, whole and from where it stands."""

    def owns(self, room: int) -> bool:
        """Tell whether a room is encrypted."""

    def position(self, room: int) -> int | None:
        """Return up to where a room has been followed; None if this device is not in it."""

    def take_event(self, event: wire.LogEvent) -> None:
        """Take the next event of a room's log."""

    def dress(self, info: wire_rooms.RoomInfo, sync: wire.RoomSync | None) -> inputs.RoomInfo:
        """Return what the screen shows of a room."""

    def title(self, room: int) -> str:
        """Return what a room is called here."""

    def is_direct(self, info: wire_rooms.RoomInfo) -> bool:
        """Tell whether a room is a direct conversation."""

    def listed(self, infos: Iterable[wire_rooms.RoomInfo]) -> None:
        """Take what the server says of rooms, before anything can be typed there."""


class Rooms:
    """What this device has of each of its rooms.

    ticket_of: maps a command id to the ticket of a message of ours, or 0.
    watch: called with every line that is new here, for other programs that follow (lair tail).
    sealed: the encrypted rooms.
    later: calls a function after some seconds, as reactor.callLater does.
    members_changed: called with a room into which somebody came, or which somebody left.
    """

    log = Logger()

    def __init__(
        self,
        ask: Ask,
        deliver: Deliver,
        ticket_of: Callable[[bytes], int],
        watch: Callable[[int, inputs.Message], None],
        *,
        later: Later,
        members_changed: Callable[[int], None],
        sealed: SealedSide,
    ) -> None:
        self._ask = ask
        self._deliver = deliver
        self._ticket_of = ticket_of
        self._watch = watch
        self._later = later
        self._members_changed = members_changed
        self._sealed = sealed
        self.heads: dict[int, int] = {}
        self.infos: dict[int, wire_rooms.RoomInfo] = {}
        self.name = ""
        self.synced = False
        self._early: dict[int, list[wire.LogEvent]] = {}
        self._meanwhile: dict[int, wire_rooms.RoomInfo | None] = {}
        self._syncing = False

    def use(self, sealed: SealedSide) -> None:
        """Have another encrypted side from now on."""
        self._sealed = sealed

    def forget(self) -> None:
        """Forget everything: another account logs in."""
        self.heads.clear()
        self.infos.clear()
        self._early.clear()
        self.synced = False

    def by_name(self, name: str) -> wire_rooms.RoomInfo | None:
        """Return the room that people call this: ``#ops`` or ``ops``, or ``@bob`` for a direct one."""
        wanted = name.lower()
        # Encrypted ones first: of two conversations with one person the other is from before.
        for info in sorted(self.infos.values(), key=lambda one: one.crypto == "plain"):
            title = self.title(info).lower()
            if wanted == f"@{title}" if self.is_direct(info) else wanted.removeprefix("#") == title:
                return info
        return None

    def title(self, info: wire_rooms.RoomInfo) -> str:
        """Return what a room is called: an encrypted one as its members say."""
        return self._sealed.title(info.room) if self._sealed.owns(info.room) else info.name

    def is_direct(self, info: wire_rooms.RoomInfo) -> bool:
        """Tell whether a room is a direct conversation: of an encrypted one its group says so."""
        owned = self._sealed.owns(info.room)
        return self._sealed.is_direct(info) if owned else info.kind == "direct"

    def shown(
        self, info: wire_rooms.RoomInfo, sync: wire.RoomSync | None = None
    ) -> inputs.RoomInfo:
        """Return what the screen shows of a room."""
        sealed = self._sealed.owns(info.room)
        return self._sealed.dress(info, sync) if sealed else room_info(info, sync)

    # -- after logging in

    async def sync(self) -> None:
        """Read where all rooms stand, show them, and deliver what was missed."""
        again = self.synced
        # Live events that arrive while this runs are held back per room until the room is done.
        for room in self.heads:
            self._early.setdefault(room, [])
        self._meanwhile.clear()
        self._syncing = True
        try:
            infos = await self._my_rooms()
            states = {state.room: state for state in await self._states(infos)}
        finally:
            self._syncing = False
        for room, info in self._meanwhile.items():
            if info is None:
                infos.pop(room, None)
            else:
                infos.setdefault(room, info)
        self.infos = infos
        self._sealed.listed(infos.values())
        self.synced = True
        for gone in set(self.heads) - set(infos):
            del self.heads[gone]
            self._early.pop(gone, None)
        for room in infos:
            position = self._sealed.position(room) if self._sealed.owns(room) else None
            if position is not None:
                self.heads[room] = position
        self._deliver(
            inputs.RoomsSynced(
                tuple(self.shown(info, states.get(room)) for room, info in infos.items())
            )
        )
        missed = 0
        for room, state in states.items():
            if room in self.infos:
                missed += await self._take_state(room, state)
        for room in list(self._early):
            self._release(room)
        if again:
            self._deliver(inputs.CaughtUp(missed))

    async def _my_rooms(self) -> dict[int, wire_rooms.RoomInfo]:
        found: dict[int, wire_rooms.RoomInfo] = {}
        after, more = 0, True
        while more:
            page = await self._ask(wire_rooms.MINE, wire_rooms.MyRooms(after=after))
            found.update((info.room, info) for info in page.rooms)
            last = max(found, default=0)
            more, after = page.more and last > after and len(found) < ROOMS_TAKEN, last
        return found

    async def _states(self, infos: Iterable[int]) -> list[wire.RoomSync]:
        known = set(infos)
        cursors = [wire.Cursor(room, seq) for room, seq in self.heads.items() if room in known]
        states: list[wire.RoomSync] = []
        after, more = 0, True
        while more:
            page = await self._ask(wire.SYNC, wire.Sync(cursors=cursors, after=after))
            states.extend(state for state in page.rooms if state.room in known)
            last = max((state.room for state in page.rooms), default=after)
            more, after = page.more and last > after, last
        return states

    async def _take_state(self, room: int, state: wire.RoomSync) -> int:
        """Deliver what one room has that we have not; return how many events that were."""
        if room not in self.heads:
            self.heads[room] = state.head
            return 0
        before = self.heads[room]
        sealed = self._sealed.owns(room)
        if state.head - before > CATCH_UP_EVENTS and not sealed:
            await self._latest(room)
        elif sealed:
            await self._read_on(room, state.head)
        else:
            self._show_all(room, state.events)
            if state.more:
                await self._read_on(room, state.head)
        return max(0, self.heads.get(room, before) - before)

    async def _read_on(self, room: int, head: int) -> None:
        """Read a room's log up to ``head``."""
        more = True
        while more and self.heads.get(room, head) < head:
            # A room that is left meanwhile ends this: its head is gone.
            page = await self._ask(
                wire.HISTORY, wire.History(room, after=self.heads[room], limit=limits.HISTORY_PAGE)
            )
            more = self._show_all(room, page.events) and page.more

    async def _latest(self, room: int) -> None:
        page = await self._ask(wire.HISTORY, wire.History(room, limit=limits.HISTORY_PAGE))
        lines = tuple(catalog.message_of(event, self._ticket_of(event.id)) for event in page.events)
        self._deliver(inputs.HistoryPage(room, lines, older=page.more, replace=True))
        for event, line in zip(page.events, lines, strict=True):
            if event.room == room and event.seq > self.heads.get(room, 0):
                self.heads[room] = event.seq
                self._watch(room, line)

    def _show_all(self, room: int, events: Iterable[wire.LogEvent]) -> bool:
        """Show what is new in a page of a room's log; tell whether that led any further."""
        before = self.heads.get(room)
        for event in events:
            if event.room == room:
                self._show(event)
        return self.heads.get(room) != before

    # -- live

    def event(self, event: wire.LogEvent) -> None:
        """Take a live event: show it, hold it back, or fetch what is missing before it."""
        room = event.room
        held = self._early.get(room)
        if held is not None:
            _hold(held, event)
        elif room in self.heads:
            if event.seq == self.heads[room] + 1:
                self._show(event)
            elif event.seq > self.heads[room]:
                self._begin_closing(room, [event])
        elif self._syncing and len(self._early) < ROOMS_TAKEN:
            # Which rooms are ours is being asked at this moment.
            self._early[room] = [event]
        elif room in self.infos:
            # Ours since that question: its first event that we hear is where we start.
            self.heads[room] = event.seq - 1
            self._show(event)
        # What is left comes late from a room that we have left: the answer overtook it.

    def acknowledged(self, event: wire.LogEvent) -> None:
        """Take our own message's place: it comes as an answer instead of an event."""
        room = event.room
        head = self.heads.get(room)
        if head is None or event.seq <= head:
            return
        if room in self._early:
            _hold(self._early[room], event)
        elif event.seq == head + 1:
            self.heads[room] = event.seq
            if self._sealed.owns(room):
                self._sealed.take_event(event)
            else:
                self._watch(room, catalog.message_of(event))
        else:
            self._begin_closing(room, [event])

    def read_again(self, room: int, position: int) -> None:
        """Read an encrypted room's log on from a place: what came after it was not taken."""
        if room not in self.infos:
            return
        self.heads[room] = position
        if room not in self._early:
            self._begin_closing(room, [])

    def gap(self, rooms: Iterable[int]) -> None:
        """Read on in rooms that the server has skipped for this connection."""
        for room in rooms:
            if room in self.heads and room not in self._early:
                self._begin_closing(room, [])

    def joined(self, info: wire_rooms.RoomInfo) -> None:
        """Note a room that we have joined."""
        if self._syncing:
            self._meanwhile[info.room] = info
        self.infos[info.room] = info
        before = None if info.follows is None else self.infos.get(info.follows)
        if before is not None and before.followed_by is None:
            # As the server's list says it from now on.
            self.infos[before.room] = msgspec.structs.replace(before, followed_by=info.room)
        self._sealed.listed([info])
        position = self._sealed.position(info.room) if self._sealed.owns(info.room) else None
        self.heads.setdefault(info.room, info.head if position is None else position)

    def left(self, room: int) -> None:
        """Forget a room."""
        if self._syncing:
            self._meanwhile[room] = None
        self.infos.pop(room, None)
        self.heads.pop(room, None)
        self._early.pop(room, None)

    def _begin_closing(self, room: int, held: list[wire.LogEvent]) -> None:
        """Read what is missing in a room; what arrives meanwhile is held back."""
        self._early[room] = held
        closing = Deferred.fromCoroutine(self._close_gap(room, held))
        closing.addErrback(self._gave_up, room, held)

    async def _close_gap(self, room: int, held: list[wire.LogEvent]) -> None:
        before, more = self.heads.get(room), True
        while more and room in self.heads:
            page = await self._ask(
                wire.HISTORY, wire.History(room, after=self.heads[room], limit=limits.HISTORY_PAGE)
            )
            if self._early.get(room) is not held:
                return  # the room was left, or another account logged in
            more = self._show_all(room, page.events) and page.more
        if self.heads.get(room) == before:
            # The log has nothing between: what is far ahead of it was never in it.  Asking again
            # would go on for as long as somebody sends us such events.
            held[:] = [event for event in held if event.seq <= (before or 0) + len(held)]
        self._release(room)

    def _gave_up(self, failure: Failure, room: int, held: list[wire.LogEvent]) -> None:
        if self._early.get(room) is not held:
            return
        refusal = failure.value
        if isinstance(refusal, Refusal) and refusal.retry_after:
            self._later(refusal.retry_after, self._once_more, room, held)
            return
        if not isinstance(refusal, Refusal):
            self.log.failure("reading on failed", failure)
        if not isinstance(refusal, NetLost):
            # The room is closed to us, and says so itself; after a lost connection the next
            # sync begins at the same place, and releases what was held.
            self._early.pop(room, None)

    def _once_more(self, room: int, held: list[wire.LogEvent]) -> None:
        if self._early.get(room) is held:
            self._begin_closing(room, held)

    def _release(self, room: int) -> None:
        """Show what was held back; what is still missing is fetched by the rule."""
        held = self._early.pop(room, [])
        for event in held:
            self.event(event)

    def _show(self, event: wire.LogEvent) -> None:
        if event.seq <= self.heads.get(event.room, 0):
            return
        self.heads[event.room] = event.seq
        if self._sealed.owns(event.room):
            self._sealed.take_event(event)
            return
        line = catalog.message_of(event, self._ticket_of(event.id))
        self._deliver(inputs.MessageArrived(event.room, line))
        body = catalog.body_of(event) if event.kind == "state" else None
        if isinstance(body, wire.StateChange):
            self._changed(event.room, body)
        self._watch(event.room, line)

    def _changed(self, room: int, change: wire.StateChange) -> None:
        info = self.infos.get(room)
        if info is None:
            return
        members = max(0, info.members + _COUNTS.get(change.what, 0))
        topic = (change.text or "") if change.what == "topic" else info.topic
        role = info.role
        if change.what == "role" and change.whom == self.name:
            role = change.text  # type: ignore[assignment]
        archived = _CLOSED.get(change.what, info.archived)
        self.infos[room] = msgspec.structs.replace(
            info, members=members, topic=topic, role=role, archived=archived
        )
        self._deliver(
            inputs.RoomChanged(
                room, topic=topic, role=role or "guest", members=members, archived=archived
            )
        )
        if change.what in _COUNTS or change.what == "role":
            self._members_changed(room)


def _hold(held: list[wire.LogEvent], event: wire.LogEvent) -> None:
    """Hold an event back; of too many only the newest, which shows how far the log has to be read."""
    if len(held) >= HELD_EVENTS:
        held.clear()
    held.append(event)
