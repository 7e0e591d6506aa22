"""Devices that talk through a server: the log in one place, a room's state in each device.

The server here is honest unless a test makes it something else; it holds no secret.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from lairchat.e2ee.fold import Key, Message, Named, fold
from lairchat.e2ee.following import Followed
from lairchat.e2ee.payload import Known, Text
from lairchat.e2ee.room import Event, Happening, Opened, Own, Pending, Room, entered
from lairchat.mls.group import Group
from lairchat.mls.joining import join
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.messages import Welcome, decode_message
from lairchat.model.events import EventClass
from lairchat.trust.log import AccountLog
from lairchat.trust.policy import Kind, Policy
from lairchat.trust.structure import identity_of
from tests.trust.rooms import SERVER_KEY, Person

ROOM = 7
NOW = 1_790_000_000_000


class Server:
    """A log, and the trees that go with welcomes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.trees: dict[int, bytes] = {}
        self.people: dict[bytes, Person] = {}

    @property
    def logs(self) -> dict[bytes, AccountLog]:
        return {account: person.log for account, person in self.people.items()}

    def append(self, kind: EventClass, body: bytes, sender: int = 1) -> Event:
        event = Event.of(len(self.events) + 1, kind, sender, body)
        self.events.append(event)
        return event


@dataclass(eq=False)
class Client:
    """One device of somebody, and what its store would hold."""

    server: Server
    person: Person
    number: int = 1
    room: Room = field(init=False)
    messages: dict[Key, Message] = field(default_factory=dict)
    seen: set[Key] = field(default_factory=set)
    hashes: dict[int, bytes] = field(default_factory=dict)
    outbox: dict[bytes, Known] = field(default_factory=dict)
    happened: list[Happening] = field(default_factory=list)
    now: int = NOW
    name: str = ""

    def __post_init__(self) -> None:
        self.server.people[self.person.id] = self.person

    @property
    def kind(self) -> Kind:
        return Kind(self.room.policy.kind)

    def found(self, policy: Policy | None = None) -> "Client":
        group: Group = self.person.found(policy, self.number)
        self._enter(group)
        return self

    def _enter(self, group: Group) -> None:
        followed = Followed.begin(ROOM)
        self.hashes[0] = followed.hash
        for event in self.server.events:
            followed = followed.event(event.seq, event.kind, event.sender, event.digest)
            self.hashes[event.seq] = followed.hash
        self.room = entered(ROOM, SERVER_KEY.public, group, followed, self.server.logs)

    def add(self, *clients: "Client") -> None:
        """Add devices and let them come in."""
        packages = [client.package() for client in clients]
        self.commit(add=[package.package for package in packages])
        for client, package in zip(clients, packages, strict=True):
            client.welcomed(self.welcome, package, self.room.group.public.tree.encode())

    welcome: bytes = b""

    def package(self) -> OwnKeyPackage:
        return self.person.package(self.number)

    def welcomed(self, welcome: bytes, package: OwnKeyPackage, tree: bytes) -> None:
        message = decode_message(welcome)
        assert isinstance(message, Welcome)
        self._enter(join(message, package, tree))

    def commit(self, **what: object) -> Pending:
        """Commit, send and follow."""
        pending = self.prepare(**what)
        self.send_pending()
        self.sync()
        return pending

    def prepare(self, **what: object) -> Pending:
        self.room = self.room.commit(self.server.logs, os.urandom, **what)  # type: ignore[arg-type]
        assert self.room.pending is not None
        self.welcome = self.room.pending.welcome or b""
        return self.room.pending

    def send_pending(self) -> Event:
        assert self.room.pending is not None
        return self.server.append(EventClass.COMMIT, self.room.pending.message)

    def say(self, body: Known | str, id: bytes | None = None) -> bytes:  # noqa: A002
        """Seal and send a message; it stands in the log when this returns."""
        sealed = self.seal(body, id)
        self.server.append(EventClass.APP, sealed)
        return sealed

    def seal(self, body: Known | str, id: bytes | None = None, again: int | None = None) -> bytes:  # noqa: A002
        said = Text(body) if isinstance(body, str) else body
        message, self.room = self.room.seal(
            said, id or os.urandom(16), self.person.log, self.now, os.urandom, again=again
        )
        self.outbox[message] = said
        return message

    def sync(self, logs: Callable[[], dict[bytes, AccountLog]] | None = None) -> list[Happening]:
        """Follow what is new, and return what happened."""
        return [self.take(event, logs) for event in self.server.events[self.room.followed.seq :]]

    def take(
        self,
        event: Event,
        logs: Callable[[], dict[bytes, AccountLog]] | None = None,
        asked: tuple[bytes, ...] = (),
    ) -> Happening:
        if event.body in self.outbox:
            self.room = self.room.sent_by_self(event, self.now)
            self.hashes[event.seq] = self.room.followed.hash
            return Own()
        known = logs() if logs else self.server.logs
        self.room, happening = self.room.receive(
            event,
            known,
            self.now,
            repeats=self.seen.__contains__,
            hash_at=self.hashes.get,
            asked=asked,
        )
        self.hashes[event.seq] = self.room.followed.hash
        self.happened.append(happening)
        if isinstance(happening, Opened):
            self._fold(happening)
        return happening

    def _fold(self, opened: Opened) -> None:
        said = opened.said
        self.seen.add((said.author, said.id))
        match fold(self.kind, said, self.messages.get):
            case Named(name, _):
                self.name = name or self.name
            case (key, message):
                self.messages[key] = message

    @property
    def texts(self) -> list[str | None]:
        return [message.text for message in self.messages.values()]

    def leaf_of(self, other: "Client") -> int:
        wanted = other.person.identity(other.number)
        return next(
            index
            for index, leaf in self.room.group.public.tree.members()
            if identity_of(leaf) == wanted
        )


def talk(*names: str, policy: Policy | None = None) -> list[Client]:
    """Return devices of people in one room that the first has founded."""
    server = Server()
    clients = [Client(server, Person(name)) for name in names]
    clients[0].found(policy)
    if clients[1:]:
        clients[0].add(*clients[1:])
    return clients
