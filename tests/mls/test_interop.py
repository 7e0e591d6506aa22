"""Groups whose members are partly ours and partly mls-rs's (through its UniFFI bindings, suite 0x0001).

After each step every member has to hold the same tree and the same exported secret, and to read what
everybody else sends.

What the bindings cannot do, and is therefore tested in one direction only: join by an external
commit, propose an Update, pre-shared keys or other group extensions, send handshakes as private
messages (ours do, theirs follow).  They panic on a proposal of an external sender.  They show no
epoch authenticator and no epoch number; the exporter stands for both, because all come from the same
epoch secret.  They publish no group information, so that external joiners have theirs from a member
of ours.
"""

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lairchat.mls.codec import Vector
from lairchat.mls.errors import InvalidError, MisuseError
from lairchat.mls.group import Committed, Group
from lairchat.mls.joining import join, join_external
from lairchat.mls.keypackages import make_key_package
from lairchat.mls.messages import (
    KeyPackageMessage,
    PrivateMessage,
    PublicMessage,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    EXTERNAL_SENDERS,
    REQUIRED_CAPABILITIES,
    Add,
    BasicCredential,
    Extension,
    ExternalSender,
    GroupContextExtensions,
    KeyPackage,
    Lifetime,
    Proposal,
    Remove,
    RequiredCapabilities,
)
from lairchat.mls.storing import difference, restore_group, store_group
from lairchat.mls.suites import SUITES
from tests.requirements import require

require("mls-rs")

import mls_rs_uniffi as mls_rs  # noqa: E402  # after the line that skips

SUITE = SUITES[0x0001]
GROUP_ID = b"a group of two libraries"
ALWAYS = Lifetime(0, 2**40)


def key_package(message: bytes) -> KeyPackage:
    """Return the key package in an MLSMessage."""
    found = decode_message(message)
    assert isinstance(found, KeyPackageMessage)
    return found.key_package


@dataclass
class Sent:
    """A commit on its way, with what new members need."""

    message: bytes
    welcome: bytes | None
    take: Callable[[], None]


class Ours:
    """A member that is our library."""

    group: Group

    def __init__(self, name: bytes, signing_key: bytes | None = None) -> None:
        self.name = name
        key = signing_key or SUITE.generate_signature_key()
        self.own = make_key_package(SUITE, BasicCredential(name), key, ALWAYS, os.urandom)

    def create(self) -> None:
        self.group = Group.create(self.own, GROUP_ID, (), os.urandom)

    def key_package(self) -> bytes:
        return encode_message(KeyPackageMessage(self.own.package))

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        found = decode_message(welcome)
        assert isinstance(found, Welcome)
        self.group = join(found, self.own, tree)

    def secret(self) -> bytes:
        return self.group.export(b"interoperability", b"context", 48)

    def tree(self) -> bytes:
        return self.group.public.tree.encode()

    def send(self, data: bytes, padding: int = 0) -> bytes:
        message, self.group = self.group.encrypt(data, os.urandom, padding=padding)
        return message

    def read(self, message: bytes) -> bytes:
        found = decode_message(message)
        assert isinstance(found, PrivateMessage)
        received, self.group = self.group.decrypt(found)
        return received.data

    def hear(self, message: bytes) -> None:
        found = decode_message(message)
        assert isinstance(found, PublicMessage | PrivateMessage)
        _, self.group = self.group.receive_proposal(found)

    def follow(self, message: bytes) -> bool:
        """Take somebody's commit; tell whether this member is still there."""
        found = decode_message(message)
        assert isinstance(found, PublicMessage | PrivateMessage)
        staged = self.group.receive_commit(found)
        if staged.group is not None:
            self.group = staged.group
        return staged.group is not None

    def _commit(self, committed: Committed) -> Sent:
        def take() -> None:
            self.group = committed.group

        return Sent(committed.message, committed.welcome, take)

    def commit(self, proposals: Iterable[Proposal] = (), **how: Any) -> Sent:
        return self._commit(
            self.group.commit(os.urandom, proposals=tuple(proposals), with_tree=True, **how)
        )

    def add(self, packages: Iterable[bytes]) -> Sent:
        return self.commit([Add(key_package(package)) for package in packages])

    def remove(self, who: "Peer") -> Sent:
        return self.commit([Remove(self.place(who))])

    def place(self, who: "Peer") -> int:
        """Return the leaf of a member."""
        return next(
            place
            for place, leaf in self.group.public.tree.members()
            if leaf.credential == BasicCredential(who.name)
        )

    def propose(self, proposal: Proposal, *, private: bool = False) -> bytes:
        message, self.group = self.group.propose(proposal, os.urandom, private=private)
        return message

    def propose_add(self, package: bytes) -> bytes:
        return self.propose(Add(key_package(package)))

    def propose_remove(self, who: "Peer") -> bytes:
        return self.propose(Remove(self.place(who)))

    def propose_update(self, *, private: bool = False) -> bytes:
        message, self.group = self.group.propose_update(os.urandom, private=private)
        return message

    def restart(self) -> None:
        """Go on from what a store would hold."""
        trees = {self.group.context.tree_hash: self.tree()}
        rows = difference(None, self.group.keys).changed
        self.group = restore_group(store_group(self.group), trees.get, rows, self.own.signing_key)

    def join_external(self, helper: "Ours", **how: Any) -> Sent:
        info = helper.group.group_info(with_tree=True)
        sent = self._commit(join_external(info, self.own, os.urandom, **how))
        sent.take()
        return sent


class Theirs:
    """A member that is mls-rs."""

    group: mls_rs.Group

    def __init__(self, name: bytes, *, tree_in_welcome: bool = True) -> None:
        self.name = name
        config = mls_rs.client_config_default()
        config.use_ratchet_tree_extension = tree_in_welcome
        keys = mls_rs.generate_signature_keypair(mls_rs.CipherSuite.CURVE25519_AES128)
        self._client = mls_rs.Client(name, keys, config)

    def create(self) -> None:
        self.group = self._client.create_group(GROUP_ID)

    def key_package(self) -> bytes:
        return self._client.generate_key_package_message().to_bytes()

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        given = None if tree is None else mls_rs.RatchetTree(bytes=tree)
        self.group = self._client.join_group(given, mls_rs.Message.from_bytes(welcome)).group

    def secret(self) -> bytes:
        return self.group.export_secret(b"interoperability", b"context", 48)

    def tree(self) -> bytes:
        return self.group.export_tree().bytes

    def send(self, data: bytes, padding: int = 0) -> bytes:
        return self.group.encrypt_application_message(data).to_bytes()

    def _process(self, message: bytes) -> Any:
        return self.group.process_incoming_message(mls_rs.Message.from_bytes(message))

    def read(self, message: bytes) -> bytes:
        found = self._process(message)
        assert found.is_application_message()
        return found.data

    def hear(self, message: bytes) -> None:
        assert self._process(message).is_received_proposal()

    def follow(self, message: bytes) -> bool:
        found = self._process(message)
        assert found.is_commit()
        return not found.effect.is_removed()

    def _commit(self, out: mls_rs.CommitOutput) -> Sent:
        def take() -> None:
            self.group.process_incoming_message(out.commit_message)

        welcome = out.welcome_message and out.welcome_message.to_bytes()
        return Sent(out.commit_message.to_bytes(), welcome, take)

    def commit(self) -> Sent:
        return self._commit(self.group.commit())

    def add(self, packages: Iterable[bytes]) -> Sent:
        return self._commit(self.group.add_members(_messages(packages)))

    def remove(self, who: "Peer") -> Sent:
        return self._commit(self.group.remove_members([self._identity(who)]))

    def propose_add(self, package: bytes) -> bytes:
        return self.group.propose_add_members(_messages([package]))[0].to_bytes()

    def propose_remove(self, who: "Peer") -> bytes:
        return self.group.propose_remove_members([self._identity(who)])[0].to_bytes()

    def _identity(self, who: "Peer") -> mls_rs.SigningIdentity:
        if isinstance(who, Theirs):
            return who._client.signing_identity()
        # The bindings name only their own clients; others are met in a message of another group.
        stranger, twin = Theirs(b"stranger"), Ours(who.name, who.own.signing_key)
        Room([stranger]).begin([twin])
        return stranger._process(twin.send(b"this is who I am")).sender


def _messages(packages: Iterable[bytes]) -> list[mls_rs.Message]:
    return [mls_rs.Message.from_bytes(package) for package in packages]


Peer = Ours | Theirs
Kinds = tuple[type[Ours] | type[Theirs], ...]


@dataclass
class Room:
    """The members, and a delivery service that gives everything to everybody, in one order."""

    peers: list[Peer] = field(default_factory=list)

    @classmethod
    def of(cls, *kinds: type[Ours] | type[Theirs]) -> "Room":
        """Return a group that the first has created and to which it has added the others."""
        peers: list[Peer] = [
            kind(b"%s %d" % (kind.__name__.encode(), number)) for number, kind in enumerate(kinds)
        ]
        room = cls(peers[:1])
        room.begin(peers[1:])
        return room

    def begin(self, others: list[Peer]) -> None:
        """Let the first member create the group and add the others."""
        self.peers[0].create()
        if others:
            self.add(self.peers[0], others)

    def add(self, by: Peer, newcomers: list[Peer]) -> None:
        self.deliver(by, by.add([peer.key_package() for peer in newcomers]), newcomers)

    def deliver(self, by: Peer, sent: Sent, newcomers: Iterable[Peer] = ()) -> None:
        """Give a commit to all others and take it; let newcomers in; look whether all agree."""
        left = [peer for peer in self.peers if peer is by or peer.follow(sent.message)]
        sent.take()
        self.peers = left
        for peer in newcomers:
            assert sent.welcome is not None
            peer.join(sent.welcome, None)
            self.peers.append(peer)
        self.agree()

    def tell(self, by: Peer, proposal: bytes) -> None:
        """Give a proposal to all others."""
        for peer in self.peers:
            if peer is not by:
                peer.hear(proposal)

    def agree(self) -> None:
        assert len({peer.secret() for peer in self.peers}) == 1
        assert len({peer.tree() for peer in self.peers}) == 1

    def chat(self) -> None:
        """Let everybody read a message of everybody else."""
        for sender in self.peers:
            data = b"from " + sender.name
            message = sender.send(data)
            for peer in self.peers:
                if peer is not sender:
                    assert peer.read(message) == data


PAIRS = [(Ours, Theirs), (Theirs, Ours)]
TRIPLES = [(Ours, Theirs, Ours), (Theirs, Ours, Theirs), (Ours, Theirs, Theirs)]
both_ways = pytest.mark.parametrize("kinds", PAIRS, ids=["ours first", "theirs first"])
mixed = pytest.mark.parametrize("kinds", TRIPLES, ids=["oto", "tot", "ott"])


@both_ways
def test_what_one_creates_the_other_joins_and_both_talk(kinds: Kinds) -> None:
    """RFC 9420 sections 11, 12.4.3.1 and 6.3."""
    room = Room.of(*kinds)
    room.chat()
    room.chat()


@both_ways
def test_a_tree_beside_the_welcome_is_as_good(kinds: Kinds) -> None:
    """RFC 9420 section 12.4.3.3."""
    room = Room.of(kinds[0])
    (first,) = room.peers
    if isinstance(first, Theirs):
        room.peers = [first := Theirs(b"keeps its tree", tree_in_welcome=False)]
        first.create()
    second = kinds[1](b"second")
    package = second.key_package()
    if isinstance(first, Ours):
        committed = first.group.commit(os.urandom, proposals=[Add(key_package(package))])
        sent = first._commit(committed)
    else:
        sent = first.add([package])
    sent.take()
    assert sent.welcome is not None
    with pytest.raises((InvalidError, mls_rs.Error)):
        second.join(sent.welcome, None)
    second.join(sent.welcome, first.tree())
    room.peers.append(second)
    room.agree()
    room.chat()


@mixed
def test_everybody_commits_in_turn(kinds: Kinds) -> None:
    """RFC 9420 sections 7.4 to 7.6 and 12.4: paths of each library, opened by the other."""
    room = Room.of(*kinds)
    for peer in room.peers * 2:
        room.deliver(peer, peer.commit())
        room.chat()


@mixed
def test_a_member_is_removed_and_another_takes_the_place(kinds: Kinds) -> None:
    """RFC 9420 sections 12.1.3 and 7.7."""
    room = Room.of(*kinds)
    first, second, third = room.peers
    for by, who in ((first, second), (third, first)):
        room.deliver(by, by.remove(who))
        assert who not in room.peers
        room.add(by, [type(who)(who.name + b" again")])
        room.chat()


@mixed
def test_what_one_proposes_another_commits(kinds: Kinds) -> None:
    """RFC 9420 sections 12.1 and 12.4: Add and Remove by reference, in both directions."""
    room = Room.of(*kinds)
    for by, committer in ((0, 1), (1, 0), (2, 1)):
        proposer, taker = room.peers[by], room.peers[committer]
        newcomer = (Ours, Theirs)[by % 2](b"newcomer of %d" % by)
        room.tell(proposer, proposer.propose_add(newcomer.key_package()))
        room.deliver(taker, taker.commit(), [newcomer])
        room.tell(proposer, proposer.propose_remove(newcomer))
        room.deliver(taker, taker.commit())
        assert newcomer not in room.peers
        room.chat()


@pytest.mark.parametrize("private", [False, True])
def test_they_commit_our_update(private: bool) -> None:
    """RFC 9420 section 12.1.2; our handshakes also as private messages (section 6.3)."""
    room = Room.of(Ours, Theirs, Ours)
    ours, theirs, _ = room.peers
    assert isinstance(ours, Ours)
    before = ours.group.own_leaf.encryption_key
    room.tell(ours, ours.propose_update(private=private))
    room.deliver(theirs, theirs.commit())
    assert ours.group.own_leaf.encryption_key != before
    room.deliver(ours, ours.commit(private=private))
    room.chat()


@pytest.mark.parametrize("private", [False, True])
def test_they_follow_commits_without_a_path(private: bool) -> None:
    """RFC 9420 section 12.4: an Add alone needs none; the joiner is unmerged (section 4.1.1)."""
    room = Room.of(Ours, Theirs)
    ours, theirs = room.peers
    assert isinstance(ours, Ours)
    for number in range(3):
        newcomer = (Ours, Theirs)[number % 2](b"newcomer %d" % number)
        add = Add(key_package(newcomer.key_package()))
        room.deliver(ours, ours.commit([add], path=False, private=private), [newcomer])
    room.chat()
    room.deliver(theirs, theirs.commit())
    room.chat()


@both_ways
def test_we_join_by_ourselves_and_come_back_after_a_loss(kinds: Kinds) -> None:
    """RFC 9420 section 12.4.3.2: external commits, without and with the removal of one's old leaf."""
    room = Room.of(*kinds)
    helper = next(peer for peer in room.peers if isinstance(peer, Ours))
    guest = Ours(b"guest")
    room.deliver(guest, guest.join_external(helper))
    room.peers.append(guest)
    room.agree()
    room.chat()
    for peer in room.peers:
        room.deliver(peer, peer.commit())
    place = helper.place(guest)
    again = Ours(b"guest", guest.own.signing_key)
    room.deliver(again, again.join_external(helper, remove=place))
    assert guest not in room.peers
    room.peers.append(again)
    room.agree()
    room.chat()
    for peer in room.peers:
        room.deliver(peer, peer.commit())


@both_ways
def test_the_extensions_of_the_group_change(kinds: Kinds) -> None:
    """RFC 9420 sections 12.1.7, 11.1 and 12.1.8.1: by value from us, by reference from them."""
    room = Room.of(*kinds)
    ours = next(peer for peer in room.peers if isinstance(peer, Ours))
    theirs = next(peer for peer in room.peers if isinstance(peer, Theirs))
    required = Extension(REQUIRED_CAPABILITIES, RequiredCapabilities((), (), (1,)).encode())
    server = ExternalSender(
        SUITE.signature_public(SUITE.generate_signature_key()), BasicCredential(b"the server")
    )
    senders = Extension(EXTERNAL_SENDERS, Vector(ExternalSender).write([server]))
    room.deliver(ours, ours.commit([GroupContextExtensions((required,))]))
    room.tell(ours, ours.propose(GroupContextExtensions((required, senders))))
    room.deliver(theirs, theirs.commit())
    assert ours.group.context.extensions == (required, senders)
    room.chat()
    room.add(ours, [Theirs(b"newcomer")])
    room.add(theirs, [Ours(b"another newcomer")])
    room.chat()


@both_ways
def test_what_is_proposed_comes_before_what_is_said(kinds: Kinds) -> None:
    """RFC 9420 section 12.4: who has seen a proposal commits before sending application data."""
    room = Room.of(*kinds)
    by = room.peers[0]
    room.tell(by, by.propose_add(Ours(b"newcomer").key_package()))
    for peer in room.peers:
        with pytest.raises((MisuseError, mls_rs.Error)):
            peer.send(b"too early")


@both_ways
def test_of_two_commits_at_once_one_counts(kinds: Kinds) -> None:
    """RFC 9420 section 14: whose commit lost goes on from the winner's."""
    room = Room.of(*kinds)
    for winner, loser in (room.peers, room.peers[::-1]):
        sent, lost = winner.commit(), loser.commit()
        room.deliver(winner, sent)
        room.chat()
        with pytest.raises((InvalidError, mls_rs.Error)):
            winner.follow(lost.message)
        room.deliver(loser, loser.commit())


@both_ways
def test_messages_in_another_order_lost_and_again(kinds: Kinds) -> None:
    """RFC 9420 section 9.2: skipped keys are kept, used ones are gone."""
    room = Room.of(*kinds)
    for sender, reader in (room.peers, room.peers[::-1]):
        sent = [sender.send(b"message %d" % number) for number in range(20)]
        for number in (19, 3, 0, 4, 18):
            assert reader.read(sent[number]) == b"message %d" % number
        for number in (0, 19):
            with pytest.raises((InvalidError, mls_rs.Error)):
                reader.read(sent[number])


@pytest.mark.parametrize("padding", [0, 1, 63, 64, 5000])
def test_they_read_past_our_padding(padding: int) -> None:
    """RFC 9420 section 6.3.1."""
    ours, theirs = Room.of(Ours, Theirs).peers
    for data in (b"", b"x" * 63, b"x" * 64, b"x" * 20_000):
        assert theirs.read(ours.send(data, padding)) == data


class Walk:
    """A group that changes at random; what waits for a commit is remembered."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.room = Room.of(*self.dice.choice(PAIRS))
        self.made = 2
        self.proposed = False
        self.leaving: set[bytes] = set()
        self.updating: set[bytes] = set()
        self.waiting: list[Peer] = []

    def anybody(self) -> Peer:
        return self.dice.choice(self.room.peers)

    def committer(self) -> Peer:
        # Nobody can commit its own removal; whose Update waits may commit, and it is dropped.
        return self.dice.choice([peer for peer in self.room.peers if peer.name not in self.leaving])

    def untouched(self, by: Peer) -> Peer | None:
        """Return somebody whose leaf no proposal changes, other than this one."""
        touched = {by.name, *self.leaving, *self.updating}
        free = [peer for peer in self.room.peers if peer.name not in touched]
        return self.dice.choice(free) if free else None

    def newcomer(self) -> Peer:
        self.made += 1
        return self.dice.choice((Ours, Theirs))(b"number %d" % self.made)

    def step(self) -> None:
        size = len(self.room.peers) + len(self.waiting)
        steps = [self.message, self.message, self.commit, self.commit, self.update, self.restart]
        if size < 8:
            steps += [self.add, self.propose_add, self.join]
        if size > 4:
            steps += [self.remove, self.propose_remove]
        self.dice.choice(steps)()
        self.room.agree()

    def settled(self, by: Peer, sent: Sent, newcomers: Iterable[Peer] = ()) -> None:
        newcomers, self.waiting = [*self.waiting, *newcomers], []
        self.proposed = False
        self.leaving.clear()
        self.updating.clear()
        self.room.deliver(by, sent, newcomers)

    def told(self, by: Peer, proposal: bytes) -> None:
        self.proposed = True
        self.room.tell(by, proposal)

    def message(self) -> None:
        if self.proposed:
            return
        by, data = self.anybody(), self.dice.randbytes(self.dice.randrange(300))
        sent = by.send(data)
        for peer in self.room.peers:
            if peer is not by:
                assert peer.read(sent) == data

    def commit(self) -> None:
        by = self.committer()
        how = {"private": self.dice.random() < 0.5} if isinstance(by, Ours) else {}
        self.settled(by, by.commit(**how))

    def add(self) -> None:
        by = self.committer()
        newcomers = [self.newcomer() for _ in range(self.dice.randint(1, 2))]
        self.settled(by, by.add([peer.key_package() for peer in newcomers]), newcomers)

    def remove(self) -> None:
        by = self.committer()
        who = self.untouched(by)
        if who is not None:
            self.settled(by, by.remove(who))

    def propose_add(self) -> None:
        by, newcomer = self.anybody(), self.newcomer()
        self.told(by, by.propose_add(newcomer.key_package()))
        self.waiting.append(newcomer)

    def propose_remove(self) -> None:
        by = self.anybody()
        who = self.untouched(by)
        if who is not None and len(self.leaving) < 2:
            self.told(by, by.propose_remove(who))
            self.leaving.add(who.name)

    def update(self) -> None:
        who = self.anybody()
        if isinstance(who, Ours) and who.name not in self.leaving | self.updating:
            self.told(who, who.propose_update(private=self.dice.random() < 0.5))
            self.updating.add(who.name)

    def restart(self) -> None:
        who = self.anybody()
        if isinstance(who, Ours):
            who.restart()

    def join(self) -> None:
        helper = self.anybody()
        if isinstance(helper, Ours):
            guest = Ours(self.newcomer().name)
            # What was proposed is void with the epoch, and so are the welcomes of those proposed.
            self.waiting.clear()
            self.settled(guest, guest.join_external(helper))
            self.room.peers.append(guest)


@pytest.mark.parametrize("seed", range(4))
def test_all_agree_after_every_step_of_a_random_walk(seed: int) -> None:
    """A hundred and fifty operations by members of either kind, up to eight of them."""
    walk = Walk(seed)
    for _ in range(150):
        walk.step()
    walk.commit()
    walk.room.chat()
