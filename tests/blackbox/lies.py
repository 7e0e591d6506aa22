"""What a server can lie about a room's log, each lie so well made that only its contents betray it.

Numbers stay dense: who is shown a log of which something is missing sees no gap in it.
"""

import os
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredLock

from lairchat.e2ee.following import Followed
from lairchat.features.delivery import messages as delivery
from lairchat.features.delivery.rules import hint
from lairchat.features.messages import messages as wire
from lairchat.features.messages.messages import LogEvent
from lairchat.features.rooms import messages as rooms
from lairchat.model.refusals import NotMember, RoomUnknown
from lairchat.wire.contract import Command
from tests.blackbox.follower import event_of
from tests.blackbox.malice import TABLE, Asked, Client, Malice, Rule
from tests.blackbox.relay import settled

Retell = Callable[[LogEvent], list[LogEvent]]
"""What is shown for an event of the real log; numbers do not matter."""


def as_it_is(event: LogEvent) -> list[LogEvent]:
    """Retell nothing otherwise."""
    return [event]


class FalseLog:
    """The log of a room as some members are shown it: in events, pages, syncs and answers alike.

    whose: their names.  events: the false log as far as it has been told.
    """

    def __init__(self, malice: Malice, room: int, *whose: str, retell: Retell = as_it_is) -> None:
        self.malice = malice
        self.room = room
        self.whose = whose
        self.retell = retell
        self.held = False
        self.events: list[LogEvent] = []
        self._first = [0]  # of a real event: the number that the first told for it has
        self._upto = [0]  # and how many are told with it
        self._turn = DeferredLock()
        self._told: dict[Client, int] = {}
        on_reply, on_request = malice.on_reply, malice.on_request
        self._rules = [
            malice.on_event(wire.MESSAGE.name, self._pushed, *whose),
            malice.on_event(wire.CURSOR.name, self._cursor, *whose),
            on_request(wire.HISTORY, self._history, *whose),
            on_request(wire.SYNC, self._sync, *whose),
            on_reply(wire.SYNC, self._synced, *whose),
            on_request(wire.MOVE_CURSOR, self._move, *whose),
            on_request(delivery.COMMIT_BODY, self._naming, *whose),
            on_request(delivery.TOMBSTONE, self._naming, *whose),
            on_reply(wire.MOVE_CURSOR, self._moved, *whose),
            *(on_reply(command, self._placed, *whose) for command in PLACED),
            on_reply(delivery.BEGUN, self._begun, *whose),
            *describing(malice, self._described, *whose),
        ]

    def end(self) -> None:
        """Tell the truth from now on; whoever has followed the false log will notice."""
        for rule in self._rules:
            rule.end()

    # -- lying on purpose

    def insert(self, event: LogEvent) -> LogEvent:
        """Append an event to the false log, under its next number, and tell of it."""
        shown = self._append(event)
        for client in self.malice.clients:
            if client.name in self.whose:
                self._tell(client, len(self.events) - 1)
        return shown

    def hold(self) -> None:
        """Let the false log end here, whatever is said."""
        self.held = True

    async def release(self) -> None:
        """Go on where the log was held."""
        self.held = False
        for client in self.malice.clients:
            if client.name in self.whose:
                begin = len(self.events)
                await self._read(client)
                self._tell(client, begin)

    # -- the real log, and the one that is told

    async def _read(self, client: Client) -> None:
        """Retell what the real log has by now."""
        await self._turn.run(lambda: Deferred.fromCoroutine(self._fetch(client)))

    async def _fetch(self, client: Client) -> None:
        more = not self.held
        while more:
            page = await self._page(client)
            for event in page.events:
                self._first.append(len(self.events) + 1)
                for told in self.retell(self._pointing(event)):
                    self._append(told)
                self._upto.append(len(self.events))
            more = page.more

    def _pointing(self, event: LogEvent) -> LogEvent:
        """Let a hint name the message that it is about by its number in the false log."""
        if event.kind != "hint":
            return event
        return replace(event, body=hint(self._false(int.from_bytes(event.body, "big"))))

    async def _page(self, client: Client) -> wire.Page:
        """Return what follows in the real log, through whomever the daemon gives it to."""
        request = wire.History(self.room, after=len(self._upto) - 1, limit=100)
        for one in (client, *self.malice.clients):
            try:
                page: wire.Page = await one.ask(wire.HISTORY, request)
            except (NotMember, RoomUnknown):
                continue
            return page
        raise NotMember

    def _append(self, event: LogEvent) -> LogEvent:
        shown = replace(event, room=self.room, seq=len(self.events) + 1)
        self.events.append(shown)
        return shown

    def _tell(self, client: Client, begin: int) -> None:
        for event in self._untold(client, begin, len(self.events)):
            client.tell(wire.MESSAGE.name, event)

    def _untold(self, client: Client, begin: int, end: int) -> list[LogEvent]:
        """Return which of the events from one place to another a connection has not been told."""
        start = max(self._told.get(client, 0), begin)
        self._told[client] = max(start, end)
        return self.events[start:end]

    def _real(self, seq: int) -> int:
        """Return up to which event of the real log the false one is told at a place."""
        return max(real for real, upto in enumerate(self._upto) if upto <= seq)

    def _false(self, seq: int) -> int:
        """Return the place in the false log of an event of the real one."""
        return self._first[seq] if seq < len(self._first) else len(self.events) + 1

    def _seen(self, seq: int) -> int:
        """Return up to where the false log is told with an event of the real one."""
        return self._upto[min(seq, len(self._upto) - 1)]

    # -- the rules

    async def _pushed(self, client: Client, event: LogEvent) -> Any:
        if event.room != self.room:
            return event
        await self._read(client)
        if event.seq >= len(self._upto):
            return None  # held
        # Only this one: a daemon does not tell a connection what that has said itself.
        return self._untold(client, self._upto[event.seq - 1], self._upto[event.seq])

    async def _history(self, client: Client, asked: Asked) -> Any:
        args: wire.History = asked.args
        if args.room != self.room:
            return args
        await self._read(client)
        if args.after is not None:
            found = self.events[args.after :]
            return wire.Page(args.room, found[: args.limit], len(found) > args.limit)
        end = len(self.events) if args.before is None else max(args.before - 1, 0)
        start = max(end - args.limit, 0)
        return wire.Page(args.room, self.events[start:end], start > 0)

    def _sync(self, _client: Client, asked: Asked) -> wire.Sync:
        args: wire.Sync = asked.args
        return replace(args, cursors=[one for one in args.cursors if one.room != self.room])

    async def _synced(self, client: Client, asked: Asked, reply: wire.Synced) -> wire.Synced:
        after = {cursor.room: cursor.seq for cursor in asked.args.cursors}.get(self.room)
        await self._read(client)
        rooms = [
            self._standing(room, after, asked.args.limit) if room.room == self.room else room
            for room in reply.rooms
        ]
        return replace(reply, rooms=rooms)

    def _standing(self, room: wire.RoomSync, after: int | None, limit: int) -> wire.RoomSync:
        head = len(self.events)
        found = [] if after is None else self.events[after : after + limit]
        last = head if after is None else after + len(found)
        read = self._seen(room.read)
        return replace(room, head=head, read=read, events=found, more=last < head)

    def _move(self, _client: Client, asked: Asked) -> wire.MoveCursor:
        args: wire.MoveCursor = asked.args
        return args if args.room != self.room else replace(args, seq=self._real(args.seq))

    def _moved(self, client: Client, _asked: Asked, reply: wire.CursorMoved) -> Any:
        return self._cursor(client, reply)

    def _cursor(self, _client: Client, moved: wire.CursorMoved) -> wire.CursorMoved:
        if moved.room != self.room:
            return moved
        return replace(moved, read=self._seen(moved.read))

    def _naming(self, _client: Client, asked: Asked) -> Any:
        if asked.args.room != self.room:
            return asked.args
        return replace(asked.args, seq=self._real(asked.args.seq - 1) + 1)

    async def _placed(self, client: Client, asked: Asked, reply: Any) -> Any:
        if asked.args.room != self.room:
            return reply
        await self._read(client)
        return replace(reply, seq=self._false(reply.seq))

    def _begun(self, _client: Client, asked: Asked, reply: delivery.EpochBegun) -> Any:
        if asked.args.room != self.room:
            return reply
        followed = Followed.begin(self.room)
        for told in self.events[: reply.seq]:
            event = event_of(told)
            followed = followed.event(event.seq, event.kind, event.sender, event.digest)
        return replace(reply, hash=followed.hash)

    async def _described(self, client: Client, info: rooms.RoomInfo) -> rooms.RoomInfo:
        if info.room != self.room:
            return info
        await self._read(client)
        return replace(info, head=len(self.events))


def describing(
    malice: Malice, change: Callable[[Client, rooms.RoomInfo], Any], *whose: str
) -> list[Rule]:
    """Describe rooms otherwise, wherever they are described."""

    async def replied(client: Client, _asked: Asked, reply: Any) -> Any:
        if isinstance(reply, rooms.RoomInfo):
            return await settled(change(client, reply))
        return replace(reply, rooms=[await settled(change(client, info)) for info in reply.rooms])

    async def joined(client: Client, body: rooms.RoomJoined) -> rooms.RoomJoined:
        return rooms.RoomJoined(await settled(change(client, body.room)))

    described = [one for one in TABLE if one.reply in (rooms.RoomInfo, rooms.RoomList)]
    return [
        *(malice.on_reply(command, replied, *whose) for command in described),
        malice.on_event(rooms.ROOM_JOINED.name, joined, *whose),
    ]


PLACED: tuple[Command[Any, Any], ...] = (
    wire.SEND,
    delivery.FOUND,
    delivery.COMMIT,
    delivery.PROPOSE,
    delivery.STATE,
    delivery.BEGUN,
    delivery.TOMBSTONE,
)
"""Commands whose answers name a place in the log of the room that they are about."""


# -- ways to retell


def at_message(number: int, change: Retell) -> Retell:
    """Retell the n-th message, from 1, otherwise."""
    count = 0

    def retell(event: LogEvent) -> list[LogEvent]:
        nonlocal count
        count += event.kind == "app"
        return change(event) if event.kind == "app" and count == number else [event]

    return retell


def drop(number: int) -> Retell:
    """Leave out the n-th message."""
    return at_message(number, lambda _: [])


def flip(number: int, place: int = -1) -> Retell:
    """Flip a bit of the n-th message; the original follows."""
    return at_message(number, lambda event: [flipped(event, place), event])


def flipped(event: LogEvent, place: int = -1) -> LogEvent:
    """Return an event with a bit of one byte flipped, as of somebody's next command."""
    body = bytearray(event.body)
    body[place] ^= 1
    return replace(event, body=bytes(body), id=os.urandom(16))


def swap(number: int) -> Retell:
    """Tell the n-th message after the event that follows it."""
    waiting: list[LogEvent] = []

    def wait(event: LogEvent) -> list[LogEvent]:
        waiting.append(event)
        return []

    count = at_message(number, wait)

    def retell(event: LogEvent) -> list[LogEvent]:
        before, waiting[:] = list(waiting), []
        return count(event) + before

    return retell


def without(name: str) -> Retell:
    """Leave out all messages of somebody."""
    return lambda event: [] if event.kind == "app" and event.name == name else [event]
