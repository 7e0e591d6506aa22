"""Kicks and bans: at once, in the order of the commits, by whom the table allows it."""

from lairchat.features.accounts import tables as accounts
from lairchat.features.messages.messages import HISTORY, SEND
from lairchat.features.moderation import tables
from lairchat.features.moderation.messages import BAN, BANS, KICK, UNBAN
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE, INVITE, JOIN, MEMBERS, ROLE
from lairchat.model import limits
from lairchat.model.refusals import (
    Banned,
    BansMax,
    Denied,
    NotMember,
    OnSelf,
    RoomDirect,
    RoomUnknown,
    UserUnknown,
)
from lairchat.model.roles import ServerRole
from lairchat.wire.objects import Ok
from tests.features.common import Case, said, text
from tests.features.legacy import legacy_direct, legacy_invitation, legacy_room


class KickTest(Case):
    def test_all_devices_are_told_why_and_hear_no_more(self):
        phone = self.device("bob")
        self.say(self.alice, self.ops, "before")
        self.alice.ask(KICK, room=self.ops, name="BOB", reason=" cool \x1b[31mdown\n ")
        self.say(self.alice, self.ops, "after")
        for client in (self.bob, phone):
            self.assertEqual([said(event) for event in client.events("message")], ["before"])
            (left,) = client.events("room.left")
            self.assertEqual((left.room, left.code), (self.ops, "LC-KICKED"))
            self.assertTrue(left.text.startswith("alice removed you from #ops: cool "))
            self.assertTrue(left.text.isprintable())
            self.refuse(NotMember, client, HISTORY, room=self.ops)

    def test_the_room_is_told(self):
        self.carol.ask(JOIN, name="ops")
        self.forget()
        self.alice.ask(KICK, room=self.ops, name="bob")
        for client in (self.alice, self.carol):
            self.assertEqual(
                [said(event) for event in client.events("message")],
                [("kicked", "alice", "bob", None)],
            )
        page = self.carol.ask(MEMBERS, room=self.ops)
        self.assertEqual(([one.name for one in page.members], page.total), (["alice", "carol"], 2))

    def test_they_may_come_back(self):
        self.alice.ask(ROLE, room=self.ops, name="bob", role="moderator")
        self.alice.ask(KICK, room=self.ops, name="bob")
        self.assertEqual(self.bob.ask(JOIN, name="ops").role, "member")

    def test_two_who_kick_the_same_one_at_once(self):
        self.alice.ask(ROLE, room=self.ops, name="bob", role="admin")
        self.carol.ask(JOIN, name="ops")
        first = self.alice.give(KICK, room=self.ops, name="carol")
        second = self.bob.give(KICK, room=self.ops, name="carol")
        self.settle()
        self.alice.answer(first)
        self.assertRaises(NotMember, self.bob.answer, second)

    def test_a_repeat_does_not_kick_twice(self):
        key = self.alice.new_key()
        self.alice.ask(KICK, key, room=self.ops, name="bob")
        self.bob.ask(JOIN, name="ops")
        self.alice.ask(KICK, key, room=self.ops, name="bob")
        self.assertIn("ops", self.rooms_of(self.bob))

    def test_refusals(self):
        room = self.ops
        self.refuse(OnSelf, self.alice, KICK, room=room, name="alice")
        self.refuse(UserUnknown, self.alice, KICK, room=room, name="nobody-here")
        self.refuse(NotMember, self.alice, KICK, room=room, name="carol")
        self.refuse(NotMember, self.carol, KICK, room=room, name="bob")
        self.refuse(RoomUnknown, self.alice, KICK, room=99, name="bob")
        for name in ("alice", "nobody-here", "bob"):
            self.refuse(Denied, self.bob, KICK, room=room, name=name)
        direct = legacy_direct(self.server, self.alice, self.bob)
        for command in (KICK, BAN, UNBAN):
            self.refuse(RoomDirect, self.alice, command, room=direct, name="bob")
        self.refuse(RoomDirect, self.alice, BANS, room=direct)

    def test_reasons_are_cut_to_a_line(self):
        self.alice.ask(KICK, room=self.ops, name="bob", reason="x" * 500)
        (event,) = self.alice.events("message")
        self.assertEqual(len(said(event)[3]), limits.REASON_CHARS)


class BanTest(Case):
    def test_a_member_is_removed_and_kept_out(self):
        self.alice.ask(BAN, room=self.ops, name="bob", reason="spam")
        (left,) = self.bob.events("room.left")
        self.assertEqual((left.code, left.text), ("LC-BANNED", "alice banned you from #ops: spam"))
        self.assertEqual(
            [said(event) for event in self.alice.events("message")],
            [("banned", "alice", "bob", "spam")],
        )
        self.refuse(Banned, self.bob, JOIN, name="ops")
        self.refuse(NotMember, self.bob, SEND, room=self.ops, body=text("hi"))

    def test_who_is_no_member_is_kept_out_too(self):
        self.alice.ask(BAN, room=self.ops, name="carol")
        self.assertEqual(self.carol.events("room.left"), [])
        self.assertEqual(len(self.alice.events("message")), 1)
        self.refuse(Banned, self.carol, JOIN, name="ops")

    def test_a_ban_takes_the_invitation_back(self):
        den = self.alice.ask(CREATE, name="den").room
        self.alice.ask(INVITE, room=den, name="bob")
        self.alice.ask(BAN, room=den, name="bob")
        self.alice.ask(UNBAN, room=den, name="bob")
        bob = self.bob.session.user
        self.assertEqual(self.server.look(lambda c: rooms.inviters(c, den, bob)), set())

    def test_and_one_of_before_encryption(self):
        den = legacy_room(self.server, "den", self.alice)
        legacy_invitation(self.server, den, self.bob, self.alice)
        self.assertIn("den", self.listed(self.bob))
        self.alice.ask(BAN, room=den, name="bob")
        self.alice.ask(UNBAN, room=den, name="bob")
        self.assertNotIn("den", self.listed(self.bob))
        self.refuse(RoomUnknown, self.bob, JOIN, name="den")

    def test_banning_again_changes_nothing(self):
        for reason in ("first", "second"):
            self.alice.ask(BAN, room=self.ops, name="bob", reason=reason)
        self.assertEqual(len(self.alice.events("message")), 1)
        self.assertEqual([ban.reason for ban in self.bans()], ["first"])

    def bans(self, **asked):
        return self.alice.ask(BANS, room=self.ops, **asked).bans

    def test_join_and_ban_at_once_are_decided_by_who_comes_first(self):
        ban = self.alice.give(BAN, room=self.ops, name="carol")
        join = self.carol.give(JOIN, name="ops")
        self.settle()
        self.alice.answer(ban)
        self.assertRaises(Banned, self.carol.answer, join)
        self.assertEqual(self.carol.events("room.left"), [])

        self.alice.ask(UNBAN, room=self.ops, name="carol")
        join = self.carol.give(JOIN, name="ops")
        ban = self.alice.give(BAN, room=self.ops, name="carol")
        self.settle()
        self.assertEqual(self.carol.answer(join).role, "member")
        self.alice.answer(ban)
        self.assertEqual([left.code for left in self.carol.events("room.left")], ["LC-BANNED"])
        self.assertNotIn("ops", self.rooms_of(self.carol))
        self.say(self.alice, self.ops, "gone?")
        self.assertNotIn("gone?", [said(event) for event in self.carol.events("message")])

    def test_who_was_let_back_joins_by_themselves(self):
        self.alice.ask(BAN, room=self.ops, name="bob")
        for _ in range(2):
            self.alice.ask(UNBAN, room=self.ops, name="bob")
        said_of_it = [said(event)[0] for event in self.alice.events("message")]
        self.assertEqual(said_of_it, ["banned", "unbanned"])
        self.assertEqual(self.bob.events("message"), [])
        self.assertEqual(self.bob.ask(JOIN, name="ops").role, "member")

    def test_the_list(self):
        for name in ("carol", "bob"):
            self.alice.ask(BAN, room=self.ops, name=name, reason=f"of {name}")
        told = [(ban.name, ban.by, ban.at, ban.reason) for ban in self.bans()]
        now = self.server.now()
        self.assertEqual(
            told, [("bob", "alice", now, "of bob"), ("carol", "alice", now, "of carol")]
        )
        self.assertEqual([ban.name for ban in self.bans(after="Bob")], ["carol"])
        self.refuse(NotMember, self.carol, BANS, room=self.ops)

    def test_a_long_list_comes_in_pages_that_fit_a_frame(self):
        names = [f"user{number:03}{'x' * 25}" for number in range(210)]

        def change(connection):
            for name in names:
                user = accounts.create_user(connection, name, ServerRole.USER, "-", 0)
                ban = tables.Ban(self.alice.session.user, 0, "\U0001f3e0" * 200)
                tables.keep_ban(connection, self.ops, user, ban)

        self.server.change(change)
        found, more = [], True
        while more:
            page = self.alice.ask(BANS, room=self.ops, after=found[-1] if found else "")
            found += [ban.name for ban in page.bans]
            more = page.more
        self.assertEqual(found, names)
        largest = max(len(frame.body) for frame in self.alice.frames if isinstance(frame, Ok))
        self.assertLess(largest, limits.FRAME_BYTES)

    def test_a_room_keeps_so_many_people_out(self):
        self.patch(limits, "BANS_PER_ROOM", 1)
        self.alice.ask(BAN, room=self.ops, name="bob")
        self.refuse(BansMax, self.alice, BAN, room=self.ops, name="carol")
        self.alice.ask(BAN, room=self.ops, name="bob")
        self.alice.ask(UNBAN, room=self.ops, name="bob")
        self.alice.ask(BAN, room=self.ops, name="carol")

    def test_refusals(self):
        for command in (BAN, UNBAN):
            self.refuse(OnSelf, self.alice, command, room=self.ops, name="alice")
            self.refuse(UserUnknown, self.alice, command, room=self.ops, name="nobody-here")
            self.refuse(Denied, self.bob, command, room=self.ops, name="carol")
            self.refuse(NotMember, self.carol, command, room=self.ops, name="bob")
            self.refuse(RoomUnknown, self.alice, command, room=99, name="bob")
        self.refuse(RoomUnknown, self.alice, BANS, room=99)
        self.refuse(Denied, self.bob, BANS, room=self.ops)
