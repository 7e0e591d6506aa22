"""A member's view of a group: one epoch with its secrets, and the operations that lead on.

Every operation returns a new ``Group`` and leaves the old one as it was.  A commit is first *staged*:
the caller looks at what it does (who is added, who removed, by whom) and takes the group that comes
with it, or throws it away.  RFC 9420 section 12.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lairchat.mls import framing, key_schedule, treekem
from lairchat.mls.codec import opaque
from lairchat.mls.errors import InvalidError, MisuseError, OwnCommitError
from lairchat.mls.key_schedule import EpochSecrets
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.messages import (
    PRIVATE_MESSAGE,
    PUBLIC_MESSAGE,
    ApplicationData,
    AuthenticatedContent,
    CommitContent,
    Content,
    EncryptedGroupSecrets,
    FramedContent,
    GroupInfo,
    GroupSecrets,
    Member,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    Welcome,
    encode_message,
)
from lairchat.mls.objects import (
    EXTERNAL_PUB,
    MLS10,
    RATCHET_TREE,
    ByReference,
    ByValue,
    Ciphertext,
    Commit,
    Extension,
    FromCommit,
    FromUpdate,
    GroupContext,
    KeyPackage,
    LeafNode,
    PreSharedKeyId,
    Proposal,
    PskIdentity,
    Update,
    UpdatePath,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import (
    Proposed,
    check_key_package,
    check_leaf,
    check_lifetimes,
    check_members,
    check_once,
    needs_path,
)
from lairchat.mls.secret_tree import SecretTree
from lairchat.mls.selection import select
from lairchat.mls.suites import Random, SigningKey, Suite, suite_of
from lairchat.mls.transition import Applied, PublicGroup, Transition
from lairchat.mls.treekem import PathSecrets

Psks = Callable[[PskIdentity], bytes | None]
"""Finds a pre-shared key that a commit or a welcome names."""


def no_psks(wanted: PskIdentity) -> None:  # the signature of Psks
    """Know no pre-shared key."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the application, proven to be from a leaf.

    content: what the leaf has signed, with the signature: it proves the message to whoever knows the
    epoch's context and the leaf's key, and needs no secret.
    """

    sender: int
    data: bytes = field(repr=False)
    authenticated_data: bytes
    generation: int
    content: AuthenticatedContent = field(repr=False)


@dataclass(frozen=True, slots=True)
class Staged:
    """A commit that is right by the protocol, to be accepted or not.

    group: the epoch that it begins; None if it removes this member.
    """

    transition: Transition
    group: "Group | None"


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit of this member's own: to be sent, and taken once the delivery service took it.

    message: the commit; welcome: for the new members, if there are any (both MLSMessage).
    before: the epoch that it ends, without the key that the commit took if it is private; to go on
    from when another commit won.  None for an external commit.
    """

    message: bytes
    welcome: bytes | None
    transition: Transition
    group: "Group"
    before: "Group | None"


@dataclass(frozen=True, slots=True, repr=False)
class PastEpoch:
    """What is needed to read late messages of an epoch that is over, and nothing else.

    gone: leaves that the next epoch does not have any more; nothing of theirs is read.
    """

    public: PublicGroup
    sender_data: bytes
    keys: SecretTree
    gone: frozenset[int] = frozenset()

    def open(self, message: PrivateMessage) -> tuple[Received, "PastEpoch"]:
        """Return (message, the epoch without its key); raise InvalidError unless it is genuine."""
        content, received, keys = _open(self.public, self.sender_data, self.keys, message)
        if received is None:
            inner = type(content.framed.content).__name__
            raise InvalidError(f"a handshake of a past epoch: {inner}")
        if received.sender in self.gone:
            # Else the removed could go on talking for as long as a server helps them.
            raise InvalidError("a late message of a member who was removed")
        return received, replace(self, keys=keys)


def _open(
    public: PublicGroup, sender_data: bytes, keys: SecretTree, message: PrivateMessage
) -> tuple[AuthenticatedContent, Received | None, SecretTree]:
    """Return (content, what the application gets of it, keys without the one it took)."""
    # First: under the keys of another epoch it could only fail to open.
    public.check_place(message)
    content, generation, left = framing.open_private(public.suite, message, sender_data, keys)
    public.check_signature(content)
    framed = content.framed
    if not isinstance(framed.content, ApplicationData):
        return content, None, left
    assert isinstance(framed.sender, Member)
    received = Received(
        framed.sender.leaf, framed.content.data, framed.authenticated_data, generation, content
    )
    return content, received, left


@dataclass(frozen=True, slots=True, repr=False)
class Group:
    """One member's state of one epoch.

    leaf: this member's leaf index; private: its HPKE private keys by node.
    updates: private keys of Update proposals that this member made, by reference.
    """

    public: PublicGroup
    leaf: int
    signing_key: SigningKey
    private: Mapping[int, bytes]
    secrets: EpochSecrets
    keys: SecretTree
    confirmation_tag: bytes
    updates: Mapping[bytes, bytes]

    # Beginning.

    @classmethod
    def create(
        cls,
        own: OwnKeyPackage,
        group_id: bytes,
        extensions: Sequence[Extension],
        random: Random,
    ) -> "Group":
        """Return a new group whose only member is the holder of a key package (section 11)."""
        suite = suite_of(own.package.cipher_suite)
        check_once(tuple(extensions))
        check_key_package(suite, own.package, tuple(extensions))
        tree = RatchetTree(suite, [own.package.leaf])
        check_members(tree, tuple(extensions))
        context = GroupContext(
            MLS10, suite.id, group_id, 0, tree.tree_hash(), b"", tuple(extensions)
        )
        secrets = EpochSecrets.of(suite, random(suite.hash_size))
        tag = suite.mac(secrets.confirmation, b"")
        interim = key_schedule.interim_transcript(suite, b"", tag)
        public = PublicGroup(context, tree, interim, {})
        return cls.begin(public, 0, own.signing_key, {0: own.encryption_key}, secrets, tag)

    @classmethod
    def begin(
        cls,
        public: PublicGroup,
        leaf: int,
        signing_key: SigningKey,
        private: Mapping[int, bytes],
        secrets: EpochSecrets,
        confirmation_tag: bytes,
    ) -> "Group":
        """Return the state at the start of an epoch."""
        keys = SecretTree.new(public.suite, public.tree.leaves, secrets.encryption)
        signing_key = public.suite.parse_signing_key(signing_key)
        return cls(public, leaf, signing_key, private, secrets.begun(), keys, confirmation_tag, {})

    # Looking.

    @property
    def suite(self) -> Suite:
        """The group's cipher suite."""
        return self.public.suite

    @property
    def context(self) -> GroupContext:
        """What all members agree on in this epoch."""
        return self.public.context

    @property
    def own_leaf(self) -> LeafNode:
        """This member's leaf."""
        return self.public.tree.member(self.leaf)

    @property
    def authenticator(self) -> bytes:
        """The epoch authenticator: equal where members are in the same epoch (section 8.7)."""
        return self.secrets.authenticator

    @property
    def resumption_psk(self) -> bytes:
        """The key by which another group can require membership in this epoch (section 8.6)."""
        return self.secrets.resumption

    def export(self, label: bytes, context: bytes, length: int) -> bytes:
        """Return a secret of this epoch for the application, so many bytes (section 8.5)."""
        return key_schedule.exported(self.suite, self.secrets.exporter, label, context, length)

    def past(self, removed: Iterable[int] = ()) -> PastEpoch:
        """Return what is kept of this epoch once it is over.

        removed: the leaves that the commit removed (``Applied.removed``).
        """
        public = replace(self.public, pending={})
        return PastEpoch(public, self.secrets.sender_data, self.keys, frozenset(removed))

    def group_info(self, *, with_tree: bool, external: bool = True) -> GroupInfo:
        """Return this epoch as this member states it (section 12.4.3).

        external: whether it lets devices join by themselves.
        """
        return _group_info(
            self.public.tree,
            self.context,
            self.secrets.external if external else None,
            self.confirmation_tag,
            self.leaf,
            self.signing_key,
            with_tree=with_tree,
        )

    # Messages of the application.

    def encrypt(
        self, data: bytes, random: Random, *, authenticated_data: bytes = b"", padding: int = 0
    ) -> tuple[bytes, "Group"]:
        """Return (MLSMessage, group without the key that it took) (section 6.3).

        The group has to be stored before the message leaves: a key that is used twice gives both
        messages away.
        Raises MisuseError while a proposal waits: whose removal was proposed shall not read on.
        """
        self.public.check_open()
        if self.public.pending:
            raise MisuseError("a commit comes before application data (section 12.4)")
        content = self._content(ApplicationData(data), PRIVATE_MESSAGE, authenticated_data)
        return self._protect(content, random, padding)

    def decrypt(self, message: PrivateMessage) -> tuple[Received, "Group"]:
        """Return (message, group without its key); raise InvalidError unless it is genuine."""
        content, received, keys = _open(self.public, self.secrets.sender_data, self.keys, message)
        if received is None:
            raise InvalidError(f"not application data: {type(content.framed.content).__name__}")
        return received, replace(self, keys=keys)

    # Proposals.

    def propose(
        self,
        proposal: Proposal,
        random: Random,
        *,
        private: bool = False,
        authenticated_data: bytes = b"",
        now: int | None = None,
    ) -> tuple[bytes, "Group"]:
        """Return (MLSMessage, group that knows of it) of a proposal (section 12.1).

        now: seconds since 1970, unless the lifetime of a key package was looked at before.
        """
        check_lifetimes([proposal], now)
        wire_format = PRIVATE_MESSAGE if private else PUBLIC_MESSAGE
        content = self._content(ProposalContent(proposal), wire_format, authenticated_data)
        message, group = self._protect(content, random)
        return message, replace(group, public=group.public.propose(content))

    def propose_update(self, random: Random, *, private: bool = False) -> tuple[bytes, "Group"]:
        """Return (MLSMessage, group) of a proposal to give this member a new key (section 12.1.2)."""
        suite = self.suite
        key = suite.hpke_derive(random(suite.hash_size))
        leaf = replace(
            self.own_leaf, encryption_key=suite.hpke_public(key), source=FromUpdate()
        ).sign(suite, self.signing_key, self.context.group_id, self.leaf)
        message, group = self.propose(Update(leaf), random, private=private)
        reference = next(iter(group.public.pending.keys() - self.public.pending.keys()))
        return message, replace(group, updates={**self.updates, reference: key})

    def receive_proposal(self, message: PublicMessage | PrivateMessage) -> tuple[Proposed, "Group"]:
        """Return (proposal, group that knows of it); raise InvalidError unless it is acceptable."""
        content, group = self._unprotect(message)
        if not isinstance(content.framed.content, ProposalContent):
            raise InvalidError("not a proposal")
        public = group.public.propose(content)
        proposed = public.pending[content.proposal_reference(self.suite)]
        return proposed, replace(group, public=public)

    # Commits.

    def receive_commit(
        self, message: PublicMessage | PrivateMessage, psks: Psks = no_psks
    ) -> Staged:
        """Return what a commit does and the epoch after it (section 12.4.2).

        Raises InvalidError if it is not right; this group then stays as it is.
        """
        content, _ = self._unprotect(message)
        if not isinstance(content.framed.content, CommitContent):
            raise InvalidError("not a commit")
        transition = self.public.follow(content)
        if self.leaf in transition.applied.removed:
            return Staged(transition, None)
        if transition.committer == self.leaf:
            raise OwnCommitError("one's own commit is not received but taken (section 12.4.1)")
        private = self._private_after(transition)
        commit_secret = bytes(self.suite.hash_size)
        if transition.path is not None:
            opened = treekem.open_path(
                transition.tree,
                transition.committer,
                transition.path.nodes,
                self.leaf,
                private,
                transition.path_context,
                [place for place, _ in transition.applied.added],
            )
            private = {**private, **opened.private}
            commit_secret = opened.commit_secret
        init = self.secrets.init
        if transition.applied.external_init is not None:
            external = self.suite.hpke_derive(self.secrets.external)
            init = self.suite.external_init_receive(
                external, transition.applied.external_init.kem_output
            )
        joiner = key_schedule.joiner_secret(self.suite, init, commit_secret, transition.context)
        mixed = psk_secret(self.suite, transition.applied.psks, psks)
        secrets = key_schedule.epoch_secrets(self.suite, joiner, mixed, transition.context)
        tag = content.confirmation_tag
        assert tag is not None
        self.suite.check_mac(
            secrets.confirmation,
            transition.context.confirmed_transcript_hash,
            tag,
            "a confirmation tag",
        )
        return Staged(
            transition,
            Group.begin(transition.after, self.leaf, self.signing_key, private, secrets, tag),
        )

    def _private_after(self, transition: Transition) -> dict[int, bytes]:
        """Return this member's private keys that are still good before a path brings new ones."""
        before, after = self.public.tree, transition.applied.tree
        kept = {}
        width = 2 * after.leaves - 1
        for node, key in self.private.items():
            if node < width and before.node(node) is not None:
                # An unmerged leaf makes a new node of a parent, but its key stays.
                old, new = before.node(node), after.node(node)
                if old and new and old.encryption_key == new.encryption_key:
                    kept[node] = key
        for proposed in transition.proposals:
            mine = isinstance(proposed.proposal, Update) and proposed.sender == Member(self.leaf)
            if mine and proposed.reference is not None:
                if proposed.reference not in self.updates:
                    raise InvalidError("an update of this member's leaf that it did not make")
                kept[2 * self.leaf] = self.updates[proposed.reference]
        return kept

    def commit(
        self,
        random: Random,
        *,
        proposals: Sequence[Proposal] = (),
        references: Sequence[bytes] | None = None,
        psks: Psks = no_psks,
        path: bool = True,
        private: bool = False,
        authenticated_data: bytes = b"",
        with_tree: bool = False,
        leaf_extensions: Sequence[Extension] | None = None,
        now: int | None = None,
    ) -> Committed:
        """Return a commit of these proposals and of some that were received (section 12.4.1).

        references: of proposals to take up; None takes all that go together (``selection``), but
        not this member's own Update or removal.
        path: whether to bring new keys also where the protocol does not ask for it.
        with_tree: whether the welcome carries the tree.
        leaf_extensions: of this member's leaf from then on; None leaves them as they are.
        now: seconds since 1970, unless the lifetimes of key packages were looked at before.
        """
        self.public.check_open()
        taken = (
            select(self.public, self.leaf, proposals, lambda wanted: psks(wanted) is not None)
            if references is None
            else references
        )
        items: list[ByReference | ByValue] = [
            *(ByReference(reference) for reference in taken),
            *(ByValue(proposal) for proposal in proposals),
        ]
        sender = Member(self.leaf)
        listed = self.public.resolve(Commit(tuple(items), None), sender)
        check_lifetimes([proposed.proposal for proposed in listed], now)
        applied = self.public.apply(listed, self.leaf)
        tree, sent, drawn, own_key = applied.tree, None, None, None
        leaf = self.own_leaf
        if leaf_extensions is not None:
            leaf = replace(leaf, extensions=tuple(leaf_extensions))
        if path or leaf_extensions is not None or needs_path(listed):
            tree, sent, drawn, own_key = new_path(
                self.public, applied, self.leaf, leaf, self.signing_key, random
            )
        check_members(tree, applied.extensions)
        wire_format = PRIVATE_MESSAGE if private else PUBLIC_MESSAGE
        content = self._content(
            CommitContent(Commit(tuple(items), sent)), wire_format, authenticated_data
        )
        context = replace(
            self.public.next_context(tree, applied.extensions),
            confirmed_transcript_hash=key_schedule.confirmed_transcript(
                self.suite, self.public.interim, content.transcript_input()
            ),
        )
        commit_secret = drawn.commit_secret if drawn else bytes(self.suite.hash_size)
        joiner = key_schedule.joiner_secret(self.suite, self.secrets.init, commit_secret, context)
        mixed = psk_secret(self.suite, applied.psks, psks)
        secrets = key_schedule.epoch_secrets(self.suite, joiner, mixed, context)
        tag = self.suite.mac(secrets.confirmation, context.confirmed_transcript_hash)
        content = replace(content, confirmation_tag=tag)
        message, before = self._protect(content, random)
        transition = self.public.conclude(content, self.leaf, listed, applied, tree)
        kept = self._private_after(transition)
        if drawn is not None and own_key is not None:
            kept = {**kept, **drawn.private, 2 * self.leaf: own_key}
        group = Group.begin(transition.after, self.leaf, self.signing_key, kept, secrets, tag)
        welcome = None
        if applied.added:
            info = group.group_info(with_tree=with_tree, external=False)
            welcome = encode_message(
                _welcome(self.suite, info, joiner, mixed, applied, drawn, self.leaf)
            )
        return Committed(message, welcome, transition, group, before)

    # Framing.

    def _content(
        self, content: Content, wire_format: int, authenticated_data: bytes
    ) -> AuthenticatedContent:
        framed = FramedContent(
            self.context.group_id,
            self.context.epoch,
            Member(self.leaf),
            authenticated_data,
            content,
        )
        return AuthenticatedContent(wire_format, framed, b"").sign(
            self.suite, self.signing_key, self.context
        )

    def _protect(
        self, content: AuthenticatedContent, random: Random, padding: int = 0
    ) -> tuple[bytes, "Group"]:
        if content.wire_format == PUBLIC_MESSAGE:
            public = framing.protect_public(self.suite, content, self.secrets, self.context)
            return encode_message(public), self
        message, keys = framing.protect_private(
            self.suite, content, self.secrets, self.keys, random, padding
        )
        return encode_message(message), replace(self, keys=keys)

    def _unprotect(
        self, message: PublicMessage | PrivateMessage
    ) -> tuple[AuthenticatedContent, "Group"]:
        """Return (content, group without the key it took); the signature is checked later."""
        if isinstance(message, PublicMessage):
            self.public.check_place(message.authenticated.framed)
            content = framing.check_public(self.suite, message, self.secrets, self.context)
            return content, self
        content, _, keys = _open(self.public, self.secrets.sender_data, self.keys, message)
        return content, replace(self, keys=keys)


def new_path(
    public: PublicGroup,
    applied: Applied,
    place: int,
    leaf: LeafNode,
    signing_key: SigningKey,
    random: Random,
) -> tuple[RatchetTree, UpdatePath, PathSecrets, bytes]:
    """Return (tree, path, its secrets, the leaf's private key) with fresh keys for a committer.

    applied.tree already has the committer's leaf at its place (sections 7.4 to 7.6).
    """
    suite = public.suite
    drawn = treekem.draw_path(applied.tree, place, random)
    keys = [suite.hpke_public(key) for key in drawn.private.values()]
    tree, parent_hash = applied.tree.with_path(place, keys)
    own_key = suite.hpke_derive(random(suite.hash_size))
    own = replace(
        leaf, encryption_key=suite.hpke_public(own_key), source=FromCommit(parent_hash)
    ).sign(suite, signing_key, public.context.group_id, place)
    check_leaf(suite, own, FromCommit, applied.extensions)
    tree = tree.with_leaf(place, own)
    context = public.next_context(tree, applied.extensions)
    newcomers = [index for index, _ in applied.added]
    nodes = treekem.seal_path(tree, place, drawn, context, newcomers)
    return tree, UpdatePath(own, nodes), drawn, own_key


def psk_secret(suite: Suite, wanted: Sequence[PreSharedKeyId], psks: Psks) -> bytes:
    """Return what the pre-shared keys contribute; raise InvalidError if one is not here."""
    found = []
    for identity in wanted:
        psk = psks(identity.key)
        if psk is None:
            raise InvalidError("a pre-shared key is not known here (section 8.4)")
        found.append((identity, psk))
    return key_schedule.psk_secret(suite, found)


def _group_info(
    tree: RatchetTree,
    context: GroupContext,
    external_secret: bytes | None,
    confirmation_tag: bytes,
    leaf: int,
    signing_key: SigningKey,
    *,
    with_tree: bool,
) -> GroupInfo:
    suite = tree.suite
    extensions = []
    if with_tree:
        extensions.append(Extension(RATCHET_TREE, tree.encode()))
    if external_secret is not None:
        public = suite.hpke_public(suite.hpke_derive(external_secret))
        extensions.append(Extension(EXTERNAL_PUB, opaque(public)))
    info = GroupInfo(context, tuple(extensions), confirmation_tag, leaf, b"")
    return info.sign(suite, signing_key)


def welcome_keys(suite: Suite, joiner: bytes, mixed: bytes) -> tuple[bytes, bytes]:
    """Return (key, nonce) of the group information in a welcome (section 12.4.3.1)."""
    secret = key_schedule.welcome_secret(suite, joiner, mixed)
    return (
        suite.expand_with_label(secret, b"key", b"", suite.aead.key_size),
        suite.expand_with_label(secret, b"nonce", b"", suite.aead.nonce_size),
    )


def _welcome(
    suite: Suite,
    info: GroupInfo,
    joiner: bytes,
    mixed: bytes,
    applied: Applied,
    drawn: PathSecrets | None,
    committer: int,
) -> Welcome:
    """Return the welcome of all that a commit added (section 12.4.3.1)."""
    key, nonce = welcome_keys(suite, joiner, mixed)
    sealed = suite.aead.seal(key, nonce, b"", info.encode())
    entries = []
    for place, add in applied.added:
        package: KeyPackage = add.key_package
        secret = drawn.secrets[treekem.common_ancestor(place, committer)] if drawn else None
        secrets = GroupSecrets(joiner, secret, applied.psks)
        ciphertext = Ciphertext(
            *suite.encrypt_with_label(package.init_key, b"Welcome", sealed, secrets.encode())
        )
        entries.append(EncryptedGroupSecrets(package.reference(suite), ciphertext))
    return Welcome(suite.id, tuple(entries), sealed)
