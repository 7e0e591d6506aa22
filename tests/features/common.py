"""A server with rooms in it, and the invariants that hold whatever a test has done to it."""

import msgspec
from sqlalchemy import func, select
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from lairchat.features.messages import server as messages_server
from lairchat.features.messages.messages import HISTORY, SEND, StateChange, Text
from lairchat.features.moderation import server as moderation_server
from lairchat.features.muting import server as muting_server
from lairchat.features.presence import server as presence_server
from lairchat.features.rooms import server as rooms_server
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE, JOIN, LIST, MINE
from lairchat.model.refusal import Refusal
from lairchat.model.roles import RoomRole
from lairchat.storage import log
from tests.harness import Client, Server, accounts

ROLES = tuple(RoomRole)


def text(words, **more):
    """Return the body of a message."""
    return msgspec.msgpack.encode(Text(words, **more))


def said(event):
    """Return the words of a message, or what a statement says: (what, by, whom, text)."""
    if event.kind == "app":
        return msgspec.msgpack.decode(event.body, type=Text).text
    change = msgspec.msgpack.decode(event.body, type=StateChange)
    return (change.what, change.by, change.whom, change.text)


def features(clock):
    """Return the features that have to do with rooms, and accounts."""
    return [
        accounts(),
        rooms_server.make(),
        messages_server.make(),
        moderation_server.make(),
        muting_server.make(),
        presence_server.make(clock),
    ]


def make_server(**more):
    """Return a server with these features."""
    clock = more.pop("clock", None) or Clock()
    return Server(features(clock), clock=clock, **more)


def flaws(server):
    """Return what is wrong in the database, or between it and the hub; [] on a sound server."""

    def look(connection):
        found = []
        counted = dict(
            connection.execute(
                select(rooms.memberships.c.room, func.count()).group_by(rooms.memberships.c.room)
            ).all()
        )
        for room, members in connection.execute(select(rooms.rooms.c.id, rooms.rooms.c.members)):
            if counted.get(room, 0) != members:
                found.append(f"room {room} counts {members}, has {counted.get(room, 0)}")
            broken = log.verify(connection, room)
            if broken is not None:
                found.append(f"the log of room {room} breaks at {broken}")
        for user, person in server.hub.people.items():
            inside = set(rooms.rooms_of(connection, user))
            if inside != set(person.rooms):
                found.append(f"user {user} is in {inside}, hears {set(person.rooms)}")
        return found

    found = server.look(look)
    for number, channel in server.hub.channels.items():
        users = {peer.session.user for peer in channel.peers}
        if len(users) != channel.people or channel.frames or channel.authors:
            found.append(f"channel {number} is out of step")
    return found


class Case(TestCase):
    """A server, three members and a room: alice owns #ops, bob is in it, carol is not."""

    def setUp(self):
        self.server = self.build()
        self.alice, self.bob, self.carol = map(self.server.member, ("alice", "bob", "carol"))
        self.ops = self.alice.ask(CREATE, name="ops").room
        self.bob.ask(JOIN, name="ops")
        self.settle()
        self.forget()

    def build(self):
        """Return the server, of which a test may want more."""
        return make_server()

    def tearDown(self):
        self.server.settle()
        self.assertEqual(flaws(self.server), [])
        self.server.close()

    def settle(self):
        """Let happen what can, presence too."""
        self.server.wait(1)

    def forget(self):
        """Forget what everybody has received."""
        for client in (self.alice, self.bob, self.carol):
            client.forget()

    def device(self, name):
        """Return another device of a member, logged in."""
        client = Client(self.server)
        client.login(name)
        self.settle()
        client.forget()
        return client

    def refuse(self, refusal, client, command, key=None, /, **arguments):
        """Expect a command to be refused; return the refusal."""
        return self.assertRaises(refusal, client.ask, command, key, **arguments)

    def say(self, client, room, words, key=None):
        """Send a message and return its answer."""
        return client.ask(SEND, key, room=room, body=text(words))

    def set_role(self, room, client, role):
        """Make a member something else, or no member, behind the server's back."""
        user = client.session.user

        def change(connection):
            there = rooms.role_of(connection, room, user)
            if there is None and role is not None:
                rooms.add(connection, room, user, role, 0)
            elif there is not None and role is None:
                rooms.remove(connection, room, user)
            elif there is not None:
                rooms.set_role(connection, room, user, role)

        self.server.change(change)
        if role is None:
            self.server.hub.exit(user, room)
        else:
            self.server.hub.enter(user, room)

    def log_of(self, client, room):
        """Return all that a member reads in a room."""
        read, after = [], 0
        while True:
            page = client.ask(HISTORY, room=room, after=after)
            read.extend(page.events)
            if not page.more:
                return read
            after = page.events[-1].seq

    def rooms_of(self, client):
        """Return what somebody is a member of, by name."""
        return {room.name: room for room in client.ask(MINE).rooms}

    def listed(self, client):
        """Return the rooms that somebody may know of, by name."""
        return {room.name: room for room in client.ask(LIST).rooms}


def refusal_of(client, command, /, **arguments):
    """Return with what a command is refused, None if it is not."""
    try:
        client.ask(command, **arguments)
    except Refusal as refusal:
        return type(refusal)
    return None
