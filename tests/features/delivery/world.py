"""Encrypted rooms on a real server: certified devices that found, commit, follow and read.

``Device`` is one device's end, with real MLS and every check that a client makes; it does not know how
its commands get to the server.  ``Here`` is a server in this thread with such devices.
"""

import os
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from twisted.internet.task import Clock

from lairchat.features.bans import server as bans_server
from lairchat.features.delivery import groups as delivery_groups
from lairchat.features.delivery import messages, tables
from lairchat.features.delivery import server as delivery_server
from lairchat.features.identities import server as identities_server
from lairchat.features.identities import tables as identities
from lairchat.features.identities.messages import APPEND, PROVE, PUBLISH
from lairchat.features.inbox import server as inbox_server
from lairchat.features.inbox.messages import ACK
from lairchat.features.inbox.messages import READ as READ_INBOX
from lairchat.features.joining import server as joining_server
from lairchat.features.key_packages import server as key_packages_server
from lairchat.features.keys import server as keys_server
from lairchat.features.messages.messages import HISTORY, SEND, LogEvent
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE, DIRECT
from lairchat.features.transfer import server as transfer_server
from lairchat.features.transfer.messages import BEGIN, PUT
from lairchat.mls.errors import MLSError
from lairchat.mls.group import Committed, Group, PastEpoch
from lairchat.mls.joining import join, join_external
from lairchat.mls.messages import (
    GroupInfo,
    PrivateMessage,
    PublicMessage,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import Add, LeafNode, Proposal
from lairchat.model import limits
from lairchat.trust.entry import ENTRIES, Reason, Revocation
from lairchat.trust.log import AccountLog, encode_log
from lairchat.trust.policy import (
    Policy,
    context_extensions,
    direct_policy,
    encode_reasons,
    private_policy,
)
from lairchat.trust.proof import sign_proof
from lairchat.trust.structure import (
    accounts_in,
    check_commit,
    check_group,
    check_proposal,
    identity_of,
)
from lairchat.wire.bulk import Outgoing
from tests.features.common import features
from tests.harness import Client, Server
from tests.trust.people import SERVER, Account, device, key, seed
from tests.trust.rooms import NO_REASON
from tests.trust.rooms import Person as Somebody

PART = 8
"""count: entries of a log that surely fit a command."""


class Identity:
    """A server's identity key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed("server", "proposals"))
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


class Person(Somebody):
    """An account of this server and its devices."""

    def __init__(self, name: str, devices: int = 1, server: Any = SERVER) -> None:
        self.account = Account(name, server)
        self.name = name
        for number in range(1, devices + 1):
            self.account.say(device(name, number))

    def publish(self, ask: Callable[..., Any]) -> None:
        """Publish the log, a part at a time as frames want it."""
        entries = self.account.entries
        ask(PUBLISH, log=encode_log(self.account.genesis, entries[:PART]))
        for start in range(PART, len(entries), PART):
            part = ENTRIES.write(entries[start : start + PART])
            ask(APPEND, after=start, entries=part)

    def certify(self, number: int) -> bytes:
        """Certify one more device, and return the entry as it is appended."""
        return ENTRIES.write([self.account.say(device(self.name, number))])

    def revoke(self, number: int) -> bytes:
        """Revoke a device, and return the entry as it is appended."""
        found = self.log.device(device(self.name, number).id)
        assert found is not None
        return ENTRIES.write([self.account.say(Revocation(found.position, Reason.LOST))])


class Device:
    """A device in one encrypted room.

    logs: everybody's, as all have read them.  texts: what it has read.
    """

    def __init__(
        self, person: Person, number: int, logs: dict[bytes, AccountLog], server_key: bytes
    ) -> None:
        self.person = person
        self.number = number
        self.logs = logs
        self.server_key = server_key
        self.group: Group | None = None
        self.past: PastEpoch | None = None
        self.package: Any = None
        self.pending: Committed | None = None
        self.proposing: Group | None = None
        self.seq = 0
        self.texts: list[bytes] = []
        self.lost: list[bytes] = []
        self.out = False

    @property
    def identity(self) -> Any:
        return self.person.identity(self.number)

    @property
    def leaf(self) -> int:
        assert self.group is not None
        return self.group.leaf

    @property
    def epoch(self) -> int:
        assert self.group is not None
        return self.group.context.epoch

    # -- what it sends

    def proof(self, server: Any, session: int, number: int) -> bytes:
        mine = key(self.person.name, "device", self.number)
        return sign_proof(mine, server, session, number)

    def founding(self, policy: Policy, group_id: bytes | None = None) -> dict[str, bytes]:
        extensions = context_extensions(policy, self.server_key)
        package = self.person.package(self.number)
        self.group = Group.create(package, group_id or os.urandom(16), extensions, os.urandom)
        info = self.group.group_info(with_tree=False)
        return {"info": encode_message(info), "tree": self.group.public.tree.encode()}

    def committing(
        self,
        *proposals: Proposal,
        said: bytes = b"",
        references: list[bytes] | None = None,
        with_tree: bool = False,
    ) -> dict[str, bytes]:
        assert self.group is not None
        self.pending = self.group.commit(
            os.urandom,
            proposals=proposals,
            references=references,
            authenticated_data=said,
            with_tree=with_tree,
        )
        return self.arguments()

    def arguments(self) -> dict[str, bytes]:
        """Return the commit that this device has made, as it is sent."""
        assert self.pending is not None
        return {
            "message": self.pending.message,
            "welcome": self.pending.welcome or b"",
            "info": encode_message(self.pending.group.group_info(with_tree=False)),
        }

    def joining(self, info: bytes, tree: bytes, remove: int | None = None) -> dict[str, bytes]:
        """Return the commit by which the device joins by itself."""
        stated = decode_message(info)
        assert isinstance(stated, GroupInfo)
        self.pending = join_external(
            stated,
            self.person.package(self.number),
            os.urandom,
            tree=tree,
            remove=remove,
            authenticated_data=b"" if remove is None else encode_reasons(NO_REASON),
        )
        return self.arguments()

    def adding(self, *others: "Device") -> list[Add]:
        """Return Adds of other devices, each by a fresh key package."""
        for other in others:
            other.package = other.person.package(other.number)
        return [Add(other.package.package) for other in others]

    def sealed(self, text: bytes) -> bytes:
        assert self.group is not None
        message, self.group = self.group.encrypt(text, os.urandom)
        return message

    # -- what it hears

    def welcomed(self, welcome: bytes, tree: bytes, seq: int) -> None:
        """Join by a welcome; seq: the event of the commit that added this device."""
        message = decode_message(welcome)
        assert isinstance(message, Welcome)
        assert len(message.secrets) == 1, "somebody else's secrets are in this welcome"
        self.group = join(message, self.package, tree)
        check_group(self.group.public, self.server_key, self.logs)
        self.seq = seq

    def won(self) -> None:
        """Take the commit that the server took."""
        assert self.pending is not None
        if self.group is not None:
            self.past = self.group.past(self.pending.transition.applied.removed)
        self.group, self.pending = self.pending.group, None

    def hear(self, event: LogEvent, *, own: bool, body: bytes) -> None:
        """Follow an event of the log, with all that a client checks."""
        assert event.seq == self.seq + 1, "the log has a gap"
        self.seq = event.seq
        if self.out or event.kind in {"state", "hint", "tombstone"}:
            return
        if event.kind == "commit":
            self._commit(own, body)
        elif event.kind == "proposal":
            self._proposal(own, body)
        elif not own:
            self._message(body)

    def _commit(self, own: bool, body: bytes) -> None:
        if own:
            self.won()
            return
        assert self.group is not None
        self.pending = None
        message = decode_message(body)
        assert isinstance(message, PublicMessage)
        staged = self.group.receive_commit(message)
        check_commit(self.group.public, staged.transition, self.server_key, self.logs)
        self.past = self.group.past(staged.transition.applied.removed)
        self.group = staged.group
        self.out = staged.group is None

    def _proposal(self, own: bool, body: bytes) -> None:
        assert self.group is not None
        if own and self.proposing is not None:
            self.group, self.proposing = self.proposing, None
            return
        message = decode_message(body)
        assert isinstance(message, PublicMessage)
        proposed, group = self.group.receive_proposal(message)
        check_proposal(self.group.public, proposed, self.server_key, self.logs)
        self.group = group

    def _message(self, body: bytes) -> None:
        message = decode_message(body)
        assert isinstance(message, PrivateMessage)
        assert self.group is not None
        try:
            received, self.group = self.group.decrypt(message)
        except MLSError:
            self.lost.append(body)
            return
        self.texts.append(received.data)


def all_features(clock: Clock, server: Identity | None = None) -> list[Any]:
    """Return what a server can do that has encrypted rooms."""
    mine = server or Identity()
    return [
        *features(clock),
        transfer_server.make(),
        keys_server.make(),
        bans_server.make(),
        identities_server.make(lambda: SERVER),
        key_packages_server.make(),
        inbox_server.make(),
        delivery_server.make(lambda: mine),
        joining_server.make(lambda: mine),
    ]


class Member(Device):
    """A device with a connection to a server in this thread."""

    def __init__(self, here: "Here", client: Client, person: Person, number: int = 1) -> None:
        super().__init__(person, number, here.logs, here.identity.public_key)
        self.here = here
        self.client = client
        self.room = 0
        self.keys: set[bytes] = set()

    def ask(self, command: Any, /, **arguments: Any) -> Any:
        return self.client.ask(command, **arguments)

    def prove(self) -> None:
        session = self.client.session
        assert session is not None
        proof = self.proof(SERVER, session.session, session.device)
        self.ask(PROVE, device=self.identity.device, signature=proof)

    # -- a room's beginning

    def create(self, policy: Policy | None = None) -> int:
        """Make a private room, and found its group."""
        self.room = self.ask(CREATE, name="", access="private", crypto="mls").room
        self.found(policy or private_policy([self.person.id]))
        return self.room

    def open(self, other: "Member") -> int:
        """Open the direct conversation with somebody, and found its group."""
        self.room = self.ask(DIRECT, name=other.person.name, crypto="mls").room
        self.found(direct_policy(self.person.id, other.person.id))
        return self.room

    def found(self, policy: Policy) -> None:
        self.seq = self.ask(messages.FOUND, room=self.room, **self.founding(policy)).seq

    # -- changing it

    def give_commit(self, arguments: dict[str, Any], key: bytes | None = None) -> int:
        """Send a commit, in the command or ahead of it; return the request."""
        key = key or self.client.new_key()
        self.keys.add(key)
        sent: dict[str, Any] = {"room": self.room, "info": arguments["info"]}
        sent["admissions"] = arguments.get("admissions", [])
        for name, blob in (("message", "blob"), ("welcome", "welcome_blob")):
            if len(arguments[name]) <= limits.FRAME_BYTES // 3:
                sent[name] = arguments[name]
            else:
                sent[blob] = self.put(arguments[name])
        return self.client.give(messages.COMMIT, key, **sent)

    def put(self, data: bytes) -> bytes:
        """Put a blob, chunk by chunk."""
        blob, out = os.urandom(16), Outgoing.of(data)
        self.ask(BEGIN, blob=blob, total=out.total, digest=out.digest)
        for offset, chunk in out.chunks():
            self.ask(PUT, blob=blob, offset=offset, data=chunk)
        return blob

    def send_commit(self, arguments: dict[str, Any], key: bytes | None = None) -> Any:
        request = self.give_commit(arguments, key)
        self.here.server.settle()
        return self.client.answer(request)

    def commit(self, *proposals: Proposal, said: bytes = b"") -> Any:
        """Commit, and follow the log to behind it."""
        reply = self.send_commit(self.committing(*proposals, said=said))
        self.read()
        assert self.epoch == reply.epoch
        return reply

    def adding(self, *others: Device) -> list[Add]:
        """Return Adds of other devices, whose people have agreed to come into the room."""
        for other in others:
            if isinstance(other, Member):
                self.here.agreed(self, other)
        return super().adding(*others)

    def add(self, *others: "Member") -> Any:
        """Add devices, which join by their welcomes."""
        reply = self.commit(*self.adding(*others))
        for other in others:
            other.room = self.room
            other.enter(reply)
        return reply

    def enter(self, committed: Any) -> None:
        """Join by the welcome that waits in the inbox."""
        (entry,) = [one for one in self.ask(READ_INBOX).entries if one.kind == "welcome"]
        self.welcomed(entry.body, self.tree(committed.epoch), committed.seq)
        self.ask(ACK, upto=entry.seq)

    def tree(self, epoch: int) -> bytes:
        """Read a tree, part by part."""
        return self._parts(messages.TREE, epoch=epoch)

    def _parts(self, command: Any, **arguments: Any) -> bytes:
        data, total = b"", 1
        while len(data) < total:
            part = self.ask(command, room=self.room, offset=len(data), **arguments)
            data, total = data + part.data, part.total
        return data

    def rejoin(self, remove: int | None = None) -> dict[str, bytes]:
        """Return the commit by which the device joins by itself, by what the server tells it."""
        told = self.ask(messages.INFO, room=self.room)
        return self.joining(told.info, self.tree(told.epoch), remove)

    def propose(self, message: bytes) -> Any:
        key = self.client.new_key()
        self.keys.add(key)
        return self.client.ask(messages.PROPOSE, key, room=self.room, message=message)

    # -- talking

    def say(self, text: bytes) -> Any:
        key = self.client.new_key()
        self.keys.add(key)
        return self.client.ask(SEND, key, room=self.room, body=self.sealed(text))

    def read(self) -> list[LogEvent]:
        """Follow the log to its end."""
        found = []
        more = True
        while more:
            page = self.ask(HISTORY, room=self.room, after=self.seq, limit=100)
            for event in page.events:
                body = event.body
                if event.kind == "commit" and body[:1] != b"\0":
                    body = self._parts(messages.COMMIT_BODY, seq=event.seq)
                self.hear(event, own=event.id in self.keys, body=body)
            found += page.events
            more = page.more
        return found


class Here:
    """A server in this thread, and people with certified devices on it."""

    def __init__(self, **more: Any) -> None:
        self.clock = more.pop("clock", None) or Clock()
        self.identity = Identity()
        self.server = Server(all_features(self.clock, self.identity), clock=self.clock, **more)
        self.people: dict[str, Person] = {}
        self.logs: dict[bytes, AccountLog] = {}

    def member(self, name: str, number: int = 1, *, devices: int = 1) -> Member:
        """Return a certified device, of somebody new or somebody known, on a connection of its own."""
        client = Client(self.server)
        person = self.people.get(name)
        if person is None:
            person = self.people[name] = Person(name, devices)
            client.register(name)
            person.publish(client.ask)
        else:
            client.login(name)
        self.logs[person.id] = person.log
        member = Member(self, client, person, number)
        member.prove()
        return member

    def append(self, member: Member, entries: bytes, after: int) -> None:
        """Publish entries of somebody's log, which all read."""
        member.ask(APPEND, after=after, entries=entries)
        self.logs[member.person.id] = member.person.log

    def agreed(self, by: Member, guest: Member) -> None:
        """Let somebody have accepted an invitation; how that comes about is tests/features/joining's."""
        user, inviter = guest.client.session.user, by.client.session.user

        def change(connection: Any) -> None:
            inside = rooms.role_of(connection, by.room, user) is not None
            if not inside and inviter not in rooms.inviters(connection, by.room, user):
                rooms.invite(connection, by.room, user, inviter, self.server.now())
            rooms.accept(connection, by.room, user, self.server.now())

        self.server.change(change)

    def agree(self, *members: Member) -> None:
        """Hold devices to one state of one epoch, all having read the log to its end."""
        for member in members:
            member.read()
        groups = [member.group for member in members]
        assert all(group is not None for group in groups)
        assert len({group.authenticator for group in groups if group is not None}) == 1
        state = members[0].ask(messages.STATE, room=members[0].room)
        assert {member.epoch for member in members} == {state.epoch}
        assert members[0].group is not None
        assert members[0].group.context.tree_hash == state.tree_hash

    def flaws(self) -> list[str]:
        """Return what is wrong between the rows of the groups; [] on a sound server."""

        def look(connection: Any) -> list[str]:
            found = []
            rows = connection.execute(
                select(tables.mls_groups.c.room, rooms.rooms.c.kind).join(rooms.rooms)
            )
            for room, kind in rows.all():
                group = delivery_groups.Groups(0).require(connection, room).group
                leaves = {
                    (one.leaf, one.account, one.device, one.key)
                    for one in tables.leaves(connection, room)
                }
                tree = {
                    (place, *identity_parts(leaf), leaf.signature_key)
                    for place, leaf in group.tree.members()
                }
                if leaves != tree:
                    found.append(f"room {room}: the leaves are not those of the tree")
                inside = {
                    identities.user_of(connection, account) for account in accounts_in(group.tree)
                }
                members = set(rooms.inside(connection, room))
                if members and kind == "room" and inside != members:
                    found.append(f"room {room}: {members} are in it, {inside} in its group")
                for one in tables.removals(connection, room):
                    at = tables.leaf_of(connection, room, one.account, one.device)
                    if at is None or at.leaf != one.leaf:
                        found.append(f"room {room}: a removal of nobody at leaf {one.leaf}")
            return found

        found: list[str] = self.server.look(look)
        return found

    def close(self) -> None:
        self.server.close()


def identity_parts(leaf: LeafNode) -> tuple[bytes, bytes]:
    identity = identity_of(leaf)
    return identity.account, identity.device
