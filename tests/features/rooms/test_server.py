"""Rooms through the kernel: what their members see, what outsiders do not, and who hears of it."""

from twisted.internet.task import Clock

from lairchat.features.accounts import tables as accounts
from lairchat.features.messages.messages import HISTORY, SYNC
from lairchat.features.moderation.messages import BAN
from lairchat.features.rooms import rules, tables
from lairchat.features.rooms.messages import (
    CREATE,
    DIRECT,
    INVITE,
    JOIN,
    LEAVE,
    LIST,
    MEMBERS,
    MINE,
    ROLE,
    TOPIC,
)
from lairchat.features.rooms.server import INVITATIONS
from lairchat.model import limits
from lairchat.model.refusals import (
    AlreadyMember,
    Banned,
    Denied,
    IdConflict,
    InvitedEnough,
    LastOwner,
    NotMember,
    OnSelf,
    RoomEncrypted,
    RoomFull,
    RoomNameBad,
    RoomsMax,
    RoomTaken,
    RoomUnencrypted,
    RoomUnknown,
    TopicBad,
    UserUnknown,
)
from lairchat.model.roles import RoomRole, ServerRole
from lairchat.wire.objects import Ok
from tests.features.certified import Person
from tests.features.common import Case, said
from tests.features.delivery.world import all_features
from tests.features.legacy import legacy_direct, legacy_invitation, legacy_room
from tests.harness import Client, Server

HOSTILE = (
    "\x1b]0;gotcha\x07", "ops\n", "\u202eops", "o\u200bps", "#ops", "Ops", "..", "-rf", "a b", "",
    "x" * 33, "\U000e0041", "\x00", "o\u0440s", "\uff4fps",
)  # fmt: skip


class CreatingTest(Case):
    def test_the_maker_is_owner_and_first_member(self):
        room = self.carol.ask(CREATE, name="den", topic=" quiet ")
        self.assertEqual((room.name, room.kind, room.access), ("den", "room", "public"))
        self.assertEqual((room.posting, room.crypto, room.topic), ("members", "plain", "quiet"))
        self.assertEqual((room.role, room.members, room.head, room.peer), ("owner", 1, 1, None))
        (created,) = self.log_of(self.carol, room.room)
        self.assertEqual(said(created), ("created", "carol", None, None))
        self.assertEqual((created.user, created.name, created.device), (0, "", 0))
        self.assertEqual((created.kind, created.id), ("state", bytes(16)))

    def test_no_private_room_is_made_that_the_server_reads(self):
        """An old client says nothing of encryption: it gets a refusal, never such a room."""
        for asked in ({}, {"crypto": "plain"}):
            refusal = self.refuse(
                RoomUnencrypted, self.carol, CREATE, name="den", access="private", **asked
            )
            self.assertEqual(refusal.field, "$.crypto")
        self.assertNotIn("den", self.listed(self.carol))
        self.carol.ask(CREATE, name="den")  # nobody has taken the name

    def test_ones_other_devices_hear_of_it(self):
        laptop = self.device("carol")
        room = self.carol.ask(CREATE, name="den")
        (joined,) = laptop.events("room.joined")
        self.assertEqual(joined.room, room)
        self.assertEqual(self.carol.events("room.joined"), [])
        self.say(self.carol, room.room, "hi")
        self.assertEqual([said(e) for e in laptop.events("message")][-1], "hi")

    def test_a_name_is_one_room_and_the_refusal_names_it(self):
        refusal = self.refuse(RoomTaken, self.bob, CREATE, name="ops")
        self.assertEqual(refusal.field, "$.name")

    def test_two_who_take_a_name_at_once_get_one_room_and_one_refusal(self):
        first = self.bob.give(CREATE, name="den")
        second = self.carol.give(CREATE, name="den")
        self.server.settle()
        self.assertEqual(self.bob.answer(first).role, "owner")
        self.assertRaises(RoomTaken, self.carol.answer, second)

    def test_names_that_could_fool_somebody_are_refused(self):
        for name in HOSTILE:
            with self.subTest(name=name):
                refusal = self.refuse(RoomNameBad, self.carol, CREATE, name=name)
                self.assertTrue(refusal.text.isprintable())
                self.refuse(RoomNameBad, self.carol, JOIN, name=name)

    def test_topics_are_one_line(self):
        for topic in ("two\nlines", "\x1b[31mred", "x" * 201):
            self.refuse(TopicBad, self.carol, CREATE, name="den", topic=topic)

    def test_a_repeat_is_answered_with_the_same_room(self):
        key = self.carol.new_key()
        room = self.carol.ask(CREATE, key, name="den")
        self.assertEqual(self.carol.ask(CREATE, key, name="den"), room)
        self.refuse(IdConflict, self.carol, TOPIC, key, room=room.room, topic="x")

    def test_nobody_is_in_more_rooms_than_the_limit(self):
        self.fill_rooms(limits.ROOMS_JOINED - 2)
        self.carol.ask(CREATE, name="last")
        self.refuse(RoomsMax, self.carol, CREATE, name="more")
        self.refuse(RoomsMax, self.carol, JOIN, name="ops")
        self.carol.ask(LEAVE, room=self.rooms_of(self.carol)["r1"].room)
        self.carol.ask(JOIN, name="ops")

    def fill_rooms(self, count):
        carol = self.carol.session.user

        def change(connection):
            for number in range(count):
                room = tables.create(
                    connection, kind="room", name=f"r{number}", access="public",
                    posting="members", topic="", by=carol, now=0,
                )  # fmt: skip
                tables.add(connection, room.id, carol, RoomRole.OWNER, 0)
                self.server.hub.enter(carol, room.id)

        self.server.change(change)

    def test_guests_of_the_server_make_no_rooms(self):
        self.make_guest("carol")
        self.refuse(Denied, self.carol, CREATE, name="den")
        self.refuse(Denied, self.carol, DIRECT, name="bob")

    def make_guest(self, name):
        def change(connection):
            connection.execute(
                accounts.users.update()
                .where(accounts.users.c.name == name)
                .values(role=int(ServerRole.GUEST))
            )

        self.server.change(change)
        self.carol = Client(self.server)
        self.carol.login(name)

    def test_guests_of_the_server_are_guests_in_rooms(self):
        self.make_guest("carol")
        self.assertEqual(self.carol.ask(JOIN, name="ops").role, "guest")


class JoiningTest(Case):
    def test_a_joiner_is_a_member_and_everybody_hears_of_it(self):
        laptop = self.device("carol")
        room = self.carol.ask(JOIN, name="ops")
        self.assertEqual((room.role, room.members, room.head), ("member", 3, 3))
        for client in (self.alice, self.bob, self.carol, laptop):
            (event,) = client.events("message")
            self.assertEqual(said(event), ("joined", "carol", None, None))
            self.assertEqual((event.room, event.seq), (self.ops, 3))
        self.assertEqual([event.room for event in laptop.events("room.joined")], [room])

    def test_joining_again_is_harmless(self):
        before = self.bob.ask(JOIN, name="ops")
        self.assertEqual((before.members, before.head, before.role), (2, 2, "member"))
        self.assertEqual(self.alice.events("message"), [])

    def test_two_devices_that_join_at_once_make_one_member(self):
        laptop = self.device("carol")
        first, second = self.carol.give(JOIN, name="ops"), laptop.give(JOIN, name="ops")
        self.server.settle()
        self.assertEqual(self.carol.answer(first), laptop.answer(second))
        self.assertEqual(self.carol.answer(first).members, 3)

    def test_there_is_no_such_room(self):
        refusal = self.refuse(RoomUnknown, self.carol, JOIN, name="attic")
        self.assertEqual(refusal.field, "$.name")

    def test_a_private_room_answers_outsiders_like_one_that_does_not_exist(self):
        legacy_room(self.server, "den", self.bob)
        there = self.refuse(RoomUnknown, self.carol, JOIN, name="den")
        not_there = self.refuse(RoomUnknown, self.carol, JOIN, name="attic")
        self.assertEqual(there.text, not_there.text)
        self.assertNotIn("den", self.listed(self.carol))

    def test_a_private_room_costs_outsiders_the_same_queries_as_none(self):
        legacy_room(self.server, "den", self.bob)
        there = self.statements_of("den")
        self.assertEqual(there, self.statements_of("attic"))
        self.assertTrue(any("invitations" in statement for statement in there))
        self.assertTrue(any("bans" in statement for statement in there))

    def statements_of(self, name):
        traced = []

        def trace(on):
            def change(connection):
                connection.connection.dbapi_connection.set_trace_callback(
                    traced.append if on else None
                )

            return change

        self.server.change(trace(True))
        self.refuse(RoomUnknown, self.carol, JOIN, name=name)
        self.server.change(trace(False))
        return [statement.partition("WHERE")[0] for statement in traced]

    def test_the_banned_stay_out(self):
        self.alice.ask(BAN, room=self.ops, name="carol")
        self.refuse(Banned, self.carol, JOIN, name="ops")

    def test_who_is_banned_from_a_private_room_learns_nothing(self):
        den = legacy_room(self.server, "den", self.alice)
        self.alice.ask(BAN, room=den, name="carol")
        self.refuse(RoomUnknown, self.carol, JOIN, name="den")

    def test_a_full_room(self):
        def fill(connection):
            connection.execute(
                tables.rooms.update()
                .where(tables.rooms.c.id == self.ops)
                .values(members=limits.ROOM_MEMBERS)
            )

        def empty(connection):
            connection.execute(
                tables.rooms.update().where(tables.rooms.c.id == self.ops).values(members=2)
            )

        self.server.change(fill)
        self.refuse(RoomFull, self.carol, JOIN, name="ops")
        self.server.change(empty)

    def test_what_was_said_before_counts_as_read(self):
        self.say(self.alice, self.ops, "before")
        self.carol.ask(JOIN, name="ops")
        self.say(self.alice, self.ops, "after")
        self.assertEqual(self.unread(self.carol), 1)

    def unread(self, client):
        return {room.room: room.unread for room in client.ask(SYNC).rooms}[self.ops]


class LeavingTest(Case):
    def test_who_leaves_hears_nothing_more_and_the_others_are_told(self):
        laptop = self.device("bob")
        self.bob.ask(LEAVE, room=self.ops)
        (event,) = self.alice.events("message")
        self.assertEqual(said(event), ("left", "bob", None, None))
        (left,) = laptop.events("room.left")
        self.assertEqual((left.room, left.code), (self.ops, rules.LEFT))
        self.assertEqual(self.bob.events("room.left"), [])
        self.say(self.alice, self.ops, "gone?")
        self.assertEqual(self.bob.events("message"), [])
        self.assertEqual(laptop.events("message"), [])
        self.refuse(NotMember, self.bob, LEAVE, room=self.ops)

    def test_the_last_owner_hands_over_first(self):
        self.refuse(LastOwner, self.alice, LEAVE, room=self.ops)
        self.alice.ask(ROLE, room=self.ops, name="bob", role="owner")
        self.alice.ask(LEAVE, room=self.ops)
        self.assertEqual(self.rooms_of(self.bob)["ops"].role, "owner")

    def test_two_last_owners_who_leave_at_once_do_not_both_get_away(self):
        self.alice.ask(ROLE, room=self.ops, name="bob", role="owner")
        self.carol.ask(JOIN, name="ops")
        first, second = self.alice.give(LEAVE, room=self.ops), self.bob.give(LEAVE, room=self.ops)
        self.server.settle()
        self.alice.answer(first)
        self.assertRaises(LastOwner, self.bob.answer, second)

    def test_a_room_that_all_have_left_is_gone_and_its_name_is_free(self):
        self.bob.ask(LEAVE, room=self.ops)
        self.alice.ask(INVITE, room=self.ops, name="carol")
        self.alice.ask(LEAVE, room=self.ops)
        for client in (self.alice, self.bob, self.carol):
            self.refuse(RoomUnknown, client, JOIN, name="ops")
            self.refuse(RoomUnknown, client, HISTORY, room=self.ops)
            self.assertNotIn("ops", self.listed(client))
        fresh = self.carol.ask(CREATE, name="ops")
        self.assertNotEqual(fresh.room, self.ops)
        self.assertEqual([said(e)[0] for e in self.log_of(self.carol, fresh.room)], ["created"])

    def test_everybody_may_leave_the_lobby_and_it_stays(self):
        lobby = self.rooms_of(self.alice)["lobby"].room
        for client in (self.alice, self.bob, self.carol):
            client.ask(LEAVE, room=lobby)
        self.assertEqual(self.alice.ask(JOIN, name="lobby").members, 1)

    def test_rooms_that_are_not_there(self):
        self.refuse(RoomUnknown, self.alice, LEAVE, room=99)
        self.refuse(RoomUnknown, self.alice, LEAVE, room=2**63 - 1)


class InvitingTest(Case):
    def setUp(self):
        super().setUp()
        self.den = self.alice.ask(CREATE, name="den").room
        self.forget()

    def test_an_invitation_is_used_up_by_joining(self):
        self.alice.ask(INVITE, room=self.den, name="CAROL")
        (event,) = self.carol.events("room.invited")
        self.assertEqual((event.room, event.name, event.by), (self.den, "den", "alice"))
        self.assertEqual(self.listed(self.carol)["den"].role, None)
        self.assertEqual(self.carol.ask(JOIN, name="den").role, "member")
        self.carol.ask(LEAVE, room=self.den)
        self.alice.ask(INVITE, room=self.den, name="carol")
        self.assertEqual(len(self.carol.events("room.invited")), 2)

    def test_an_invitation_is_told_once_however_often_it_is_repeated(self):
        """Else a member could make another's devices ring again and again."""
        for _ in range(3):
            self.alice.ask(INVITE, room=self.den, name="carol")
        statements = [said(event) for event in self.alice.events("message")]
        self.assertEqual(statements, [("invited", "alice", "carol", None)])
        self.assertEqual(len(self.carol.events("room.invited")), 1)

    def ask_into(self, inviter, name, guest):
        """Make a room and invite somebody into it; return the room."""
        self.server.wait(5)  # the allowance of all commands is another matter
        room = inviter.ask(CREATE, name=name).room
        inviter.ask(INVITE, room=room, name=guest)
        return room

    def test_so_many_invitations_of_one_to_another_wait_for_an_answer(self):
        for number in range(limits.INVITATIONS_WAITING):
            self.ask_into(self.alice, f"room-{number}", "carol")
        refusal = self.refuse(InvitedEnough, self.alice, INVITE, room=self.den, name="carol")
        self.assertIn("carol", refusal.text)
        self.assertEqual(len(self.carol.events("room.invited")), limits.INVITATIONS_WAITING)
        # Those that are there may be repeated, and others ask and are asked.
        self.ask_into(self.bob, "his", "carol")
        self.ask_into(self.alice, "theirs", "bob")
        self.carol.ask(JOIN, name="room-0")
        self.alice.ask(INVITE, room=self.den, name="carol")

    def test_rooms_that_are_made_for_it_do_not_help_to_bother_somebody(self):
        """Each invitation ends with its room, so that none waits: what is left is how often."""
        for number in range(INVITATIONS.burst):
            self.alice.ask(LEAVE, room=self.ask_into(self.alice, f"room-{number}", "Carol"))
        refusal = self.refuse(InvitedEnough, self.alice, INVITE, room=self.den, name="carol")
        self.assertEqual(len(self.carol.events("room.invited")), INVITATIONS.burst)
        self.assertLess(refusal.retry_after, INVITATIONS.period)
        self.assertGreater(refusal.retry_after, INVITATIONS.period - 100)
        self.ask_into(self.bob, "his", "carol")
        self.server.wait(refusal.retry_after + 1)
        self.alice.ask(INVITE, room=self.den, name="carol")
        self.alice.ask(INVITE, room=self.den, name="carol")  # a repetition costs nothing
        room = self.alice.ask(CREATE, name="one-more").room
        self.refuse(InvitedEnough, self.alice, INVITE, room=room, name="carol")

    def test_what_is_refused_is_not_counted(self):
        for _ in range(INVITATIONS.burst + 1):
            self.server.wait(5)
            self.refuse(AlreadyMember, self.alice, INVITE, room=self.ops, name="bob")
        self.alice.ask(INVITE, room=self.den, name="bob")

    def test_refusals(self):
        self.refuse(UserUnknown, self.alice, INVITE, room=self.den, name="nobody-here")
        self.refuse(AlreadyMember, self.alice, INVITE, room=self.ops, name="bob")
        cellar = legacy_room(self.server, "cellar", self.alice)
        self.refuse(RoomUnknown, self.bob, INVITE, room=cellar, name="carol")
        self.refuse(NotMember, self.carol, INVITE, room=self.ops, name="carol")
        self.alice.ask(BAN, room=self.den, name="carol")
        self.refuse(Banned, self.alice, INVITE, room=self.den, name="carol")

    def test_an_invitation_does_not_show_the_room_itself(self):
        cellar = legacy_room(self.server, "cellar", self.alice)
        legacy_invitation(self.server, cellar, self.carol, self.alice)
        self.refuse(RoomUnknown, self.carol, MEMBERS, room=cellar)
        self.refuse(RoomUnknown, self.carol, HISTORY, room=cellar)


class TopicAndRolesTest(Case):
    def test_a_topic_is_told_once(self):
        for _ in range(2):
            self.alice.ask(TOPIC, room=self.ops, topic="  rollout ")
        self.assertEqual(
            [said(event) for event in self.bob.events("message")],
            [("topic", "alice", None, "rollout")],
        )
        self.assertEqual(self.rooms_of(self.bob)["ops"].topic, "rollout")
        self.refuse(TopicBad, self.alice, TOPIC, room=self.ops, topic="a\u2028b")

    def test_a_repeated_topic_command_does_not_undo_a_later_one(self):
        key = self.alice.new_key()
        self.alice.ask(TOPIC, key, room=self.ops, topic="first")
        self.alice.ask(TOPIC, room=self.ops, topic="second")
        self.alice.ask(TOPIC, key, room=self.ops, topic="first")
        self.assertEqual(self.rooms_of(self.bob)["ops"].topic, "second")

    def test_a_role_is_told_once(self):
        for _ in range(2):
            self.alice.ask(ROLE, room=self.ops, name="Bob", role="admin")
        (event,) = self.bob.events("message")
        self.assertEqual(said(event), ("role", "alice", "bob", "admin"))

    def test_nobody_raises_themselves_but_may_step_down(self):
        self.alice.ask(ROLE, room=self.ops, name="bob", role="moderator")
        self.refuse(OnSelf, self.bob, ROLE, room=self.ops, name="bob", role="owner")
        self.bob.ask(ROLE, room=self.ops, name="bob", role="member")
        self.assertEqual(self.rooms_of(self.bob)["ops"].role, "member")

    def test_the_last_owner_cannot_step_down_alone(self):
        self.refuse(LastOwner, self.alice, ROLE, room=self.ops, name="alice", role="admin")
        self.alice.ask(ROLE, room=self.ops, name="bob", role="owner")
        self.alice.ask(ROLE, room=self.ops, name="alice", role="admin")

    def test_who_may_give_no_role_learns_nothing_of_names(self):
        for name in ("alice", "nobody-here"):
            self.refuse(Denied, self.bob, ROLE, room=self.ops, name=name, role="guest")
        self.refuse(UserUnknown, self.alice, ROLE, room=self.ops, name="nobody-here", role="guest")
        self.refuse(NotMember, self.alice, ROLE, room=self.ops, name="carol", role="guest")


class ListsTest(Case):
    def test_public_rooms_ones_own_and_those_one_is_invited_to(self):
        den = legacy_room(self.server, "den", self.alice)
        legacy_direct(self.server, self.carol, self.bob)
        self.assertEqual(list(self.listed(self.alice)), ["den", "lobby", "ops"])
        self.assertEqual(list(self.listed(self.carol)), ["lobby", "ops"])
        self.assertEqual(self.listed(self.carol)["ops"].role, None)
        legacy_invitation(self.server, den, self.carol, self.alice)
        self.assertEqual(list(self.listed(self.carol)), ["den", "lobby", "ops"])

    def test_pages_of_rooms(self):
        first = self.alice.ask(LIST, limit=1)
        self.assertEqual(([room.name for room in first.rooms], first.more), (["lobby"], True))
        rest = self.alice.ask(LIST, after="lobby", limit=1)
        self.assertEqual(([room.name for room in rest.rooms], rest.more), (["ops"], False))

    def test_no_page_is_larger_than_a_frame(self):
        """Names and topics as long as they may be: a hundred of them do not fit."""
        names = [f"{number:02}{'n' * 30}" for number in range(90)]
        owner = self.alice.session.user

        def change(connection):
            for name in names:
                room = tables.create(
                    connection, kind="room", name=name, access="public", posting="members",
                    topic="\U0001f3e0" * 200, by=owner, now=0,
                )  # fmt: skip
                tables.add(connection, room.id, owner, RoomRole.OWNER, 0)
                self.server.hub.enter(owner, room.id)

        self.server.change(change)
        for command, key in ((LIST, "name"), (MINE, "room")):
            found, more, after = [], True, None
            while more:
                asked = {} if after is None else {"after": after}
                page = self.alice.ask(command, **asked)
                more, after = page.more, getattr(page.rooms[-1], key)
                found += [room.name for room in page.rooms]
                self.assertLess(self.largest_answer(self.alice), limits.FRAME_BYTES)
            self.assertEqual(sorted(found), sorted([*names, "lobby", "ops"]))

    def largest_answer(self, client):
        return max(len(frame.body) for frame in client.frames if isinstance(frame, Ok))

    def test_members_by_name_and_who_is_here(self):
        self.carol.ask(JOIN, name="ops")
        self.bob.disconnect()
        laptop = self.device("carol")
        page = laptop.ask(MEMBERS, room=self.ops, limit=2)
        told = [(one.name, one.role, one.online) for one in page.members]
        self.assertEqual(told, [("alice", "owner", True), ("bob", "member", False)])
        self.assertEqual((page.more, page.total, page.here), (True, 3, 2))
        rest = laptop.ask(MEMBERS, room=self.ops, after="Bob", limit=2)
        self.assertEqual([one.name for one in rest.members], ["carol"])
        self.assertEqual((rest.more, rest.members[0].user), (False, laptop.session.user))

    def test_members_are_for_members(self):
        self.refuse(NotMember, self.carol, MEMBERS, room=self.ops)
        self.refuse(RoomUnknown, self.carol, MEMBERS, room=99)


class DirectTest(Case):
    """All three have published what encrypted conversations need."""

    def build(self):
        clock = Clock()
        return Server(all_features(clock), clock=clock)

    def setUp(self):
        super().setUp()
        for client in (self.alice, self.bob, self.carol):
            Person(self.server, client.session.name).publish(client)
        self.settle()
        self.forget()

    def open(self, client, name):
        return client.ask(DIRECT, name=name, crypto="mls")

    def test_each_sees_it_by_the_others_name(self):
        mine = self.open(self.alice, "BOB")
        self.assertEqual((mine.name, mine.kind, mine.access), ("bob", "direct", "private"))
        self.assertEqual((mine.peer, mine.members), (self.bob.session.user, 2))
        (joined,) = self.bob.events("room.joined")
        self.assertEqual((joined.room.name, joined.room.room), ("alice", mine.room))
        self.assertEqual(self.rooms_of(self.bob)["alice"].peer, self.alice.session.user)
        self.assertEqual(
            [said(event) for event in self.bob.events("message")],
            [("created", "alice", None, None)],
        )

    def test_opening_it_again_finds_it(self):
        mine = self.open(self.alice, "bob")
        self.assertEqual(self.open(self.bob, "alice").room, mine.room)
        self.assertEqual(self.open(self.alice, "bob"), mine)
        self.assertEqual(len(self.bob.events("room.joined")), 1)

    def test_two_who_open_it_at_once_get_one(self):
        first = self.alice.give(DIRECT, name="bob", crypto="mls")
        second = self.bob.give(DIRECT, name="alice", crypto="mls")
        self.server.settle()
        mine, theirs = self.alice.answer(first), self.bob.answer(second)
        self.assertEqual(mine.room, theirs.room)
        self.assertEqual((mine.name, theirs.name), ("bob", "alice"))
        self.assertEqual(len(self.log_of(self.alice, mine.room)), 1)

    def test_ones_other_devices_hear_of_it(self):
        laptop = self.device("alice")
        mine = self.open(self.alice, "bob")
        self.assertEqual([event.room for event in laptop.events("room.joined")], [mine])

    def test_it_is_its_two_peoples_for_good(self):
        room = self.open(self.alice, "bob").room
        self.refuse(RoomEncrypted, self.alice, LEAVE, room=room)
        self.refuse(RoomEncrypted, self.alice, ROLE, room=room, name="bob", role="guest")
        self.refuse(RoomEncrypted, self.alice, ROLE, room=room, name="alice", role="guest")
        self.refuse(RoomUnknown, self.carol, HISTORY, room=room)
        self.refuse(RoomUnknown, self.carol, LEAVE, room=room)

    def test_refusals(self):
        self.refuse(OnSelf, self.alice, DIRECT, name="Alice", crypto="mls")
        self.refuse(UserUnknown, self.alice, DIRECT, name="nobody-here", crypto="mls")

    def test_none_is_made_that_the_server_reads(self):
        """An old client says nothing of encryption: it gets a refusal, never such a conversation."""
        for asked in ({}, {"crypto": "plain"}):
            refusal = self.refuse(RoomUnencrypted, self.alice, DIRECT, name="bob", **asked)
            self.assertEqual(refusal.field, "$.crypto")
        self.open(self.alice, "bob")
        self.refuse(RoomUnencrypted, self.alice, DIRECT, name="bob")
        self.assertEqual(len(self.bob.events("room.joined")), 1)

    def test_what_one_account_may_open_is_bounded_but_not_what_others_open_with_it(self):
        self.patch(rules, "DIRECTS_OPENED", 1)
        self.open(self.alice, "bob")
        self.refuse(RoomsMax, self.alice, DIRECT, name="carol", crypto="mls")
        self.open(self.alice, "bob")
        self.assertEqual(self.open(self.carol, "alice").name, "alice")

    def test_they_do_not_count_as_rooms_joined(self):
        self.patch(limits, "ROOMS_JOINED", 3)
        self.open(self.alice, "bob")
        self.alice.ask(CREATE, name="den")
        self.refuse(RoomsMax, self.alice, CREATE, name="attic")


class LobbyTest(Case):
    def test_everybody_begins_there(self):
        lobby = self.rooms_of(self.carol)["lobby"]
        self.assertEqual((lobby.members, lobby.access, lobby.role), (3, "public", "member"))
        statements = [said(event) for event in self.log_of(self.carol, lobby.room)]
        expected = [("joined", name, None, None) for name in ("alice", "bob", "carol")]
        self.assertEqual(statements, expected)

    def test_those_who_are_there_hear_of_newcomers_and_they_find_nothing_unread(self):
        dave = self.server.member("dave")
        lobby = self.rooms_of(dave)["lobby"].room
        self.assertEqual(
            [said(e) for e in self.alice.events("message")], [("joined", "dave", None, None)]
        )
        self.say(self.alice, lobby, "welcome")
        self.assertEqual(said(dave.events("message")[-1]), "welcome")

    def test_the_roles_of_the_server_hold_there(self):
        def promote(connection):
            connection.execute(
                accounts.users.update()
                .where(accounts.users.c.name == "carol")
                .values(role=int(ServerRole.OWNER))
            )

        lobby = self.rooms_of(self.carol)["lobby"].room
        self.server.change(promote)
        carol = self.device("carol")
        carol.ask(LEAVE, room=lobby)
        self.assertEqual(carol.ask(JOIN, name="lobby").role, "owner")
        carol.ask(LEAVE, room=lobby)  # the last owner there, and others stay
        self.assertEqual(carol.ask(JOIN, name="ops").role, "member")

    def test_a_full_lobby_refuses_nobody_an_account(self):
        self.patch(limits, "ROOM_MEMBERS", 3)
        dave = self.server.member("dave")
        self.assertEqual(dave.ask(MINE).rooms, [])
        self.assertEqual(self.rooms_of(self.alice)["lobby"].members, 3)

    def test_it_is_nobodys_to_make(self):
        self.refuse(RoomTaken, self.alice, CREATE, name="lobby")
