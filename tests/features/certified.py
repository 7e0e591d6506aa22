"""People with account logs on a server, and their devices' proofs and key packages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.task import Clock

from lairchat.core.feature import Feature
from lairchat.features.bans import server as bans_server
from lairchat.features.identities import server as identities_server
from lairchat.features.identities import tables as identities
from lairchat.features.identities.messages import APPEND, PROVE, PUBLISH
from lairchat.features.inbox import server as inbox_server
from lairchat.features.key_packages import server as key_packages_server
from lairchat.features.keys import server as keys_server
from lairchat.mls.keypackages import make_key_package
from lairchat.mls.objects import BasicCredential, Lifetime
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.identity import ServerId
from lairchat.trust.entry import ENTRIES, Body, Reason, Revocation, SignedEntry
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import encode_log
from lairchat.trust.policy import CAPABILITIES, head_extension
from lairchat.trust.proof import sign_proof
from tests.features.common import features
from tests.harness import Client, Server
from tests.trust.people import SERVER, Account, device, key
from tests.trust.rooms import signing_seed

PART = 8
"""count: entries of a log that surely fit a command."""


def make_server(*more: Feature, **options: Any) -> Server:
    """Return a server that knows rooms, bans, account logs, key packages and inboxes."""
    clock = options.pop("clock", None) or Clock()
    mine = [
        *features(clock),
        keys_server.make(),
        bans_server.make(),
        identities_server.make(lambda: SERVER),
        key_packages_server.make(),
        inbox_server.make(),
        *more,
    ]
    return Server(mine, clock=clock, **options)


class Person:
    """An account with a log of its own making; its connections are made one by one."""

    def __init__(self, server: Server, name: str, devices: int = 1) -> None:
        self.server = server
        self.name = name
        self.account = Account(name)
        for number in range(1, devices + 1):
            self.account.say(device(name, number))

    @property
    def id(self) -> bytes:
        return self.account.log.account

    @property
    def whole(self) -> bytes:
        """The log as it is published."""
        return encode_log(self.account.genesis, self.account.entries)

    def identity(self, number: int = 1) -> LeafIdentity:
        return LeafIdentity(self.id, device(self.name, number).id)

    def publish(self, client: Client) -> None:
        """Publish the log, a part at a time as frames want it."""
        entries = self.account.entries
        client.ask(PUBLISH, log=encode_log(self.account.genesis, entries[:PART]))
        for start in range(PART, len(entries), PART):
            part = ENTRIES.write(entries[start : start + PART])
            client.ask(APPEND, after=start, entries=part)

    # -- connections

    def register(self) -> Client:
        """Return the first connection, of a session that has proven nothing."""
        return self.server.member(self.name)

    def login(self, **more: Any) -> Client:
        """Return another one."""
        client = Client(self.server)
        client.login(self.name, **more)
        return client

    def prove(self, client: Client, number: int = 1) -> None:
        client.ask(PROVE, device=self.identity(number).device, signature=self.proof(client, number))

    def proof(self, client: Client, number: int = 1, server: ServerId = SERVER) -> bytes:
        session = client.session
        assert session is not None
        mine = key(self.name, "device", number)
        return sign_proof(mine, server, session.session, session.device)

    def device(self, number: int = 1) -> Client:
        """Return a connection of a certified device, proven."""
        client = self.login()
        self.prove(client, number)
        client.forget()
        return client

    # -- the log

    def revocation(self, number: int = 1) -> Body:
        found = self.account.log.device(device(self.name, number).id)
        assert found is not None
        return Revocation(found.position, Reason.LOST)

    def append(self, client: Client, *bodies: Body) -> Any:
        """Say more in the log, here and on the server."""
        before = self.account.log.head.position
        entries = [self.account.say(body) for body in bodies]
        return client.ask(APPEND, after=before, entries=ENTRIES.write(entries))

    # -- key packages

    def package(
        self,
        number: int = 1,
        *,
        begins: int = -limits.HOUR,
        lasts: int = limits.LAST_RESORT_SECONDS,
        **wrong: Any,
    ) -> bytes:
        """Return a fresh key package, right unless an argument makes it wrong; times from now, s."""
        now = self.server.now() // 1000
        how: dict[str, Any] = {
            "capabilities": CAPABILITIES,
            "leaf_extensions": (head_extension(self.account.log.head),),
        }
        suite = wrong.pop("suite", HYBRID)
        credential = wrong.pop("credential", BasicCredential(self.identity(number).encode()))
        signing = wrong.pop("signing_key", signing_seed(self.name, number))
        random = wrong.pop("random", os.urandom)
        lifetime = Lifetime(now + begins, now + lasts)
        own = make_key_package(suite, credential, signing, lifetime, random, **{**how, **wrong})
        return own.package.encode()


def entries_of(*entries: SignedEntry) -> bytes:
    """Return signed entries as they are appended."""
    return ENTRIES.write(entries)


def newcomer(server: Server, name: str, devices: int = 1) -> tuple[Person, Client]:
    """Return somebody whose log is published, and a connection that has proven its first device."""
    person = Person(server, name, devices)
    client = person.register()
    person.publish(client)
    person.prove(client)
    client.forget()
    return person, client


@contextmanager
def forgotten() -> Iterator[None]:
    """Let logs be read from the database, as after a start of the server."""
    kept, identities.verified = identities.verified, identities.Logs(65_536)
    try:
        yield
    finally:
        identities.verified = kept
