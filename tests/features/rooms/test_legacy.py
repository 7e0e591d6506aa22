"""Private rooms and direct conversations of before encryption: they are read and left, nothing else."""

from lairchat.features.messages.messages import HISTORY, MOVE_CURSOR, SEND, SYNC
from lairchat.features.moderation.messages import BAN, BANS, KICK, UNBAN
from lairchat.features.rooms.messages import (
    CREATE,
    DIRECT,
    INVITE,
    JOIN,
    LEAVE,
    MEMBERS,
    ROLE,
    TOPIC,
)
from lairchat.model.refusals import (
    Denied,
    LastOwner,
    NotMember,
    RoomDirect,
    RoomLegacy,
    RoomUnknown,
)
from lairchat.model.roles import RoomRole
from tests.features.common import Case, said, text
from tests.features.legacy import legacy_direct, legacy_invitation, legacy_room, legacy_said


class RoomTest(Case):
    """alice owns #den, bob is in it, carol has an invitation that was never answered."""

    def setUp(self):
        super().setUp()
        self.den = legacy_room(self.server, "den", self.alice, self.bob, topic="ours")
        legacy_said(self.server, self.den, self.alice, "an old word")
        legacy_invitation(self.server, self.den, self.carol, self.alice)

    def test_its_members_read_it(self):
        den = self.rooms_of(self.bob)["den"]
        self.assertEqual((den.access, den.crypto, den.topic), ("private", "plain", "ours"))
        self.assertEqual([said(e) for e in self.log_of(self.bob, self.den)][1:], ["an old word"])
        people = [one.name for one in self.bob.ask(MEMBERS, room=self.den).members]
        self.assertEqual(people, ["alice", "bob"])
        self.assertEqual(self.bob.ask(JOIN, name="den").room, self.den)
        self.bob.ask(MOVE_CURSOR, room=self.den, seq=2)
        (stands,) = [one for one in self.bob.ask(SYNC).rooms if one.room == self.den]
        self.assertEqual((stands.head, stands.read, stands.unread), (2, 2, 0))

    def test_nobody_writes_there_enters_it_or_changes_what_somebody_is(self):
        self.set_role(self.den, self.bob, RoomRole.MODERATOR)
        before = self.log_of(self.alice, self.den)
        for client, command, arguments in (
            (self.alice, SEND, {"room": self.den, "body": text("more")}),
            (self.alice, TOPIC, {"room": self.den, "topic": "else"}),
            (self.alice, INVITE, {"room": self.den, "name": "carol"}),
            (self.alice, INVITE, {"room": self.den, "name": "nobody-here"}),
            (self.alice, ROLE, {"room": self.den, "name": "bob", "role": "admin"}),
            (self.alice, ROLE, {"room": self.den, "name": "nobody-here", "role": "guest"}),
            (self.bob, ROLE, {"room": self.den, "name": "bob", "role": "member"}),
            (self.carol, JOIN, {"name": "den"}),
        ):
            with self.subTest(command=command.name, **arguments):
                refusal = self.refuse(RoomLegacy, client, command, **arguments)
                self.assertIn("/succeed", refusal.text)
        self.assertEqual(self.log_of(self.alice, self.den), before)
        self.assertEqual(self.rooms_of(self.bob)["den"].role, "moderator")

    def test_many_who_write_at_once_are_all_refused(self):
        """A group of sends asks with another statement than a lonely one."""
        rooms = [self.ops, *(self.bob.ask(CREATE, name=f"room{n}").room for n in range(6))]
        late = [self.alice.give(SEND, room=self.den, body=text("x")) for _ in range(4)]
        fine = [self.bob.give(SEND, room=room, body=text("x")) for room in rooms]
        late += [self.bob.give(SEND, room=self.den, body=text("x"))]
        self.server.settle()
        for client, request in zip([self.alice] * 4 + [self.bob], late, strict=True):
            self.assertRaises(RoomLegacy, client.answer, request)
        for request in fine:
            self.bob.answer(request)

    def test_outsiders_learn_no_more_than_of_any_private_room(self):
        dave = self.server.member("dave")
        for command, arguments in (
            (JOIN, {"name": "den"}),
            (SEND, {"room": self.den, "body": text("x")}),
            (HISTORY, {"room": self.den}),
            (ROLE, {"room": self.den, "name": "bob", "role": "guest"}),
        ):
            self.refuse(RoomUnknown, dave, command, **arguments)

    def test_somebody_is_shut_out_of_what_was_said(self):
        self.refuse(Denied, self.bob, KICK, room=self.den, name="alice")
        self.alice.ask(KICK, room=self.den, name="bob")
        self.assertEqual([one.code for one in self.bob.events("room.left")], ["LC-KICKED"])
        self.refuse(RoomUnknown, self.bob, HISTORY, room=self.den)
        self.alice.ask(BAN, room=self.den, name="carol")
        self.refuse(RoomUnknown, self.carol, JOIN, name="den")
        self.assertEqual([ban.name for ban in self.alice.ask(BANS, room=self.den).bans], ["carol"])
        self.alice.ask(UNBAN, room=self.den, name="carol")
        self.refuse(NotMember, self.alice, KICK, room=self.den, name="bob")

    def test_its_last_owner_leaves_though_nobody_can_take_over(self):
        """Roles are given no more, so that what holds an owner elsewhere would hold for good here."""
        self.alice.ask(LEAVE, room=self.den)
        self.assertEqual(self.rooms_of(self.bob)["den"].members, 1)
        self.refuse(RoomUnknown, self.alice, HISTORY, room=self.den)
        self.refuse(LastOwner, self.alice, LEAVE, room=self.ops)
        self.bob.ask(LEAVE, room=self.den)
        self.carol.ask(CREATE, name="den")  # the name is free


class DirectTest(Case):
    def setUp(self):
        super().setUp()
        self.room = legacy_direct(self.server, self.alice, self.bob)
        legacy_said(self.server, self.room, self.bob, "between us")
        self.forget()

    def test_opening_it_finds_it_for_both(self):
        for client, other in ((self.alice, self.bob), (self.bob, self.alice)):
            found = client.ask(DIRECT, name=other.session.name)
            self.assertEqual((found.room, found.name), (self.room, other.session.name))
            self.assertEqual((found.crypto, found.members, found.head), ("plain", 2, 2))
            self.assertEqual(said(self.log_of(client, self.room)[-1]), "between us")
            self.assertEqual(client.events("room.joined"), [])

    def test_nobody_writes_there(self):
        for client in (self.alice, self.bob):
            self.refuse(RoomLegacy, client, SEND, room=self.room, body=text("more"))
        self.assertEqual(len(self.log_of(self.alice, self.room)), 2)

    def test_it_is_its_two_peoples_for_good(self):
        self.refuse(RoomDirect, self.alice, LEAVE, room=self.room)
        self.refuse(RoomDirect, self.alice, TOPIC, room=self.room, topic="x")
        self.refuse(RoomDirect, self.alice, INVITE, room=self.room, name="carol")
        self.refuse(RoomDirect, self.alice, ROLE, room=self.room, name="bob", role="guest")
        self.refuse(RoomDirect, self.alice, ROLE, room=self.room, name="alice", role="guest")
        self.refuse(RoomUnknown, self.carol, HISTORY, room=self.room)
        self.refuse(RoomUnknown, self.carol, SEND, room=self.room, body=text("x"))
