"""What is read on one device of somebody is read on the others, and nobody else can say so."""

import os
from itertools import pairwise
from typing import Any

from sqlalchemy import text as sql
from twisted.internet.defer import Deferred, fail, succeed

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.client import inputs_sealed as told
from lairchat.client.sealed.places import Places
from lairchat.client.secret import Secret
from lairchat.core.throttle import Rate
from lairchat.e2ee.places import open_slot, seal
from lairchat.features.reading import messages as wire
from lairchat.features.reading import server as reading_server
from lairchat.model import faults, limits, refusals
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SigningKey
from tests.client.network import Person
from tests.client.test_sealed import SealedTest


class PlacesTest(SealedTest):
    """Bob writes to Alice, who has two devices."""

    def second(self, one: Person, *, linked: bool = True) -> Person:
        """Return another device of somebody's."""
        other = Person(self.network, self.root / f"{one.name}-{len(self.people)}", one.name)
        self.people.append(other)
        other.start()
        other.trust()
        other.login()
        self.network.wait(1)
        if linked:
            words = Secret(" ".join(one.last(told.RecoveryWords).words))
            assert isinstance(other.request(sealed.LinkByWords, words), inputs.CommandDone)
            self.network.wait(10)
        return other

    def three(self) -> tuple[Person, Person, Person, int]:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        other = self.second(alice)
        return alice, other, bob, room

    def unread(self, one: Person, room: int) -> int:
        return one.link.sealed.dress(one.link.rooms.infos[room], None).unread

    def read(self, one: Person, room: int, seq: int | None = None) -> int:
        """Let somebody read a room, to its end by default."""
        place = max(one.shown[room]) if seq is None else seq
        one.do(effects.MoveCursor(room, place))
        self.settle()
        return place

    def place(self, one: Person, room: int) -> int:
        return one.link.sealed.opened.marks.reads().get(room, 0)

    def slots(self) -> dict[bytes, bytes]:
        """Return what the server keeps, by device."""
        rows = self.network.server.look(
            lambda found: found.execute(sql("SELECT device_id, data FROM reading_slots")).fetchall()
        )
        return dict(rows)

    def keep(self, device: bytes, data: bytes) -> None:
        """Have the server keep something else for a device."""
        statement = sql("UPDATE reading_slots SET data = :data WHERE device_id = :device")
        self.network.server.change(
            lambda found: found.execute(statement, {"data": data, "device": device}) and None
        )

    def hear(self, one: Person, device: bytes, data: bytes) -> None:
        """Have the server tell a device something."""
        assert one.link.sealed.event("reading.moved", wire.Slot(device, data))
        self.network.wait(1)

    def again_online(self, one: Person) -> None:
        """Cut a device's connection, and wait until it is back."""
        for pipe in [pipe for pipe in self.network.pipes if self.mine(one, pipe)]:
            pipe.cut()
        self.network.wait(8)
        assert one.link.online

    @staticmethod
    def mine(one: Person, pipe: Any) -> bool:
        return pipe.open and pipe.client.protocol is one.link.connection

    def device(self, one: Person) -> bytes:
        return one.link.sealed.require_own().identity.device

    def group(self, one: Person, room: int) -> bytes:
        state = one.link.sealed.opened.room(room)
        assert state is not None
        return state.group.context.group_id

    def slot(self, one: Person, places: dict[bytes, int], device: bytes | None = None) -> bytes:
        """Return a slot as this device makes one; device: of whom it says that it is."""
        found = one.link.sealed
        own, key = found.require_own(), found.opened.backups.key()
        assert key is not None
        identity = LeafIdentity(own.identity.account, device or own.identity.device)
        return seal(key, identity, SigningKey(own.signing), places, os.urandom)

    def asked(self, one: Person, command: Any) -> list[float]:
        """Return when a device asks for this from now on, seconds."""
        times: list[float] = []
        ask = one.link.ask

        def asking(what: Any, *arguments: Any) -> Any:
            if what is command:
                times.append(self.network.clock.seconds())
            return ask(what, *arguments)

        self.patch(one.link, "ask", asking)
        return times


class Reading(PlacesTest):
    """What the other device makes of it."""

    def test_what_one_device_has_read_is_read_on_the_other(self) -> None:
        alice, other, bob, room = self.three()
        for number in range(3):
            self.say(bob, f"message {number}", room)
        assert self.unread(alice, room) == self.unread(other, room) == 3
        first = self.seq(alice, room, "message 0")
        self.read(alice, room, first)
        # Without anything being done there.
        assert other.last(inputs.CursorMoved) == inputs.CursorMoved(room, first, 2)
        assert self.unread(other, room) == 2
        self.network.wait(limits.READING_SECONDS)
        end = self.read(alice, room)
        assert other.last(inputs.CursorMoved) == inputs.CursorMoved(room, end, 0)
        assert self.unread(other, room) == 0
        # And the other way.
        self.say(bob, "another", room)
        assert self.unread(alice, room) == 1
        end = self.read(other, room)
        assert alice.last(inputs.CursorMoved) == inputs.CursorMoved(room, end, 0)
        # Who wrote it hears nothing of that.
        assert bob.of(inputs.CursorMoved) == []

    def test_each_room_by_itself_and_the_newest_first(self) -> None:
        alice, other, bob, room = self.three()
        attic = self.create(bob)
        self.bring(bob, alice, attic)
        self.network.wait(10)
        for where in (room, attic):
            self.say(bob, "one", where)
        self.read(alice, attic)
        assert (self.unread(other, room), self.unread(other, attic)) == (1, 0)
        self.network.wait(limits.READING_SECONDS)
        self.read(alice, room)
        assert (self.unread(other, room), self.unread(other, attic)) == (0, 0)
        marks = alice.link.sealed.opened.marks
        for where in (room, attic, room):
            self.say(bob, "two", where)
            assert next(iter(marks.latest_reads(2)))[0] == where
            assert len(marks.latest_reads(1)) == 1

    def test_a_device_that_was_away_looks_once_when_it_is_back(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        other.leave()
        self.say(bob, "two", room)
        end = self.read(alice, room)
        other = self.reopened(other)
        times = self.asked(other, wire.LIST)
        other.start()
        self.network.wait(2)
        assert times == []
        other.do(sealed.Unlock(Secret("alice")))
        self.network.wait(10)
        assert self.place(other, room) == end
        assert self.unread(other, room) == 0
        assert len(times) == 1
        before = len(times)
        self.again_online(other)
        assert len(times) == before + 1

    def test_nothing_of_it_is_at_the_server_in_clear(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        end = self.read(alice, room)
        (slot,) = self.slots().values()
        assert self.group(alice, room) not in slot
        assert len(slot) == 256 + 28
        # In clear it was what it should be.
        key = other.link.sealed.opened.backups.key()
        assert key is not None
        log = other.link.sealed.device.account_log
        assert open_slot(key, log, self.device(alice), slot) == {self.group(alice, room): end}

    def test_what_disappears_begins_to_on_all_devices(self) -> None:
        alice, other, bob, room = self.three()
        bob.do(sealed.SetTimer(1, room, 60))
        self.say(bob, "for a minute", room)
        assert "for a minute" in other.texts(room)
        assert other.link.sealed.opened.messages.next_expiry() is None
        self.read(alice, room)
        assert other.link.sealed.opened.messages.next_expiry() is not None
        self.network.wait(70)
        assert other.last(told.MessagesGone).room == room

    def test_more_than_has_come_here_counts_as_it_comes(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        end = max(other.shown[room])
        self.hear(other, self.device(alice), self.slot(alice, {self.group(alice, room): end + 2}))
        assert self.place(other, room) == end
        self.say(bob, "two", room)
        assert self.unread(other, room) == 0
        self.say(bob, "three", room)
        assert (self.place(other, room), self.unread(other, room)) == (end + 2, 0)
        self.say(bob, "four", room)
        assert self.unread(other, room) == 1

    def test_what_was_told_of_a_room_counts_once_this_device_comes_into_it(self) -> None:
        alice, other, bob, room = self.three()
        attic = self.create(bob)
        group = self.group(bob, attic)
        self.hear(other, self.device(alice), self.slot(alice, {group: 100}))
        self.bring(bob, alice, attic)
        self.network.wait(10)
        self.say(bob, "one", attic)
        assert "one" in other.texts(attic)
        assert (self.unread(other, attic), self.unread(alice, attic)) == (0, 1)
        self.say(bob, "one", room)
        assert self.unread(other, room) == 1

    def test_a_place_that_no_room_has_holds_at_the_end(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        end = max(other.shown[room])
        places = {self.group(alice, room): limits.INTEGER_MAX, os.urandom(16): 5}
        self.hear(other, self.device(alice), self.slot(alice, places))
        assert self.place(other, room) == end
        assert other.last(inputs.CursorMoved) == inputs.CursorMoved(room, end, 0)

    def test_a_new_device_counts_on_from_where_the_others_have_read(self) -> None:
        alice, bob = self.enter("alice", "bob")
        room = self.direct(alice, bob)
        self.say(bob, "one", room)
        self.read(alice, room)
        other = self.second(alice)
        assert self.unread(other, room) == 0
        # The slot of the first was enough: the second says nothing that is known.
        assert list(self.slots()) == [self.device(alice)]


class Pace(PlacesTest):
    """How often it is told."""

    def test_not_more_often_than_every_ten_seconds(self) -> None:
        alice, other, bob, room = self.three()
        times = self.asked(alice, wire.PUT)
        began = self.network.clock.seconds()
        for number in range(30):
            bob.say(f"message {number}", room)
            self.network.wait(1)
            self.read(alice, room)
        self.network.wait(limits.READING_SECONDS)
        assert times[0] - began <= 1.5, "at once"
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) >= limits.READING_SECONDS
        assert len(times) <= 5
        assert self.unread(other, room) == 0
        self.network.wait(100)
        assert len(times) <= 5

    def test_only_what_nobody_knows_is_told(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        times, others = self.asked(alice, wire.PUT), self.asked(other, wire.PUT)
        end = self.read(alice, room)
        self.network.wait(30)
        self.read(alice, room, end)
        self.read(other, room)
        self.network.wait(30)
        assert (len(times), len(others)) == (1, 0)
        self.again_online(alice)
        assert len(times) == 1

    def test_the_end_of_the_program_tells_what_has_not_been_told(self) -> None:
        alice, other, bob, room = self.three()
        for text in ("one", "two"):
            self.say(bob, text, room)
            self.read(alice, room)
        assert self.unread(other, room) == 1
        alice.leave()
        self.network.wait(1)
        assert self.unread(other, room) == 0

    def test_what_was_read_without_a_connection_is_told_with_the_next(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        self.network.running = False
        for pipe in [pipe for pipe in self.network.pipes if self.mine(alice, pipe)]:
            pipe.cut()
        self.read(alice, room)
        assert self.unread(other, room) == 1
        self.network.running = True
        self.network.wait(90)
        assert alice.link.online
        assert self.unread(other, room) == 0

    def test_a_busy_server_is_told_when_it_says(self) -> None:
        self.patch(reading_server, "PUT", Rate(burst=1, per_second=1 / 40))
        alice, other, bob, room = self.three()
        times = self.asked(alice, wire.PUT)
        for text in ("one", "two"):
            self.say(bob, text, room)
            self.read(alice, room)
        self.network.wait(36)
        assert len(times) == 2
        assert self.unread(other, room) == 1
        self.network.wait(5)
        assert len(times) == 3
        assert self.unread(other, room) == 0

    def test_a_busy_server_is_asked_when_it_says(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        ask, times = other.link.ask, []

        def asking(what: Any, *arguments: Any) -> Any:
            if what is wire.LIST and not times:
                times.append(self.network.clock.seconds())
                return fail(refusals.RateLimited(retry_after=20.0))
            return ask(what, *arguments)

        self.patch(other.link, "ask", asking)
        for pipe in [pipe for pipe in self.network.pipes if self.mine(other, pipe)]:
            pipe.cut()
        self.read(alice, room)
        self.network.wait(15)
        assert times
        assert self.unread(other, room) == 1
        self.network.wait(15)
        assert self.unread(other, room) == 0

    def test_a_fault_of_ours_is_logged_and_nothing_else(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)

        async def broken(*_: Any) -> None:
            raise ZeroDivisionError

        self.patch(Places, "_take", broken)
        self.read(alice, room)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.say(bob, "two", room)
        assert other.texts(room) == ["one", "two"]

    def test_a_disk_that_fails_does_not_keep_the_program_from_ending(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)

        def failing(*_: Any) -> None:
            raise faults.ProfileDisk(path="store.db", why="it is on fire")

        self.patch(alice.link.sealed.opened.marks, "latest_reads", failing)
        self.read(alice, room)
        assert self.unread(other, room) == 1
        alice.leave()
        self.network.wait(1)
        assert not alice.link.online

    def test_a_full_disk_leaves_it_unread(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)

        def full(*_: Any) -> None:
            raise faults.ProfileFull(path="store.db")

        marks = other.link.sealed.opened.marks
        read, marks.read = marks.read, full
        self.read(alice, room)
        assert self.unread(other, room) == 1
        assert other.of(inputs.CursorMoved) == []
        marks.read = read
        self.say(bob, "two", room)
        assert self.unread(other, room) == 1


class Lies(PlacesTest):
    """What the server, or who helps it, would have a device believe."""

    def held(self, other: Person, room: int) -> None:
        """See that nothing has been taken for read."""
        assert self.place(other, room) == 0
        assert other.of(inputs.CursorMoved) == []

    def true_one(self, alice: Person, other: Person, room: int) -> None:
        """Have a device hear a true place, which none of the false ones keeps from being taken."""
        places = {self.group(alice, room): max(other.shown[room])}
        self.hear(other, self.device(alice), self.slot(alice, places))

    def test_garbage(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        for data in (b"", b"x", os.urandom(284), os.urandom(50_000)):
            self.hear(other, self.device(alice), data)
            self.hear(other, os.urandom(3), data)
        self.held(other, room)
        self.true_one(alice, other, room)
        assert self.place(other, room) == max(other.shown[room])

    def test_swapped_between_devices(self) -> None:
        alice, other, bob, room = self.three()
        third = self.second(alice)
        self.say(bob, "one", room)
        places = {self.group(alice, room): max(other.shown[room])}
        self.hear(other, self.device(third), self.slot(alice, places))
        self.held(other, room)
        # A device that says it is another one.
        self.hear(other, self.device(third), self.slot(alice, places, self.device(third)))
        self.held(other, room)
        self.true_one(alice, other, room)
        assert self.place(other, room) == max(other.shown[room])

    def test_somebody_elses(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        places = {self.group(alice, room): max(other.shown[room])}
        self.hear(other, self.device(bob), self.slot(bob, places))
        self.hear(other, self.device(alice), self.slot(bob, places))
        self.hear(other, self.device(alice), self.slot(bob, places, self.device(alice)))
        self.held(other, room)
        self.true_one(alice, other, room)
        assert self.place(other, room) == max(other.shown[room])

    def test_an_old_one_again_takes_nothing_back(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        self.read(alice, room)
        old = self.slots()[self.device(alice)]
        self.network.wait(limits.READING_SECONDS)
        self.say(bob, "two", room)
        end = self.read(alice, room)
        self.network.wait(limits.READING_SECONDS)
        moved = other.of(inputs.CursorMoved)
        self.hear(other, self.device(alice), old)
        self.keep(self.device(alice), old)
        self.again_online(other)
        assert (self.place(other, room), self.unread(other, room)) == (end, 0)
        assert other.of(inputs.CursorMoved) == moved

    def test_what_the_server_has_lost_is_told_again(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        end = self.read(alice, room)
        self.network.server.change(
            lambda found: found.execute(sql("DELETE FROM reading_slots")) and None
        )
        self.again_online(alice)
        self.network.wait(limits.READING_SECONDS)
        key = other.link.sealed.opened.backups.key()
        assert key is not None
        slot = self.slots()[self.device(alice)]
        log = other.link.sealed.device.account_log
        assert open_slot(key, log, self.device(alice), slot) == {self.group(alice, room): end}

    def test_of_a_revoked_device(self) -> None:
        alice, other, bob, room = self.three()
        third = self.second(alice)
        self.say(bob, "one", room)
        device = self.device(third)
        slot = self.slot(third, {self.group(alice, room): max(other.shown[room])})
        words = alice.request(sealed.ListDevices).devices
        assert device.hex() in {one.id for one in words}
        done = alice.request(sealed.RevokeDevice, device.hex())
        assert isinstance(done, inputs.CommandDone), done
        self.network.wait(5)
        self.hear(other, device, slot)
        self.held(other, room)

    def endless(self, count: int) -> tuple[int, int]:
        """Give a device pages of so many slots without end; return how many it asks for, and looks at."""
        _, other, _, _ = self.three()
        pages, slots = [], []
        ask = other.link.ask

        def asking(what: Any, request: Any, *more: Any) -> Any:
            if what is not wire.LIST:
                return ask(what, request, *more)
            pages.append(request.after)
            found = [wire.Slot(os.urandom(16), b"x") for _ in range(count)]
            return succeed(wire.SlotList(found, more=True))

        async def take(_: Places, slot: wire.Slot) -> None:
            slots.append(slot)

        self.patch(other.link, "ask", asking)
        self.patch(Places, "_take", take)
        self.again_online(other)
        return len(pages), len(slots)

    def test_pages_without_end(self) -> None:
        assert self.endless(1) == (limits.LOG_DEVICES, limits.LOG_DEVICES)

    def test_a_page_of_too_many(self) -> None:
        assert self.endless(99) == (1, limits.LOG_DEVICES)

    def test_pages_of_nothing(self) -> None:
        assert self.endless(0) == (1, 0)


class Keys(PlacesTest):
    """Who takes part."""

    def test_a_device_without_the_key_does_nothing_until_it_has_it(self) -> None:
        alice, other, bob, room = self.three()
        key = other.link.sealed.opened.backups.key()
        assert key is not None
        other.link.sealed.opened.marks.keep_fact("backup key", None)
        puts, lists = self.asked(other, wire.PUT), self.asked(other, wire.LIST)
        self.say(bob, "one", room)
        self.say(bob, "two", room)
        first = self.seq(alice, room, "one")
        self.read(alice, room, first)
        self.read(other, room)
        self.network.wait(30)
        assert (puts, lists) == ([], [])
        assert other.of(inputs.CursorMoved) == []
        assert self.unread(alice, room) == 1
        # It asks for the key by itself, and goes on with what it has read.
        other.link.sealed.opened.marks.keep_fact("recovery words", None)
        other.link.sealed.backup.online()
        self.network.wait(30)
        assert other.link.sealed.opened.backups.key() == key
        assert self.unread(alice, room) == 0

    def test_another_key_opens_nothing(self) -> None:
        alice, other, bob, room = self.three()
        self.say(bob, "one", room)
        other.link.sealed.opened.backups.keep_key(SecretBytes(b"k" * 32))
        self.read(alice, room)
        self.network.wait(15)
        assert self.unread(other, room) == 1

    def test_a_locked_store_takes_nothing(self) -> None:
        alice, other, _, room = self.three()
        slot = self.slot(alice, {self.group(alice, room): 3})
        device = self.device(alice)
        store, other.link.sealed.store = other.link.sealed.store, None
        times = self.asked(other, wire.PUT)
        other.link.sealed.places.online()
        other.link.sealed.places.followed(room)
        other.link.sealed.places.end()
        other.link.sealed.read(room, 3)
        self.hear(other, device, slot)
        assert times == []
        other.link.sealed.store = store
        assert self.place(other, room) == 0

    def test_a_key_that_goes_meanwhile_opens_nothing(self) -> None:
        alice, other, _, room = self.three()
        slot = self.slot(alice, {self.group(alice, room): 3})
        directory, marks = other.link.sealed.directory, other.link.sealed.opened.marks

        async def read(_: bytes) -> None:
            marks.keep_fact("backup key", None)

        self.patch(directory, "read", read)
        self.hear(other, os.urandom(16), slot)
        assert self.place(other, room) == 0

    def test_who_logs_out_while_it_is_asked_for_takes_nothing(self) -> None:
        alice, other, _, room = self.three()
        slot = wire.Slot(self.device(alice), self.slot(alice, {self.group(alice, room): 3}))
        ask, waiting = other.link.ask, list[Deferred[Any]]()

        def asking(what: Any, *more: Any) -> Any:
            if what is not wire.LIST:
                return ask(what, *more)
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(other.link, "ask", asking)
        side = other.link.sealed
        side.places.online()
        done = side.ask(wire.LIST, wire.ListPlaces())
        other.request(effects.Logout)
        assert len(waiting) == 2
        for answer in waiting:
            answer.callback(wire.SlotList([slot]))
        self.failureResultOf(done, faults.NetLost)
        assert other.of(inputs.CursorMoved) == []
