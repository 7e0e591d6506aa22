"""Every cell of the rule table (lairchat.model.permissions) once more, through the wire."""

from itertools import product

from lairchat.features.messages.messages import HISTORY, SEND
from lairchat.features.moderation import tables as bans
from lairchat.features.moderation.messages import BAN, BANS, KICK, UNBAN
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import INVITE, JOIN, LEAVE, MEMBERS, ROLE, TOPIC
from lairchat.model.permissions import Access, Crypto, Posting, RoomAction, may_room
from lairchat.model.roles import RoomRole
from tests.features.common import ROLES, Case, refusal_of, text

ANYBODY = (None, *ROLES)


class PermissionTest(Case):
    def setUp(self):
        super().setUp()
        self.actor, self.target = self.bob, self.carol

    def arrange(
        self,
        *,
        actor,
        target=None,
        access="public",
        posting="members",
        crypto="plain",
        invited=False,
    ):
        """Put the room, and the two who are to act in it, into a state of the table."""
        room, guest = self.ops, self.actor.session.user

        def change(connection):
            connection.execute(
                rooms.rooms.update().values(access=access, posting=posting, crypto=crypto)
            )
            for client in (self.actor, self.target):
                rooms.uninvite(connection, room, client.session.user)
                bans.lift_ban(connection, room, client.session.user)
            if invited:
                rooms.invite(connection, room, guest, self.alice.session.user, 0)

        self.set_role(room, self.actor, actor)
        self.set_role(room, self.target, target)
        self.server.change(change)

    def check(self, action, command, arguments, cell, **asked):
        """Compare the wire's answer in one cell with the table's."""
        self.arrange(**cell)
        expected = may_room(
            action,
            cell["actor"],
            access=Access(cell.get("access", "public")),
            posting=Posting(cell.get("posting", "members")),
            target=cell.get("target"),
            invited=cell.get("invited", False),
            **asked,
        )
        got = refusal_of(self.actor, command, **arguments)
        self.assertIs(got, expected, f"{action}: {cell} {asked}")

    def test_what_depends_on_the_actor_and_the_room(self):
        room = self.ops
        for actor, access, posting in product(ANYBODY, Access, Posting):
            cell = {"actor": actor, "access": access.value, "posting": posting.value}
            self.check(RoomAction.POST, SEND, {"room": room, "body": text("hi")}, cell)
            self.check(RoomAction.READ, HISTORY, {"room": room}, cell)
            self.check(RoomAction.LIST_MEMBERS, MEMBERS, {"room": room}, cell)
            self.check(RoomAction.TOPIC, TOPIC, {"room": room, "topic": f"{cell}"}, cell)
            self.check(RoomAction.UNBAN, UNBAN, {"room": room, "name": "carol"}, cell)
            self.check(RoomAction.UNBAN, BANS, {"room": room}, cell)
            self.check(RoomAction.LEAVE, LEAVE, {"room": room}, cell)

    def test_joining(self):
        for actor, access, invited in product(ANYBODY, Access, (False, True)):
            cell = {"actor": actor, "access": access.value, "invited": invited and actor is None}
            self.check(RoomAction.JOIN, JOIN, {"name": "ops"}, cell)

    def test_inviting(self):
        for actor, target, access in product(ANYBODY, ANYBODY, Access):
            cell = {"actor": actor, "target": target, "access": access.value}
            self.check(RoomAction.INVITE, INVITE, {"room": self.ops, "name": "carol"}, cell)

    def test_kicking_and_banning(self):
        aim = {"room": self.ops, "name": "carol"}
        for actor, target, access in product(ANYBODY, ANYBODY, Access):
            cell = {"actor": actor, "target": target, "access": access.value}
            self.check(RoomAction.KICK, KICK, aim, cell)
            self.check(RoomAction.BAN, BAN, aim, cell)

    def test_giving_roles(self):
        for actor, target, granted in product(ANYBODY, ANYBODY, RoomRole):
            cell = {"actor": actor, "target": target}
            arguments = {"room": self.ops, "name": "carol", "role": granted.word}
            self.check(RoomAction.SET_ROLE, ROLE, arguments, cell, granted=granted)

    def test_what_may_be_posted_is_the_same_for_one_and_for_many(self):
        """The statement for a few and the one for many agree with the table in every cell."""
        user = self.actor.session.user
        for actor, access, posting, crypto in product(ANYBODY, Access, Posting, Crypto):
            self.arrange(actor=actor, access=access, posting=posting, crypto=crypto)
            refused = may_room(
                RoomAction.POST,
                actor,
                access=access,
                posting=posting,
                encrypted=crypto is Crypto.MLS,
            )
            pair = (self.ops, user)
            others = [(room, self.alice.session.user) for room in range(100, 110)]
            for asked in ([pair], [pair, *others]):
                found = self.server.look(lambda c, asked=asked: rooms.may_not_post(c, asked))
                self.assertEqual(
                    pair in found, refused is not None, (actor, access, posting, crypto)
                )
                self.assertTrue(set(found) >= set(asked[1:]), "rooms that do not exist")
