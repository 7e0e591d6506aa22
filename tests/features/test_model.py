"""Rooms, memberships and messages against a simple model, through the kernel.

What the model knows of a room is who is what in it and the list of what happened.  After every
burst of commands, given at once so that they meet in the writer, everything must agree: each
answer, every log, who hears what (each event exactly once while in the room), what is unread.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lairchat.features.messages.messages import HISTORY, MOVE_CURSOR, SEND, SYNC
from lairchat.features.moderation.messages import BAN, KICK, UNBAN
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
from lairchat.model import refusals
from lairchat.model.permissions import Access, Posting, RoomAction, may_room
from lairchat.model.refusal import Refusal
from lairchat.model.roles import RoomRole
from tests.features.common import flaws, make_server, said, text
from tests.features.legacy import legacy_direct, legacy_invitation, legacy_room, legacy_said
from tests.harness import Client

PEOPLE = ("alice", "bob", "carol", "dave")
NAMES = ("attic", "cellar", "den", "ops")


class Room:
    """What the model knows of a room."""

    def __init__(self, number, name, access, *, direct=False, servers_own=False):
        self.number, self.name, self.access = number, name, access
        self.direct, self.servers_own = direct, servers_own
        self.roles, self.read = {}, {}
        self.invited, self.banned = set(), set()
        self.log, self.topic = [], ""

    def judge(self, action, actor, **more):
        refusal = may_room(
            action,
            self.roles.get(actor),
            access=Access(self.access),
            posting=Posting.EVERYONE if self.servers_own else Posting.MEMBERS,
            direct=self.direct,
            **more,
        )
        if refusal is not None:
            raise refusal

    def unread(self, user):
        return sum(kind == "app" for kind, *_ in self.log[self.read[user] :])


class Model:
    """The whole server in dictionaries; methods raise what the server is to refuse with."""

    def __init__(self):
        lobby = Room(1, "lobby", "public", servers_own=True)
        self.rooms, self.names = {1: lobby}, {"lobby": lobby}
        self.directs, self.keys = {}, {}
        self.heard = []  # (room, seq, who was in it, whose connection is answered instead)

    def append(self, room, entry, but=None):
        room.log.append(entry)
        self.heard.append((room.number, len(room.log), tuple(room.roles), but))
        return len(room.log)

    def state(self, room, *change):
        return self.append(room, ("state", change))

    def room(self, number):
        if number not in self.rooms:
            raise refusals.RoomUnknown
        return self.rooms[number]

    def enter(self, room, user, role):
        room.roles[user] = role
        room.invited.discard(user)
        room.read[user] = 0

    def register(self, user):
        lobby = self.rooms[1]
        self.enter(lobby, user, RoomRole.MEMBER)
        lobby.read[user] = self.state(lobby, "joined", user)

    def legacy(self, name, maker, *others, words):
        """Have a private room, or without a name a direct conversation, of before encryption."""
        room = Room(len(self.rooms) + 1, name, "private", direct=not name)
        self.rooms[room.number] = room
        if name:
            self.names[name] = room
        else:
            self.directs[frozenset((maker, *others))] = room
        self.enter(room, maker, RoomRole.OWNER if name else RoomRole.MEMBER)
        for user in others:
            self.enter(room, user, RoomRole.MEMBER)
        self.state(room, "created", maker)
        self.append(room, ("app", maker, words))
        self.heard.clear()
        return room

    def create(self, user, name, access):
        if access == "private":
            raise refusals.RoomUnencrypted
        if name in self.names:
            raise refusals.RoomTaken(name=name)
        room = Room(len(self.rooms) + 1, name, access)
        self.rooms[room.number] = self.names[name] = room
        self.enter(room, user, RoomRole.OWNER)
        self.state(room, "created", user)

    def join(self, user, name):
        room = self.names.get(name)
        if room is None:
            raise refusals.RoomUnknown
        room.judge(RoomAction.JOIN, user, invited=user in room.invited)
        if user in room.roles:
            return
        if user in room.banned:
            raise refusals.Banned
        self.enter(room, user, RoomRole.MEMBER)
        room.read[user] = self.state(room, "joined", user)

    def leave(self, user, number):
        room = self.room(number)
        room.judge(RoomAction.LEAVE, user)
        self.keep_owner(room, user, alone=len(room.roles) == 1)
        del room.roles[user], room.read[user]
        self.state(room, "left", user)
        if not room.roles and not room.servers_own:
            del self.names[room.name]
            room.access = "private"
            room.invited.clear()

    def keep_owner(self, room, user, *, alone=False):
        owners = [who for who, role in room.roles.items() if role is RoomRole.OWNER]
        kept = room.servers_own or room.access == "private"
        if owners == [user] and not alone and not kept:
            raise refusals.LastOwner

    def invite(self, user, number, whom):
        room = self.room(number)
        room.judge(RoomAction.INVITE, user, target=room.roles.get(whom))
        if whom in room.banned:
            raise refusals.Banned
        if whom not in room.invited:
            room.invited.add(whom)
            self.state(room, "invited", user, whom)

    def aim(self, action, user, number, whom):
        room = self.room(number)
        room.judge(action, user, target=RoomRole.GUEST)
        if user == whom:
            raise refusals.OnSelf
        room.judge(action, user, target=room.roles.get(whom))
        return room

    def kick(self, user, number, whom):
        room = self.aim(RoomAction.KICK, user, number, whom)
        del room.roles[whom], room.read[whom]
        self.state(room, "kicked", user, whom)

    def ban(self, user, number, whom):
        room = self.aim(RoomAction.BAN, user, number, whom)
        if whom in room.banned:
            return
        room.banned.add(whom)
        room.invited.discard(whom)
        if room.roles.pop(whom, None) is not None:
            del room.read[whom]
        self.state(room, "banned", user, whom)

    def unban(self, user, number, whom):
        room = self.aim(RoomAction.UNBAN, user, number, whom)
        if whom in room.banned:
            room.banned.remove(whom)
            self.state(room, "unbanned", user, whom)

    def set_role(self, user, number, whom, granted):
        room = self.room(number)
        room.judge(RoomAction.STEP_DOWN, user)
        if user == whom:
            if granted > room.roles[user]:
                raise refusals.OnSelf
        else:
            room.judge(RoomAction.SET_ROLE, user, target=RoomRole.GUEST)
            room.judge(RoomAction.SET_ROLE, user, target=room.roles.get(whom), granted=granted)
        if room.roles[whom] is not granted:
            self.keep_owner(room, whom)
            room.roles[whom] = granted
            self.state(room, "role", user, whom, granted.word)

    def set_topic(self, user, number, topic):
        room = self.room(number)
        room.judge(RoomAction.TOPIC, user)
        if room.topic != topic:
            room.topic = topic
            self.state(room, "topic", user, None, topic)

    def open_direct(self, user, whom):
        if user == whom:
            raise refusals.OnSelf
        if frozenset((user, whom)) not in self.directs:
            raise refusals.RoomUnencrypted

    def send(self, user, client, key, number, words):
        """Return the sequence number, that of the first time for a repeat."""
        first = self.keys.get((client, key))
        if first is not None:
            if first[:2] != (number, words):
                raise refusals.IdConflict
            return first[2]
        room = self.room(number)
        room.judge(RoomAction.POST, user)
        seq = self.append(room, ("app", user, words), but=client)
        self.keys[client, key] = (number, words, seq)
        return seq

    def move(self, user, number, seq):
        room = self.room(number)
        room.judge(RoomAction.READ, user)
        if seq > len(room.log):
            raise refusals.CursorBad
        room.read[user] = max(room.read[user], seq)


people = st.sampled_from(PEOPLE)
numbers = st.sampled_from((1, 2, 3, 4, 4, 4, 5, 5, 6, 7, 9))


@st.composite
def actions(draw):
    """Return one command: the model's method and its arguments."""
    user, number, whom = draw(people), draw(numbers), draw(people)
    what = draw(
        st.sampled_from(
            ["send"] * 5
            + ["join"] * 4
            + ["create", "leave", "invite", "kick", "ban", "unban", "role", "topic", "direct"]
            + ["repeat", "move", "move"]
        )
    )
    match what:
        case "create":
            more = (draw(st.sampled_from(NAMES)), draw(st.sampled_from(("public", "private"))))
        case "join":
            more = (draw(st.sampled_from((*NAMES, "lobby"))),)
        case "leave":
            more = (number,)
        case "invite" | "kick" | "ban" | "unban":
            more = (number, whom)
        case "role":
            more = (number, whom, draw(st.sampled_from(RoomRole)))
        case "topic":
            more = (number, draw(st.sampled_from(("one", "two"))))
        case "direct":
            more = (whom,)
        case "send":
            more = (number, draw(st.text("ab", min_size=1, max_size=2)))
        case "repeat":
            more = (draw(st.booleans()),)
        case "move":
            more = (number, draw(st.integers(0, 12)))
    return what, user, *more


class ServerMachine(RuleBasedStateMachine):
    """Drives a server and the model side by side."""

    @initialize()
    def begin(self):
        self.server, self.model = make_server(), Model()
        self.clients = {name: [] for name in PEOPLE}
        self.expected = {}
        self.last = {}
        for name in PEOPLE:
            client = Client(self.server)
            client.register(name)
            self.add(client, name)
            self.model.register(name)
            self.hear()
        self.begin_with_rooms_of_before()

    def begin_with_rooms_of_before(self):
        """Have a private room and a direct conversation from before encryption."""
        alice, bob, carol, dave = (self.clients[name][0] for name in PEOPLE)
        cellar = legacy_room(self.server, "cellar", alice, bob, carol)
        legacy_said(self.server, cellar, alice, "old")
        legacy_invitation(self.server, cellar, dave, alice)
        self.model.legacy("cellar", "alice", "bob", "carol", words="old").invited.add("dave")
        legacy_said(self.server, legacy_direct(self.server, alice, bob), alice, "older")
        self.model.legacy("", "alice", "bob", words="older")

    def add(self, client, name):
        self.clients[name].append(client)
        self.expected[client] = {}

    def hear(self):
        """Note who is to hear what the model has appended."""
        for room, seq, inside, but in self.model.heard:
            for name in inside:
                for client in self.clients[name]:
                    if client is not but:
                        self.expected[client].setdefault(room, []).append(seq)
        self.model.heard.clear()

    @rule(name=people)
    def connect(self, name):
        if len(self.clients[name]) < 3:
            client = Client(self.server)
            client.login(name)
            self.add(client, name)

    @rule(name=people, which=st.integers(0, 2))
    def disconnect(self, name, which):
        if which < len(self.clients[name]):
            client = self.clients[name].pop(which)
            client.disconnect()
            del self.expected[client]

    @rule(burst=st.lists(actions(), min_size=1, max_size=8), which=st.integers(0, 2))
    def together(self, burst, which):
        """Give commands at once; they are carried out in the order in which they were given."""
        given = []
        for what, user, *arguments in burst:
            if not self.clients[user]:
                continue
            client = self.clients[user][which % len(self.clients[user])]
            request, expect = getattr(self, what)(client, user, *arguments)
            if request is not None:
                given.append((client, request, self.outcome(expect)))
            self.hear()
        self.server.settle()
        for client, request, expected in given:
            got = self.outcome(lambda client=client, request=request: client.answer(request))
            if isinstance(expected, int):
                assert got.seq == expected
            elif expected is not None:
                assert got is expected, f"{got} is not {expected}"
            else:
                assert not isinstance(got, type), got

    @staticmethod
    def outcome(call):
        """Return what a call returns, or the class of the refusal that it raises."""
        try:
            return call()
        except Refusal as refusal:
            return type(refusal)

    def create(self, client, user, name, access):
        request = client.give(CREATE, name=name, access=access)
        return request, lambda: self.model.create(user, name, access)

    def join(self, client, user, name):
        return client.give(JOIN, name=name), lambda: self.model.join(user, name)

    def leave(self, client, user, room):
        return client.give(LEAVE, room=room), lambda: self.model.leave(user, room)

    def invite(self, client, user, room, whom):
        request = client.give(INVITE, room=room, name=whom)
        return request, lambda: self.model.invite(user, room, whom)

    def kick(self, client, user, room, whom):
        request = client.give(KICK, room=room, name=whom)
        return request, lambda: self.model.kick(user, room, whom)

    def ban(self, client, user, room, whom):
        request = client.give(BAN, room=room, name=whom)
        return request, lambda: self.model.ban(user, room, whom)

    def unban(self, client, user, room, whom):
        request = client.give(UNBAN, room=room, name=whom)
        return request, lambda: self.model.unban(user, room, whom)

    def role(self, client, user, room, whom, granted):
        request = client.give(ROLE, room=room, name=whom, role=granted.word)
        return request, lambda: self.model.set_role(user, room, whom, granted)

    def topic(self, client, user, room, topic):
        request = client.give(TOPIC, room=room, topic=topic)
        return request, lambda: self.model.set_topic(user, room, topic)

    def direct(self, client, user, whom):
        return client.give(DIRECT, name=whom), lambda: self.model.open_direct(user, whom)

    def move(self, client, user, room, seq):
        request = client.give(MOVE_CURSOR, room=room, seq=seq)
        return request, lambda: self.model.move(user, room, seq)

    def send(self, client, user, room, words, key=None):
        key = key or client.new_key()
        self.last[client] = (key, room, words)
        request = client.give(SEND, key, room=room, body=text(words))
        return request, lambda: self.model.send(user, client, key, room, words)

    def repeat(self, client, user, same):
        """Send the connection's last message again; or another one, with its id."""
        if client not in self.last:
            return None, None
        key, room, words = self.last[client]
        sent = self.send(client, user, room, words if same else words + "!", key)
        self.last[client] = (key, room, words)
        return sent

    # -- what must be so after every step

    @invariant()
    def everything_is_heard_once(self):
        for client, expected in self.expected.items():
            heard = {}
            for event in client.events("message"):
                heard.setdefault(event.room, []).append(event.seq)
            assert heard == expected

    @invariant()
    def nothing_is_out_of_step(self):
        assert flaws(self.server) == []

    @invariant()
    def everybody_sees_where_their_rooms_stand(self):
        for name, clients in self.clients.items():
            if clients:
                client = clients[0]
                kept = len(client.frames)
                synced = {room.room: room for room in client.ask(SYNC).rooms}
                del client.frames[kept:]
                mine = {n: room for n, room in self.model.rooms.items() if name in room.roles}
                assert set(synced) == set(mine)
                for number, room in mine.items():
                    stands = (len(room.log), room.read[name], room.unread(name))
                    told = synced[number]
                    assert (told.head, told.read, told.unread) == stands, (number, name)

    def teardown(self):
        if hasattr(self, "server"):
            for room in self.model.rooms.values():
                self.compare_room(room)
            self.server.close()

    def compare_room(self, room):
        for name, role in room.roles.items():
            if not self.clients[name]:
                continue
            client = self.clients[name][0]
            members = client.ask(MEMBERS, room=room.number)
            assert {one.name: one.role for one in members.members}[name] == role.word
            assert members.total == len(room.roles)
            online = {who for who in room.roles if self.clients[who]}
            assert {one.name for one in members.members if one.online} == online
            assert members.here == len(online)
            self.compare_log(room, client)

    def compare_log(self, room, client):
        found, after = [], 0
        while True:
            page = client.ask(HISTORY, room=room.number, after=after, limit=7)
            found += page.events
            if not page.more:
                break
            after = page.events[-1].seq
        assert [event.seq for event in found] == list(range(1, len(room.log) + 1))
        for event, entry in zip(found, room.log, strict=True):
            if entry[0] == "app":
                assert (event.kind, event.name, said(event)) == entry
            else:
                padded = (*entry[1], None, None, None)[:4]
                assert (event.kind, said(event)) == ("state", padded)


ServerMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
ServerTest = pytest.mark.timeout(600)(ServerMachine.TestCase)
