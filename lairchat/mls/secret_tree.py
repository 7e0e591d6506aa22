"""The keys of private messages: one tree of secrets, two ratchets for each sender (RFC 9420 section 9).

A secret is erased in the step that uses it: the tree that comes back no longer has it, and whoever
keeps trees in a file deletes the difference.  Keys that were skipped, because messages were lost or
come in another order, are kept for a while within limits that are named here.

Everything is a mapping from ``Slot`` to bytes or ``Ratchet``, so that a store can write one row for
one message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from lairchat.mls import tree_math
from lairchat.mls.errors import GenerationError, InvalidError, MisuseError, ReplayError
from lairchat.mls.parts import Parts
from lairchat.mls.suites import Suite

MAX_AHEAD: Final = 1024
"""How far a generation may lie past the last one that a ratchet has seen.

Each step costs a receiver three derivations, so a lie here would burn its time (section 9.2).
"""

MAX_SKIPPED: Final = 256
"""How many skipped keys a ratchet keeps; past that the oldest is erased, its message is lost."""

MAX_GENERATION: Final = 2**32 - 1
"""The last generation that fits its field (section 6.3.2)."""


class Purpose(IntEnum):
    """What a secret of the tree is for."""

    NODE = 0
    HANDSHAKE = 1
    APPLICATION = 2


Slot = tuple[Purpose, int]
"""Which secret: a tree node's, or a ratchet of a leaf (by leaf index)."""


@dataclass(frozen=True, slots=True, repr=False)
class MessageKey:
    """The key and nonce of one message."""

    key: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Ratchet:
    """A sender's chain: the secret of its next generation, and keys that were skipped."""

    secret: bytes = field(repr=False)
    generation: int
    skipped: Mapping[int, MessageKey] = field(repr=False, default_factory=dict)


Part = bytes | Ratchet
"""A node's secret, or a ratchet."""


class SecretTree:
    """The secrets of one epoch that are still there."""

    __slots__ = ("_leaves", "parts", "suite")

    def __init__(self, suite: Suite, leaves: int, parts: Mapping[Slot, Part]) -> None:
        self.suite = suite
        self._leaves = leaves
        self.parts = parts if isinstance(parts, Parts) else Parts(parts)
        """What there is; never changed in place."""

    @classmethod
    def new(cls, suite: Suite, leaves: int, encryption_secret: bytes) -> "SecretTree":
        """Return the tree of an epoch that begins."""
        root = tree_math.root(leaves)
        return cls(suite, leaves, {(Purpose.NODE, root): encryption_secret})

    def next_key(self, leaf: int, purpose: Purpose) -> tuple[int, MessageKey, "SecretTree"]:
        """Return (generation, key, tree without it) for what this leaf sends next."""
        parts = self._opened(leaf)
        ratchet = _ratchet(parts, leaf, purpose)
        if ratchet.generation >= MAX_GENERATION:
            raise MisuseError("the ratchet has come to its end (section 6.3.2)")
        key = self._key(ratchet)
        after = Ratchet(self._next(ratchet), ratchet.generation + 1, ratchet.skipped)
        return ratchet.generation, key, self._with(parts, (purpose, leaf), after)

    def generation(self, leaf: int, purpose: Purpose) -> int:
        """Return the next generation of a sender's ratchet."""
        held = self.parts.get((purpose, leaf))
        return held.generation if isinstance(held, Ratchet) else 0

    def key_of(
        self, leaf: int, purpose: Purpose, generation: int
    ) -> tuple[MessageKey, "SecretTree"]:
        """Return (key, tree without it) of a message that was received.

        The caller takes the new tree only after the message proved genuine: a forged one must not
        cost the real one its key.
        Raises ReplayError for a key that is gone, GenerationError past MAX_AHEAD, InvalidError for a
        leaf outside the tree.
        """
        if leaf >= self._leaves:
            raise InvalidError("there is no such leaf")
        parts = self._opened(leaf)
        ratchet = _ratchet(parts, leaf, purpose)
        skipped = dict(ratchet.skipped)
        if generation < ratchet.generation:
            if generation not in skipped:
                raise ReplayError(f"generation {generation} of leaf {leaf} is used or given up")
            key = skipped.pop(generation)
            after = Ratchet(ratchet.secret, ratchet.generation, skipped)
            return key, self._with(parts, (purpose, leaf), after)
        if generation - ratchet.generation > MAX_AHEAD or generation >= MAX_GENERATION:
            raise GenerationError(
                f"generation {generation} of leaf {leaf} lies past {ratchet.generation} + {MAX_AHEAD}"
            )
        while ratchet.generation < generation:
            if generation - ratchet.generation <= MAX_SKIPPED:
                skipped[ratchet.generation] = self._key(ratchet)
            ratchet = Ratchet(self._next(ratchet), ratchet.generation + 1)
        for oldest in sorted(skipped)[: max(0, len(skipped) - MAX_SKIPPED)]:
            del skipped[oldest]
        key = self._key(ratchet)
        after = Ratchet(self._next(ratchet), generation + 1, skipped)
        return key, self._with(parts, (purpose, leaf), after)

    def _with(self, parts: Parts[Slot, Part], slot: Slot, after: Ratchet) -> "SecretTree":
        return SecretTree(self.suite, self._leaves, parts.replaced({slot: after}))

    def _key(self, ratchet: Ratchet) -> MessageKey:
        suite = self.suite
        return MessageKey(
            suite.derive_tree_secret(
                ratchet.secret, b"key", ratchet.generation, suite.aead.key_size
            ),
            suite.derive_tree_secret(
                ratchet.secret, b"nonce", ratchet.generation, suite.aead.nonce_size
            ),
        )

    def _next(self, ratchet: Ratchet) -> bytes:
        return self.suite.derive_tree_secret(
            ratchet.secret, b"secret", ratchet.generation, self.suite.hash_size
        )

    def _opened(self, leaf: int) -> Parts[Slot, Part]:
        """Return the parts in which a leaf has its two ratchets."""
        if (Purpose.HANDSHAKE, leaf) in self.parts:
            return self.parts
        suite = self.suite
        node = 2 * leaf
        way = [node]
        for above in tree_math.direct_path(node, self._leaves):
            if (Purpose.NODE, way[-1]) in self.parts:
                break
            way.append(above)
        top = (Purpose.NODE, way[-1])
        fresh: dict[Slot, Part] = {top: self.parts[top]}
        # Down from the secret that covers the leaf; each parent's is erased as its children get theirs.
        for above in reversed(way[1:]):
            secret = fresh.pop((Purpose.NODE, above))
            assert isinstance(secret, bytes)
            for child, side in (
                (tree_math.left(above), b"left"),
                (tree_math.right(above), b"right"),
            ):
                fresh[Purpose.NODE, child] = suite.expand_with_label(
                    secret, b"tree", side, suite.hash_size
                )
        secret = fresh.pop((Purpose.NODE, node))
        assert isinstance(secret, bytes)
        for purpose, label in (
            (Purpose.HANDSHAKE, b"handshake"),
            (Purpose.APPLICATION, b"application"),
        ):
            first = suite.expand_with_label(secret, label, b"", suite.hash_size)
            fresh[purpose, leaf] = Ratchet(first, 0)
        return self.parts.replaced({top: None, **fresh})


def _ratchet(parts: Parts[Slot, Part], leaf: int, purpose: Purpose) -> Ratchet:
    found = parts[purpose, leaf]
    assert isinstance(found, Ratchet)
    return found
