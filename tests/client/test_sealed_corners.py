"""What happens seldom on the encrypted side: held rooms, successors, lost answers, a shut keyring."""

import os
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs, store_rooms
from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs_sealed as told
from lairchat.client.mailslot import Service
from lairchat.client.profile import Profile
from lairchat.client.sealed import keyring
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.sealed.opening import Opening
from lairchat.client.sealed.report import report
from lairchat.client.secret import Secret
from lairchat.features.rooms import messages as asked
from lairchat.features.rooms import tables as rooms
from lairchat.model import faults, refusals
from lairchat.model.ids import UserId
from lairchat.model.permissions import Crypto
from lairchat.model.roles import RoomRole
from lairchat.trust.secret import SecretBytes
from tests.client.network import Person
from tests.client.test_sealed import SealedTest
from tests.trust.people import SERVER


class Successors(SealedTest):
    """Rooms in the place of others."""

    def halt(self, one: Person, room: int) -> None:
        """Have a room be held for good, as after a commit that breaks its rules."""
        from dataclasses import replace

        store = one.link.sealed.opened
        state = store.room(room)
        assert state is not None
        with store._changed(replace(state, halted="somebody changed it against its rules")):
            pass
        one.link.sealed.relabel(room)

    def test_who_loses_the_connection_over_it_hears_whom_to_invite(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.halt(alice, room)
        ask = alice.link.ask

        def cut(command: Any, *rest: Any) -> Any:
            if command is asked.CREATE:
                for pipe in list(self.network.pipes):
                    pipe.cut()
            return ask(command, *rest)

        with patch.object(alice.link, "ask", cut):
            assert isinstance(alice.request(sealed.Refound, room), inputs.CommandFailed)
        assert "not invited: bob" in [one.text for one in alice.of(inputs.Notice)]
        self.network.wait(30)
        assert "attic is made" in alice.last(inputs.Notice).text

    def test_a_room_that_is_held_for_good_is_founded_anew(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        alice.request(effects.SetTopic, room, "keep calm")
        alice.request(sealed.SetTimer, room, 3_600)
        self.network.wait(2)
        assert isinstance(alice.request(sealed.Refound, room), inputs.CommandFailed)
        self.halt(alice, room)
        assert self.label(alice, room) == "E2E!"
        ticket = alice.say("into the void", room)
        self.network.wait(2)
        assert alice.refused[ticket] == "LC-HELD"
        assert isinstance(alice.request(effects.Kick, room, "bob"), inputs.CommandFailed)
        assert isinstance(alice.request(sealed.Refound, room), inputs.CommandDone)
        successor = alice.last(inputs.RoomJoined).room.id
        assert successor != room
        assert alice.link.sealed.opened.marks.timer(successor) == 3_600
        assert bob.last(told.Invited).by == "alice"
        assert isinstance(bob.request(sealed.AcceptInvite, "alice"), inputs.CommandDone)
        self.network.wait(8)
        self.say(bob, "here again", successor)
        assert "here again" in alice.texts(successor)
        assert bob.link.sealed.title(successor) == "attic"
        held = {line.what: line.mark for line in report(alice.link.sealed.opened, 0)}
        assert held[f"room {room}"] == "FAIL"

    def out(self) -> tuple[Person, Person, int]:
        """Return somebody whose device has nothing of a room any more, another one in it, and the room."""
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        store = alice.link.sealed.opened
        with store._database.writing() as connection:
            store_rooms.leave(connection, room)
        del store._rooms[room]
        return alice, bob, room

    def come_back(self, one: Person, room: int, other: Person) -> int:
        """Have a device try to come back into a room; returns how many epochs that has begun."""
        epochs = []
        for _ in range(2):
            state = other.link.sealed.opened.room(room)
            assert state is not None
            epochs.append(state.group.context.epoch)
            one.link.sealed.entering.come_back(room)
            self.network.wait(30)
        return epochs[1] - epochs[0]

    def test_a_device_comes_back_once(self) -> None:
        alice, bob, room = self.out()
        assert self.come_back(alice, room, bob) == 1
        self.say(bob, "there you are", room)
        assert alice.texts(room) == ["there you are"]

    def test_a_device_does_not_try_where_it_refused_a_commit(self) -> None:
        alice, bob, room = self.out()
        state = bob.link.sealed.opened.room(room)
        assert state is not None
        with alice.link.sealed.opened._database.writing() as connection:
            store_rooms.refuse(connection, state)
        assert self.come_back(alice, room, bob) == 0
        self.say(bob, "alone here", room)
        assert alice.texts(room) == []

    def test_a_device_does_not_try_epochs_that_it_has_been_in(self) -> None:
        alice, bob, room = self.out()
        with alice.link.sealed.opened._database.writing() as connection:
            connection.execute("UPDATE lived SET epoch = epoch + 1000")
        assert self.come_back(alice, room, bob) == 0
        assert alice.link.sealed.opened.room(room) is None

    def test_a_device_tries_once_where_the_log_is_another(self) -> None:
        alice, bob, room = self.out()
        with alice.link.sealed.opened._database.writing() as connection:
            for seq in range(1, 1_000):
                connection.execute(
                    "INSERT OR REPLACE INTO events (room, seq, hash) VALUES (?, ?, ?)",
                    (room, seq, bytes(32)),
                )
        assert self.come_back(alice, room, bob) == 1
        (told,) = [one for one in alice.of(inputs.Notice) if "does not come in" in one.text]
        assert told.text.startswith("attic: ")
        assert alice.link.sealed.opened.room(room) is None

    def old_room(self, one: Person, kind: str, *others: Person) -> int:
        """Make a room as it was made before there was encryption."""

        def make(connection: Any) -> int:
            room = rooms.create(
                connection,
                kind=kind,
                name="old" if kind == "room" else "",
                access="private",
                posting="members",
                topic="from before",
                by=UserId(1),
                now=self.network.server.now(),
                crypto=Crypto.PLAIN,
            )
            for number in range(1, len(others) + 2):
                role = RoomRole.OWNER if number == 1 else RoomRole.MEMBER
                rooms.add(connection, room.id, UserId(number), role, self.network.server.now())
            return int(room.id)

        number = self.network.server.change(make)
        one.link.reconnect()
        self.network.wait(3)
        return number

    def test_a_private_room_from_before_has_an_encrypted_successor(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.old_room(alice, "room", bob)
        info = next(one for one in alice.last(inputs.RoomsSynced).rooms if one.id == room)
        assert info.label == "PLAIN"
        joined = alice.request(sealed.Succeed, room)
        assert isinstance(joined, inputs.RoomJoined)
        self.network.wait(3)
        assert joined.room.label != "PLAIN"
        assert bob.of(told.Invited)
        assert alice.link.sealed.title(joined.room.id) == "old"
        assert isinstance(alice.request(sealed.Succeed, joined.room.id), inputs.CommandFailed)


class PutBack(SealedTest):
    """A server that was put back to an older state."""

    def network_options(self) -> dict[str, Any]:
        return {"url": f"sqlite:///{self.root}/server.db"}

    def test_a_room_whose_end_is_lost_is_held(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.say(alice, "one", room)
        self.network.down()
        files = [self.root / f"server.db{end}" for end in ("", "-wal")]
        kept = {path: path.read_bytes() for path in files if path.exists()}
        self.network.up()
        self.network.wait(15)
        self.say(alice, "two", room)
        assert bob.texts(room) == ["one", "two"]
        self.network.down()
        for path in files:
            path.unlink(missing_ok=True)
        for path, content in kept.items():
            path.write_bytes(content)
        self.network.up()
        self.network.wait(15)
        for one in (alice, bob):
            if not one.link.online:
                one.login()
                self.network.wait(3)
            assert self.label(one, room) == "E2E!"
            assert "lost the end" in one.link.sealed.labels.of(room)[1]
        ticket = alice.say("nobody would take this", room)
        self.network.wait(3)
        assert alice.refused[ticket] == "LC-HELD"
        assert isinstance(alice.request(sealed.Refound, room), inputs.CommandDone)


class Answers(SealedTest):
    """What other programs are told, and what becomes of what was typed."""

    def network_options(self) -> dict[str, Any]:
        return {"url": f"sqlite:///{self.root}/server.db"}

    def test_lair_send_and_the_doctor_through_the_socket(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        service = Service(alice.link)
        queued: list[bool] = []
        key = bytes(range(16))
        sending = Deferred.fromCoroutine(
            service.send("@bob", "by a script", key=key, queued=queued.append)
        )
        self.network.wait(3)
        assert queued == [True]
        assert self.successResultOf(sending)["seq"] > 0
        assert bob.texts(room) == ["by a script"]
        marks = {line[1]: line[0] for line in service.doctor()["lines"]}
        assert marks["device"] == "ok"
        assert marks["words"] == "note"
        assert marks[f"room {room}"] == "ok"

    def test_what_waits_ends_with_the_connection(self) -> None:
        (alice,) = self.enter("alice")
        side = alice.link.sealed
        before = set(self.network.clock.getDelayedCalls())
        waits = [Deferred.fromCoroutine(side.pause(seconds)) for seconds in (5, 9)]
        calls = set(self.network.clock.getDelayedCalls()) - before
        assert len(calls) == len(waits)
        self.pipe_of(alice).cut()
        for wait in waits:
            self.failureResultOf(wait, faults.NetLost)
        assert not calls & set(self.network.clock.getDelayedCalls())
        alice.leave()
        late = Deferred.fromCoroutine(side.pause(1))
        self.failureResultOf(late, faults.NetLost)

    def test_a_message_is_not_sent_twice_when_its_answer_is_lost(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(alice, "before", room)
        pipe = self.pipe_of(alice)
        alice.say("the answer is lost", room)
        self.network.clock.advance(0)
        pipe.cut()
        self.network.wait(12)
        assert bob.texts(room) == ["before", "the answer is lost"]
        assert alice.texts(room) == ["before", "the answer is lost"]

    def pipe_of(self, one: Person) -> Any:
        connection = one.link.connection
        return next(pipe for pipe in self.network.pipes if pipe.client.protocol is connection)

    def test_what_was_typed_for_others_is_not_sent(self) -> None:
        alice, bob, carol = self.enter("alice", "bob", "carol")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.pipe_of(bob).cut()
        ticket = bob.say("for alice alone", room)
        self.bring(alice, carol, room)
        self.network.wait(15)
        assert bob.refused[ticket] == "LC-HELD"
        assert "for alice alone" not in carol.texts(room)
        bob.do(effects.Resend(ticket))
        self.network.wait(5)
        assert "for alice alone" in carol.texts(room)

    def test_a_message_that_was_not_taken_is_taken_back(self) -> None:
        alice, bob, carol = self.enter("alice", "bob", "carol")
        room = self.create(alice)
        self.bring(alice, bob, room)
        self.pipe_of(bob).cut()
        ticket = bob.say("never mind", room)
        self.bring(alice, carol, room)
        self.network.wait(15)
        bob.do(effects.Discard(ticket))
        self.network.wait(3)
        assert bob.link.sealed.opened.outbox() == []
        self.say(bob, "something else", room)
        assert carol.texts(room) == alice.texts(room) == ["something else"]
        assert not [one for one in carol.of(inputs.Notice) if "not delivered" in one.text]

    def test_what_was_queued_leaves_after_a_restart(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.network.down()
        alice.say("typed while away", room)
        self.network.wait(1)
        alice = self.again(alice)
        self.network.up()
        alice.start()
        self.network.wait(2)
        alice.do(sealed.Unlock(Secret("alice")))
        self.network.wait(20)
        assert [one.text for one in alice.last(inputs.OutboxRestored).items] == ["typed while away"]
        assert "typed while away" in bob.texts(room)


class Keys(SealedTest):
    """Where the key of a store is."""

    def profile(self, name: str) -> Profile:
        found = Profile(self.root, SERVER, name)
        found.lock()
        self.addCleanup(found.unlock)
        return found

    def test_the_kernel_keeps_a_key_until_it_is_dropped(self) -> None:
        profile, ring = self.profile("alice"), Keyring()
        secret = SecretBytes(os.urandom(32))
        assert ring.find(profile) is None
        if not ring.keep(profile, secret):
            # A sandbox that forbids it: then nothing is kept, and nothing else happens.
            assert ring.find(profile) is None
            return
        self.addCleanup(ring.drop, profile)
        assert Keyring().find(profile) == secret
        assert ring.find(Profile(self.root / "elsewhere", SERVER, "alice")) is None
        assert secret.reveal().hex() not in repr(ring)
        ring.drop(profile)
        assert ring.find(profile) is None
        ring.drop(profile)

    def test_without_the_library_nothing_is_kept(self) -> None:
        self.patch(keyring, "_LIBRARY", "libnothing-of-this-name.so.9")
        profile, ring = self.profile("alice"), Keyring()
        assert not ring.keep(profile, SecretBytes(bytes(32)))
        assert ring.find(profile) is None
        ring.drop(profile)

    def test_a_file_opens_a_store_until_it_is_forgotten(self) -> None:
        profile = self.profile("alice")
        self.patch(keyring, "_LIBRARY", "libnothing-of-this-name.so.9")
        opening = Opening(profile, Keyring(), os.urandom)
        assert opening.is_new
        assert opening.by_itself() is None
        vault_key = SecretBytes(bytes(32))
        opening.by_password(vault_key).close()
        assert not opening.is_new
        again = Opening(profile, Keyring(), os.urandom)
        assert again.by_itself() is None
        again.by_password(vault_key).close()
        again.keep_file()
        assert again.has_file
        assert again.file.stat().st_mode & 0o777 == 0o600
        once_more = Opening(profile, Keyring(), os.urandom)
        store = once_more.by_itself()
        assert store is not None
        store.close()
        once_more.forget()
        assert not once_more.has_file
        assert Opening(profile, Keyring(), os.urandom).by_itself() is None
        try:
            Opening(profile, Keyring(), os.urandom).by_password(SecretBytes(b"x" * 32))
        except faults.ProfileKey:
            return
        raise AssertionError("another password opened it")


class Refused(SealedTest):
    """What cannot be done, and says so."""

    def test_people_without_keys_and_oneself(self) -> None:
        (alice,) = self.enter("alice")
        answer = alice.request(effects.OpenDirect, "nobody")
        assert isinstance(answer, inputs.CommandFailed)
        assert answer.code == refusals.UserUnknown.code
        assert isinstance(alice.request(effects.OpenDirect, "alice"), inputs.CommandFailed)
        room = self.create(alice)
        assert isinstance(alice.request(sealed.Change, room, 999, "x"), inputs.CommandFailed)
        assert isinstance(alice.request(sealed.ShowIdentity, "alice"), inputs.CommandFailed)
        assert isinstance(alice.request(sealed.VerifyPerson, "nobody"), inputs.CommandFailed)
