"""What ``bin/lair-demo --check`` promises, one coroutine each, shown on a real server.

Every promise returns its evidence (sequence numbers, key-agreement group, digests) or raises; the
tests break each of them in turn and expect its line to fail.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from twisted.internet import defer
from twisted.internet.defer import Deferred

from lairchat.client import catalog
from lairchat.client.connection import Connection
from lairchat.client.dial import RealDialer
from lairchat.demo_private import Device
from lairchat.demo_server import DemoServer
from lairchat.features.accounts import messages as accounts
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.model.identity import ServerId
from lairchat.model.ids import command_id
from lairchat.model.refusals import InviteBad
from lairchat.wire.contract import Command

WAIT_SECONDS = 5.0
#: A promise that is not kept within this is broken; the slowest starts a server.
PROMISE_SECONDS = 60.0
HYBRID = "X25519MLKEM768"


class BrokenPromiseError(Exception):
    """A promise did not hold; the text says what was seen instead."""


def expect(holds: object, otherwise: str) -> None:
    """Raise BrokenPromiseError unless the first argument is true."""
    if not holds:
        raise BrokenPromiseError(otherwise)


def wall_clock() -> int:
    """Return ms since 1970."""
    return time.time_ns() // 1_000_000


class Member:
    """One device of one person, on one connection at a time."""

    def __init__(self, reactor: Any, host: str, port: int, name: str, password: str) -> None:
        self.reactor = reactor
        self.host = host
        self.port = port
        self.name = name
        self.password = password
        self.dialer = RealDialer(reactor, wall_clock)
        self.connection: Connection | None = None
        self.server: ServerId | None = None
        self.token = b""
        self.seen: list[wire.LogEvent] = []
        self._arrived: list[Deferred[None]] = []

    async def connect(self) -> None:
        """Connect and check who answers."""
        connection = Connection(self.reactor, catalog.EVENTS, self._event, lambda _: self._wake())
        spki = await self.dialer.dial(self.host, self.port, connection)
        hello = await connection.greet()
        self.server = self.dialer.prove(self.host, hello, spki)
        self.connection = connection

    async def register(self, invite: str) -> accounts.Grant:
        """Make the account: only what is derived from the password is sent."""
        assert self.server is not None
        keys = await self.dialer.derive(self.password, self.server, self.name)
        return self._granted(
            await self.ask(
                accounts.REGISTER,
                accounts.Register(self.name, keys.authentication, device="demo", invite=invite),
            )
        )

    async def login(self) -> accounts.Grant:
        """Log in by name and password."""
        assert self.server is not None
        keys = await self.dialer.derive(self.password, self.server, self.name)
        return self._granted(
            await self.ask(accounts.LOGIN, accounts.Login(self.name, keys.authentication))
        )

    async def resume(self) -> accounts.Grant:
        """Log in again by the session's token."""
        return self._granted(await self.ask(accounts.RESUME, accounts.Resume(self.token)))

    def _granted(self, grant: accounts.Grant) -> accounts.Grant:
        assert self.connection is not None
        self.connection.authenticated()
        self.token = grant.token
        return grant

    def ask(
        self, command: Command[Any, Any], request: msgspec.Struct, key: bytes | None = None
    ) -> "Deferred[Any]":
        """Ask the server."""
        assert self.connection is not None
        return self.connection.call(command, request, key)

    def key(self) -> bytes:
        """Return a fresh command id."""
        return command_id(wall_clock(), os.urandom(10))

    async def say(self, room: int, text: str, key: bytes | None = None) -> wire.Sent:
        """Send a text; returns once the server has it on disk."""
        body = catalog.encode_text(text)
        sent: wire.Sent = await self.ask(wire.SEND, wire.Send(room, body), key or self.key())
        return sent

    async def hear(self, room: int, seq: int) -> wire.LogEvent:
        """Wait for the event with this sequence."""
        deadline = self.reactor.seconds() + WAIT_SECONDS
        while True:
            for event in self.seen:
                if event.room == room and event.seq == seq:
                    return event
            left = deadline - self.reactor.seconds()
            expect(left > 0, f"{self.name} did not receive event {seq} within {WAIT_SECONDS:.0f} s")
            arrived: Deferred[None] = Deferred()
            self._arrived.append(arrived)
            timer = self.reactor.callLater(left, self._wake)
            await arrived
            if timer.active():
                timer.cancel()

    async def log(self, room: int) -> list[wire.LogEvent]:
        """Read a room's whole log."""
        events: list[wire.LogEvent] = []
        more = True
        while more:
            after = events[-1].seq if events else 0
            page: wire.Page = await self.ask(
                wire.HISTORY, wire.History(room, after=after, limit=100)
            )
            events += page.events
            more = page.more and bool(page.events)
        return events

    def leave(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.leave()

    def _event(self, name: str, body: Any) -> None:
        if name == "message":
            self.seen.append(body)
            self._wake()

    def _wake(self) -> None:
        waiting, self._arrived = self._arrived, []
        for one in waiting:
            one.callback(None)


def digest(events: list[wire.LogEvent]) -> str:
    """Return the SHA-256 of a log as a client sees it."""
    total = hashlib.sha256()
    for event in events:
        total.update(msgspec.msgpack.encode((event.seq, event.name, event.kind, event.body)))
    return total.hexdigest()


class Check:
    """The promises, in the order in which they are shown.

    port: where the clients connect; the server's own, or a test's proxy in front of it.
    """

    def __init__(self, reactor: Any, server: DemoServer, port: int | None = None) -> None:
        self.reactor = reactor
        self.server = server
        port = port or server.port
        self.alice = Member(reactor, "127.0.0.1", port, "alice", "correct horse battery staple")
        self.bob = Member(reactor, "127.0.0.1", port, "bob", "tr0ub4dor and three more words")
        profiles = server.directory / "clients"
        self.carol = Device(reactor, "carol", port, profiles / "carol")
        self.dave = Device(reactor, "dave", port, profiles / "dave")
        self.secret = f"for dave alone {os.urandom(8).hex()}"
        self.answered = f"for carol alone {os.urandom(8).hex()}"
        self.lobby = 0
        self.acknowledged: dict[int, str] = {}
        self.promises: list[tuple[str, Callable[[], Coroutine[Any, Any, str]]]] = [
            ("starts by itself", self.starts),
            ("keeps its files private", self.private_files),
            ("speaks TLS 1.3 with hybrid key agreement", self.tls),
            ("proves the identity that the link names", self.identity),
            ("lets the owner in once", self.owner),
            ("lets a friend in by invite", self.friend),
            ("carries a message", self.message),
            ("carries the answer", self.answer),
            ("does a repeated command once", self.repeat),
            ("encrypts a direct conversation from its first message", self.encrypted),
            ("keeps nothing of it that it could read", self.unreadable),
            ("never sees the password", self.password),
            ("survives kill -9 with everything acknowledged", self.kill),
            ("catches up after a reconnect", self.catch_up),
        ]

    async def run(self, write: Callable[[str], None]) -> int:
        """Show every promise; returns how many did not hold."""
        broken = 0
        for title, promise in self.promises:
            kept = Deferred.fromCoroutine(promise())
            try:
                evidence = await kept.addTimeout(PROMISE_SECONDS, self.reactor)
            except defer.TimeoutError:
                broken += 1
                write(f"FAIL  {title}: not within {PROMISE_SECONDS:g} s")
            except Exception as error:  # noqa: BLE001 - whatever it was, this line did not hold
                broken += 1
                write(f"FAIL  {title}: {error or type(error).__name__}")
            else:
                write(f"OK    {title}: {evidence}")
        self.alice.leave()
        self.bob.leave()
        return broken

    # -- the promises

    async def starts(self) -> str:
        """The server is ready without configuration, in under two seconds."""
        seconds = self.server.ready_seconds
        expect(self.server.process is not None, "the server does not run")
        return (
            f"ready in {seconds:.2f} s on 127.0.0.1:{self.server.port}, process {self.server.pid}"
        )

    async def private_files(self) -> str:
        """Nobody else can read what the server keeps."""
        data = self.server.data
        files = [data, *data.rglob("*")]
        for path in files:
            mode = stat.S_IMODE(path.lstat().st_mode)
            expect(not mode & 0o077, f"{path.name} has mode {mode:04o}")
        return f"{len(files) - 1} files 0600 in a directory 0700"

    async def tls(self) -> str:
        """TLS 1.3, AES-256-GCM, and a key agreement that records of today cannot be broken by later."""
        await self.alice.connect()
        facts = self.alice.dialer.facts
        expect(facts is not None, "no TLS facts")
        assert facts is not None
        expect(facts.version == "TLSv1.3", f"version {facts.version}")
        expect(facts.group == HYBRID, f"group {facts.group}")
        return f"{facts.version}, {facts.cipher}, {facts.group}"

    async def identity(self) -> str:
        """The server that answers is the one whose link we have."""
        server = self.alice.server
        expect(server is not None, "no identity was proven")
        assert server is not None
        expect(server.matches(self.server.link().id_prefix), "it is another identity")
        return f"{' '.join(server.words())}, sha256 {server.short}"

    async def owner(self) -> str:
        """The one-time link makes the owner, and works once."""
        code = self.server.link().code
        await self.alice.register(code)
        mallory = Member(self.reactor, "127.0.0.1", self.alice.port, "mallory", "x")
        await mallory.connect()
        try:
            await mallory.register(code)
        except InviteBad as refusal:
            return f"alice is owner; the link a second time: {refusal.code}"
        finally:
            mallory.leave()
        raise BrokenPromiseError("the link worked twice")

    async def friend(self) -> str:
        """An invite makes an account; both are in the lobby."""
        invite: accounts.Invite = await self.alice.ask(
            accounts.CREATE_INVITE, accounts.CreateInvite()
        )
        await self.bob.connect()
        await self.bob.register(invite.code)
        info: rooms.RoomInfo = await self.bob.ask(rooms.JOIN, rooms.JoinRoom("lobby"))
        self.lobby = info.room
        expect(info.members == 2, f"{info.members} members")
        return f"bob is in #{info.name} ({info.crypto.upper()}: the server can read it), {info.members} members"

    async def message(self) -> str:
        """What alice says is on disk before she is told so, and bob has it unchanged."""
        text = f"hello from alice {os.urandom(8).hex()}"
        sent = await self.alice.say(self.lobby, text)
        self.acknowledged[sent.seq] = text
        event = await self.bob.hear(self.lobby, sent.seq)
        self._same(event, text)
        return f"#{sent.seq} acknowledged and received, sha256 {self._short(text)}"

    async def answer(self) -> str:
        """And the other way round, next in order."""
        text = f"hello from bob {os.urandom(8).hex()}"
        sent = await self.bob.say(self.lobby, text)
        expect(sent.seq == max(self.acknowledged) + 1, f"sequence {sent.seq}")
        self.acknowledged[sent.seq] = text
        event = await self.alice.hear(self.lobby, sent.seq)
        self._same(event, text)
        return f"#{sent.seq} acknowledged and received, sha256 {self._short(text)}"

    async def repeat(self) -> str:
        """A command that is repeated, as after a lost answer, is done once."""
        key, text = self.alice.key(), "said once"
        first = await self.alice.say(self.lobby, text, key)
        second = await self.alice.say(self.lobby, text, key)
        self.acknowledged[first.seq] = text
        expect(first.seq == second.seq, f"sequences {first.seq} and {second.seq}")
        after = await self.alice.say(self.lobby, "afterwards")
        self.acknowledged[after.seq] = "afterwards"
        await self.bob.hear(self.lobby, after.seq)
        copies = [e for e in self.bob.seen if e.room == self.lobby and e.id == key]
        expect(len(copies) == 1, f"bob has it {len(copies)} times")
        return f"#{first.seq} twice the same answer, received once"

    async def encrypted(self) -> str:
        """Two real clients, with stores of their own, talk alone: nobody has to know a command."""
        carol, dave = self.carol, self.dave
        for one in (carol, dave):
            invite: accounts.Invite = await self.alice.ask(
                accounts.CREATE_INVITE, accounts.CreateInvite()
            )
            await one.register(invite.code)
        room = await carol.direct("dave")
        begun = self.reactor.seconds()
        await carol.say(room, self.secret)
        await dave.hears(room, self.secret)
        took = self.reactor.seconds() - begun
        await dave.say(room, self.answered)
        await carol.hears(room, self.answered)
        labels = {carol.label(room), dave.label(room)}
        expect(labels == {"E2E"}, f"labels {labels}")
        expect(len(carol.words) == 12, f"{len(carol.words)} recovery words")
        await carol.leave()
        await dave.leave()
        return f"E2E on both screens, {1000 * took:.0f} ms from Enter to the other, 12 words shown"

    async def unreadable(self) -> str:
        """Neither message is in anything that the server keeps or prints; a plain one is."""
        places = [self.server.output, *(p for p in self.server.data.rglob("*") if p.is_file())]
        contents = {path.name: path.read_bytes() for path in places}
        for name, content in contents.items():
            for text in (self.secret, self.answered):
                expect(text.encode() not in content, f"found in {name}")
        plain = self.acknowledged[min(self.acknowledged)].encode()
        found = [name for name, content in contents.items() if plain in content]
        expect(bool(found), "a plain message was not found either: the search does not work")
        return f"{len(places)} files searched; a message of #lobby is in {found[0]}"

    async def password(self) -> str:
        """Neither password is in anything that the server keeps or prints."""
        places = [self.server.output, *(p for p in self.server.data.rglob("*") if p.is_file())]
        for path in places:
            content = path.read_bytes()
            for member in (self.alice, self.bob):
                expect(member.password.encode() not in content, f"found in {path.name}")
        return f"{len(places)} files searched"

    async def kill(self) -> str:
        """After kill -9 and a restart everything acknowledged is there, once, in order."""
        before = digest(await self.alice.log(self.lobby))
        self.server.kill()
        self.server.start()
        await self.alice.connect()
        await self.alice.resume()
        events = await self.alice.log(self.lobby)
        self._complete(events)
        expect(digest(events) == before, "the log has changed")
        return f"{len(self.acknowledged)} of {len(self.acknowledged)}, log sha256 {before[:16]}"

    async def catch_up(self) -> str:
        """Who was away reads what was missed, from their own position on."""
        last = max(event.seq for event in self.bob.seen if event.room == self.lobby)
        text = "while bob was away"
        sent = await self.alice.say(self.lobby, text)
        self.acknowledged[sent.seq] = text
        await self.bob.connect()
        await self.bob.resume()
        synced: wire.Synced = await self.bob.ask(
            wire.SYNC, wire.Sync(cursors=[wire.Cursor(self.lobby, last)])
        )
        state = next(room for room in synced.rooms if room.room == self.lobby)
        expect([event.seq for event in state.events] == [sent.seq], "not just what was missed")
        self._same(state.events[0], text)
        return f"#{last} to #{sent.seq} in one round trip, {state.unread} unread"

    # -- evidence

    def _same(self, event: wire.LogEvent, text: str) -> None:
        body = catalog.body_of(event)
        found = body.text if isinstance(body, wire.Text) else None
        expect(found == text, "the text is not the one that was sent")

    def _complete(self, events: list[wire.LogEvent]) -> None:
        expect([e.seq for e in events] == list(range(1, len(events) + 1)), "sequences have gaps")
        by_seq = {event.seq: event for event in events}
        for seq, text in self.acknowledged.items():
            expect(seq in by_seq, f"acknowledged #{seq} is lost")
            self._same(by_seq[seq], text)

    def _short(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:16]
