"""The proxy that lies does what it says: what passes is untouched, and each lie is well made.

What the devices of people make of the lies is in ``test_lies``.
"""

from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet import defer, reactor
from twisted.internet.threads import deferToThread

from lairchat.client import catalog
from lairchat.demo_check import Check, Member
from lairchat.features.accounts import messages as accounts
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.model.faults import NetLost
from lairchat.model.identity import Link
from lairchat.model.refusals import RoomUnknown
from tests.blackbox.daemon import awaited
from tests.blackbox.lies import FalseLog, drop, flip, swap, without
from tests.blackbox.malice import TABLE, Asked, Client, Malice
from tests.blackbox.partitions import Partition
from tests.blackbox.terminals import PATIENCE, Terminal, Terminals
from tests.blackbox.test_encrypted import EncryptedTest

pytestmark = pytest.mark.blackbox


class MaliceTest(EncryptedTest):
    """A daemon behind the proxy, and people who connect to that."""

    def setUp(self) -> None:
        super().setUp()
        self.malice = Malice(self.server)
        self.addCleanup(lambda: defer.Deferred.fromCoroutine(self.malice.stop()))

    def member(self, name: str) -> Member:
        member = super().member(name)
        member.port = self.malice.port
        return member

    def through(self, link: str) -> str:
        """Return a link to the daemon as one that leads through the proxy."""
        found = Link.parse(link)
        return Link(found.host, self.malice.port, found.code, found.id_prefix).format()

    def link(self) -> str:
        """Return the owner's one-time link, through the proxy; also for terminals."""
        return self.through(self.server.link().format())

    async def lobby(self, *names: str) -> tuple[int, list[Member]]:
        """Return the room that all can read, and people in it."""
        members = await self.friends(*names)
        infos = [await one.ask(rooms.JOIN, rooms.JoinRoom("lobby")) for one in members]
        return infos[0].room, members


def text(event: wire.LogEvent) -> str:
    body = catalog.body_of(event)
    return body.text if isinstance(body, wire.Text) else event.kind


def said(event: wire.LogEvent, words: str) -> wire.LogEvent:
    return replace(event, body=catalog.encode_text(words))


class AnHonestProxy(MaliceTest):
    """Without rules it is the daemon."""

    @awaited
    async def test_every_promise_of_the_demo_holds_through_it(self) -> None:
        lines: list[str] = []
        broken = await Check(reactor, self.server, self.malice.port).run(lines.append)
        assert not broken, lines
        assert len(lines) > 10

    @awaited
    async def test_it_knows_who_its_clients_are(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        assert {client.name for client in self.malice.clients} == {"alice", "bob"}
        whoami = await alice.ask(accounts.LIST_SESSIONS, accounts.ListSessions())
        devices = {session.device for session in whoami.sessions}
        assert self.malice.client("alice").device in devices
        bob.leave()
        await bob.connect()
        await bob.resume()
        assert self.malice.client("bob").name == "bob"

    def test_it_understands_all_that_is_said(self) -> None:
        names = {command.name for command in TABLE}
        assert {"message.send", "group.commit", "identity.read", "keys.claim"} <= names
        assert TABLE.event("inbox.new") is not None


class TheRealProgram(MaliceTest, Terminals):
    """``lair`` on a terminal takes the proxy for the server that its link names."""

    @awaited
    async def test_it_makes_its_account_through_it(self) -> None:
        terminal = self.terminal("alice", self.link())
        granted: defer.Deferred[str] = defer.Deferred()
        rule = self.malice.on_reply(
            accounts.REGISTER, lambda _client, _asked, grant: granted.callback(grant.name) or grant
        )
        await deferToThread(self._register, terminal)
        assert await granted.addTimeout(PATIENCE, reactor) == "alice"
        rule.end()
        assert self.malice.client("alice").device

    def _register(self, terminal: Terminal) -> None:
        terminal.matches("Name +alice")
        terminal.think()
        terminal.line("")
        terminal.line("long password of alice")


class Rules(MaliceTest):
    """What a rule can do with what passes."""

    @awaited
    async def test_requests_are_changed_answered_and_refused(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        louder = self.malice.on_request(
            wire.SEND,
            lambda _, asked: replace(asked.args, body=catalog.encode_text("louder")),
            "alice",
        )
        first = await alice.say(room, "quiet")
        second = await bob.say(room, "quiet")
        log = await bob.log(room)
        assert [text(event) for event in log[first.seq - 1 : second.seq]] == ["louder", "quiet"]
        louder.end()
        lie = self.malice.on_request(wire.SEND, lambda *_: wire.Sent(4_000, 1))
        assert (await alice.say(room, "nobody gets this")).seq == 4_000
        lie.end()

        def refuse(_client: Client, _asked: Asked) -> None:
            raise RoomUnknown

        self.malice.on_request(wire.SEND, refuse, "alice")
        with pytest.raises(RoomUnknown):
            await alice.say(room, "nor this")
        assert len(await bob.log(room)) == len(log)

    @awaited
    async def test_a_request_waits_and_goes_on(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        held: list[tuple[Client, Asked]] = []
        rule = self.malice.on_request(wire.SEND, lambda *both: held.append(both), "alice")
        answer = alice.say(room, "later")
        waiting = defer.Deferred.fromCoroutine(answer)
        sooner = await bob.say(room, "sooner")
        rule.end()
        ((client, asked),) = held
        assert not waiting.called
        client.pass_on(asked)
        assert (await waiting).seq == sooner.seq + 1

    @awaited
    async def test_replies_are_changed_refused_and_kept_back(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        kept: list[tuple[Client, Asked, Any]] = []
        changed = self.malice.on_reply(
            wire.SEND, lambda _client, _asked, reply: replace(reply, seq=reply.seq + 100), "alice"
        )
        lied, real = await alice.say(room, "one"), await bob.say(room, "two")
        assert lied.seq == real.seq + 99
        changed.end()
        refused = self.malice.on_reply(wire.SEND, lambda *_: RoomUnknown())
        with pytest.raises(RoomUnknown):
            await alice.say(room, "three")
        refused.end()
        assert text((await bob.log(room))[-1]) == "three"
        self.malice.on_reply(wire.SEND, lambda *all_of: kept.append(all_of), "alice")
        waiting = defer.Deferred.fromCoroutine(alice.say(room, "four"))
        await bob.hear(room, real.seq + 2)
        await bob.say(room, "five")
        ((client, asked, reply),) = kept
        assert not waiting.called
        client.answer(asked, reply)
        assert (await waiting).seq == real.seq + 2

    @awaited
    async def test_events_are_changed_doubled_dropped_and_injected(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        ways = {
            "as it is": lambda event: event,
            "changed": lambda event: said(event, "something else"),
            "doubled": lambda event: [event, said(event, "again")],
            "dropped": lambda _: None,
        }
        self.malice.on_event("message", lambda _, event: ways.get(text(event), list)(event), "bob")
        del bob.seen[:]
        for words in ways:
            sent = await alice.say(room, words)
        told = replace(bob.seen[0], seq=sent.seq + 1, body=catalog.encode_text("injected"))
        self.malice.client("bob").tell("message", told)
        await bob.hear(room, sent.seq + 1)
        assert [text(event) for event in bob.seen] == [
            *("as it is", "something else", "doubled", "again", "injected"),
        ]

    @awaited
    async def test_a_rule_may_ask_and_take_its_time_and_all_else_keeps_its_order(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        wait: defer.Deferred[None] = defer.Deferred()

        async def ask(client: Client, event: wire.LogEvent) -> wire.LogEvent:
            page = await client.ask(wire.HISTORY, wire.History(room, after=event.seq - 1))
            await wait
            return said(page.events[0], f"{text(page.events[0])}, as the log has it")

        self.malice.on_event("message", ask, "bob")
        del bob.seen[:]
        sent = [await alice.say(room, words) for words in ("one", "two")]
        assert not bob.seen
        wait.callback(None)
        await bob.hear(room, sent[-1].seq)
        expected = ["one, as the log has it", "two, as the log has it"]
        assert [text(event) for event in bob.seen] == expected

    @awaited
    async def test_one_is_cut_and_comes_back(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        waiting = bob.ask(wire.HISTORY, wire.History(room))
        self.malice.client("bob").cut()
        with pytest.raises(NetLost):
            await waiting
        await bob.connect()
        await bob.resume()
        sent = await alice.say(room, "again")
        assert text(await bob.hear(room, sent.seq)) == "again"

    @awaited
    async def test_a_rule_that_fails_cuts_and_fails_its_test(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        self.malice.on_request(wire.SEND, lambda *_: 1 / 0, "bob")
        with pytest.raises(NetLost):
            await bob.say(room, "x")
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        await alice.say(room, "y")


class FalseLogs(MaliceTest):
    """Each member has a log without gaps, whatever it is made of."""

    def texts(self, log: list[wire.LogEvent]) -> list[str]:
        assert [event.seq for event in log] == list(range(1, len(log) + 1)), "the log has a gap"
        return [text(event) for event in log if event.kind == "app"]

    async def say(self, room: int, *pairs: tuple[Member, str]) -> list[wire.Sent]:
        return [await member.say(room, words) for member, words in pairs]

    @awaited
    async def test_a_message_is_dropped_for_one_everywhere(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        FalseLog(self.malice, room, "bob", retell=drop(2))
        del bob.seen[:]
        await self.say(room, (alice, "one"), (alice, "two"), (alice, "three"))
        (own,) = await self.say(room, (bob, "four"))
        log = await bob.log(room)
        assert self.texts(log) == ["one", "three", "four"]
        assert log[-1].seq == own.seq
        assert [text(event) for event in bob.seen] == ["one", "three"]
        assert self.texts(await alice.log(room)) == ["one", "two", "three", "four"]
        synced = await bob.ask(wire.SYNC, wire.Sync([wire.Cursor(room, own.seq - 2)]))
        (stands,) = [one for one in synced.rooms if one.room == room]
        assert (stands.head, self.shown(stands)) == (own.seq, ["three", "four"])
        moved = await bob.ask(wire.MOVE_CURSOR, wire.MoveCursor(room, own.seq))
        assert moved.read == own.seq
        page = await bob.ask(wire.HISTORY, wire.History(room, before=own.seq, limit=1))
        assert ([text(event) for event in page.events], page.more) == (["three"], True)

    def shown(self, stands: wire.RoomSync) -> list[str]:
        assert not stands.more
        return [text(event) for event in stands.events]

    @awaited
    async def test_messages_are_swapped_and_flipped_for_others(self) -> None:
        room, (alice, bob, carol) = await self.lobby("alice", "bob", "carol")
        FalseLog(self.malice, room, "bob", retell=swap(1))
        FalseLog(self.malice, room, "carol", retell=flip(2))
        await self.say(room, (alice, "one"), (alice, "two"), (alice, "three"))
        assert self.texts(await bob.log(room)) == ["two", "one", "three"]
        assert self.texts(await carol.log(room)) == ["one", "twn", "two", "three"]
        ids = [event.id for event in await carol.log(room) if event.kind == "app"]
        assert len(set(ids)) == 4

    @awaited
    async def test_a_replay_stands_under_a_number_of_its_own(self) -> None:
        room, (alice, bob) = await self.lobby("alice", "bob")
        lie = FalseLog(self.malice, room, "bob")
        await self.say(room, (alice, "one"))
        await bob.log(room)
        shown = lie.insert(lie.events[-1])
        (two,) = await self.say(room, (alice, "two"))
        heard = await bob.hear(room, shown.seq)
        assert text(heard) == "one"
        assert text(await bob.hear(room, two.seq + 1)) == "two"
        assert self.texts(await bob.log(room)) == ["one", "one", "two"]

    @awaited
    async def test_what_is_withheld_comes_later(self) -> None:
        room, (alice, bob, carol) = await self.lobby("alice", "bob", "carol")
        lie = FalseLog(self.malice, room, "bob")
        await self.say(room, (alice, "one"))
        await bob.log(room)
        lie.hold()
        sent = await self.say(room, (alice, "two"), (carol, "three"))
        assert self.texts(await bob.log(room)) == ["one"]
        assert self.texts(await carol.log(room)) == ["one", "two", "three"]
        await lie.release()
        await bob.hear(room, sent[-1].seq)
        assert self.texts(await bob.log(room)) == ["one", "two", "three"]
        lie.end()
        (last,) = await self.say(room, (alice, "four"))
        assert text(await bob.hear(room, last.seq)) == "four"

    @awaited
    async def test_two_are_shown_different_logs(self) -> None:
        room, (alice, bob, carol) = await self.lobby("alice", "bob", "carol")
        FalseLog(self.malice, room, "bob", retell=without("carol"))
        FalseLog(self.malice, room, "carol", retell=without("bob"))
        await self.say(room, (bob, "from bob"), (carol, "from carol"), (alice, "to both"))
        assert self.texts(await bob.log(room)) == ["from bob", "to both"]
        assert self.texts(await carol.log(room)) == ["from carol", "to both"]

    @awaited
    async def test_two_are_by_themselves(self) -> None:
        room, (alice, bob, carol) = await self.lobby("alice", "bob", "carol")
        Partition(self.malice, room, "bob", "carol")
        before = len(await alice.log(room))
        await self.say(room, (alice, "out here"))
        (inside,) = await self.say(room, (bob, "in here"))
        assert text(await carol.hear(room, inside.seq)) == "in here"
        for one in (bob, carol):
            assert [text(event) for event in await one.log(room)] == ["in here"]
        assert [text(event) for event in (await alice.log(room))[before:]] == ["out here"]
