"""How a member's state is kept: one part that an epoch has once, and small rows that messages change.

The part is ``store_group`` or ``store_past``: the same bytes before and after a message of the
application, and new ones after a proposal or a commit.  The ratchet tree stands apart, as its encoding
and named by its hash (``context.tree_hash``), since it is large and public.  The secret tree is rows,
and ``difference`` says which of them a message writes and which it erases.
The signature key is in none of it: a device has one, and gives it back to ``restore_group``.

Whatever is read from a store and is not what was written raises MalformedError.  A row has no version
of its own: it has that of its epoch's part.

Promises not to know: what a store is, and whether it really forgets what it is told to erase.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from lairchat.mls import key_schedule, tree_math
from lairchat.mls.codec import OPAQUE, U8, U32, Choice, Optional, Struct, Vector, decode
from lairchat.mls.errors import InvalidError, MalformedError, MisuseError
from lairchat.mls.group import Group, PastEpoch
from lairchat.mls.key_schedule import EpochSecrets
from lairchat.mls.messages import SENDER, Member, Sender
from lairchat.mls.objects import MLS10, PROPOSAL, GroupContext, Proposal, ReInit, Update
from lairchat.mls.parts import Parts
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.rules import Proposed
from lairchat.mls.secret_tree import (
    MAX_SKIPPED,
    MessageKey,
    Part,
    Purpose,
    Ratchet,
    SecretTree,
    Slot,
)
from lairchat.mls.suites import SUITES, SigningKey, Suite
from lairchat.mls.transition import MAX_PENDING, PublicGroup

Trees = Callable[[bytes], bytes | None]
"""Finds the encoding of a ratchet tree by its hash."""

RowKey = tuple[int, int, int]
"""Purpose, index (of a node, or of a ratchet's leaf), and HEAD or the generation of a skipped key."""

HEAD: Final = -1
"""In place of a generation: a node's secret, or what a ratchet goes on from.

Skipped keys have rows of their own, or a sender who once jumped ahead would make each later message of
its cost as much as 256 keys.
"""


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """What a store does to have one secret tree after another.

    Both belong into one transaction, and in front of whatever the change is the reason for: a message
    that leaves, or one that is shown.
    """

    changed: Mapping[RowKey, bytes]
    erased: Collection[RowKey]


# Layouts.


@dataclass(frozen=True, slots=True, repr=False)
class _NodeKey(Struct):
    """The private key of a node of the ratchet tree."""

    LAYOUT = (U32, OPAQUE)
    node: int
    private: bytes


@dataclass(frozen=True, slots=True, repr=False)
class _Secrets(Struct):
    """What is left of an epoch's secrets once it has begun."""

    LAYOUT = (OPAQUE, OPAQUE, OPAQUE, OPAQUE, OPAQUE, OPAQUE, OPAQUE)
    sender_data: bytes
    exporter: bytes
    external: bytes
    membership: bytes
    resumption: bytes
    authenticator: bytes
    init: bytes


@dataclass(frozen=True, slots=True, repr=False)
class _Waiting(Struct):
    """A proposal that waits; private: the new key, if it is this member's own Update."""

    LAYOUT = (OPAQUE, SENDER, OPAQUE, PROPOSAL, Optional(OPAQUE))
    reference: bytes
    sender: Sender
    authenticated_data: bytes
    proposal: Proposal
    private: bytes | None


@dataclass(frozen=True, slots=True, repr=False)
class _Epoch(Struct):
    """The part of a group's epoch.

    The interim transcript hash follows from context and tag.
    waiting: each by itself, because each came as a message of its own: what one input may hold of
    items bounds each of them, and many that were each let in must not be too much to read together.
    """

    TYPE: ClassVar[int] = 1
    LAYOUT = (
        GroupContext,
        Optional(ReInit),
        OPAQUE,
        U32,
        Vector(_NodeKey),
        _Secrets,
        Vector(OPAQUE),
    )
    context: GroupContext
    reinit: ReInit | None
    confirmation_tag: bytes
    leaf: int
    private: tuple[_NodeKey, ...]
    secrets: _Secrets
    waiting: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, repr=False)
class _Past(Struct):
    """The part of an epoch that is over."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (GroupContext, Optional(ReInit), OPAQUE, OPAQUE, Vector(U32))
    context: GroupContext
    reinit: ReInit | None
    interim: bytes
    sender_data: bytes
    gone: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class _Head(Struct):
    """What a ratchet goes on from."""

    LAYOUT = (U32, OPAQUE)
    generation: int
    secret: bytes


@dataclass(frozen=True, slots=True, repr=False)
class _Skipped(Struct):
    """The key of a message that has not come yet."""

    LAYOUT = (OPAQUE, OPAQUE)
    key: bytes
    nonce: bytes


_EPOCHS: Final = Choice("version of a stored group", U8, (_Epoch,))
_PASTS: Final = Choice("version of a stored past epoch", U8, (_Past,))


# Writing.


def store_group(group: Group) -> bytes:
    """Return the part of a group's epoch; it is secret."""
    public, secrets = group.public, group.secrets
    return _EPOCHS.write(
        _Epoch(
            public.context,
            public.reinit,
            group.confirmation_tag,
            group.leaf,
            # A path that goes round a node blanks it: a key to it would open nothing any more.
            tuple(
                _NodeKey(node, group.private[node])
                for node in sorted(group.private)
                if public.tree.node(node) is not None
            ),
            _Secrets(*(getattr(secrets, name) for name in _Secrets.__match_args__)),
            tuple(
                _Waiting(
                    reference,
                    proposed.sender,
                    proposed.authenticated_data,
                    proposed.proposal,
                    group.updates.get(reference),
                ).encode()
                for reference, proposed in public.pending.items()
            ),
        )
    )


def store_past(past: PastEpoch) -> bytes:
    """Return the part of an epoch that is over; it is secret."""
    public = past.public
    return _PASTS.write(
        _Past(
            public.context,
            public.reinit,
            public.interim,
            past.sender_data,
            tuple(sorted(past.gone)),
        )
    )


def difference(old: SecretTree | None, new: SecretTree) -> Difference:
    """Return what changes from one secret tree of an epoch to another; old: None if none is stored."""
    before: Parts[Slot, Part] = Parts({}) if old is None else old.parts
    then: dict[RowKey, bytes] = {}
    now: dict[RowKey, bytes] = {}
    for slot in new.parts.differing(before):
        then.update(_rows(slot, before.get(slot)))
        now.update(_rows(slot, new.parts.get(slot)))
    changed = {key: row for key, row in now.items() if then.get(key) != row}
    return Difference(changed, then.keys() - now.keys())


def _rows(slot: Slot, part: Part | None) -> dict[RowKey, bytes]:
    if part is None:
        return {}
    if isinstance(part, bytes):
        return {(*slot, HEAD): OPAQUE.write(part)}
    rows: dict[RowKey, bytes] = {
        (*slot, generation): _Skipped(key.key, key.nonce).encode()
        for generation, key in part.skipped.items()
    }
    rows[*slot, HEAD] = _Head(part.generation, part.secret).encode()
    return rows


# Reading.


def restore_group(
    stored: bytes, trees: Trees, rows: Mapping[RowKey, bytes], signing_key: SigningKey
) -> Group:
    """Return the group whose part, tree and rows these are.

    Raises MalformedError if they are not, or do not belong together, and MisuseError if the signature
    key is not that of this member's leaf.
    """
    found: _Epoch = decode(_EPOCHS, stored)
    tree = _tree(found.context, trees)
    suite = tree.suite
    tag = _secret(suite, found.confirmation_tag)
    interim = key_schedule.interim_transcript(suite, found.context.confirmed_transcript_hash, tag)
    public = PublicGroup(found.context, tree, interim, {}, found.reinit)
    private = _private(tree, found.leaf, found.private)
    pending, updates = _pending(public, found.leaf, found.waiting)
    parsed = suite.parse_signing_key(signing_key)
    if suite.signature_public(parsed) != tree.member(found.leaf).signature_key:
        raise MisuseError("this is not the signature key of this member's leaf")
    return Group(
        replace(public, pending=pending),
        found.leaf,
        parsed,
        private,
        _epoch_secrets(suite, found.secrets),
        _secret_tree(suite, tree.leaves, rows),
        tag,
        updates,
    )


def restore_past(stored: bytes, trees: Trees, rows: Mapping[RowKey, bytes]) -> PastEpoch:
    """Return the epoch that is over whose part, tree and rows these are; raise MalformedError."""
    found: _Past = decode(_PASTS, stored)
    tree = _tree(found.context, trees)
    suite = tree.suite
    if list(found.gone) != sorted({*found.gone}) or any(
        tree.leaf(leaf) is None for leaf in found.gone
    ):
        raise MalformedError("a stored epoch lists leaves as gone that it did not have")
    return PastEpoch(
        PublicGroup(found.context, tree, _secret(suite, found.interim), {}, found.reinit),
        _secret(suite, found.sender_data),
        _secret_tree(suite, tree.leaves, rows),
        frozenset(found.gone),
    )


def _tree(context: GroupContext, trees: Trees) -> RatchetTree:
    suite = SUITES.get(context.cipher_suite)
    if suite is None or context.version != MLS10:
        raise MalformedError(
            "a stored group is of a version or cipher suite that is not known here"
        )
    encoded = trees(context.tree_hash)
    if encoded is None:
        raise MalformedError("the ratchet tree of a stored group is missing")
    # It grew with commits that were each within bounds: what is no flood is not refused as one.
    tree = RatchetTree.decode(suite, encoded, items=len(encoded))
    if tree.tree_hash() != context.tree_hash:
        raise MalformedError("a stored ratchet tree is not the one that it is named as")
    return tree


def _private(tree: RatchetTree, leaf: int, keys: Sequence[_NodeKey]) -> dict[int, bytes]:
    """Return the private keys by node, each of which fits its node."""
    nodes = [key.node for key in keys]
    if tree.leaf(leaf) is None or nodes != sorted({*nodes, 2 * leaf}):
        raise MalformedError("a stored group lacks this member's own leaf or its key")
    for key in keys:
        on_path = key.node < tree_math.node_width(tree.leaves) and tree_math.in_subtree(
            2 * leaf, key.node
        )
        there = tree.node(key.node) if on_path else None
        if there is None or _hpke_public(tree.suite, key.private) != there.encryption_key:
            raise MalformedError("a stored private key is not that of its node")
    return {key.node: key.private for key in keys}


def _hpke_public(suite: Suite, private: bytes) -> bytes:
    try:
        return suite.hpke_public(private)
    except InvalidError as error:
        raise MalformedError("a stored private key is none") from error


def _pending(
    public: PublicGroup, leaf: int, waiting: Sequence[bytes]
) -> tuple[dict[bytes, Proposed], dict[bytes, bytes]]:
    """Return (proposals, private keys of own updates), both by reference."""
    pending: dict[bytes, Proposed] = {}
    updates: dict[bytes, bytes] = {}
    if len(waiting) > MAX_PENDING:
        raise MalformedError(f"more than {MAX_PENDING} proposals are stored")
    for encoded in waiting:
        found = _Waiting.decode(encoded)
        reference = _secret(public.suite, found.reference)
        if reference in pending:
            raise MalformedError("a proposal is stored twice")
        proposed = Proposed(found.proposal, found.sender, reference, found.authenticated_data)
        _check_proposed(public, proposed)
        pending[reference] = proposed
        if found.private is not None:
            _check_update(public.suite, leaf, proposed, found.private)
            updates[reference] = found.private
    return pending, updates


def _check_proposed(public: PublicGroup, proposed: Proposed) -> None:
    # The rules that let it in hold for the whole epoch, and what follows builds on them.
    try:
        if isinstance(proposed.sender, Member):
            public.tree.member(proposed.sender.leaf)
        public.check_proposed(proposed)
    except InvalidError as error:
        raise MalformedError("a stored proposal does not fit its epoch") from error


def _check_update(suite: Suite, leaf: int, proposed: Proposed, private: bytes) -> None:
    match proposed:
        case Proposed(Update(new), Member(place)) if place == leaf:
            if _hpke_public(suite, private) == new.encryption_key:
                return
    raise MalformedError("a stored private key is not that of an update of this member's")


def _epoch_secrets(suite: Suite, found: _Secrets) -> EpochSecrets:
    kept = {name: _secret(suite, getattr(found, name)) for name in _Secrets.__match_args__}
    return EpochSecrets(encryption=b"", confirmation=b"", **kept)


def _secret(suite: Suite, value: bytes) -> bytes:
    """Return a secret, hash or tag, which are all of one size."""
    if len(value) != suite.hash_size:
        raise MalformedError(f"{suite.hash_size} bytes expected in a stored group")
    return value


def _secret_tree(suite: Suite, leaves: int, rows: Mapping[RowKey, bytes]) -> SecretTree:
    """Return the secret tree of these rows, from which every leaf can still be read once."""
    parts: dict[Slot, Part] = {}
    skipped: dict[Slot, dict[int, MessageKey]] = {}
    # In order, so that skipped keys are too.
    for key, row in sorted(rows.items()):
        slot, generation = _slot(key), key[2]
        if generation != HEAD:
            skipped.setdefault(slot, {})[generation] = _skipped(suite, row)
        elif slot[0] is Purpose.NODE:
            parts[slot] = _secret(suite, decode(OPAQUE, row))
        else:
            head = _Head.decode(row)
            parts[slot] = Ratchet(_secret(suite, head.secret), head.generation)
    for slot, keys in skipped.items():
        parts[slot] = _with_skipped(parts.get(slot), keys)
    _check_cover(leaves, parts.keys())
    return SecretTree(suite, leaves, parts)


def _slot(key: RowKey) -> Slot:
    try:
        return Purpose(key[0]), key[1]
    except ValueError as error:
        raise MalformedError("a stored row has no known purpose") from error


def _skipped(suite: Suite, row: bytes) -> MessageKey:
    found = _Skipped.decode(row)
    if (len(found.key), len(found.nonce)) != (suite.aead.key_size, suite.aead.nonce_size):
        raise MalformedError("a stored message key has the wrong length")
    return MessageKey(found.key, found.nonce)


def _with_skipped(part: Part | None, keys: Mapping[int, MessageKey]) -> Ratchet:
    if (
        not isinstance(part, Ratchet)
        or len(keys) > MAX_SKIPPED
        or not all(0 <= generation < part.generation for generation in keys)
    ):
        raise MalformedError("stored message keys are not of a ratchet that skipped them")
    return replace(part, skipped=keys)


def _check_cover(leaves: int, slots: Collection[Slot]) -> None:
    """Raise MalformedError unless each leaf has both its ratchets, or one node above that gives them.

    A node that stands beside what came from it would give keys again that have been used.
    """
    covered: list[int] = []
    ratchets: dict[Purpose, list[int]] = {Purpose.HANDSHAKE: [], Purpose.APPLICATION: []}
    for purpose, index in slots:
        if purpose is not Purpose.NODE:
            ratchets[purpose].append(index)
        elif 0 <= index < tree_math.node_width(leaves):
            covered.extend(tree_math.subtree_leaves(index))
        else:
            raise MalformedError("a stored secret is of a node outside the tree")
    handshake, application = ratchets.values()
    covered.extend(handshake)
    if sorted(handshake) != sorted(application) or sorted(covered) != list(range(leaves)):
        raise MalformedError("stored secrets do not cover each leaf of the tree once")
