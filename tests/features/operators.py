"""A server with what operators can do on it, and desks at which they do it."""

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from lairchat.core.desk import Desk
from lairchat.core.session import Session
from lairchat.features.accounts import tables as accounts_tables
from lairchat.features.bans import server as bans_server
from lairchat.features.invitations import server as invitations_server
from lairchat.features.keys import server as keys_server
from lairchat.features.room_admin import server as room_admin_server
from lairchat.features.user_admin import server as user_admin_server
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId
from lairchat.model.roles import ServerRole
from tests.features.common import features, flaws
from tests.harness import Client, Server

LINK = "lair://chat.example.org:7023/i/{code}?id=000102030405060708090A0B0C0D0E0F"


def operated(clock):
    """Return the features of a server that people chat on and operators run."""
    return [
        *features(clock),
        bans_server.make(),
        invitations_server.make(lambda code: LINK.format(code=code)),
        keys_server.make(),
        room_admin_server.make(),
        user_admin_server.make(),
    ]


def make_server(**more):
    clock = more.pop("clock", None) or Clock()
    return Server(operated(clock), clock=clock, **more)


class OperatorCase(TestCase):
    """A server with its owner olga, an administrator adam, and the users eve and bob."""

    def setUp(self):
        self.server = make_server()
        self.people = {}
        for name, role in (
            ("olga", ServerRole.OWNER),
            ("adam", ServerRole.ADMIN),
            ("mona", ServerRole.MODERATOR),
            ("eve", ServerRole.USER),
            ("bob", ServerRole.USER),
        ):
            self.people[name] = self.server.member(name)
            self.set_account(name, role=int(role))
        self.local = self.desk()
        self.adam = self.desk("adam")
        self.olga = self.desk("olga")
        self.server.wait(1)
        for client in self.people.values():
            client.forget()

    def tearDown(self):
        self.server.settle()
        self.assertEqual(flaws(self.server), [])
        self.server.close()

    def set_account(self, name, **values):
        """Change an account behind the server's back."""
        users = accounts_tables.users
        change = users.update().where(users.c.name == name).values(**values)
        self.server.change(lambda connection: connection.execute(change))
        role = values.get("role")
        for peer in self.server.hub.peers_of(self.user(name)):
            if role is not None:
                peer.session.role = ServerRole(role)

    def user(self, name):
        """Return the number of an account."""
        return self.people[name].session.user

    def account(self, name):
        return self.server.look(
            lambda connection: accounts_tables.account_by_name(connection, name)
        )

    def desk(self, name=None, address="192.0.2.200"):
        """Return the desk of somebody, or that of the host's operator."""
        if name is None:
            session = Session(
                SessionId(0), LOCAL_OPERATOR, DeviceId(0), "local:1000", ServerRole.OWNER
            )
            return Desk(self.server.kernel, session, "local")
        role = self.account(name).role
        session = Session(SessionId(0), self.user(name), DeviceId(0), name, role)
        return Desk(self.server.kernel, session, address)

    def do(self, desk, command, **arguments):
        """Give a command at a desk and return the reply; raises the refusal."""
        return self.server.result(desk.give(command, arguments))

    def refuse(self, refusal, desk, command, **arguments):
        return self.assertRaises(refusal, self.do, desk, command, **arguments)

    def connect(self, name, address="192.0.2.1"):
        """Return another device of somebody, logged in."""
        client = Client(self.server, address)
        client.login(name)
        return client
