"""Reading: history in both directions, catching up in many rooms, cursors, gaps."""

from hashlib import sha256

from lairchat.features.messages import server as messages_server
from lairchat.features.messages.messages import (
    HISTORY,
    MOVE_CURSOR,
    SEND,
    SYNC,
    Cursor,
)
from lairchat.features.rooms.messages import CREATE, JOIN, LEAVE
from lairchat.model import limits
from lairchat.model.refusals import CursorBad, NotMember, RoomUnknown
from lairchat.storage import log
from lairchat.wire import codec
from lairchat.wire.objects import Ok
from tests.features.common import Case, said, text
from tests.features.legacy import legacy_direct, legacy_room, legacy_said

WIDE = "\U0001f3e0" * 4_000  # 16,000 bytes: three events fill a page


def largest_answer(client):
    return max(len(codec.encode_body(frame)) for frame in client.frames if isinstance(frame, Ok))


class HistoryTest(Case):
    def setUp(self):
        super().setUp()
        for number in range(3, 21):
            self.say((self.alice, self.bob)[number % 2], self.ops, f"{number}")
        self.forget()

    def page(self, **asked):
        page = self.alice.ask(HISTORY, room=self.ops, **asked)
        self.assertEqual(page.room, self.ops)
        return [event.seq for event in page.events], page.more

    def test_the_newest_page_then_back_to_the_beginning(self):
        self.assertEqual(self.page(limit=8), (list(range(13, 21)), True))
        self.assertEqual(self.page(limit=8, before=13), (list(range(5, 13)), True))
        self.assertEqual(self.page(limit=8, before=5), ([1, 2, 3, 4], False))
        self.assertEqual(self.page(limit=4, before=5), ([1, 2, 3, 4], False))
        self.assertEqual(self.page(before=1), ([], False))
        self.assertEqual(self.page(before=2**63 - 1, limit=1), ([20], True))

    def test_forward_to_the_end(self):
        self.assertEqual(self.page(limit=8, after=0), (list(range(1, 9)), True))
        self.assertEqual(self.page(limit=8, after=8), (list(range(9, 17)), True))
        self.assertEqual(self.page(limit=8, after=16), ([17, 18, 19, 20], False))
        self.assertEqual(self.page(limit=4, after=16), ([17, 18, 19, 20], False))
        self.assertEqual(self.page(after=20), ([], False))
        self.assertEqual(self.page(after=2**63 - 1), ([], False))

    def test_between_two(self):
        self.assertEqual(self.page(after=4, before=8), ([5, 6, 7], False))
        self.assertEqual(self.page(after=4, before=8, limit=2), ([5, 6], True))

    def test_events_have_the_names_of_their_senders(self):
        page = self.alice.ask(HISTORY, room=self.ops, after=2, limit=2)
        told = [(event.name, event.user, said(event)) for event in page.events]
        alice, bob = self.alice.session.user, self.bob.session.user
        self.assertEqual(told, [("bob", bob, "3"), ("alice", alice, "4")])

    def test_it_is_for_members(self):
        self.refuse(NotMember, self.carol, HISTORY, room=self.ops)
        self.refuse(RoomUnknown, self.carol, HISTORY, room=99)
        self.bob.ask(LEAVE, room=self.ops)
        self.refuse(NotMember, self.bob, HISTORY, room=self.ops)

    def test_newcomers_read_what_was_said_before(self):
        self.carol.ask(JOIN, name="ops")
        self.assertEqual(len(self.log_of(self.carol, self.ops)), 21)

    def test_purged_events_stay_as_tombstones(self):
        (whole,) = self.alice.ask(HISTORY, room=self.ops, after=19, limit=1).events
        self.assertEqual((whole.was, whole.digest), ("", b""))
        self.server.change(lambda connection: log.purge(connection, self.ops, [20]))
        (event,) = self.alice.ask(HISTORY, room=self.ops, after=19, limit=1).events
        self.assertEqual((event.kind, event.body, event.seq), ("tombstone", b"", 20))
        # What the chain of the log needs to go on.
        self.assertEqual((event.was, event.digest), ("app", sha256(whole.body).digest()))

    def test_pages_fit_a_frame_in_both_directions(self):
        for _ in range(7):
            self.say(self.bob, self.ops, WIDE)
        backward = self.page()
        self.assertEqual(backward, ([25, 26, 27], True))
        self.assertEqual(self.page(after=20), ([21, 22, 23], True))
        self.assertEqual(self.page(after=24), ([25, 26, 27], False))
        self.assertLess(largest_answer(self.alice), limits.FRAME_BYTES)

    def test_a_read_waits_for_the_connections_own_writes(self):
        sent = self.alice.give(SEND, room=self.ops, body=text("mine"))
        read = self.alice.give(HISTORY, room=self.ops, limit=1)
        self.settle()
        self.assertEqual(self.alice.answer(read).events[0].seq, self.alice.answer(sent).seq)


class SyncTest(Case):
    def sync(self, client, **cursors):
        more = {name: cursors.pop(name) for name in ("limit", "after") if name in cursors}
        listed = [Cursor(int(room[1:]), seq) for room, seq in cursors.items()]
        synced = client.ask(SYNC, cursors=listed, **more)
        return {room.room: room for room in synced.rooms}, synced.more

    def test_all_rooms_stand_where_they_stand(self):
        for words in ("one", "two"):
            self.say(self.alice, self.ops, words)
        rooms, more = self.sync(self.bob)
        self.assertEqual((sorted(rooms), more), ([1, self.ops], False))
        room = rooms[self.ops]
        self.assertEqual((room.head, room.read, room.unread), (4, 2, 2))
        self.assertEqual((room.events, room.more), ([], False))

    def test_what_is_new_comes_with_it(self):
        direct = legacy_direct(self.server, self.alice, self.bob)
        self.say(self.alice, self.ops, "one")
        legacy_said(self.server, direct, self.alice, "two")
        rooms, _ = self.sync(self.bob, r1=2, **{f"r{self.ops}": 2, f"r{direct}": 1})
        self.assertEqual([said(e) for e in rooms[self.ops].events], ["one"])
        self.assertEqual([said(e) for e in rooms[direct].events], ["two"])
        self.assertEqual([said(e)[0] for e in rooms[1].events], ["joined"])
        self.assertFalse(any(room.more for room in rooms.values()))

    def test_a_limit_and_how_to_go_on(self):
        for number in range(5):
            self.say(self.alice, self.ops, f"{number}")
        rooms, _ = self.sync(self.bob, limit=3, **{f"r{self.ops}": 2})
        self.assertEqual([e.seq for e in rooms[self.ops].events], [3, 4, 5])
        self.assertTrue(rooms[self.ops].more)
        rooms, _ = self.sync(self.bob, limit=0, **{f"r{self.ops}": 2})
        self.assertEqual((rooms[self.ops].events, rooms[self.ops].more), ([], True))
        rooms, _ = self.sync(self.bob, **{f"r{self.ops}": 7})
        self.assertEqual((rooms[self.ops].events, rooms[self.ops].more), ([], False))

    def test_cursors_of_rooms_that_are_not_ones_own_are_ignored(self):
        den = legacy_room(self.server, "den", self.alice)
        rooms, _ = self.sync(self.bob, r99=0, **{f"r{den}": 0})
        self.assertEqual(sorted(rooms), [1, self.ops])

    def test_one_busy_room_does_not_starve_the_others(self):
        busy = [self.alice.ask(CREATE, name=f"busy{n}").room for n in range(4)]
        for room in busy:
            for _ in range(4):
                self.say(self.alice, room, WIDE[:3_000])
        rooms, _ = self.sync(self.alice, **{f"r{room}": 0 for room in busy})
        self.assertTrue(all(rooms[room].events for room in busy))
        self.assertTrue(any(rooms[room].more for room in busy))
        self.assertLess(largest_answer(self.alice), limits.FRAME_BYTES)

    def test_what_no_room_needs_is_left_to_the_next(self):
        quiet = self.alice.ask(CREATE, name="quiet").room
        busy = self.alice.ask(CREATE, name="busy").room
        for _ in range(2):
            self.say(self.alice, busy, WIDE)
        rooms, _ = self.sync(self.alice, **{f"r{quiet}": 0, f"r{busy}": 0})
        self.assertEqual(len(rooms[busy].events), 3)
        self.assertFalse(rooms[busy].more)

    def test_pages_of_rooms(self):
        self.patch(limits, "ROOMS_JOINED", 2)
        for other in (self.bob, self.carol):
            legacy_direct(self.server, self.alice, other)
        rooms, more = self.sync(self.alice)
        self.assertEqual((sorted(rooms), more), ([1, self.ops], True))
        rooms, more = self.sync(self.alice, after=self.ops)
        self.assertEqual((len(rooms), more), (2, False))

    def test_a_full_page_of_rooms_with_news_fits_a_frame(self):
        for number in range(190):
            self.alice.ask(CREATE, name=f"room{number}")
        rooms, more = self.sync(self.alice, **{f"r{room}": 0 for room in range(1, 193)})
        self.assertEqual((len(rooms), more), (192, False))
        self.assertTrue(all(room.events for room in rooms.values()))
        self.assertEqual([room.room for room in rooms.values() if room.more], [1])
        self.assertLess(largest_answer(self.alice), limits.FRAME_BYTES)


class CursorTest(Case):
    def setUp(self):
        super().setUp()
        for words in ("three", "four", "five"):
            self.say(self.alice, self.ops, words)
        self.phone = self.device("bob")
        self.forget()

    def test_other_devices_hear_how_far_one_has_read(self):
        moved = self.bob.ask(MOVE_CURSOR, room=self.ops, seq=4)
        self.assertEqual((moved.room, moved.read, moved.unread), (self.ops, 4, 1))
        self.assertEqual(self.phone.events("cursor"), [moved])
        self.assertEqual(self.bob.events("cursor") + self.alice.events("cursor"), [])

    def test_it_never_goes_back(self):
        self.bob.ask(MOVE_CURSOR, room=self.ops, seq=4)
        for client, seq in ((self.bob, 3), (self.phone, 2), (self.phone, 4), (self.bob, 0)):
            moved = client.ask(MOVE_CURSOR, room=self.ops, seq=seq)
            self.assertEqual((moved.read, moved.unread), (4, 1))
        self.assertEqual(len(self.phone.events("cursor")), 1)
        self.assertEqual(self.bob.events("cursor"), [])
        self.phone.ask(MOVE_CURSOR, room=self.ops, seq=5)
        self.assertEqual([event.unread for event in self.bob.events("cursor")], [0])

    def test_it_outlives_the_connection(self):
        self.bob.ask(MOVE_CURSOR, room=self.ops, seq=4)
        again = self.device("bob")
        room = {one.room: one for one in again.ask(SYNC).rooms}[self.ops]
        self.assertEqual((room.read, room.unread), (4, 1))

    def test_it_ends_with_the_room(self):
        self.refuse(CursorBad, self.bob, MOVE_CURSOR, room=self.ops, seq=6)
        self.refuse(NotMember, self.carol, MOVE_CURSOR, room=self.ops, seq=1)
        self.refuse(RoomUnknown, self.carol, MOVE_CURSOR, room=99, seq=1)

    def test_statements_are_no_messages_to_read(self):
        self.carol.ask(JOIN, name="ops")
        moved = self.bob.ask(MOVE_CURSOR, room=self.ops, seq=5)
        self.assertEqual(moved.unread, 0)

    def test_who_comes_back_begins_at_the_end(self):
        self.bob.ask(LEAVE, room=self.ops)
        self.say(self.alice, self.ops, "six")
        self.bob.ask(JOIN, name="ops")
        room = {one.room: one for one in self.bob.ask(SYNC).rooms}[self.ops]
        self.assertEqual((room.read, room.unread), (8, 0))


class GapTest(Case):
    def test_a_receiver_that_stalls_catches_up_from_the_log(self):
        """500 messages to one who does not read: bounded memory, then a gap, then all of it."""
        self.carol.ask(JOIN, name="ops")
        self.carol.forget()
        self.carol.peer.block(0.0)
        for number in range(500):
            self.say((self.alice, self.bob)[number % 2], self.ops, f"{number} {WIDE[:500]}")
            self.assertLessEqual(self.carol.peer.outbox_bytes, limits.OUTBOX_BYTES)
        for client in (self.alice, self.bob):
            self.assertEqual(len(client.events("message")), 251)
        self.carol.peer.unblock()
        self.settle()
        (gap,) = self.carol.events("gap")
        self.assertEqual(gap.rooms, [self.ops])
        heard = self.carol.events("message")
        self.assertLess(len(heard), 500)
        self.say(self.alice, self.ops, "live again")
        live = self.carol.events("message")[len(heard) :]
        self.assertEqual([said(event) for event in live], ["live again"])
        after = heard[-1].seq
        while True:
            page = self.carol.ask(HISTORY, room=self.ops, after=after)
            heard.extend(page.events)
            if not page.more:
                break
            after = page.events[-1].seq
        self.assertEqual(heard, self.log_of(self.alice, self.ops)[3:])

    def test_answers_come_through_a_gap(self):
        self.bob.peer.block(0.0)
        for number in range(45):
            self.say(self.alice, self.ops, f"{number} {WIDE[:3000]}")
        request = self.bob.give(SEND, room=self.ops, body=text("still here"))
        self.settle()
        self.bob.peer.unblock()
        self.settle()
        self.assertEqual(self.bob.answer(request).seq, 48)
        self.assertEqual([gap.rooms for gap in self.bob.events("gap")], [[self.ops]])

    def test_a_room_that_one_was_removed_from_is_no_gap(self):
        self.bob.peer.block(0.0)
        for number in range(45):
            self.say(self.alice, self.ops, f"{number} {WIDE[:3000]}")
        self.device("bob").ask(LEAVE, room=self.ops)
        self.bob.peer.unblock()
        self.settle()
        self.assertEqual(self.bob.events("gap"), [])
        self.assertEqual(len(self.bob.events("room.left")), 1)

    def test_as_many_rooms_as_anybody_is_in(self):
        missed = set(range(2**40, 2**40 + 12_000))
        data, found = messages_server.gap_frame(missed), []
        self.alice.forget()
        self.alice.write(data)
        for gap in self.alice.events("gap"):
            found += gap.rooms
        self.assertEqual((found, len(self.alice.frames)), (sorted(missed), 3))
