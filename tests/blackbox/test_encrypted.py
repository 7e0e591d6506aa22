"""Encrypted rooms over TLS against a real daemon; and kill -9 between any two writes of a commit.

The devices are real (MLS, account logs, every check of a client); what carries their commands is the
client's connection.
"""

import os
import random
import sqlite3
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import defer

from lairchat.demo_check import Member
from lairchat.demo_server import checkout
from lairchat.features.delivery import messages
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.joining import messages as joining
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.features.transfer import messages as transfer
from lairchat.mls.objects import Add
from lairchat.model import limits
from lairchat.model.faults import NetLost
from lairchat.model.refusals import EpochStale, GroupExists
from lairchat.storage import log
from lairchat.storage.sqlite import reading_engine
from lairchat.transports.identity import ServerIdentity
from lairchat.trust.entry import ENTRIES
from lairchat.trust.log import AccountLog, encode_log
from lairchat.trust.policy import direct_policy, private_policy
from lairchat.wire.bulk import Outgoing
from tests.blackbox.daemon import DaemonTest, awaited
from tests.features.delivery.world import PART, Device, Person
from tests.trust.people import device, key, signer

pytestmark = pytest.mark.blackbox


class Peer(Device):
    """A certified device on a TLS connection of its own."""

    def __init__(
        self, member: Member, person: Person, number: int, logs: Any, server_key: bytes
    ) -> None:
        super().__init__(person, number, logs, server_key)
        self.member = member
        self.room = 0
        self.keys: set[bytes] = set()

    def new_key(self) -> bytes:
        key = self.member.key()
        self.keys.add(key)
        return key

    async def prove(self, grant: Any) -> None:
        assert self.member.server is not None
        signature = self.proof(self.member.server, grant.session, grant.device)
        request = identities.ProveDevice(self.identity.device, signature)
        await self.member.ask(identities.PROVE, request)

    async def create(self) -> None:
        request = rooms.CreateRoom("", access="private", crypto="mls")
        made = await self.member.ask(rooms.CREATE, request, self.member.key())
        self.room = made.room
        await self.found(private_policy([self.person.id]))

    async def found(self, policy: Any) -> None:
        arguments = self.founding(policy)
        request = messages.FoundGroup(self.room, arguments["info"], arguments["tree"])
        founded = await self.member.ask(messages.FOUND, request, self.member.key())
        self.seq = founded.seq

    async def invite(self, *others: "Peer") -> None:
        """Invite people, who accept, and have a fresh key package each."""
        for other in others:
            invitation = joining.InviteMember(self.room, other.member.name)
            await self.member.ask(joining.INVITE, invitation, self.member.key())
            await other.member.ask(joining.ACCEPT, joining.AnswerInvitation(self.room))
            other.package = other.person.package()

    async def put(self, data: bytes) -> bytes:
        blob, out = os.urandom(16), Outgoing.of(data)
        await self.member.ask(transfer.BEGIN, transfer.Begin(blob, out.total, out.digest))
        for offset, chunk in out.chunks():
            await self.member.ask(transfer.PUT, transfer.Put(blob, offset, chunk))
        return blob

    async def sending(self, arguments: dict[str, bytes]) -> messages.CommitGroup:
        """Return a commit as it is sent; what is large goes ahead."""
        sent: dict[str, Any] = {"room": self.room, "info": arguments["info"]}
        for name, blob in (("message", "blob"), ("welcome", "welcome_blob")):
            if len(arguments[name]) <= limits.FRAME_BYTES // 3:
                sent[name] = arguments[name]
            else:
                sent[blob] = await self.put(arguments[name])
        return messages.CommitGroup(**sent)

    async def send_commit(self, arguments: dict[str, bytes]) -> Any:
        request = await self.sending(arguments)
        return await self.member.ask(messages.COMMIT, request, self.new_key())

    async def commit(self, *proposals: Any) -> Any:
        """Read on, and commit these and all that waits."""
        await self.read()
        reply = await self.send_commit(self.committing(*proposals))
        await self.read()
        return reply

    async def enter(self, room: int, committed: Any) -> None:
        self.room = room
        page = await self.member.ask(inbox.READ, inbox.ReadInbox())
        entry = page.entries[-1]
        self.welcomed(entry.body, await self.tree(committed.epoch), committed.seq)
        await self.member.ask(inbox.ACK, inbox.AckInbox(entry.seq))

    async def tree(self, epoch: int) -> bytes:
        return await self._parts(
            messages.TREE, lambda at: messages.AskTree(self.room, epoch, offset=at)
        )

    async def _parts(self, command: Any, request: Callable[[int], Any]) -> bytes:
        data, total = b"", 1
        while len(data) < total:
            part = await self.member.ask(command, request(len(data)))
            data, total = data + part.data, part.total
        return data

    async def say(self, text: bytes) -> Any:
        request = wire.Send(self.room, self.sealed(text))
        return await self.member.ask(wire.SEND, request, self.new_key())

    async def read(self) -> None:
        more = True
        while more:
            request = wire.History(self.room, after=self.seq, limit=100)
            page = await self.member.ask(wire.HISTORY, request)
            for event in page.events:
                body = event.body
                if event.kind == "commit" and body[:1] != b"\0":
                    at = event.seq
                    body = await self._parts(
                        messages.COMMIT_BODY,
                        lambda offset, at=at: messages.AskCommit(self.room, at, offset),
                    )
                self.hear(event, own=event.id in self.keys, body=body)
            more = page.more


class EncryptedTest(DaemonTest):
    """A daemon, and people with certified devices on it."""

    async def people(self, *names: str) -> list[Peer]:
        """Return a device of each, the first of them the server's owner's."""
        members = await self.friends(*names)
        self.identity = ServerIdentity.load(self.server.data / "identity.pem")
        self.logs: dict[bytes, AccountLog] = {}
        found = []
        for member in members:
            assert member.server is not None
            person = Person(member.name, 1, member.server)
            self.logs[person.id] = person.log
            peer = Peer(member, person, 1, self.logs, self.identity.public_key)
            entries = person.account.entries
            whole = identities.PublishLog(encode_log(person.account.genesis, entries))
            await member.ask(identities.PUBLISH, whole)
            member.leave()
            await member.connect()
            await peer.prove(await member.login())
            found.append(peer)
        return found

    async def come_back(self, peer: Peer) -> None:
        """Connect again, after the daemon was killed."""
        peer.member.leave()
        await peer.member.connect()
        await peer.prove(await peer.member.resume())

    def agree(self, *peers: Peer) -> None:
        groups = [peer.group for peer in peers]
        assert len({group.authenticator for group in groups if group is not None}) == 1


class OverTls(EncryptedTest):
    """Several clients at once, each on a socket of its own."""

    timeout = 300

    @awaited
    async def test_two_found_one_conversation_at_once_and_talk(self) -> None:
        alice, bob = await self.people("alice", "bob")
        opened = await defer.gatherResults(
            [
                one.member.ask(rooms.DIRECT, rooms.OpenDirect(name, crypto="mls"))
                for one, name in ((alice, "bob"), (bob, "alice"))
            ]
        )
        assert len({info.room for info in opened}) == 1
        alice.room = bob.room = opened[0].room
        policy = direct_policy(alice.person.id, bob.person.id)
        outcomes = await defer.DeferredList(
            [defer.Deferred.fromCoroutine(one.found(policy)) for one in (alice, bob)],
            consumeErrors=True,
        )
        assert sorted(done for done, _ in outcomes) == [False, True]
        lost = next(result for done, result in outcomes if not done)
        assert lost.check(GroupExists), lost
        first, second = (alice, bob) if outcomes[0][0] else (bob, alice)
        second.group = None
        second.package = second.person.package()
        committed = await first.commit(Add(second.package.package))
        await second.enter(first.room, committed)
        await first.say(b"hello")
        await second.read()
        await second.say(b"and you?")
        await first.read()
        assert (first.texts, second.texts) == ([b"and you?"], [b"hello"])
        heard = await first.member.hear(first.room, first.seq)
        assert (heard.kind, heard.name) == ("app", second.person.name)
        self.agree(alice, bob)
        await self._nothing_in_clear(b"hello", b"and you?")

    async def _nothing_in_clear(self, *words: bytes) -> None:
        for path in self.server.data.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert not [word for word in words if word in data], path

    @awaited
    async def test_three_who_commit_at_once_again_and_again(self) -> None:
        alice, bob, carol = peers = await self.people("alice", "bob", "carol")
        await alice.create()
        await alice.invite(bob, carol)
        committed = await alice.commit(Add(bob.package.package), Add(carol.package.package))
        for one in (bob, carol):
            await one.enter(alice.room, committed)
        for number in range(50):
            outcomes = await defer.DeferredList(
                [defer.Deferred.fromCoroutine(one.send_commit(one.committing())) for one in peers],
                consumeErrors=True,
            )
            won = [result for done, result in outcomes if done]
            lost = [result for done, result in outcomes if not done]
            assert len(won) == 1, "exactly one wins an epoch"
            assert won[0].epoch == number + 2
            assert all(failure.check(EpochStale) for failure in lost), lost
            await defer.gatherResults([defer.Deferred.fromCoroutine(one.read()) for one in peers])
            self.agree(*peers)
        await carol.say(b"still here")
        await bob.read()
        assert bob.texts == [b"still here"]
        # The server's proposal is by the key that clients pin, and they take it up.
        await carol.member.ask(messages.LEAVE, messages.AskGroup(carol.room))
        await alice.commit()
        await bob.read()
        self.agree(alice, bob)
        state = await bob.member.ask(messages.STATE, messages.AskGroup(bob.room))
        assert (state.devices, state.removals) == (2, 0)

    @awaited
    async def test_a_large_room_commits_cold_through_blobs(self) -> None:
        alice, bob = await self.people("alice", "bob")
        await alice.create()
        adds = []
        for peer in (alice, bob):
            adds += await self.many(peer, limits.LOG_DEVICES)
        await alice.invite(bob)
        committed = await alice.commit(Add(bob.package.package), *adds)
        await bob.enter(alice.room, committed)
        before = bob.seq
        sent = bob.committing()
        assert len(sent["message"]) > limits.EVENT_BYTES
        await bob.send_commit(sent)
        event = await alice.member.hear(alice.room, before + 1)
        assert (event.kind, len(event.body) < 100) == ("commit", True)
        await alice.read()
        await bob.read()
        self.agree(alice, bob)

    async def many(self, peer: Peer, count: int) -> list[Add]:
        """Certify so many devices of somebody, and return Adds of the new ones."""
        name, account = peer.person.name, peer.person.account
        entries = [account.say(signer(name, 1))]
        mine = key(name, "signer", 1)
        entries += [account.say(device(name, number), mine) for number in range(2, count + 1)]
        for start in range(0, len(entries), PART):
            part = ENTRIES.write(entries[start : start + PART])
            await peer.member.ask(identities.APPEND, identities.AppendEntries(start + 1, part))
        self.logs[peer.person.id] = account.log
        return [Add(peer.person.package(number).package) for number in range(2, count + 1)]


#: What a daemon runs when its interpreter starts: while it is told to, it kills itself at the n-th
#: change of whatever transaction, or at its COMMIT.
FATE = """
    import os, pathlib, signal, sqlite3, sqlite3.dbapi2

    told = pathlib.Path({told!r})
    opened = sqlite3.dbapi2.connect

    def connect(*args, **more):
        left = None

        def look(statement):
            nonlocal left
            word = statement.split(None, 1)[0].upper()
            if word == "BEGIN":
                left = int(told.read_text()) if told.exists() else None
            elif left is not None and word in ("INSERT", "UPDATE", "DELETE", "COMMIT"):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        connection = opened(*args, **more)
        connection.set_trace_callback(look)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = connect
"""

TABLES = (
    *("mls_groups", "group_nodes", "group_leaves", "group_epochs", "group_proposals"),
    *("group_removals", "group_bodies", "memberships", "log_events", "log_heads", "log_answers"),
    *("inboxes", "inbox_entries", "blobs", "invitations"),
)


class KilledBetweenWrites(EncryptedTest):
    """kill -9 at every write of a commit that adds, removes and goes through a blob."""

    timeout = 600
    #: How many writes lie between two kills, at most; 1: every write.
    step = int(os.environ.get("LAIRCHAT_KILL_STEP", "4"))

    def setUp(self) -> None:
        super().setUp()
        fate = self.directory / "fate"
        fate.mkdir()
        self.told = self.directory / "die-at"
        text = textwrap.dedent(FATE).format(told=str(self.told))
        (fate / "sitecustomize.py").write_text(text)
        self.server.stop()
        self.server._environ = {"PYTHONPATH": f"{fate}:{checkout()}"}
        self.server.start()

    def kept(self) -> Any:
        """Return what the database has, as the next start will find it."""
        database = sqlite3.connect(self.server.data / "lair.db")
        try:
            return {
                table: sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
                for table in TABLES
            }
        finally:
            database.close()

    @awaited
    async def test_nothing_is_half_there(self) -> None:
        alice, bob, carol = await self.people("alice", "bob", "carol")
        await alice.create()
        await alice.invite(bob, carol)
        committed = await alice.commit(Add(bob.package.package))
        await bob.enter(alice.room, committed)
        sent = alice.committing(Add(carol.package.package))
        request = await alice.sending(sent)
        request = messages.CommitGroup(
            room=request.room,
            info=request.info,
            blob=await alice.put(sent["message"]),
            welcome_blob=await alice.put(sent["welcome"]),
        )
        command = alice.new_key()
        before = self.kept()
        place, killed, reply = 0, 0, None
        dice = random.Random(4)
        while reply is None:
            self.told.write_text(str(place))
            try:
                reply = await alice.member.ask(messages.COMMIT, request, command)
            except NetLost:
                killed += 1
                self.told.unlink()
                self.server.kill()
                assert self.kept() == before, f"something is there after write {place}"
                self.server.start()
                for one in (alice, bob, carol):
                    await self.come_back(one)
            place += dice.randint(1, self.step)
        self.told.unlink()
        assert killed > 15 / self.step, f"only {killed} kills"
        await alice.read()
        await bob.read()
        await carol.enter(alice.room, reply)
        self.agree(alice, bob, carol)
        # All of it is there, each thing once.
        after = self.kept()
        assert len(after["inbox_entries"]) == 0
        assert len(after["blobs"]) == 0
        assert len(after["invitations"]) == len(before["invitations"]) - 1 == 0
        assert len(after["group_epochs"]) == len(before["group_epochs"]) + 1
        assert len(after["log_events"]) == len(before["log_events"]) + 1
        assert len(after["memberships"]) == len(before["memberships"]) + 1
        with reading_engine(self.server.data / "lair.db").connect() as connection:
            assert log.verify(connection, alice.room) is None
        again = await alice.member.ask(messages.COMMIT, request, command)
        assert again == reply
