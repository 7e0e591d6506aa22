"""What the user asks for: every effect is answered exactly once, wherever the connection is cut."""

from lairchat.client import effects, inputs, requests
from lairchat.client.requests import _HANDLERS
from lairchat.client.sealed.requests import _HANDLERS as SEALED
from lairchat.client.secret import Secret
from lairchat.core.throttle import Rate
from lairchat.features.rooms import messages as rooms
from tests.client.network import NetworkTest
from tests.harness import PLENTY

#: Every effect that carries a ref, in a form that succeeds for alice, the owner of #ops, of which
#: bob is a member; ROOM stands for its number.
ROOM = object()
REQUESTS = {
    effects.Join: ("open",),
    effects.Leave: (ROOM,),
    effects.Create: ("den", "private"),
    effects.OpenDirect: ("bob",),
    effects.ListRooms: (),
    effects.ListMembers: (ROOM,),
    effects.SetTopic: (ROOM, "keep calm"),
    effects.Kick: (ROOM, "bob", "noise"),
    effects.Ban: (ROOM, "bob", "noise"),
    effects.Unban: (ROOM, "carol"),
    effects.SetRole: (ROOM, "bob", "moderator"),
    effects.InviteUser: (ROOM, "dave"),
    effects.HearOf: ("bob", False),
    effects.ListMuted: (),
    effects.CreateInvite: (3,),
    effects.ChangePassword: ("alice", "new"),
    effects.Logout: (),
}


class Asking(NetworkTest):
    def setUp(self):
        super().setUp()
        self.alice = self.person("alice").enter(self.network.owner_code())
        self.bob = self.person("bob").enter()
        self.room = self.alice.request(effects.Create, "ops", "public").room.id
        self.bob.request(effects.Create, "open", "public")

    def arguments(self, kind):
        made = [self.room if one is ROOM else one for one in REQUESTS[kind]]
        if kind is effects.ChangePassword:
            made = [Secret(one) for one in made]
        return made

    def prepare(self, kind):
        if kind is effects.Leave:
            self.bob.request(effects.Join, "ops")
            self.alice.request(effects.SetRole, self.room, "bob", "owner")
        elif kind in {effects.Kick, effects.Ban, effects.SetRole}:
            self.bob.request(effects.Join, "ops")
        elif kind is effects.InviteUser:
            self.person("dave").enter()
        elif kind is effects.Unban:
            self.person("carol").enter().request(effects.Join, "ops")
            self.alice.request(effects.Ban, self.room, "carol", "")


class EveryEffect(Asking):
    def test_the_list_is_complete(self):
        # The encrypted side's own are asked in test_sealed.py.
        handled = set(_HANDLERS) | {one for one in SEALED if one.__module__ == effects.__name__}
        assert set(REQUESTS) | {effects.FetchHistory, effects.MoveCursor} == handled


def _succeeds(kind):
    def test(self):
        self.prepare(kind)
        answer = self.alice.request(kind, *self.arguments(kind))
        self.network.wait(3)
        assert not isinstance(answer, inputs.CommandFailed), answer
        assert self.alice.answer(self.alice.refs) is answer
        assert not self.flushLoggedErrors()

    return test


def _answered_when_cut(kind):
    def test(self):
        """Cut before the command arrives, after it arrived, after each frame of the answer."""
        self.prepare(kind)
        for cut in ("unheard", 0, 1, 2, "offline"):
            pipe = self.network.pipes[0]
            if cut == "offline":
                pipe.cut()
            elif cut != "unheard":
                pipe.limit = pipe.frames + cut
            alice = self.alice
            alice.refs += 1
            alice.link.perform(kind(alice.refs, *self.arguments(kind)))
            if cut == "unheard":
                pipe.server.inbox.clear()
                pipe.cut()
            self.settle()
            pipe.cut()
            self.network.wait(3)
            answer = alice.answer(alice.refs)
            if cut in {"unheard", 0, "offline"}:
                assert answer.code == "LC-NET-LOST"
            if not alice.link.online:
                alice.login("new" if kind is effects.ChangePassword else "alice")
                if not alice.link.online:
                    alice.login()
            self.network.wait(2)
            assert alice.link.online, alice.inputs[-5:]
            self.network.pipes.sort(
                key=lambda one: one.client.protocol is not alice.link.connection
            )

    return test


for _kind in REQUESTS:
    setattr(EveryEffect, f"test_{_kind.__name__}_succeeds", _succeeds(_kind))
    setattr(EveryEffect, f"test_{_kind.__name__}_is_answered_once", _answered_when_cut(_kind))


class Answers(Asking):
    def test_a_refusal(self):
        failed = self.alice.request(effects.Join, "nowhere")
        assert (failed.code, failed.retry_after) == ("LC-ROOM-UNKNOWN", None)

    def test_joining_shows_the_room_and_tells_the_other_devices(self):
        joined = self.bob.request(effects.Join, "ops")
        assert joined.show
        assert (joined.room.name, joined.room.role, joined.room.members) == ("ops", "member", 2)
        assert self.alice.last(inputs.MessageArrived).message.text == "bob joined"
        assert self.alice.last(inputs.RoomChanged).members == 2

    def test_direct_conversations(self):
        opened = self.alice.request(effects.OpenDirect, "bob")
        assert opened.room.direct
        assert opened.room.name == "bob"
        told = self.bob.last(inputs.RoomJoined)
        assert (told.room.name, told.show, told.ref) == ("alice", False, 0)
        self.alice.say("psst", opened.room.id)
        self.settle()
        assert self.bob.texts(told.room.id) == ["psst"]

    def test_leaving_and_being_put_out(self):
        self.bob.request(effects.Join, "ops")
        left = self.bob.request(effects.Leave, self.room)
        assert (left.room, left.text) == (self.room, "")
        self.bob.request(effects.Join, "ops")
        self.alice.request(effects.Kick, self.room, "bob", "noise")
        out = self.bob.last(inputs.RoomLeft)
        assert out.ref == 0
        assert out.text
        assert self.room not in self.bob.link.rooms.heads

    def test_being_invited(self):
        den = self.alice.request(effects.Create, "den", "public").room.id
        self.alice.request(effects.InviteUser, den, "bob")
        assert self.bob.last(inputs.Notice).text == (
            "alice invites you into #den. To enter: /join den"
        )

    def test_invitations_of_somebody_are_hidden_and_shown_again(self):
        def told(client, kind, *arguments):
            return client.request(kind, *arguments).text

        assert told(self.bob, effects.ListMuted) == "invitations are hidden of: nobody"
        assert "/invites alice on" in told(self.bob, effects.HearOf, "alice", False)
        assert told(self.bob, effects.ListMuted) == "invitations are hidden of: alice"
        den = self.alice.request(effects.Create, "den", "public").room.id
        self.alice.request(effects.InviteUser, den, "bob")
        assert self.bob.of(inputs.Notice) == []
        assert "again" in told(self.bob, effects.HearOf, "alice", True)
        other = self.alice.request(effects.Create, "attic", "public").room.id
        self.alice.request(effects.InviteUser, other, "bob")
        assert "#attic" in self.bob.last(inputs.Notice).text

    def test_the_list_of_rooms(self):
        listed = self.alice.request(effects.ListRooms)
        assert [(one.name, one.joined) for one in listed.rooms] == [
            ("lobby", True),
            ("open", False),
            ("ops", True),
        ]

    def test_topic_and_role(self):
        self.bob.request(effects.Join, "ops")
        self.alice.request(effects.SetTopic, self.room, "keep calm")
        assert self.bob.last(inputs.RoomChanged).topic == "keep calm"
        self.alice.request(effects.SetRole, self.room, "bob", "admin")
        assert self.bob.last(inputs.RoomChanged).role == "admin"
        assert self.bob.link.rooms.infos[self.room].role == "admin"

    def test_presence(self):
        self.bob.leave()
        self.network.wait(30)
        assert self.alice.last(inputs.PresenceChanged) == inputs.PresenceChanged("bob", False)

    def test_a_fault_of_ours_is_an_answer_too(self):
        self.alice.link.requests._key = lambda: 1 // 0
        failed = self.alice.request(effects.SetTopic, self.room, "x")
        assert failed.code == "LC-CLIENT"
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_an_effect_that_nobody_knows(self):
        self.alice.link.perform(effects.Effect())
        assert not self.flushLoggedErrors()

    def test_password_change_offline_clears_the_secrets(self):
        old, new = Secret("a"), Secret("b")
        nobody = self.person("nobody")
        nobody.link.perform(effects.ChangePassword(1, old, new))
        assert nobody.answer(1).code == "LC-NET-LOST"
        assert not old.reveal()
        assert not new.reveal()


class History(Asking):
    def setUp(self):
        super().setUp()
        for number in range(250):
            self.alice.say(f"{number}", self.room)
        self.settle()

    def page(self, **more):
        self.alice.do(effects.FetchHistory(self.room, **more))
        return self.alice.last(inputs.HistoryPage)

    def seqs(self, page):
        return [message.seq for message in page.messages]

    def test_latest(self):
        page = self.page()
        assert self.seqs(page) == list(range(152, 252))
        assert (page.older, page.newer, page.replace) == (True, False, True)

    def test_before_and_after(self):
        page = self.page(before=50, limit=20)
        assert self.seqs(page) == list(range(30, 50))
        assert (page.older, page.newer, page.replace) == (True, False, False)
        page = self.page(after=240, limit=100)
        assert self.seqs(page) == list(range(241, 252))
        assert (page.older, page.newer, page.replace) == (True, False, False)
        page = self.page(after=10, limit=10)
        assert page.newer
        assert not self.page(before=5).older

    def test_around(self):
        page = self.page(around=100, limit=20)
        assert self.seqs(page) == list(range(90, 110))
        assert (page.older, page.newer, page.replace) == (True, True, True)
        page = self.page(around=1)
        assert self.seqs(page) == list(range(1, 51))
        assert not page.older

    def test_a_page_does_not_run_ahead_of_what_is_told(self):
        """Whoever prints live events only misses nothing that a page has brought first."""
        self.network.pipes[0].tamper = lambda frames: [f for f in frames if b"message" not in f]
        self.bob.request(effects.Join, "ops")
        self.bob.say("early", self.room)
        self.settle()
        page = self.page()
        assert page.messages[-1].text == "early"
        told = [one.message.text for one in self.alice.of(inputs.MessageArrived)]
        assert told[-2:] == ["bob joined", "early"]

    def test_more_than_a_page_may_be(self):
        assert len(self.page(limit=10_000).messages) == 100

    def test_failure_has_no_ref(self):
        self.alice.do(effects.FetchHistory(4711))
        failed = self.alice.last(inputs.CommandFailed)
        assert (failed.ref, failed.code) == (0, "LC-ROOM-UNKNOWN")


class Reading(Asking):
    def test_the_cursor_is_told_to_other_devices(self):
        second = self.person("alice2")
        second.name = "alice"
        second.start()
        second.trust()
        second.login()
        for _ in range(5):
            self.bob.say("news")
        self.settle()
        self.alice.do(effects.MoveCursor(self.alice.lobby, 5))
        moved = second.last(inputs.CursorMoved)
        assert (moved.room, moved.seq, moved.unread) == (self.alice.lobby, 5, 2)

    def test_one_at_a_time_and_never_back(self):
        for _ in range(9):
            self.bob.say("news")
        self.settle()
        said = len(self.network.pipes[0].said)
        for seq in range(3, 10):
            self.alice.link.perform(effects.MoveCursor(self.alice.lobby, seq))
        self.alice.link.perform(effects.MoveCursor(self.alice.lobby, 2))
        self.settle()
        assert len(self.network.pipes[0].said) == said + 2
        assert self.alice.link.requests._told == {self.alice.lobby: 9}

    def test_told_again_after_a_reconnect(self):
        for _ in range(5):
            self.bob.say("news")
        self.settle()
        self.network.pipes[0].cut()
        self.alice.do(effects.MoveCursor(self.alice.lobby, 6))
        self.network.wait(2)
        self.alice.leave()
        other = self.reopened(self.alice).start()
        lobby = other.last(inputs.RoomsSynced).rooms[0]
        assert (lobby.read_seq, lobby.unread) == (6, 1)

    def test_a_room_that_is_gone(self):
        self.alice.do(effects.MoveCursor(4711, 6))
        assert not self.alice.of(inputs.CommandFailed)
        self.alice.request(effects.Logout)
        assert not self.alice.link.requests._cursors


class Members(Asking):
    def listed(self, since):
        return [one for one in self.alice.inputs[since:] if isinstance(one, inputs.MembersListed)]

    def test_asked(self):
        self.bob.request(effects.Join, "ops")
        listed = self.alice.request(effects.ListMembers, self.room)
        assert [(one.name, one.role, one.here) for one in listed.members] == [
            ("alice", "owner", True),
            ("bob", "member", True),
        ]
        changed = self.alice.inputs[-1]
        assert (changed.members, changed.here) == (2, 2)

    def test_refreshed_when_somebody_comes_or_goes(self):
        self.alice.do(effects.ListMembers(0, self.room))
        since = len(self.alice.inputs)
        self.bob.request(effects.Join, "ops")
        self.network.wait(3)
        assert [[one.name for one in page.members] for page in self.listed(since)] == [
            ["alice", "bob"]
        ]
        self.alice.request(effects.Kick, self.room, "bob", "")
        self.network.wait(3)
        assert [one.name for one in self.listed(since)[-1].members] == ["alice"]

    def test_at_most_once_in_two_seconds(self):
        self.alice.do(effects.ListMembers(0, self.room))
        since = len(self.alice.inputs)
        for _ in range(20):
            self.bob.request(effects.Join, "ops")
            self.bob.request(effects.Leave, self.room)
            self.network.wait(0.25)
        assert len(self.listed(since)) <= 3
        self.network.wait(3)
        assert [one.name for one in self.listed(since)[-1].members] == ["alice"]

    def test_not_where_nobody_asked(self):
        since = len(self.alice.inputs)
        self.bob.request(effects.Join, "ops")
        self.network.wait(3)
        assert not self.listed(since)

    def test_not_in_large_rooms(self):
        self.alice.do(effects.ListMembers(0, self.room))
        rooms_ = self.alice.link.rooms
        info = rooms_.infos[self.room]
        rooms_.infos[self.room] = rooms.RoomInfo(
            **{name: getattr(info, name) for name in info.__struct_fields__} | {"members": 201}
        )
        since = len(self.alice.inputs)
        self.bob.request(effects.Join, "ops")
        self.network.wait(3)
        assert not self.listed(since)

    def test_refreshed_after_a_reconnect(self):
        self.alice.do(effects.ListMembers(0, self.room))
        since = len(self.alice.inputs)
        self.network.pipes[0].cut()
        self.bob.request(effects.Join, "ops")
        self.network.wait(5)
        assert [one.name for one in self.listed(since)[-1].members] == ["alice", "bob"]

    def test_a_room_left_is_not_asked_for(self):
        self.bob.request(effects.Join, "ops")
        self.bob.do(effects.ListMembers(0, self.room))
        self.alice.request(effects.SetRole, self.room, "bob", "moderator")
        self.bob.request(effects.Leave, self.room)
        self.network.wait(3)
        assert not self.bob.of(inputs.CommandFailed)
        self.bob.link.reconnect()
        self.network.wait(3)
        assert self.room not in self.bob.link.people._asked

    def test_a_refusal_is_not_shown(self):
        self.alice.link.requests.refresh_members(4711)
        self.settle()
        assert not self.alice.of(inputs.CommandFailed)

    def test_forgotten_with_the_account(self):
        self.alice.do(effects.ListMembers(0, self.room))
        self.bob.request(effects.Join, "ops")
        self.alice.request(effects.Logout)
        self.network.wait(3)
        assert not self.alice.link.people._asked


class ManyMembers(NetworkTest):
    def test_the_first_ones_and_the_true_count(self):
        self.patch(requests, "MEMBERS_LISTED", 150)
        alice = self.person("alice").enter()
        server = self.network.server
        for number in range(205):
            server.member(f"fellow{number}", address=f"198.51.100.{number}").disconnect()
        listed = alice.request(effects.ListMembers, alice.lobby)
        assert len(listed.members) == 200, "whole pages"
        changed = alice.inputs[-1]
        assert (changed.members, changed.here) == (206, 1)


class Rated(NetworkTest):
    options = {"rates": {**PLENTY, "command": Rate(burst=16, per_second=1)}}

    def test_the_wait_is_passed_on(self):
        alice = self.person("alice").enter()
        for _ in range(18):
            alice.refs += 1
            alice.do(effects.ListRooms(alice.refs))
        assert alice.last(inputs.CommandFailed).code == "LC-RATE"
        assert alice.last(inputs.CommandFailed).retry_after
