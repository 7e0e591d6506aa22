"""Groups that live: whatever happens in whatever order, members agree, and the others are out.

After each epoch all members hold one state, a newcomer would accept their tree, a delivery service that
followed along has the same; who was removed reads nothing and gets nothing in; a message is read once by
each who was a member in its epoch, and by nobody else; and no key seals twice under one nonce.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lairchat.mls import suites
from lairchat.mls.errors import EpochError, InvalidError, MisuseError, MLSError
from lairchat.mls.group import Committed, Group, PastEpoch
from lairchat.mls.hpke import Aead
from lairchat.mls.joining import join_external
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.messages import (
    External,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    RESUMPTION_APPLICATION,
    Add,
    ExternalPsk,
    GroupContextExtensions,
    PreSharedKey,
    PreSharedKeyId,
    Proposal,
    PskIdentity,
    Remove,
    ResumptionPsk,
)
from lairchat.mls.secret_tree import SecretTree
from lairchat.mls.suites import HYBRID, SUITES, Suite
from lairchat.mls.transition import PublicGroup
from tests.mls.people import (
    FAST,
    agree,
    alone,
    content_of,
    external_senders,
    forge,
    person,
    welcomed,
)

MOST = 12
SHARED = ExternalPsk(b"everybody knows")
SERVER = FAST.generate_signature_key()
LED = external_senders(FAST.signature_public(SERVER))
indices = st.integers(0, 10**6)


class _Recorder(Aead):
    """An AEAD that notices when it seals twice under one key and nonce."""

    __slots__ = ()
    used: set[tuple[bytes, bytes]] = set()

    def seal(self, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        assert (key, nonce) not in self.used
        self.used.add((key, nonce))
        return super().seal(key, nonce, aad, plaintext)


def _recorded(suite: Suite) -> Suite:
    """Return a suite like this one, with an AEAD that notices."""
    aead = _Recorder(suite.aead.id, suite.aead.key_size, suite.aead.cipher)
    kem = suite._hpke.kem
    return Suite(suite.id, suite.name, kem, aead, suite._hash, suites._ED25519)


@dataclass
class _Peer:
    """A member with what a client keeps: its epoch, and the one before."""

    own: OwnKeyPackage
    group: Group
    past: PastEpoch | None = None
    read: set[int] = field(default_factory=set)


@dataclass
class _Sent:
    """A message, and who can read it."""

    number: int
    epoch: int
    sender: _Peer
    leaf: int
    message: PrivateMessage
    readers: list[_Peer]


class Histories(RuleBasedStateMachine):
    """One group of at most twelve, and what is done to it."""

    suite: Suite = FAST

    @initialize()
    def begin(self) -> None:
        self.recorded = _recorded(self.suite)
        SUITES[self.suite.id] = self.recorded
        _Recorder.used.clear()
        self.names = 0
        own = self._newcomer()
        self.peers = [_Peer(own, alone(own))]
        self.ghosts: list[Group] = []
        self.sent: list[_Sent] = []
        info = self.peers[0].group.group_info(with_tree=False)
        self.server = PublicGroup.of(info, self.peers[0].group.public.tree)

    def teardown(self) -> None:
        """Deliver all that is still on its way."""
        if hasattr(self, "recorded"):
            try:
                for sent in self.sent:
                    for peer in [*self.peers]:
                        self._deliver(sent, peer)
            finally:
                SUITES[self.suite.id] = self.suite

    # Who and what.

    def _newcomer(self) -> OwnKeyPackage:
        self.names += 1
        return person(f"peer {self.names}", self.recorded)

    def _peer(self, index: int) -> _Peer:
        return self.peers[index % len(self.peers)]

    def _psks(self, group: Group) -> Callable[[PskIdentity], bytes | None]:
        here = ResumptionPsk(RESUMPTION_APPLICATION, group.context.group_id, group.context.epoch)
        return {SHARED: b"secret", here: group.resumption_psk}.get

    # Messages.

    @rule(by=indices, count=st.integers(1, 3), padding=st.integers(0, 50))
    def send(self, by: int, count: int, padding: int) -> None:
        peer = self._peer(by)
        if peer.group.public.pending:
            with pytest.raises(MisuseError):
                peer.group.encrypt(b"", os.urandom)
            return
        for _ in range(count):
            number = len(self.sent)
            data, peer.group = peer.group.encrypt(b"%d" % number, os.urandom, padding=padding)
            message = decode_message(data)
            assert isinstance(message, PrivateMessage)
            sent = _Sent(
                number, peer.group.context.epoch, peer, peer.group.leaf, message, [*self.peers]
            )
            self.sent.append(sent)

    @precondition(lambda self: self.sent)
    @rule(what=indices, by=indices)
    def deliver(self, what: int, by: int) -> None:
        self._deliver(self.sent[what % len(self.sent)], self._peer(by))

    def _deliver(self, sent: _Sent, peer: _Peer) -> None:
        """Give a message to somebody, who reads it if, and only if, it may."""
        here = peer.group.context.epoch
        mine = peer is sent.sender or sent.number in peer.read
        if sent.epoch == here and peer in sent.readers and not mine:
            received, peer.group = peer.group.decrypt(sent.message)
            assert (received.data, received.sender) == (b"%d" % sent.number, sent.leaf)
            peer.read.add(sent.number)
            return
        with pytest.raises(MLSError):
            peer.group.decrypt(sent.message)
        if peer.past is None:
            return
        late = sent.epoch == here - 1 and peer in sent.readers and not mine
        if late and sent.leaf not in peer.past.gone:
            received, peer.past = peer.past.open(sent.message)
            assert (received.data, received.sender) == (b"%d" % sent.number, sent.leaf)
            peer.read.add(sent.number)
        else:
            with pytest.raises(MLSError):
                peer.past.open(sent.message)

    @rule(by=indices)
    def restart(self, by: int) -> None:
        """Go on from what was stored."""
        peer = self._peer(by)
        keys = peer.group.keys
        peer.group = replace(
            peer.group, keys=SecretTree(self.recorded, keys._leaves, dict(keys.parts))
        )

    # Proposals.

    def _propose(self, peer: _Peer, data: bytes) -> None:
        message = decode_message(data)
        assert isinstance(message, PublicMessage | PrivateMessage)
        for other in self.peers:
            if other is not peer:
                _, other.group = other.group.receive_proposal(message)
        if isinstance(message, PublicMessage):
            self.server = self.server.propose(message.authenticated)
        else:
            # A service that is shown only some proposals: give it what the members have.
            self.server = replace(self.server, pending=self.peers[0].group.public.pending)

    @rule(by=indices, private=st.booleans())
    def propose_update(self, by: int, private: bool) -> None:
        peer = self._peer(by)
        data, peer.group = peer.group.propose_update(os.urandom, private=private)
        self._propose(peer, data)

    @rule(by=indices, whom=indices, private=st.booleans())
    def propose_remove(self, by: int, whom: int, private: bool) -> None:
        if len(self.peers) > 1:
            self._propose_any(by, Remove(self._peer(whom).group.leaf), private=private)

    @rule(by=indices, private=st.booleans())
    def propose_psk(self, by: int, private: bool) -> None:
        here = self.peers[0].group.context
        resumption = ResumptionPsk(RESUMPTION_APPLICATION, here.group_id, here.epoch)
        for key in (SHARED, resumption):
            self._propose_any(by, self._psk(key), private=private)

    @rule(by=indices, led=st.booleans(), private=st.booleans())
    def propose_extensions(self, by: int, led: bool, private: bool) -> None:
        self._propose_any(by, GroupContextExtensions((LED,) if led else ()), private=private)

    def _psk(self, key: PskIdentity) -> PreSharedKey:
        return PreSharedKey(PreSharedKeyId(key, os.urandom(self.suite.hash_size)))

    def _propose_any(self, by: int, proposal: Proposal, *, private: bool) -> None:
        peer = self._peer(by)
        data, peer.group = peer.group.propose(proposal, os.urandom, private=private)
        self._propose(peer, data)

    @precondition(lambda self: self.peers[0].group.context.extensions)
    @rule(whom=indices)
    def server_proposes_remove(self, whom: int) -> None:
        framed = content_of(
            self.peers[0].group, ProposalContent(Remove(self._peer(whom).group.leaf)), External(0)
        )
        message = forge(self.peers[0].group, framed, SERVER)
        for peer in self.peers:
            _, peer.group = peer.group.receive_proposal(message)
        self.server = self.server.propose(message.authenticated)

    # Commits.

    @rule(
        by=indices,
        adds=st.integers(0, 3),
        whom=st.none() | indices,
        psk=st.booleans(),
        path=st.booleans(),
        private=st.booleans(),
    )
    def commit(
        self, by: int, adds: int, whom: int | None, psk: bool, path: bool, private: bool
    ) -> None:
        peer = self._peer(by)
        committed, newcomers = self._made(peer, adds, whom, psk, path=path, private=private)
        self._win(peer, committed, newcomers)

    def _made(
        self, peer: _Peer, adds: int, whom: int | None, psk: bool, **how: Any
    ) -> tuple[Committed, list[OwnKeyPackage]]:
        newcomers = [self._newcomer() for _ in range(min(adds, MOST - len(self.peers)))]
        said: list[Proposal] = [Add(own.package) for own in newcomers]
        if whom is not None and self._peer(whom) is not peer:
            said.append(Remove(self._peer(whom).group.leaf))
        if psk:
            said.append(self._psk(SHARED))
        committed = peer.group.commit(
            os.urandom, proposals=said, psks=self._psks(peer.group), **how
        )
        return committed, newcomers

    def _win(
        self,
        by: _Peer | None,
        committed: Committed,
        newcomers: Sequence[OwnKeyPackage] = (),
        joined: OwnKeyPackage | None = None,
    ) -> None:
        """Give a commit to everybody and let its newcomers in, or its committer."""
        message = decode_message(committed.message)
        assert isinstance(message, PublicMessage | PrivateMessage)
        if isinstance(message, PublicMessage):
            self.server = self.server.follow(message.authenticated).after
        else:
            self.server = replace(committed.transition.after, pending={})
        removed = committed.transition.applied.removed
        stayed = []
        before = self.peers[0].group.context.epoch
        psks = self._psks(self.peers[0].group)
        for peer in self.peers:
            past = peer.group.past(removed)
            if peer is by:
                peer.group = committed.group
            else:
                after = peer.group.receive_commit(message, psks).group
                assert (after is None) == (peer.group.leaf in removed)
                if after is None:
                    self.ghosts.append(peer.group)
                    continue
                peer.group = after
            peer.past = past
            stayed.append(peer)
        assert committed.group.context.epoch == before + 1
        self.peers = stayed
        for own in newcomers:
            self.peers.append(_Peer(own, welcomed(committed, own, psks)))
        if by is None:
            assert joined is not None
            self.peers.append(_Peer(joined, committed.group))
        self._agree(message)

    def _agree(self, commit: PublicMessage | PrivateMessage) -> None:
        groups = [peer.group for peer in self.peers]
        agree(groups)
        assert self.server.context == groups[0].context
        assert self.server.tree.encode() == groups[0].public.tree.encode()
        assert {peer.group.leaf for peer in self.peers} == {
            place for place, _ in self.server.tree.members()
        }
        for group in groups:
            with pytest.raises(EpochError):
                group.receive_commit(commit)
        # The ghosts know all that the server does.
        for ghost in self.ghosts[-3:]:
            assert ghost.authenticator != groups[0].authenticator
            dressed = replace(ghost, public=groups[0].public)
            data, _ = replace(dressed, public=replace(dressed.public, pending={})).encrypt(
                b"boo", os.urandom
            )
            with pytest.raises(MLSError):
                groups[0].decrypt(decode_message(data))
            with pytest.raises(MLSError):
                dressed.decrypt(decode_message(groups[0].encrypt(b"secret", _dice)[0]))
            if ghost.context.epoch < groups[0].context.epoch - 1:
                with pytest.raises(EpochError):
                    ghost.receive_commit(commit)
            else:
                assert ghost.receive_commit(commit).group is None

    @precondition(lambda self: len(self.peers) > 1)
    @rule(one=indices, two=indices, adds=st.integers(0, 1), private=st.booleans())
    def race(self, one: int, two: int, adds: int, private: bool) -> None:
        """Two commit at once; the second in line takes the first's."""
        first, second = self._peer(one), self._peer(two)
        if first is second:
            return
        won, newcomers = self._made(first, adds, None, psk=False, private=private)
        lost, _ = self._made(second, 1, None, psk=False, private=private)
        assert lost.before is not None
        second.group = lost.before
        self._win(first, won, newcomers)
        message = decode_message(lost.message)
        assert isinstance(message, PublicMessage | PrivateMessage)
        for peer in self.peers:
            with pytest.raises(EpochError):
                peer.group.receive_commit(message)

    @precondition(lambda self: len(self.peers) < MOST)
    @rule(by=indices, psk=st.booleans())
    def join_by_itself(self, by: int, psk: bool) -> None:
        info = self._peer(by).group.group_info(with_tree=True)
        own = self._newcomer()
        use = [self._psk(SHARED).psk] if psk else []
        committed = join_external(
            info, own, os.urandom, use=use, psks=self._psks(self.peers[0].group)
        )
        self._win(None, committed, joined=own)

    @rule(by=indices, whom=indices)
    def rejoin(self, by: int, whom: int) -> None:
        """Somebody lost its state, and comes back under the same signature key."""
        lost = self._peer(whom)
        info = self._peer(by).group.group_info(with_tree=True)
        own = person("again", self.recorded, lost.own.signing_key)
        committed = join_external(info, own, os.urandom, remove=lost.group.leaf)
        self._win(None, committed, joined=own)
        assert lost not in self.peers

    @invariant()
    def lies_are_refused(self) -> None:
        """Outsiders send what looks like a commit or a proposal at any time."""
        if not getattr(self, "peers", None):
            return
        group = self.peers[0].group
        stranger = replace(group, secrets=replace(group.secrets, membership=bytes(48)))
        message = forge(stranger, content_of(stranger, ProposalContent(Remove(group.leaf))))
        with pytest.raises(InvalidError):
            group.receive_proposal(decode_message(encode_message(message)))


def _dice(count: int) -> bytes:
    return os.urandom(count)


class HybridHistories(Histories):
    suite = HYBRID


CALM = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=25, **CALM)
TestHybridHistories = HybridHistories.TestCase
TestHybridHistories.settings = settings(max_examples=8, stateful_step_count=15, **CALM)
