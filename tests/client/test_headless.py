"""lair send, tail and invite, beside a running client or without: over real Unix sockets."""

import errno
import io
import json
import os
import socket
import stat
import tempfile
from pathlib import Path

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import LoopingCall, deferLater

from lairchat.client import cli, effects, headless, holding, inputs, mailslot, start
from lairchat.client.follow import Follower, event_object
from lairchat.client.holding import Session
from lairchat.client.inputs import Message
from lairchat.client.link import Target
from lairchat.client.profile import KnownServers, Profile
from lairchat.client.profile import Session as KeptSession
from lairchat.client.tail import Printer
from lairchat.client.tail import tail as follow
from lairchat.features.accounts.messages import CREATE_INVITE
from lairchat.features.messages.messages import HISTORY, SEND, LogEvent, Page
from lairchat.model import faults, limits, refusals
from lairchat.model.refusal import Refusal
from lairchat.wire import codec
from lairchat.wire.objects import Ok
from tests.blackbox.daemon import awaited
from tests.client.network import HOST, IDENTITY, MEMORY, PORT, STRANGER, Dialer, NetworkTest


def soon(seconds=0.01):
    return deferLater(reactor, seconds)


def answers_send(frame):
    """Tell whether a frame of the server acknowledges a message."""
    decoded = codec.decode_server(frame[4:])
    return isinstance(decoded, Ok) and set(msgspec.msgpack.decode(decoded.body)) == {"seq", "at"}


def full_disk(profile, items):
    raise faults.ProfileBroken(path=profile.directory, why="no space left on device")


class Programs(NetworkTest):
    """Links in memory, moved on by the reactor's clock; sockets and time are real."""

    timeout = 60

    def setUp(self):
        # Short, so that the socket's path is as well.
        directory = tempfile.TemporaryDirectory(prefix="lt-", dir=MEMORY)
        self.addCleanup(directory.cleanup)
        super().setUp()
        self.root = Path(directory.name)
        self.pump = LoopingCall(self.network.settle)
        self.pump.start(0.002)
        self.addCleanup(self.pump.stop)
        self.ports = []
        self.sessions = []

    async def until(self, happened):
        for _ in range(1000):
            if happened():
                return
            await soon()
        raise AssertionError("it did not happen")

    def holder(self, name):
        """Return somebody online whose link serves the profile's socket."""
        person = self.person(name)
        person.link.on_profile = lambda profile: self.serve(person.link, profile)
        return person.enter(self.network.owner_code())

    def serve(self, link, profile):
        close = start.serve(reactor, link, profile)
        self.addCleanup(close)
        return close

    def session(self, person, account="", patience=cli.PATIENCE_SECONDS):
        session = Session(
            reactor,
            Dialer(self.network),
            KnownServers(person.root),
            Target(HOST, PORT, account=account),
            person.root,
            patience,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(session.close()))
        return session

    async def refusal_of(self, work, kind):
        """Return the refusal with which this work ends, and it does end with one of this kind."""
        return await self.assertFailure(Deferred.fromCoroutine(work), kind)

    def tail(self, person, room="#lobby", *, as_json=True, after=None):
        out = io.StringIO()
        printer = Printer(out, as_json=as_json)
        printer.last = after
        session = self.session(person)
        running = Deferred.fromCoroutine(follow(session, room, printer))
        running.addErrback(lambda failure: failure.trap(Exception) and failure.value)
        self.addCleanup(printer.close)
        return out, printer, session, running

    def lines(self, out):
        return [json.loads(line)["text"] for line in out.getvalue().splitlines()]


class Beside(Programs):
    """Another process holds the profile: this one asks it."""

    @awaited
    async def test_the_server_is_away(self):
        """The holder has it in its queue, and sends it when the server is back."""
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        self.network.pipes[0].cut()
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        session = self.session(alice, patience=0.3)
        await self.refusal_of(headless.send(session, "#lobby", "for later"), faults.SendQueued)
        self.network.refusal = None
        self.network.wait(3)
        await self.until(bob.texts)
        assert bob.texts() == ["for later"]

    @awaited
    async def test_a_holder_that_does_not_answer(self):
        """As one that is stopped: nobody knows what it will do with the message."""
        alice = self.holder("alice")
        self.patch(mailslot.Slot, "lineReceived", lambda slot, line: None)
        session = self.session(alice, patience=0.3)
        refusal = await self.refusal_of(headless.send(session, "#lobby", "x"), faults.ProfileLocked)
        assert headless.exit_status(refusal) == os.EX_CONFIG

    @awaited
    async def test_send(self):
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        sent = await headless.send(self.session(alice), "#lobby", "from a script")
        assert bob.texts() == ["from a script"]
        assert sent["seq"] == max(bob.shown[bob.lobby])
        # On the holder's own screen it arrives like anybody's.
        assert alice.texts() == ["from a script"]
        await headless.send(self.session(alice), "lobby", "waves", action=True)
        assert bob.shown[bob.lobby][sent["seq"] + 1].kind == "action"

    @awaited
    async def test_many_at_once(self):
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        alice.say("typed")
        await gatherResults(
            [
                Deferred.fromCoroutine(headless.send(self.session(alice), "#lobby", f"{number}"))
                for number in range(12)
            ]
        )
        assert sorted(bob.texts()) == sorted(["typed", *map(str, range(12))])

    @awaited
    async def test_refusals(self):
        alice = self.holder("alice")
        for room, text, kind in (
            ("#nowhere", "x", refusals.RoomUnknown),
            ("#lobby", " \n", refusals.TextEmpty),
            ("#lobby", "x" * (limits.MESSAGE_CHARS + 1), refusals.TextLong),
        ):
            refusal = await self.refusal_of(headless.send(self.session(alice), room, text), kind)
            assert headless.exit_status(refusal) in {65, 77}

    @awaited
    async def test_refused_by_the_server(self):
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        room = bob.request(effects.Create, "ops", "public").room.id
        alice.request(effects.Join, "ops")
        infos = dict(alice.link.rooms.infos)
        bob.request(effects.Kick, room, "alice", "")
        alice.link.rooms.infos = infos
        await self.refusal_of(headless.send(self.session(alice), "#ops", "x"), refusals.NotMember)
        assert alice.link.profile.outbox() == []

    @awaited
    async def test_a_holder_that_has_never_been_online(self):
        alice = self.person("alice").enter()
        alice.leave()
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        other = self.reopened(alice)
        profile = Profile(alice.root, IDENTITY.id, "alice")
        profile.lock()
        other.link.on_profile = lambda profile: self.serve(other.link, profile)
        other.link.use_profile(profile, [])
        other.start()
        refusal = await self.refusal_of(
            headless.send(self.session(alice), "#lobby", "x"), faults.NetRefused
        )
        assert headless.exit_status(refusal) == 69

    @awaited
    async def test_invite(self):
        alice = self.holder("alice")
        made = await headless.invite(self.session(alice), 3)
        assert made["link"].startswith("lair://chat.example.org:7023/i/")
        assert made["note"].startswith("It is good for 3 people")

    @awaited
    async def test_tail(self):
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        bob.say("before")
        self.settle()
        out, printer, *_ = self.tail(alice)
        await self.until(lambda: printer.last is not None)
        bob.say("one")
        alice.say("mine")
        await self.until(lambda: len(self.lines(out)) == 2)
        assert sorted(self.lines(out)) == ["mine", "one"]
        first = json.loads(out.getvalue().splitlines()[0])
        assert set(first) == {"room", "seq", "at", "from", "kind", "text"}
        assert first["room"] == "#lobby"

    @awaited
    async def test_tail_from_a_place(self):
        alice = self.holder("alice")
        for number in range(230):
            alice.say(str(number))
        self.settle()
        out, *_ = self.tail(alice, after=0)
        await self.until(lambda: len(self.lines(out)) == 231)
        assert self.lines(out)[1:] == [str(number) for number in range(230)]

    @awaited
    async def test_tail_of_an_unknown_room(self):
        alice = self.holder("alice")
        *_, running = self.tail(alice, "#nowhere")
        assert isinstance(await running, refusals.RoomUnknown)

    @awaited
    async def test_more_than_the_screen_is_shown(self):
        """After a long absence the screen gets the latest page; whoever follows gets all of it."""
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        out, printer, *_ = self.tail(alice)
        await self.until(lambda: printer.last is not None)
        self.network.pipes[0].cut()
        for number in range(600):
            bob.say(str(number))
        self.network.wait(2)
        await self.until(lambda: len(self.lines(out)) >= 600)
        assert self.lines(out) == [str(number) for number in range(600)]

    @awaited
    async def test_takes_over_and_loses_nothing(self):
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        out, printer, session, _ = self.tail(alice)
        await self.until(lambda: printer.last is not None)
        alice.link.stop()
        bob.say("meanwhile")
        await self.until(lambda: session.link is not None and session.link.online)
        bob.say("after")
        await self.until(lambda: len(self.lines(out)) == 2)
        assert self.lines(out) == ["meanwhile", "after"]
        # The one that took over serves others in turn.
        await headless.send(self.session(alice), "#lobby", "through the tail")
        await self.until(lambda: len(self.lines(out)) == 3)
        assert stat.S_IMODE(session.profile().socket.stat().st_mode) == 0o600

    @awaited
    async def test_the_disk_is_full(self):
        alice = self.holder("alice")

        class Full(io.StringIO):
            def flush(self):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        printer = Printer(Full(), as_json=True)
        running = Deferred.fromCoroutine(follow(self.session(alice), "#lobby", printer))
        await soon(0.1)
        alice.say("x")
        await running
        assert printer.fault.errno == errno.ENOSPC
        assert alice.link.online

    @awaited
    async def test_nobody_reads(self):
        alice = self.holder("alice")

        class Closed(io.StringIO):
            def flush(self):
                raise BrokenPipeError

        printer = Printer(Closed(), as_json=True)
        running = Deferred.fromCoroutine(follow(self.session(alice), "#lobby", printer))
        await soon(0.1)
        alice.say("x")
        await running
        assert printer.closed
        assert printer.fault is None
        printer({"seq": 99})
        assert printer.last != 99
        await printer.until_closed()


class Following(Programs):
    """The follower itself, on the link's own clock."""

    def follow(self, person, room, after=None):
        heard = []
        follower = Follower(person.link, room, after, lambda shown: heard.append(shown["text"]))
        self.network.server.result(Deferred.fromCoroutine(follower.begin()))
        self.addCleanup(follower.end)
        return follower, heard

    def test_what_is_missing_is_read_after_the_next_reconnect(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        follower, heard = self.follow(alice, alice.lobby)
        asked = alice.link.ask
        alice.link.ask = lambda *_: fail(faults.NetLost(address="a"))
        for number in range(3):
            bob.say(str(number))
        self.settle()
        follower._watch(alice.lobby, Message(9, 0, "eve", "never said"))
        bob.say("3")
        self.settle()
        assert heard == ["0", "1", "2"]
        alice.link.ask = asked
        self.network.pipes[0].cut()
        self.network.wait(2)
        assert heard == ["0", "1", "2", "3"], "what is not in the log was never said"

    def test_a_place_that_cannot_be_read(self):
        alice = self.person("alice").enter()
        self.assertRaises(refusals.RoomUnknown, self.follow, alice, 4711, 0)
        assert not alice.link.watchers

    def test_ended_in_between(self):
        alice = self.person("alice").enter()
        alice.say("x")
        self.settle()
        heard = []
        follower = Follower(alice.link, alice.lobby, 0, heard.append)
        reading = Deferred.fromCoroutine(follower.begin())
        follower.end()
        follower.end()
        self.network.server.result(reading)
        assert heard == []

    def test_rooms_that_are_new_here(self):
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        _, heard = self.follow(alice, None)
        room = bob.request(effects.OpenDirect, "alice").room.id
        bob.say("psst", room)
        self.settle()
        assert heard[-1] == "psst"
        del alice.link.rooms.infos[room]
        bob.say("who", room)
        self.settle()
        assert heard[-1] == "who"


class Holding(Programs):
    """Nobody holds the profile: this process does, for as long as it takes."""

    @awaited
    async def test_send(self):
        alice = self.person("alice").enter()
        bob = self.person("bob").enter()
        alice.leave()
        session = self.session(alice)
        await headless.send(session, "#lobby", "from cron")
        await self.until(lambda: bob.texts() == ["from cron"])
        await session.close()
        session = self.session(alice)
        refusal = await self.refusal_of(headless.invite(session, 1), refusals.Denied)
        assert headless.exit_status(refusal) == os.EX_NOPERM

    @awaited
    async def test_what_was_queued_goes_first(self):
        alice = self.person("alice").enter()
        bob = self.person("bob").enter()
        self.network.pipes[0].cut()
        alice.say("queued")
        alice.leave()
        await headless.send(self.session(alice), "#lobby", "from cron")
        await self.until(lambda: len(bob.texts()) == 2)
        assert bob.texts() == ["queued", "from cron"]

    @awaited
    async def test_two_at_once(self):
        alice = self.person("alice").enter()
        bob = self.person("bob").enter()
        alice.leave()
        sessions = [self.session(alice) for _ in range(3)]

        async def one(session, number):
            await headless.send(session, "#lobby", str(number))
            await session.close()

        await gatherResults(
            [Deferred.fromCoroutine(one(session, n)) for n, session in enumerate(sessions)]
        )
        await self.until(lambda: len(bob.texts()) == 3)
        assert sorted(bob.texts()) == ["0", "1", "2"]

    @awaited
    async def test_the_holder_ends_before_it_answers(self):
        """The command is repeated at the next holder, and is one message all the same."""
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        self.network.pipes[0].limit = self.network.pipes[0].frames
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        sending = Deferred.fromCoroutine(headless.send(self.session(alice), "#lobby", "once"))
        await self.until(lambda: bob.texts() == ["once"])
        self.network.refusal = None
        alice.link.stop()
        await sending
        await soon(0.1)
        assert bob.texts() == ["once"]

    @awaited
    async def test_nobody_logged_in(self):
        nobody = self.person("newcomer")
        for account in ("", "newcomer"):
            refusal = await self.refusal_of(
                headless.send(self.session(nobody, account), "#lobby", "x"), faults.ProfileMissing
            )
            assert headless.exit_status(refusal) == os.EX_CONFIG
        assert not list(nobody.root.rglob("*"))
        nobody.enter()
        nobody.request(effects.Logout)
        self.assertRaises(faults.ProfileMissing, self.session(nobody).profile)

    async def refused(self, person, kind, patience=cli.PATIENCE_SECONDS):
        session = self.session(person, patience=patience)
        refusal = await self.refusal_of(headless.send(session, "#lobby", "x"), kind)
        await session.close()
        return refusal

    @awaited
    async def test_what_cannot_be_asked_of_a_script(self):
        alice = self.person("alice").enter()
        alice.leave()
        self.network.identity = STRANGER
        pin = await self.refused(alice, faults.TlsPin)
        assert headless.exit_status(pin) == os.EX_UNAVAILABLE
        self.network.identity = IDENTITY
        self.network.refusal = faults.TlsCa(host="h")
        await self.refused(alice, faults.TlsCa)
        self.network.refusal = None
        Profile(alice.root, IDENTITY.id, "alice").keep_session(
            KeptSession("alice", 1, 1, b"x" * 48)
        )
        await self.refused(alice, faults.ProfileMissing)

    @awaited
    async def test_a_server_that_is_away(self):
        alice = self.person("alice").enter()
        alice.leave()
        self.network.refusal = faults.NetRefused(address="a:1", host="a")
        refusal = await self.refused(alice, faults.NetRefused, 0.2)
        assert headless.exit_status(refusal) == os.EX_UNAVAILABLE
        self.network.refusal, self.network.slow = None, True
        unsent = await self.refused(alice, faults.SendUnsent, 0.2)
        assert headless.exit_status(unsent) == os.EX_TEMPFAIL
        assert Profile(alice.root, IDENTITY.id, "alice").outbox() == []
        session = self.session(alice, patience=0.2)
        await self.refusal_of(headless.invite(session, 1), faults.NetTimeout)

    @awaited
    async def test_a_server_that_goes_away_before_it_answers(self):
        """The message is in the queue: whoever waits is told so, and it is, once."""
        alice = self.person("alice").enter()
        bob = self.person("bob").enter()
        alice.leave()
        self.network.tamper = lambda frames: [one for one in frames if not answers_send(one)]
        refusal = await self.refused(alice, faults.SendQueued, 2.0)
        assert headless.exit_status(refusal) == os.EX_TEMPFAIL
        self.network.tamper = None
        kept = Profile(alice.root, IDENTITY.id, "alice").outbox()
        assert [one["text"] for one in kept] == ["x"]
        self.reopened(alice).start()
        await self.until(lambda: not Profile(alice.root, IDENTITY.id, "alice").outbox())
        assert bob.texts() == ["x"]

    @awaited
    async def test_a_queue_that_cannot_be_kept(self):
        """Then it is said that the message is not sent, because nobody will."""
        alice = self.person("alice").enter()
        alice.leave()
        self.patch(Profile, "keep_outbox", full_disk)
        self.network.tamper = lambda frames: [one for one in frames if not answers_send(one)]
        refusal = await self.refused(alice, faults.SendUnsent, 2.0)
        assert headless.exit_status(refusal) == os.EX_TEMPFAIL

    @awaited
    async def test_many_at_once_wait_for_the_one_that_connects(self):
        alice = self.person("alice").enter()
        bob = self.person("bob").enter()
        alice.leave()
        self.patch(holding, "TAKING_SECONDS", 0.01)
        self.network.slow = True

        async def one(number):
            session = self.session(alice)
            await headless.send(session, "#lobby", str(number))
            await session.close()

        sending = [Deferred.fromCoroutine(one(number)) for number in range(8)]
        await soon(0.3)
        self.network.slow = False
        self.network.waiting[0].callback(None)
        await gatherResults(sending)
        await self.until(lambda: len(bob.texts()) == 8)
        assert sorted(bob.texts()) == [str(number) for number in range(8)]

    @awaited
    async def test_the_time_is_up_while_it_connects_to_the_holder(self):
        """A connection that is cancelled says so in its own words; the script hears of the time."""
        alice = self.person("alice").enter()
        alice.leave()
        never = Deferred(lambda one: one.errback(ConnectingCancelledError(None)))
        self.patch(holding.UNIXClientEndpoint, "connect", lambda *_: never)
        refusal = await self.refused(alice, faults.SendUnsent, 0.01)
        assert headless.exit_status(refusal) == os.EX_TEMPFAIL

    @awaited
    async def test_a_profile_that_never_comes_free(self):
        alice = self.person("alice").enter()  # holds it, and serves no socket
        self.patch(holding, "TAKING_SECONDS", 0.01)
        refusal = await self.refused(alice, faults.ProfileLocked, 0.1)
        assert headless.exit_status(refusal) == os.EX_CONFIG
        out, _, session, _ = self.tail(alice)
        await soon(0.1)
        alice.leave()
        await self.until(lambda: session.link is not None and session.link.online)
        assert out.getvalue() == ""

    @awaited
    async def test_a_session_that_ends_while_it_follows(self):
        alice = self.person("alice").enter()
        alice.leave()
        _, _, session, running = self.tail(alice)
        await self.until(lambda: session.link is not None and session.link.online)
        second = self.person("alice")
        second.root = self.root / "second"
        other = self.reopened(second, account="")
        other.start()
        other.trust()
        other.login()
        other.request(effects.Logout, True)
        assert isinstance(await running, refusals.AuthToken)
        late = session.unless_over(headless.send(session, "#lobby", "too late"))
        await self.assertFailure(late, refusals.AuthToken)


class FollowingSomebodyHostile(Programs):
    def test_a_page_of_another_room_again_and_again(self):
        alice = self.person("alice").enter()
        asked = []

        def ask(command, request):
            asked.append(command.name)
            assert len(asked) < 20, "it asks for ever"
            event = LogEvent(
                room=4711, seq=1, at=0, user=0, name="", device=0, kind="app", id=b"", body=b""
            )
            return succeed(Page(room=alice.lobby, events=[event], more=True))

        alice.link.ask = ask
        heard = []
        follower = Follower(alice.link, alice.lobby, 0, heard.append)
        self.network.server.result(Deferred.fromCoroutine(follower.begin()))
        self.addCleanup(follower.end)
        assert asked == ["message.history"]
        assert heard == []


class Socket(Programs):
    """The profile's socket, by hand."""

    def connect(self, person):
        path = Profile(person.root, IDENTITY.id, person.name).socket
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        connection.setblocking(False)
        self.addCleanup(connection.close)
        return connection

    async def answer(self, connection, count=1):
        data = b""
        for _ in range(500):
            try:
                data += connection.recv(1 << 20) or b"EOF\n"
            except BlockingIOError:
                await soon()
            if data.count(b"\n") >= count:
                break
        return [json.loads(line) if line != b"EOF" else None for line in data.splitlines()]

    @awaited
    async def test_malformed_requests(self):
        alice = self.holder("alice")
        connection = self.connect(alice)
        wrong = [
            b"\xff",
            b"{",
            b"[]",
            b"3",
            b"[" * 20_000,
            b"{}",
            b'{"op": "send"}',
            b'{"op": "send", "room": 3, "text": "x"}',
            b'{"op": "tail", "room": 3}',
            b'{"op": "tail", "room": "#nowhere"}',
            b'{"op": "invite", "uses": 0}',
            b'{"op": "invite", "uses": 99999999999999999999}',
        ]
        connection.sendall(b"".join(line + b"\n" for line in wrong))
        codes = [one.get("error") for one in await self.answer(connection, len(wrong))]
        assert codes[:10].count("LC-DECODE") == 5
        assert codes.count("LC-COMMAND-UNKNOWN") == 4
        assert "LC-ROOM-UNKNOWN" in codes
        for key in (b'"zz"', b"3"):
            request = b'{"op": "send", "room": "#lobby", "text": "x", "key": %s}\n' % key
            connection.sendall(request)
            kept, sent = await self.answer(connection, 2)
            assert kept == {"kept": True}
            assert "ok" in sent
        assert not self.flushLoggedErrors()

    @awaited
    async def test_a_line_without_end(self):
        connection = self.connect(self.holder("alice"))
        cut = False
        for _ in range(1000):
            try:
                connection.send(b"x" * 10_000)
            except BlockingIOError:
                await soon()
            except (BrokenPipeError, ConnectionResetError):
                cut = True
                break
        assert cut, "the line was taken"

    @awaited
    async def test_all_rooms(self):
        alice = self.holder("alice")
        bob = self.person("bob").enter()
        connection = self.connect(alice)
        connection.sendall(b'{"op": "tail", "room": null, "after": "x"}\n')
        assert await self.answer(connection) == [{"ok": {"after": None}}]
        bob.say("here")
        direct = bob.request(effects.OpenDirect, "alice").room.id
        bob.say("there", direct)
        events = [one["event"] for one in await self.answer(connection, 3)]
        assert {(one["room"], one["text"]) for one in events if one["kind"] == "text"} == {
            ("#lobby", "here"),
            ("@bob", "there"),
        }

    @awaited
    async def test_a_follower_that_does_not_read_is_cut(self):
        alice = self.holder("alice")
        self.patch(mailslot, "BACKLOG_BYTES", 200_000)
        connection = self.connect(alice)
        connection.sendall(b'{"op": "tail", "room": "#lobby"}\n')
        await self.answer(connection)
        assert alice.link.watchers
        for _ in range(400):
            alice.say("x" * 4000)
            if not alice.link.watchers:
                break
            await soon(0.002)
        await self.until(lambda: not alice.link.watchers)
        assert alice.link.online

    @awaited
    async def test_one_that_goes_away_is_forgotten(self):
        alice = self.holder("alice")
        connection = self.connect(alice)
        connection.sendall(b'{"op": "tail", "room": "#lobby", "after": 0}\n')
        connection.close()
        await soon(0.1)
        assert not alice.link.watchers
        assert not alice.link.on_sync

    @awaited
    async def test_a_fault_of_ours(self):
        alice = self.holder("alice")
        alice.link.requests.invite = lambda uses: 1 // 0
        connection = self.connect(alice)
        connection.sendall(b'{"op": "invite"}\n')
        assert (await self.answer(connection))[0]["error"] == "LC-INTERNAL"
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    @awaited
    async def test_a_dead_sockets_file_is_replaced(self):
        alice = self.person("alice").enter()
        path = alice.link.profile.socket
        path.write_text("left behind")
        close = start.serve(reactor, alice.link, alice.link.profile)
        assert stat.S_ISSOCK(path.stat().st_mode)
        await close()
        path.mkdir()
        (path / "x").touch()
        start.serve(reactor, alice.link, alice.link.profile)()
        assert alice.last(inputs.Notice).code == "LC-PROFILE-BROKEN"

    @awaited
    async def test_a_directory_that_others_may_use(self):
        alice = self.person("alice").enter()
        alice.link.profile.directory.chmod(0o755)
        start.serve(reactor, alice.link, alice.link.profile)()
        assert "others may use it" in alice.last(inputs.Notice).text

    @awaited
    async def test_a_long_path(self):
        deep = self.root / ("d" * 60) / ("e" * 60)
        os.environ["XDG_RUNTIME_DIR"], before = (
            str(self.root / "run"),
            os.environ.get("XDG_RUNTIME_DIR"),
        )
        try:
            alice = self.person("alice")
            alice.root = deep
            alice.link.make_profile = lambda server, account: Profile(deep, server, account)
            alice.link.known = KnownServers(deep)
            alice.link.on_profile = lambda profile: self.serve(alice.link, profile)
            alice.enter()
            assert alice.link.profile.socket.parent == self.root / "run"
            await headless.send(self.session(alice), "#lobby", "far away")
            # Where others may write, they could have put a socket of their own.
            (self.root / "run").chmod(0o777)
            await self.refusal_of(
                headless.send(self.session(alice), "#lobby", "secret"), faults.ProfileBroken
            )
            assert alice.texts() == ["far away"]
        finally:
            del os.environ["XDG_RUNTIME_DIR"]
            if before is not None:
                os.environ["XDG_RUNTIME_DIR"] = before


class Printing(Programs):
    HOSTILE = "a\x1b]0;pwned\x07b\r\nc\x9bd\u202ee\u2066f"

    def printed(self, *, as_json, **event):
        out = io.StringIO()
        Printer(out, as_json=as_json)(
            {"room": "#ops", "seq": 1, "at": 0, "from": "bob", "kind": "text", "text": "x"} | event
        )
        return out.getvalue()

    def test_for_people(self):
        assert self.printed(as_json=False)[5:] == " bob in ops: x\n"
        assert self.printed(as_json=False, kind="action")[5:] == " * bob in ops x\n"
        state = self.printed(as_json=False, kind="state", text="bob joined")
        assert state[5:] == " -- in ops: bob joined\n"

    def test_hostile_texts(self):
        for field in ("text", "from", "room"):
            line = self.printed(as_json=False, **{field: self.HOSTILE})
            assert line.count("\n") == 1
            assert line[:-1].isprintable(), repr(line)

    def test_hostile_texts_as_json(self):
        line = self.printed(as_json=True, text=self.HOSTILE)
        assert line.isascii()
        assert line[:-1].isprintable()
        assert json.loads(line)["text"] == self.HOSTILE

    def test_what_is_gone_is_not_printed(self):
        gone = Message(1, 0, "bob", "", "gone")
        assert event_object(gone, "#ops") is None

    def test_exit_statuses(self):
        class Odd(Refusal):
            code = "LC-ODD-ONE"
            text = "odd"

        assert headless.exit_status(Odd()) == os.EX_SOFTWARE
        assert headless.exit_status(refusals.RateLimited(retry_after=1.0)) == os.EX_TEMPFAIL

    def test_what_send_can_be_refused_with_has_a_status(self):
        for kind in (*SEND.errors, *CREATE_INVITE.errors, *HISTORY.errors, refusals.Denied):
            refusal = kind(**kind.sample)
            assert headless.exit_status(refusal) != os.EX_SOFTWARE, kind

    def test_what_encrypted_rooms_refuse_has_a_status(self):
        statuses = {
            faults.WordsBad: os.EX_DATAERR,
            faults.StoreShut: os.EX_NOPERM,
            faults.DeviceNew: os.EX_NOPERM,
            faults.RoomHeld: os.EX_NOPERM,
        }
        for kind, status in statuses.items():
            assert headless.exit_status(kind(**kind.sample)) == status, kind

    def test_the_text_to_send(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        assert headless.read_text("given", io.StringIO()) == "given"
        raw = io.TextIOWrapper(io.BytesIO(b"one\ntwo\xff\n"))
        assert headless.read_text(None, raw) == "one\ntwo\ufffd"
        self.assertRaises(faults.NoTerminal, headless.read_text, None, Terminal())
