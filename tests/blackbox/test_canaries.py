"""After a day of encrypted chatting nothing of it is in anything that the server keeps, or holds in memory.

Two hundred strings go into texts, edits, reactions, polls, names and topics, sealed as clients seal them;
more are passwords, and the secret of a code that somebody knocks with.  They are then looked for in the database and its log, the log at its most talkative, backups, blobs, what
the doors of operators say, and the memory of the daemon.  A string in a plain room is found in all the
places where it has to be, by the same search.
"""

import http.client
import os
import time
from collections.abc import Iterator

import pytest

from lairchat.demo_check import Member
from lairchat.e2ee import ephemeral, payload
from lairchat.e2ee.ephemeral import Doing
from lairchat.e2ee.invite import Code, ask, check
from lairchat.e2ee.padding import padding_for
from lairchat.e2ee.payload import Known, LogHead, Payload, Place, Target
from lairchat.features.delivery import messages as delivery
from lairchat.features.joining import messages as joining
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.mls.objects import Add, KeyPackage
from lairchat.mls.suites import HYBRID
from lairchat.model.refusals import EpochStale
from lairchat.storage.classes import FILES
from lairchat.trust.policy import direct_policy
from tests.blackbox.daemon import ROOMY, awaited, lairctl_beside
from tests.blackbox.test_certified import packages
from tests.blackbox.test_encrypted import EncryptedTest, Peer
from tests.canaries import Canaries, Found, look, search, search_process
from tests.requirements import require

pytestmark = pytest.mark.blackbox

ROUNDS = 20
LOBBY = 1


def bodies(canaries: Canaries, said: Target) -> Iterator[Known]:
    """Yield what people say of an hour: ten canaries, and what has room for none."""
    yield payload.Text(f"let us meet at {canaries.new()}, {'and so on ' * 40}")
    yield payload.Text(canaries.new(), me=True)
    yield payload.Text(canaries.new(), thread=said, reply=said)
    yield payload.Edit(said.id, canaries.new())
    yield payload.React(said, canaries.new())
    yield payload.Poll(canaries.new(), canaries.several(2))
    yield payload.RoomState(name=canaries.new())
    yield payload.RoomState(topic=f"about {canaries.new()}")
    yield payload.Vote(said, [0])
    yield payload.Receipt(3)
    yield payload.Delete(said)


def sealed(peer: Peer, body: Known, count: int) -> bytes:
    """Seal a body as :meth:`lairchat.e2ee.room.Room.seal` does."""
    head = peer.person.log.head
    place, log = Place(peer.seq, bytes(32)), LogHead(head.position, head.hash)
    at = time.time_ns() // 1_000_000
    data = payload.encode_payload(
        Payload(1, os.urandom(16), count, place, log, at, payload.encode_body(body))
    )
    assert peer.group is not None
    message, peer.group = peer.group.encrypt(data, os.urandom, padding=padding_for(data))
    return message


class Canary(EncryptedTest):
    """A daemon that writes down as much as it can."""

    timeout = 300
    extra = ROOMY + '[log]\nlevel = "debug"\n'

    def setUp(self) -> None:
        require("memory")
        super().setUp()
        self.canaries, self.plain = Canaries(), Canaries()
        self.heard: list[bytes] = []
        self.sent = 0

    def member(self, name: str) -> Member:
        """Return somebody whose password is a canary as well."""
        member = super().member(name)
        member.password = self.canaries.new()
        return member

    @awaited
    async def test_nothing_of_a_day_is_found_in_what_the_server_keeps(self) -> None:
        alice, bob, carol, dave = await self.people("alice", "bob", "carol", "dave")
        passwords = len(self.canaries.made)
        await alice.member.say(LOBBY, f"everybody may read {self.plain.new()}")
        await self.a_day(alice, bob, carol)
        await self.a_code(alice, bob, dave)
        await self.between_two(alice, bob)
        heard = b"".join(self.heard).decode("utf-8", "replace")
        said = self.canaries.made[passwords:]
        assert len(said) >= 200
        assert [one for one in said if one not in heard] == [], "it was never said"

        told = await self.told(alice)
        kept = [self.directory]
        there = {path.name for path in self.directory.rglob("*")}
        assert {"lair.db", "lair.db-wal", "lair.db-shm", "server.out", "canary"} <= there
        beside = {path.name for path in self.server.data.iterdir()}
        assert beside - {fact.elsewhere for fact in FILES} == {"lair.db-wal", "lair.db-shm"}
        assert "/metrics" in self.printed(), "the log is not as talkative as it can be"
        assert search(kept, self.canaries) == []
        assert look("what operators are told", told, self.canaries) == []
        await alice.member.say(LOBBY, self.plain.new())  # so that it is there for sure
        assert search_process(self.server.pid, self.canaries) == []
        self.finds_what_is_plain(
            [*search(kept, self.plain), *search_process(self.server.pid, self.plain)]
        )

        self.server.stop()
        self.server.start()
        self.server.stop()
        assert search(kept, self.canaries) == []

    def finds_what_is_plain(self, found: list[Found]) -> None:
        """Hold the search to finding what is there, in each kind of place."""
        places = [one.where for one in found]
        for place in ("/data/lair.db", "/backups/canary/", "memory at "):
            assert any(place in one for one in places), (place, places)

    # -- what goes on

    async def a_day(self, alice: Peer, bob: Peer, carol: Peer) -> None:
        """Let three talk in a room, one of whom leaves."""
        await alice.create()
        await alice.invite(bob, carol)
        entered = await alice.commit(Add(bob.package.package), Add(carol.package.package))
        for one in (bob, carol):
            await one.enter(alice.room, entered)
        for number in range(ROUNDS):
            speaker, listener = (alice, bob) if number % 2 else (bob, alice)
            await speaker.read()
            said = Target(speaker.person.id, os.urandom(16))
            for body in bodies(self.canaries, said):
                sent = await self.say(speaker, body)
            await self.listen(listener)
            await self.pass_on(speaker)
            if number % 5 == 0:
                await self.take_back(speaker, sent.seq)
                await listener.commit()
            if number == ROUNDS // 2:
                await carol.member.ask(delivery.LEAVE, delivery.AskGroup(carol.room))
                await alice.commit()
                await self.come_back(bob)
        await self.too_late(alice, bob)
        await alice.put(sealed(alice, payload.Text(self.canaries.made[0]), self.sent + 1))

    async def too_late(self, alice: Peer, bob: Peer) -> None:
        """Let a message be refused, and go out again under the new keys."""
        await bob.read()
        body = payload.Text(self.canaries.new())
        late = sealed(bob, body, self.sent + 1)
        await alice.commit()
        with pytest.raises(EpochStale):
            await bob.member.ask(wire.SEND, wire.Send(bob.room, late), bob.new_key())
        await bob.read()
        await self.say(bob, body)
        await self.listen(alice)

    async def a_code(self, alice: Peer, bob: Peer, dave: Peer) -> None:
        """Let somebody knock with a code, whose secret stands in the room and in the knocker's hand."""
        code = Code(os.urandom(8), self.canaries.new().encode())
        until = time.time_ns() // 1_000_000 + 3_600_000
        offer = joining.OfferCode(alice.room, code.locator, 5, until)
        await alice.member.ask(joining.OFFER, offer, alice.member.key())
        await self.say(alice, payload.Invitation(code.locator, code.secret, 5, until))
        await self.listen(bob)
        (package,) = packages(dave, 1)
        proof = ask(code, dave.person.id, [KeyPackage.decode(package).reference(HYBRID)])
        knock = joining.KnockWithCode(code.locator, proof, [package])
        await dave.member.ask(joining.KNOCK, knock, dave.member.key())
        asked = joining.AskJoiners(alice.room)
        (waiting,) = (await alice.member.ask(joining.JOINERS, asked)).knocks
        assert check(code, waiting.body).account == dave.person.id

    async def between_two(self, alice: Peer, bob: Peer) -> None:
        """Let two of them go on by themselves."""
        request = rooms.OpenDirect("bob", crypto="mls")
        opened = await alice.member.ask(rooms.DIRECT, request)
        alice.room = opened.room
        await alice.found(direct_policy(alice.person.id, bob.person.id))
        bob.group, bob.package = None, bob.person.package()
        entered = await alice.commit(Add(bob.package.package))
        await bob.enter(alice.room, entered)
        await self.say(alice, payload.Text(self.canaries.new()))
        await self.listen(bob)

    async def say(self, peer: Peer, body: Known) -> wire.Sent:
        self.sent += 1
        request = wire.Send(peer.room, sealed(peer, body, self.sent))
        sent: wire.Sent = await peer.member.ask(wire.SEND, request, peer.new_key())
        return sent

    async def pass_on(self, peer: Peer) -> None:
        """Let others see that somebody types."""
        assert peer.group is not None
        typing = ephemeral.seal(peer.group, Doing.TYPING, time.time_ns() // 1_000_000, os.urandom)
        await peer.member.ask(delivery.EPHEMERAL, delivery.SendEphemeral(peer.room, typing))

    async def take_back(self, peer: Peer, seq: int) -> None:
        """Have the server forget the body of a message."""
        await peer.read()
        request = delivery.DeleteMessage(peer.room, seq)
        await peer.member.ask(delivery.TOMBSTONE, request, peer.new_key())

    async def listen(self, peer: Peer) -> None:
        """Read on, and keep what was opened."""
        await peer.read()
        assert peer.texts, "nothing was said, or nothing could be opened"
        self.heard += peer.texts
        peer.texts.clear()
        assert peer.lost == []

    # -- what is asked of it

    async def told(self, alice: Peer) -> bytes:
        """Make a backup, and return all that the doors of operators say."""
        found = []
        for words in (
            ("backup", "create", "canary", "--yes"),
            ("backup", "verify", "canary"),
            ("room", "list", "--direct", "--json"),
            ("room", "show", f"encrypted:{alice.room}", "--json"),
            ("log", "tail", "--lines", "200"),
            ("server", "status"),
            ("stats", "show"),
            ("user", "list"),
            ("session", "list"),
            ("db", "check"),
        ):
            done = await lairctl_beside(self.server, *words)
            assert done.returncode == 0, (words, done)
            found.append((done.stdout + done.stderr).encode())
        return b"\n".join([*found, *map(self.page, ("/metrics", "/", "/health", "/health/ready"))])

    def page(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.door("http"), timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, (path, answer.status)
            return answer.read()
        finally:
            connection.close()
