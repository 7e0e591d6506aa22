"""Operators and rooms: what there is, putting away, deleting for good."""

from lairchat.features.messages.messages import HISTORY, SEND
from lairchat.features.room_admin import server as room_admin
from lairchat.features.room_admin.messages import (
    ARCHIVE_ROOM,
    DELETE_ROOM,
    LIST_MEMBERS,
    LIST_ROOMS,
    SHOW_ROOM,
)
from lairchat.features.rooms.messages import CREATE, INVITE, JOIN, LEAVE, LIST, MINE, TOPIC
from lairchat.model import limits
from lairchat.model.refusals import (
    NotMember,
    RoomArchived,
    RoomKept,
    RoomLegacy,
    RoomNameUnknown,
    RoomUnknown,
)
from tests.features.common import said, text
from tests.features.legacy import legacy_direct, legacy_invitation, legacy_room, legacy_said
from tests.features.operators import OperatorCase


class RoomCase(OperatorCase):
    def setUp(self):
        super().setUp()
        self.eve, self.bob, self.mona = (self.people[name] for name in ("eve", "bob", "mona"))
        self.den = self.eve.ask(CREATE, name="den", topic="ours").room
        self.bob.ask(JOIN, name="den")
        self.eve.ask(SEND, room=self.den, body=text("a secret word"))
        self.server.wait(1)
        for client in self.people.values():
            client.forget()

    def rows(self, sql):
        return self.server.look(
            lambda connection: [tuple(row) for row in connection.exec_driver_sql(sql)]
        )


class LookingTests(RoomCase):
    def test_all_rooms_are_listed_private_ones_too_and_conversations_are_not(self):
        legacy_direct(self.server, self.eve, self.bob)
        legacy_room(self.server, "cellar", self.eve)
        cellar, den, lobby = self.do(self.adam, LIST_ROOMS).rooms
        self.assertEqual(
            (cellar.name, cellar.access, cellar.crypto, cellar.members),
            ("cellar", "private", "plain", 1),
        )
        self.assertEqual((den.name, den.access, den.members, den.messages), ("den", "public", 2, 1))
        self.assertEqual((den.state, den.crypto), ("ok", "plain"))
        self.assertEqual((lobby.name, lobby.members, lobby.messages), ("lobby", 5, 0))
        self.assertGreater(den.last, lobby.last)

    def test_one_room_closely(self):
        self.bob.disconnect()
        den = self.do(self.adam, SHOW_ROOM, room="#DEN")
        self.assertEqual((den.room, den.topic, den.by, den.owners), (self.den, "ours", "eve", 1))
        self.assertEqual((den.members, den.here, den.archived), (2, 1, 0))
        self.assertEqual(self.do(self.adam, SHOW_ROOM, room="lobby").by, "the server")
        self.refuse(RoomNameUnknown, self.adam, SHOW_ROOM, room="attic")

    def test_members(self):
        self.bob.disconnect()
        members = self.do(self.adam, LIST_MEMBERS, room="den").members
        self.assertEqual(
            [(one.name, one.role, one.online) for one in members],
            [("bob", "member", False), ("eve", "owner", True)],
        )
        self.refuse(RoomNameUnknown, self.adam, LIST_MEMBERS, room="attic")

    def test_pages(self):
        self.patch(limits, "OPERATOR_PAGE", 1)
        first = self.do(self.adam, LIST_ROOMS)
        second = self.do(self.adam, LIST_ROOMS, after=first.next)
        self.assertEqual([one.name for one in first.rooms + second.rooms], ["den", "lobby"])
        self.assertIsNone(second.next)
        first = self.do(self.adam, LIST_MEMBERS, room="den")
        second = self.do(self.adam, LIST_MEMBERS, room="den", after=first.next)
        self.assertEqual([one.name for one in first.members + second.members], ["bob", "eve"])


class ArchiveTests(RoomCase):
    def test_it_is_read_and_left_and_nothing_else(self):
        self.eve.ask(INVITE, room=self.den, name="mona")
        done = self.do(self.adam, ARCHIVE_ROOM, room="den")
        self.assertEqual(done.done, "archived #den (2 members left to read it)")
        self.assertEqual(done.undo, "room archive den --restore")
        self.assertEqual(said(self.bob.events("message")[-1]), ("archived", "adam", None, None))
        words = [said(event) for event in self.bob.ask(HISTORY, room=self.den).events]
        self.assertIn("a secret word", words)
        self.assertRaises(RoomArchived, self.eve.ask, SEND, room=self.den, body=text("more"))
        self.assertRaises(RoomArchived, self.eve.ask, TOPIC, room=self.den, topic="x")
        self.assertRaises(RoomArchived, self.eve.ask, INVITE, room=self.den, name="adam")
        self.assertRaises(RoomArchived, self.mona.ask, JOIN, name="den")
        self.assertRaises(RoomArchived, self.people["adam"].ask, JOIN, name="den")
        self.assertTrue(self.eve.ask(JOIN, name="den").archived)
        self.assertEqual(self.do(self.adam, LIST_ROOMS).rooms[0].state, "archived")
        self.assertEqual(self.do(self.adam, SHOW_ROOM, room="den").archived, self.server.now())
        self.bob.ask(LEAVE, room=self.den)

    def test_one_of_before_encryption_is_put_away_too(self):
        cellar = legacy_room(self.server, "cellar", self.eve, self.bob)
        legacy_said(self.server, cellar, self.eve, "an old word")
        legacy_invitation(self.server, cellar, self.mona, self.eve)
        self.do(self.adam, ARCHIVE_ROOM, room="cellar")
        words = [said(event) for event in self.bob.ask(HISTORY, room=cellar).events]
        self.assertIn("an old word", words)
        self.assertRaises(RoomArchived, self.eve.ask, SEND, room=cellar, body=text("more"))
        self.assertRaises(RoomUnknown, self.people["adam"].ask, JOIN, name="cellar")
        self.assertRaises(RoomLegacy, self.mona.ask, JOIN, name="cellar")
        self.do(self.adam, ARCHIVE_ROOM, room="cellar", restore=True)
        self.assertRaises(RoomLegacy, self.eve.ask, SEND, room=cellar, body=text("more"))
        self.bob.ask(LEAVE, room=cellar)

    def test_many_who_write_at_once_are_all_refused(self):
        """A group of sends asks with another statement than a lonely one."""
        self.do(self.adam, ARCHIVE_ROOM, room="den")
        lobby = [self.bob.give(SEND, room=1, body=text(str(number))) for number in range(8)]
        others = [self.eve.ask(CREATE, name=f"room{number}").room for number in range(8)]
        given = [self.eve.give(SEND, room=self.den, body=text("x")) for _ in range(8)]
        given += [self.bob.give(SEND, room=self.den, body=text("x")) for _ in range(8)]
        fine = [self.eve.give(SEND, room=room, body=text("x")) for room in others]
        self.server.settle()
        for place, request in enumerate(given):
            self.assertRaises(RoomArchived, (self.eve, self.bob)[place // 8].answer, request)
        for request in fine:
            self.eve.answer(request)
        for request in lobby:
            self.bob.answer(request)

    def test_it_is_opened_again(self):
        self.do(self.local, ARCHIVE_ROOM, room="den")
        again = self.do(self.local, ARCHIVE_ROOM, room="den")
        self.assertEqual((again.done, again.undo), ("#den is archived already", ""))
        done = self.do(self.local, ARCHIVE_ROOM, room="den", restore=True)
        self.assertEqual((done.done, done.undo), ("restored #den", "room archive den"))
        self.eve.ask(SEND, room=self.den, body=text("back"))
        again = self.do(self.local, ARCHIVE_ROOM, room="den", restore=True)
        self.assertEqual(again.done, "#den is open")
        self.assertEqual(
            [said(event)[:2] for event in self.bob.events("message")[:2]],
            [("archived", "the server"), ("restored", "the server")],
        )

    def test_refusals_and_rehearsals(self):
        self.refuse(RoomKept, self.local, ARCHIVE_ROOM, room="lobby")
        self.refuse(RoomNameUnknown, self.local, ARCHIVE_ROOM, room="attic")
        self.do(self.local, ARCHIVE_ROOM, room="den", dry_run=True)
        self.eve.ask(SEND, room=self.den, body=text("still open"))
        self.assertEqual(len(self.bob.events("message")), 1)


class DeleteTests(RoomCase):
    def test_it_is_gone_for_everybody_at_once(self):
        done = self.do(self.adam, DELETE_ROOM, room="den")
        self.assertEqual(done.done, "deleted #den: 2 members, 1 message")
        for client in (self.eve, self.bob):
            (left,) = client.events("room.left")
            self.assertEqual((left.room, left.code), (self.den, "LC-DELETED"))
            self.assertEqual(left.text, "adam deleted #den")
            self.assertEqual([room.name for room in client.ask(MINE).rooms], ["lobby"])
            self.assertEqual([room.name for room in client.ask(LIST).rooms], ["lobby"])
            self.assertRaises(RoomUnknown, client.ask, HISTORY, room=self.den)
            self.assertRaises(RoomUnknown, client.ask, SEND, room=self.den, body=text("x"))
            self.assertRaises(RoomUnknown, client.ask, JOIN, name="den")
        self.assertEqual([one.name for one in self.do(self.adam, LIST_ROOMS).rooms], ["lobby"])

    def test_one_of_before_encryption_is_deleted_too(self):
        cellar = legacy_room(self.server, "cellar", self.eve, self.bob)
        legacy_said(self.server, cellar, self.eve, "an old word")
        self.do(self.adam, DELETE_ROOM, room="cellar")
        self.assertRaises(RoomUnknown, self.eve.ask, HISTORY, room=cellar)
        left = self.rows(f"SELECT COUNT(*) FROM log_events WHERE room = {cellar} AND body NOTNULL")
        self.assertEqual(left, [(0,)])

    def test_nothing_that_was_said_is_left_and_the_chain_still_holds(self):
        self.do(self.adam, DELETE_ROOM, room="den")
        left = self.rows(
            f"SELECT COUNT(*) FROM log_events WHERE room = {self.den} AND body NOTNULL"
        )
        self.assertEqual(left, [(0,)])
        self.assertEqual(
            self.rows(f"SELECT name, topic, members FROM rooms WHERE id = {self.den}"),
            [("", "", 0)],
        )
        # ... which tearDown looks at, for every room.

    def test_a_long_log_is_emptied_in_steps_also_after_a_stop(self):
        self.patch(room_admin, "ERASE_STEP", 2)
        for number in range(9):
            self.eve.ask(SEND, room=self.den, body=text(f"word {number}"))
        sql = f"SELECT COUNT(*) FROM log_events WHERE room = {self.den} AND body NOTNULL"
        before = self.rows(sql)[0][0]
        self.server.kernel.closing = False
        go_on = room_admin.go_on_erasing
        self.patch(room_admin, "go_on_erasing", lambda _kernel, _more: None)
        self.do(self.adam, DELETE_ROOM, room="den")
        self.assertEqual(self.rows(sql)[0][0], before)
        self.assertTrue(self.server.result(self.server.kernel.upkeep()))
        self.assertEqual(self.rows(sql)[0][0], before - 2)
        self.patch(room_admin, "go_on_erasing", go_on)
        go_on(self.server.kernel, True)
        self.server.settle()
        self.assertEqual(self.rows(sql)[0][0], 0)
        self.assertFalse(self.server.result(self.server.kernel.upkeep()))

    def test_the_name_is_free_again_and_the_new_room_is_another(self):
        self.do(self.adam, DELETE_ROOM, room="den")
        fresh = self.bob.ask(CREATE, name="den")
        self.assertNotEqual(fresh.room, self.den)
        events = self.bob.ask(HISTORY, room=fresh.room).events
        self.assertEqual([said(event) for event in events], [("created", "bob", None, None)])

    def test_a_message_on_its_way_comes_before_or_not_at_all(self):
        given = self.adam.give(DELETE_ROOM, {"room": "den"})
        late = self.eve.give(SEND, room=self.den, body=text("late"))
        self.server.settle()
        self.successResultOf(given)
        self.assertRaises((NotMember, RoomUnknown), self.eve.answer, late)
        left = self.rows(
            f"SELECT COUNT(*) FROM log_events WHERE room = {self.den} AND body NOTNULL"
        )
        self.assertEqual(left, [(0,)])

    def test_refusals_and_rehearsals(self):
        self.refuse(RoomKept, self.local, DELETE_ROOM, room="lobby")
        self.refuse(RoomNameUnknown, self.local, DELETE_ROOM, room="attic")
        self.do(self.local, DELETE_ROOM, room="den", dry_run=True)
        self.eve.ask(SEND, room=self.den, body=text("still there"))
