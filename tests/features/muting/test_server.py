"""Whose invitations somebody hears of, and that nobody learns of being muted."""

from lairchat.features.muting.messages import MUTE, MUTED, UNMUTE
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE, INVITE, JOIN, LEAVE
from lairchat.model import limits
from lairchat.model.refusals import InvitedEnough, MutedMax, OnSelf, UserUnknown
from lairchat.model.roles import RoomRole
from tests.features.common import Case, said
from tests.features.legacy import legacy_invitation, legacy_room


class MutingTests(Case):
    def invite(self, name, guest="carol", by=None):
        """Make a room, and invite somebody into it."""
        by = by or self.alice
        self.server.wait(5)
        room = by.ask(CREATE, name=name).room
        by.ask(INVITE, room=room, name=guest)
        return room

    def invited_before(self, name, by):
        """Make a private room of before encryption, with an invitation that waits."""
        room = legacy_room(self.server, name, by)
        legacy_invitation(self.server, room, self.carol, by)

    def muted(self, client):
        return client.ask(MUTED).names

    def test_invitations_of_one_who_is_muted_neither_ring_nor_show(self):
        phone = self.device("carol")
        self.invite("before")
        self.carol.ask(MUTE, name="ALICE")
        self.forget()
        phone.forget()
        room = self.invite("den")
        for client in (self.carol, phone):
            self.assertEqual(client.events("room.invited"), [])
        # Others may still invite her.
        self.invite("his", by=self.bob)
        self.assertEqual([one.name for one in self.carol.events("room.invited")], ["his"])
        self.assertEqual(self.carol.ask(JOIN, name="den").room, room)

    def test_nor_do_they_show_rooms_that_only_who_is_invited_sees(self):
        self.invited_before("den", self.alice)
        self.invited_before("cellar", self.bob)
        self.carol.ask(MUTE, name="alice")
        self.assertEqual(set(self.listed(self.carol)), {"lobby", "ops", "cellar"})
        self.carol.ask(UNMUTE, name="alice")
        self.assertEqual(set(self.listed(self.carol)), {"lobby", "ops", "cellar", "den"})

    def test_the_invitation_of_one_who_is_muted_is_in_nobodys_way(self):
        """Else one whom she does not hear of could keep her from hearing of a room at all."""
        carol = self.carol.session.user
        self.carol.ask(MUTE, name="alice")
        for by, first, second in (
            ("alice", self.alice, self.bob),
            ("bob", self.bob, self.alice),
        ):
            name = f"of-{by}"
            room = self.invite(name, by=first)
            self.set_role(room, second, RoomRole.MODERATOR)
            for _ in range(2):
                second.ask(INVITE, room=room, name="carol")
            rung = [event.by for event in self.carol.events("room.invited") if event.name == name]
            self.assertEqual(rung, ["bob"])
            # It is said in the room once, as it is of one who hears of everybody.
            told = [said(event) for event in self.log_of(first, room) if event.kind == "state"]
            self.assertEqual([one[1] for one in told if one[0] == "invited"], [by])
            self.carol.ask(JOIN, name=name)
            self.carol.ask(LEAVE, room=room)
            self.assertEqual(self.server.look(lambda c, r=room: rooms.inviters(c, r, carol)), set())

    def test_nor_does_another_one_find_out_with_it(self):
        """Whoever else invites her, alice may ask for neither more nor less than before."""
        for guest in ("bob", "carol"):
            if guest == "carol":
                self.carol.ask(MUTE, name="alice")
            helper = self.carol if guest == "bob" else self.bob
            rooms = [self.invite(f"{guest}-{n}", guest) for n in range(limits.INVITATIONS_WAITING)]
            self.set_role(rooms[0], helper, RoomRole.MODERATOR)
            helper.ask(INVITE, room=rooms[0], name=guest)
            last = self.alice.ask(CREATE, name=f"{guest}-last").room
            self.refuse(InvitedEnough, self.alice, INVITE, room=last, name=guest)

    def test_who_is_muted_does_not_learn_of_it(self):
        """The same statements and the same bounds as with somebody who just does not answer."""
        heard = []
        for guest in ("bob", "carol"):
            if guest == "carol":
                self.carol.ask(MUTE, name="alice")
            self.forget()
            rooms = [self.invite(f"{guest}-{n}", guest) for n in range(limits.INVITATIONS_WAITING)]
            self.alice.ask(INVITE, room=rooms[0], name=guest)
            last = self.alice.ask(CREATE, name=f"{guest}-last").room
            self.refuse(InvitedEnough, self.alice, INVITE, room=last, name=guest)
            heard.append([event.seq for event in self.alice.events("message")])
        self.assertEqual(*heard)

    def test_who_is_not_muted_any_more_rings_again(self):
        self.carol.ask(MUTE, name="alice")
        self.invite("den")
        self.carol.ask(UNMUTE, name="alice")
        self.carol.ask(UNMUTE, name="alice")
        self.assertEqual(self.muted(self.carol), [])
        self.invite("cellar")
        self.assertEqual([one.name for one in self.carol.events("room.invited")], ["cellar"])

    def test_the_list_is_ones_own_and_in_order(self):
        for name in ("bob", "Alice", "alice"):
            self.carol.ask(MUTE, name=name)
        self.assertEqual(self.muted(self.carol), ["alice", "bob"])
        self.assertEqual(self.muted(self.alice), [])

    def test_refusals(self):
        self.refuse(UserUnknown, self.carol, MUTE, name="nobody-here")
        self.refuse(UserUnknown, self.carol, UNMUTE, name="nobody-here")
        self.refuse(OnSelf, self.carol, MUTE, name="carol")

    def test_so_many_and_no_more(self):
        self.patch(limits, "MUTED_MAX", 1)
        self.carol.ask(MUTE, name="alice")
        self.carol.ask(MUTE, name="alice")
        self.refuse(MutedMax, self.carol, MUTE, name="bob")
