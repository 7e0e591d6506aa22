"""Every command of operators, generated from the table: who may give it, and what a rehearsal does.

Nothing here knows which commands there are; a new one is held to the same rules by being declared.
"""

import importlib
import pkgutil
import re

import msgspec
from msgspec import inspect
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

import lairchat.features
from lairchat.core.desk import Desk
from lairchat.core.feature import Feature
from lairchat.core.plan import Done, Read, Write
from lairchat.core.session import Session
from lairchat.features.accounts import tables as accounts
from lairchat.features.bans import tables as bans
from lairchat.features.bans.messages import ADD_BAN
from lairchat.features.invitations.messages import CREATE_INVITE
from lairchat.features.keys.messages import ADD_KEY
from lairchat.features.rooms.messages import CREATE
from lairchat.features.user_admin.messages import LOCK_USER
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import AuthBanned, Denied
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Stage
from lairchat.wire.shown import Kind, kind_of
from tests.features.keys.test_server import new_key
from tests.features.operators import OperatorCase, operated
from tests.harness import Server


def declared():
    """Return every command that some feature offers to operators."""
    found = []
    for feature in pkgutil.iter_modules(lairchat.features.__path__, "lairchat.features."):
        name = f"{feature.name}.messages"
        if importlib.util.find_spec(name) is not None:
            values = vars(importlib.import_module(name)).values()
            found += [one for one in values if isinstance(one, Command) and one.cli is not None]
    return sorted(found, key=lambda command: command.name)


COMMANDS = declared()
ROLES = tuple(ServerRole)


def least(kind):
    """Return some value of a type."""
    match kind:
        case inspect.IntType(ge=ge):
            return max(ge or 0, 1)
        case inspect.StrType(min_length=length):
            return "x" * (length or 1)
        case inspect.BoolType():
            return False
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.Metadata(type=inner):
            return least(inner)
        case inspect.ListType():
            return []
        case inspect.UnionType(includes_none=True):
            return None
    raise AssertionError(f"no value for {kind}")


def arguments_of(command):
    """Return the least that a command takes."""
    fields = inspect.type_info(command.request).fields
    return {field.name: least(field.type) for field in fields if field.required}


def reply_of(command):
    """Return some reply of the command's type."""
    fields = inspect.type_info(command.reply).fields
    return command.reply(**{field.name: least(field.type) for field in fields if field.required})


class DeclarationTests(TestCase):
    """What every door counts on (the seams of the operators' commands)."""

    def test_there_are_some(self):
        self.assertGreater(len(COMMANDS), 20)

    def test_the_name_is_made_of_the_words(self):
        for command in COMMANDS:
            words = re.match(r"[a-z -]+", command.cli)[0].split()
            self.assertEqual(command.name, "admin." + "_".join(words))

    def test_what_changes_something_can_be_rehearsed_and_says_what_it_did(self):
        for command in COMMANDS:
            changes = issubclass(command.request, Change)
            self.assertEqual(changes, issubclass(command.reply, Outcome), command.name)
            if not changes:
                self.assertFalse(command.asks, command.name)
                self.assertIs(command.overlap, Overlap.READ, command.name)
            self.assertIs(command.stage, Stage.READY)
            self.assertGreaterEqual(command.role, ServerRole.MODERATOR, command.name)

    def test_a_list_has_rows_of_its_own_type_and_may_go_on(self):
        for command in COMMANDS:
            fields = msgspec.structs.fields(command.reply)
            lists = [one for one in fields if getattr(one.type, "__origin__", None) is list]
            self.assertLessEqual(len(lists), 1, command.name)
            if any(one.name == "next" for one in fields):
                asked = {one.name for one in msgspec.structs.fields(command.request)}
                self.assertIn("after", asked, command.name)


class MatrixTests(TestCase):
    """Every command x every role x every way in; what is reached behind the gate is noted."""

    def setUp(self):
        self.reached = []
        clock = Clock()
        gate = Feature(
            name="gate", handlers={command: self.handler(command) for command in COMMANDS}
        )
        # The features that decide who is let in, without their own commands for operators.
        others = [
            Feature(
                **{
                    name: getattr(feature, name)
                    for name in Feature.__dataclass_fields__
                    if name != "handlers"
                },
                handlers={
                    command: handler
                    for command, handler in feature.handlers.items()
                    if command.cli is None
                },
            )
            for feature in operated(clock)
        ]
        self.server = Server([*others, gate], clock=clock)
        self.members = {}
        for role in ROLES:
            member = self.members[role] = self.server.member(f"the-{role.word}-one")
            self.become(member, role)
            member.peer.session.role = role

    def tearDown(self):
        self.server.close()

    def handler(self, command):
        """Return a handler of the kind that this command has, which only notes that it ran."""

        def read(_connection):
            self.reached.append(command.name)
            return reply_of(command)

        if command.overlap is Overlap.READ:
            return lambda _call, _request: Read(read)
        return lambda _call, _request: Write(lambda connection: Done(read(connection)))

    def become(self, member, role, **more):
        users = accounts.users
        change = users.update().where(users.c.id == member.session.user)
        self.server.change(
            lambda connection: connection.execute(change.values(role=int(role), **more))
        )

    def desk(self, user, role):
        return Desk(
            self.server.kernel, Session(SessionId(0), user, DeviceId(0), "x", role), "192.0.2.9"
        )

    def outcome(self, give, command):
        """Give a command and return with what it is refused, None if it is carried out."""
        self.reached.clear()
        try:
            give(command, arguments_of(command))
        except Refusal as refusal:
            self.assertEqual(self.reached, [], command.name)
            return type(refusal)
        self.assertEqual(self.reached, [command.name])
        return None

    def expect(self, role, command):
        return None if role >= command.role else Denied

    def at(self, desk):
        return lambda command, arguments: self.server.result(desk.give(command, arguments))

    def test_at_a_desk(self):
        for role, member in self.members.items():
            give = self.at(self.desk(member.session.user, role))
            for command in COMMANDS:
                self.assertIs(self.outcome(give, command), self.expect(role, command), command.name)

    def test_over_a_chat_connection(self):
        for role, member in self.members.items():
            for command in COMMANDS:
                outcome = self.outcome(lambda c, a, m=member: m.ask(c, **a), command)
                self.assertIs(outcome, self.expect(role, command), command.name)

    def test_by_whoever_was_an_owner_when_they_came(self):
        for role, member in self.members.items():
            give = self.at(self.desk(member.session.user, ServerRole.OWNER))
            for command in COMMANDS:
                self.assertIs(self.outcome(give, command), self.expect(role, command), command.name)

    def test_by_the_hosts_operator(self):
        give = self.at(self.desk(LOCAL_OPERATOR, ServerRole.OWNER))
        for command in COMMANDS:
            self.assertIsNone(self.outcome(give, command), command.name)

    def test_by_an_owner_who_is_locked_or_banned_or_never_was(self):
        owner = self.members[ServerRole.OWNER]
        give = self.at(self.desk(owner.session.user, ServerRole.OWNER))
        self.become(owner, ServerRole.OWNER, state=accounts.LOCKED)
        for command in COMMANDS:
            self.assertIs(self.outcome(give, command), Denied, command.name)
        self.become(owner, ServerRole.OWNER, state=accounts.IN_USE)
        self.server.change(
            lambda connection: bans.keep_ban(
                connection,
                network=None,
                user=owner.session.user,
                reason="",
                by=None,
                now=0,
                until=None,
            )
        )
        for command in COMMANDS:
            self.assertIs(self.outcome(give, command), AuthBanned, command.name)
        give = self.at(self.desk(999, ServerRole.OWNER))
        for command in COMMANDS:
            self.assertIs(self.outcome(give, command), Denied, command.name)


class RehearsalTests(OperatorCase):
    """Every change of people and rooms: rehearsed it changes nothing, done it changes something."""

    def setUp(self):
        super().setUp()
        self.people["bob"].ask(CREATE, name="den")
        self.do(self.local, CREATE_INVITE)
        self.do(self.local, LOCK_USER, name="mona")
        self.do(self.local, ADD_BAN, kind="ip", target="198.51.100.7")
        self.do(self.local, ADD_KEY, name="adam", key=new_key()[0])
        self.key = new_key()[0]

    def dump(self):
        """Return all that is in the database."""

        def look(connection):
            tables = connection.exec_driver_sql(
                "SELECT name FROM sqlite_schema WHERE type = 'table'"
            ).scalars()
            return {
                table: connection.exec_driver_sql(f"SELECT * FROM {table}").fetchall()
                for table in list(tables)
            }

        return self.server.look(look)

    def arguments(self, command):
        """Return arguments with which a change has something to do."""
        sensible = {
            "name": {"admin.user_unlock": "mona", "admin.user_create": "nina"}.get(
                command.name, "adam" if "key" in command.name else "eve"
            ),
            "key": "1" if command.name.endswith("remove") else self.key,
            "role": "moderator",
            "room": "den",
            "session": self.people["eve"].session.session,
            "invite": 1,
            "kind": "ip",
            "target": "198.51.100.7" if command.name.endswith("remove") else "198.51.100.8",
        }
        fields = msgspec.structs.fields(command.request)
        return {one.name: sensible[one.name] for one in fields if one.required}

    def changes(self):
        table = self.server.kernel.table
        return [one for one in table if one.cli is not None and issubclass(one.request, Change)]

    def test_each(self):
        self.assertGreater(len(self.changes()), 12)
        for command in self.changes():
            arguments, before = self.arguments(command), self.dump()
            trial = self.do(self.local, command, **arguments, dry_run=True)
            self.assertEqual(self.dump(), before, command.name)
            self.assertIsNone(self.people["eve"].closed, command.name)
            done = self.do(self.local, command, **arguments)
            self.assertEqual(trial.done, done.done)
            self.assertNotEqual(self.dump(), before, command.name)
            # The next command finds everything as this one did.
            self.tearDown()
            self.setUp()

    def test_what_they_say_is_one_line_that_terminals_can_show(self):
        for command in self.changes():
            outcome = self.do(self.local, command, **self.arguments(command), dry_run=True)
            self.assertTrue(outcome.done.isprintable(), outcome)
            self.assertTrue(outcome.undo.isprintable(), outcome)
            self.assertEqual((outcome.done, outcome.done.strip()), (outcome.done, outcome.done))

    def test_an_undo_is_a_line_of_the_grammar(self):
        words = {tuple(re.match(r"[a-z -]+", one.cli)[0].split()) for one in COMMANDS}
        for command in self.changes():
            outcome = self.do(self.local, command, **self.arguments(command), dry_run=True)
            if outcome.undo:
                line = tuple(outcome.undo.split())
                self.assertTrue(any(line[: len(one)] == one for one in words), outcome.undo)

    def test_files_are_public_keys_only(self):
        files = [
            (command.name, one.name)
            for command in COMMANDS
            for one in msgspec.structs.fields(command.request)
            if kind_of(one.type) is Kind.FILE
        ]
        self.assertIn(("admin.user_key_add", "key"), files)
