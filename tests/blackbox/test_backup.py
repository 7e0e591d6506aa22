"""The encrypted backup: what comes back on another device, what never does, and a server that lies about it."""

from dataclasses import replace as replace_pin
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.client.sealed import backup, service
from lairchat.client.secret import Secret
from lairchat.e2ee import handing
from lairchat.e2ee.backup import INDEX
from lairchat.features.inbox import messages as inbox
from lairchat.features.keepsakes import messages as wire
from lairchat.model import faults, refusals
from lairchat.trust.pins import Pin, Sureness
from tests.blackbox.daemon import awaited
from tests.blackbox.malice import Asked, Malice
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client, PrivateTest
from tests.canaries import Canaries, search

pytestmark = pytest.mark.blackbox


class BackupTest(PrivateTest):
    """Alice and Bob, who talk to each other; Bob's devices come and go."""

    async def talk(self, *said: str) -> tuple[Client, Client, int]:
        alice, bob = await self.people("alice", "bob")
        room = await alice.direct("bob")
        for text in said:
            await alice.say(room, text)
            await bob.hears(room, text)
        return alice, bob, room

    async def saved(self, *clients: Client) -> None:
        """Let all be backed up that can be."""
        for one in clients:
            await one.link.sealed.backup.sync()
            assert one.link.sealed.opened.backups.unsaved() == {}

    async def second(self, bob: Client, name: str = "-second") -> Client:
        """Return another device of Bob's, linked by the words."""
        found = self.client("bob", name)
        await found.log_in()
        await found.until(lambda: found.of(inputs_sealed.DeviceUnlinked))
        words = Secret(" ".join(bob.words))
        await found.do(lambda ref: sealed.LinkByWords(ref, words))
        return found

    @staticmethod
    def texts_of(one: Client, room: int) -> list[str]:
        found = one.link.sealed.opened.messages.after(room, 0, 100)
        return [message.text for message in found if message.text is not None]

    async def has(self, one: Client, room: int, *texts: str) -> None:
        """Wait until a device has so much of a room, and no more."""
        for _ in range(200):
            if self.texts_of(one, room) == list(texts):
                return
            await one.pause(0.05)
        raise AssertionError(f"{self.texts_of(one, room)}, not {texts}: {one.heard[-5:]}")

    @staticmethod
    def seq_of(one: Client, room: int, text: str) -> int:
        found = one.link.sealed.opened.messages.after(room, 0, 100)
        return next(message.said.seq for message in found if message.text == text)

    @staticmethod
    def notices(one: Client) -> str:
        return "\n".join(told.text for told in one.of(inputs.Notice))


class TwoDevices(BackupTest):
    """What one device has said and heard, the other reads."""

    @awaited
    async def test_a_second_device_reads_what_was_said_before_it_came(self) -> None:
        alice, bob, room = await self.talk("before", "and more", "to be searched")
        try:
            await bob.say(room, "of mine as well")
            await self.saved(bob)
            second = await self.second(bob)
            said = ["before", "and more", "to be searched", "of mine as well"]
            await self.has(second, room, *said)
            await second.in_room(room)
            # It is on the screen, in its place, and did not come now.
            page = await second.until(lambda: second.of(inputs.HistoryPage))
            assert [one.text for one in page[-1].messages if one.kind == "text"] == said
            assert "backup" in page[-1].messages[len(said)].text
            assert {one.sender for one in page[-1].messages} == {"alice", "bob", ""}
            assert second.texts(room) == []
            info = second.link.rooms.infos[room]
            assert second.link.sealed.dress(info, None).unread == 0
            found = await second.do(lambda ref: sealed.Search(ref, "searched"))
            assert isinstance(found, inputs_sealed.Found)
            assert [message.text for _, message in found.messages] == ["to be searched"]
            # And it goes on from there.
            await alice.say(room, "after")
            await second.hears(room, "after")
            await self.has(second, room, *said, "after")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_device_that_was_linked_by_comparing_gets_the_key_from_the_other(self) -> None:
        alice, bob, room = await self.talk("before", "the second")
        try:
            await self.saved(bob)
            second = self.client("bob", "-second")
            await second.log_in()
            await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
            await second.do(lambda ref: sealed.LinkDevice(ref))
            asked = await bob.until(lambda: bob.of(inputs_sealed.ComparisonAsked))
            bob.perform(sealed.AnswerComparison(asked[0].number, True))
            for one in (bob, second):
                shown = await one.until(
                    lambda one=one: [c for c in one.of(inputs_sealed.Comparing) if c.words]
                )
                one.perform(sealed.Verdict(shown[0].number, True))
            await second.until(lambda: second.of(inputs_sealed.DeviceLinked))
            await self.has(second, room, "before", "the second")
            assert second.link.sealed.opened.backups.key() == bob.link.sealed.opened.backups.key()
            # A note that comes again, or one of nobody's, changes nothing.
            assert await second.link.sealed.backup.handing.noted(handing.NOTE + b"x")
            assert not await second.link.sealed.backup.handing.noted(b"of another kind")
            await second.link.sealed.backup.handing.ask()
            await alice.say(room, "after")
            await second.hears(room, "after")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_it_is_made_by_itself(self) -> None:
        self.patch(service, "ROUND_SECONDS", 0.2)
        alice, bob, room = await self.talk("one")
        try:
            await alice.say(room, "two")
            await bob.hears(room, "two")
            for _ in range(100):
                if bob.link.sealed.opened.backups.unsaved() == {}:
                    break
                await bob.pause(0.1)
            second = await self.second(bob)
            await self.has(second, room, "one", "two")
            # Nothing is written while nothing changes.
            version = bob.link.sealed.opened.backups.seen()
            await bob.pause(1)
            assert bob.link.sealed.opened.backups.seen() == version
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_what_was_edited_deleted_or_disappears_is_as_it_should_be(self) -> None:
        alice, bob, room = await self.talk("with a tpyo", "regretted", "stays")
        try:
            await self.saved(bob)
            alice.link.sealed.opened.marks.keep_timer(room, 3_600)
            await alice.say(room, "gone in an hour")
            await bob.hears(room, "gone in an hour")
            seq = self.seq_of(alice, room, "with a tpyo")
            await alice.do(lambda ref: sealed.Change(ref, room, seq, "without a typo"))
            gone = self.seq_of(alice, room, "regretted")
            await alice.do(lambda ref: sealed.TakeBack(ref, room, gone))
            liked = self.seq_of(alice, room, "stays")
            await alice.do(lambda ref: sealed.React(ref, room, liked, "+1"))
            changed = inputs_sealed.MessageChanged
            await bob.until(lambda: [one for one in bob.of(changed) if one.message.reactions])
            await self.saved(bob)
            second = await self.second(bob)
            await self.has(second, room, "without a typo", "stays")
            (edited, stays) = second.link.sealed.opened.messages.after(room, 0, 9)
            assert edited.edited == 1
            assert list(stays.reactions) == ["+1"]
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_both_devices_back_up_and_neither_loses_what_the_other_has(self) -> None:
        alice, bob, room = await self.talk("first")
        try:
            await self.saved(bob)
            second = await self.second(bob)
            await second.in_room(room)
            await alice.say(room, "to both")
            await bob.hears(room, "to both")
            await second.hears(room, "to both")
            # One is away, and the other hears on.
            await bob.leave()
            await alice.say(room, "to the second alone")
            await second.hears(room, "to the second alone")
            await self.saved(second)
            third = await self.second(bob, "-third")
            await self.has(third, room, "first", "to both", "to the second alone")
            await bob.again()
            await bob.hears(room, "to the second alone")
            await self.saved(bob, second, third)
            listed = await bob.link.ask(wire.LIST, wire.ListKeepsakes())
            # The index, and one chunk: nothing is left behind.
            assert len(listed.objects) == 2
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_two_who_write_at_once_both_come_through(self) -> None:
        alice, bob, room = await self.talk("first")
        try:
            await self.saved(bob)
            second = await self.second(bob)
            await second.in_room(room)
            await self.has(second, room, "first")
            for number in range(3):
                await alice.say(room, f"number {number}")
                await bob.hears(room, f"number {number}")
                await second.hears(room, f"number {number}")
                both = [one.link.sealed.backup for one in (bob, second)]
                await gatherResults([Deferred.fromCoroutine(one.sync()) for one in both])
            await self.saved(bob, second)
            third = await self.second(bob, "-third")
            await self.has(third, room, "first", "number 0", "number 1", "number 2")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_private_room_keeps_its_name_also_when_one_has_left_it(self) -> None:
        alice, bob, _ = await self.talk()
        try:
            room = await bob.create("attic")
            await bob.say(room, "in the attic")
            await self.saved(bob)
            await bob.do(lambda ref: effects.Leave(ref, room))
            second = await self.second(bob)
            await self.has(second, room, "in the attic")
            assert second.link.sealed.opened.marks.title(room).name == "attic"
            lines = second.link.sealed.lines(room, limit=10).messages
            assert lines[0].text == "in the attic"
            assert second.link.sealed.owns(room)
            assert alice.of(inputs.RoomsSynced)
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_who_was_verified_is_so_on_the_next_device(self) -> None:
        alice, bob, room = await self.talk("hello")
        try:
            shown = await bob.do(lambda ref: sealed.ShowIdentity(ref, "alice"))
            assert isinstance(shown, inputs_sealed.IdentityShown)
            number = " ".join(shown.number)
            await bob.do(lambda ref: sealed.MarkCompared(ref, "alice", number))
            assert bob.label(room) == "E2E+"
            await self.saved(bob)
            second = await self.second(bob)
            await second.in_room(room)
            await self.has(second, room, "hello")
            assert second.label(room) == "E2E+"
            assert alice.label(room) == "E2E"
        finally:
            await self.everybody_leaves()


class Words(BackupTest):
    """Who has the words has the backup, and nobody else."""

    @awaited
    async def test_only_the_right_words_bring_it_back(self) -> None:
        alice, bob, room = await self.talk("old news")
        try:
            await self.saved(bob)
            for wrong in (" ".join(alice.words), "no words at all"):
                ref = bob.ref()
                bob.perform(sealed.Recover(ref, Secret(wrong)))
                failed = await bob.until(
                    lambda ref=ref: [one for one in bob.of(inputs.CommandFailed) if one.ref == ref]
                )
                assert failed[0].code == "LC-WORDS"
                assert wrong not in failed[0].text
            words = Secret(" ".join(bob.words))
            taken = await bob.do(lambda ref: sealed.Recover(ref, words))
            assert isinstance(taken, inputs_sealed.BackupTaken)
            assert taken.count == 0
            assert self.texts_of(bob, room) == ["old news"]
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_device_without_the_key_asks_for_the_words(self) -> None:
        """As one that was linked by comparing codes with another that is not there any more."""
        _alice, bob, room = await self.talk("old news")
        try:
            await self.saved(bob)
            second = self.client("bob", "-second")
            await second.log_in()
            await second.until(lambda: second.of(inputs_sealed.DeviceUnlinked))
            kept, second.link.sealed.backup.online = second.link.sealed.backup.online, lambda: None
            words = Secret(" ".join(bob.words))
            await second.do(lambda ref: sealed.LinkByWords(ref, words))
            await bob.leave()
            store = second.link.sealed.opened
            store.marks.keep_fact("backup key", None)
            kept()
            await second.until(lambda: "/recover" in self.notices(second))
            ref = second.ref()
            second.perform(sealed.KeepBackup(ref, False))
            await second.until(
                lambda: [one for one in second.of(inputs.CommandFailed) if one.ref == ref]
            )
            assert self.texts_of(second, room) == []
            again = Secret(" ".join(bob.words))
            taken = await second.do(lambda ref: sealed.Recover(ref, again))
            assert isinstance(taken, inputs_sealed.BackupTaken)
            assert taken.count == 1
            assert self.texts_of(second, room) == ["old news"]
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_turned_off_it_is_deleted_for_all_devices(self) -> None:
        alice, bob, room = await self.talk("not for the server")
        try:
            await self.saved(bob)
            second = await self.second(bob)
            await self.has(second, room, "not for the server")
            await bob.do(lambda ref: sealed.KeepBackup(ref, False))
            listed = await bob.link.ask(wire.LIST, wire.ListKeepsakes())
            assert [one.name for one in listed.objects] == [INDEX]
            await alice.say(room, "neither is this")
            await bob.hears(room, "neither is this")
            await second.link.sealed.backup.sync()
            assert "turned off" in self.notices(second)
            second.link.sealed.backup.round()
            bob.link.sealed.backup.round()
            await bob.pause(0.5)
            listed = await bob.link.ask(wire.LIST, wire.ListKeepsakes())
            assert [one.name for one in listed.objects] == [INDEX]
            assert self.texts_of(second, room)[0] == "not for the server"
            # And on again.
            await second.do(lambda ref: sealed.KeepBackup(ref, True))
            await self.saved(bob)
            third = await self.second(bob, "-third")
            await self.has(third, room, "not for the server", "neither is this")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_the_server_has_nothing_of_it_in_clear(self) -> None:
        canaries = Canaries()
        alice, bob, room = await self.talk(*canaries.several(20))
        try:
            attic = await bob.create(canaries.new()[:16])
            await bob.say(attic, canaries.new())
            seq = self.seq_of(bob, room, canaries.made[0])
            await bob.do(lambda ref: sealed.React(ref, room, seq, canaries.new()[:16]))
            await self.saved(bob, alice)
            listed = await bob.link.ask(wire.LIST, wire.ListKeepsakes())
            assert len(listed.objects) == 3
        finally:
            await self.everybody_leaves()
        assert search([self.server.data], canaries) == []


class ALyingServer(BackupTest):
    """What it gives instead of a backup is noticed, and costs the devices nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.malice = Malice(self.server)
        self.addCleanup(self.malice.stop)
        self.given: list[tuple[bytes, Any]] = []
        self.malice.on_reply(wire.GET, self._keep)

    def _keep(self, _: Connection, asked: Asked, reply: Any) -> Any:
        self.given.append((asked.args.name, reply))
        return reply

    def client(self, name: str, device: str = "") -> Client:
        found = super().client(name, device)
        found.port = self.malice.port
        found.link.target.port = self.malice.port
        return found

    @awaited
    async def test_an_old_backup_is_noticed_and_made_anew(self) -> None:
        alice, bob, room = await self.talk("one")
        try:
            await self.saved(bob)
            old = (await bob.link.ask(wire.GET, wire.GetKeepsake(INDEX))).data
            await alice.say(room, "two")
            await bob.hears(room, "two")
            await self.saved(bob)
            # It gives the old one, and goes on to: nothing can be put in its place.
            rule = self.malice.on_reply(
                wire.GET,
                lambda _, asked, reply: (
                    replace(reply, data=old, total=len(old)) if asked.args.name == INDEX else reply
                ),
            )
            with pytest.raises(refusals.KeepsakeStale):
                await bob.link.sealed.backup.sync()
            assert "older backup" in self.notices(bob)
            assert self.texts_of(bob, room) == ["one", "two"]
            rule.end()
            # As if its operator had put all of it back to before.
            now = (await bob.link.ask(wire.GET, wire.GetKeepsake(INDEX))).digest
            await bob.link.ask(wire.PUT, wire.PutKeepsake(INDEX, old, None, now))
            await self.saved(bob)
            second = await self.second(bob)
            await self.has(second, room, "one", "two")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_backup_that_is_gone_is_noticed_and_made_anew(self) -> None:
        alice, bob, room = await self.talk("one")
        try:
            await self.saved(bob)
            await bob.link.ask(wire.DROP, wire.DropKeepsakes([INDEX]))
            await self.saved(bob)
            assert "no backup any more" in self.notices(bob)
            second = await self.second(bob)
            await self.has(second, room, "one")
            assert alice.label(room) == "E2E"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_foreign_or_spoilt_index_is_noticed_and_used_for_nothing(self) -> None:
        alice, bob, room = await self.talk("hers and his")
        try:
            await self.saved(alice, bob)
            hers = (await alice.link.ask(wire.GET, wire.GetKeepsake(INDEX))).data
            for false in (hers, bytes(300), b"x"):
                rule = self.malice.on_reply(
                    wire.GET,
                    lambda _, __, reply, false=false: replace(reply, data=false, total=len(false)),
                    "bob",
                )
                with pytest.raises(refusals.KeepsakeStale):
                    await bob.link.sealed.backup.sync()
                rule.end()
                assert "none of your devices" in self.notices(bob)
                assert self.texts_of(bob, room) == ["hers and his"]
            await self.saved(bob)
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_spoilt_or_hidden_chunk_is_noticed_and_not_written_over(self) -> None:
        alice, bob, room = await self.talk("precious")
        try:
            await self.saved(bob)

            def spoil(_: Connection, asked: Asked, reply: Any) -> Any:
                if asked.args.name == INDEX:
                    return reply
                return replace(reply, data=reply.data[:-1] + bytes([reply.data[-1] ^ 1]))

            rule = self.malice.on_reply(wire.GET, spoil)
            second = await self.second(bob)
            await second.until(lambda: "missing or spoilt" in self.notices(second))
            await second.in_room(room)
            assert self.texts_of(second, room) == []
            # What it hears of that day must not take the place of what it could not read.
            await alice.say(room, "of the same day")
            await second.hears(room, "of the same day")
            await bob.hears(room, "of the same day")
            await second.link.sealed.backup.sync()
            assert second.link.sealed.opened.backups.unsaved() != {}
            rule.end()
            await self.saved(second)
            await self.has(second, room, "precious", "of the same day")

            def hide(_: Connection, asked: Asked, reply: Any) -> Any:
                return reply if asked.args.name == INDEX else refusals.KeepsakeUnknown()

            self.malice.on_reply(wire.GET, hide)
            third = await self.second(bob, "-third")
            await third.until(lambda: "not on the server" in self.notices(third))
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_full_or_busy_server_is_told_of_once_and_asked_again(self) -> None:
        alice, bob, room = await self.talk("one")
        try:
            refused: list[str] = []

            def refuse(_: Connection, asked: Asked) -> Any:
                refused.append("full")
                raise refusals.KeepsakesFull(limit=1)

            rule = self.malice.on_request(wire.PUT, refuse, "bob")
            for _ in range(2):
                bob.link.sealed.backup.round()
                await bob.until(lambda: "backup is full" in self.notices(bob))
                while bob.link.sealed.backup._turn.locked:
                    await bob.pause(0.05)
            assert len(refused) == 2
            assert self.notices(bob).count("backup is full") == 1
            rule.end()
            busy = [refusals.RateLimited(retry_after=0.05)] * 2

            def wait(_: Connection, asked: Asked) -> Any:
                if busy:
                    raise busy.pop()
                return asked.args

            self.malice.on_request(wire.PUT, wait, "bob")
            await self.saved(bob)
            assert busy == []
            assert alice.label(room) == "E2E"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_connection_that_goes_in_the_midst_costs_nothing(self) -> None:
        self.patch(backup, "CHUNKS", 1)
        alice, bob, room = await self.talk("one")
        try:
            attic = await bob.create("attic")
            await bob.say(attic, "up here")
            came: Deferred[None] = Deferred()

            def cut(client: Connection, asked: Asked, reply: Any) -> Any:
                if not came.called:
                    client.cut()
                    came.callback(None)
                return reply

            rule = self.malice.on_reply(wire.PUT, cut, "bob")
            with pytest.raises(faults.NetLost):
                await bob.link.sealed.backup.sync()
            rule.end()
            await bob.again()
            await self.saved(bob)
            second = await self.second(bob)
            await self.has(second, room, "one")
            await self.has(second, attic, "up here")
            assert alice.label(room) == "E2E"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_an_object_that_grows_shorter_while_it_is_read_is_none(self) -> None:
        _, bob, _ = await self.talk("one")
        try:
            await self.saved(bob)

            def longer(_: Connection, asked: Asked, reply: Any) -> Any:
                return replace(reply, total=reply.total + 1)

            self.malice.on_reply(wire.GET, longer)
            # What came is the whole of it, as it happens, and is believed for its seal alone.
            assert await bob.link.sealed.backup.sync() == 0
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_another_alice_than_the_other_devices_know_is_for_a_person_to_decide(
        self,
    ) -> None:
        _, bob, room = await self.talk("one")
        try:
            of = bob.link.sealed.directory
            seen = of.pin("alice")
            assert seen is not None
            restore = bob.link.sealed.backup._restore_pin
            # On a device that has a backup already, what was seen here stands.
            other = Pin("alice", b"o" * 32, Sureness.COMPARED)
            restore(other, first=False)
            assert of.pin("alice") == seen
            restore(Pin("alice", seen.account, Sureness.LINK), first=False)
            now = of.pin("alice")
            assert now is not None
            assert now.sureness is Sureness.LINK
            restore(other, first=True)
            assert of.pin("alice") == now
            of.keep(seen)
            restore(other, first=True)
            assert of.pin("alice") == replace_pin(other, changed=seen.account)
            assert bob.label(room) == "E2E!"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_key_that_cannot_be_handed_over_is_asked_for_again(self) -> None:
        _, bob, room = await self.talk("one")
        try:
            await self.saved(bob)
            second = await self.second(bob)
            await self.has(second, room, "one")
            # It has lost the key, and Bob's answer does not come through at first.
            store = second.link.sealed.opened
            store.marks.keep_fact("backup key", None)
            refused: list[str] = []

            def refuse(client: Connection, asked: Asked) -> Any:
                refused.append(client.name)
                raise refusals.DeviceGone

            await second.link.sealed.backup.handing.ask()
            rule = self.malice.on_request(inbox.SEND, refuse, "bob")
            while not refused:
                await bob.pause(0.05)
            rule.end()
            assert store.backups.key() is None
            await second.link.sealed.backup.handing.ask()
            while store.backups.key() is None:
                await bob.pause(0.05)
            # One who has none itself says nothing.
            bob.link.sealed.opened.marks.keep_fact("backup key", None)
            await second.link.sealed.backup.handing.ask()
            await bob.say(room, "goes on")
            await second.hears(room, "goes on")
            assert bob.link.sealed.opened.backups.key() is None
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_server_that_never_ends_is_not_read_on(self) -> None:
        _, bob, _ = await self.talk("one")
        try:
            await self.saved(bob)
            self.malice.on_reply(wire.GET, lambda _, __, reply: replace(reply, total=1 << 40))
            with pytest.raises(refusals.BlobSize):
                await bob.link.sealed.backup.sync()
        finally:
            await self.everybody_leaves()
