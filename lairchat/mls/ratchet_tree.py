"""The ratchet tree: who is in the group, and the public keys of all nodes (RFC 9420 sections 4 and 7).

A tree is never changed: operations copy the two arrays of references (16 KiB each at 1,000 members)
and share all nodes.  Hashes of subtrees are kept with the tree, so that an operation costs what it
touched.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from lairchat.mls import tree_math
from lairchat.mls.codec import (
    MAX_ITEMS,
    U8,
    U32,
    Choice,
    Optional,
    Reader,
    Struct,
    Vector,
    opaque,
)
from lairchat.mls.errors import InvalidError, MalformedError
from lairchat.mls.objects import FromCommit, LeafNode, ParentNode
from lairchat.mls.suites import Suite

MAX_LEAVES: Final = 1 << 14
"""The widest tree that this library reads, leaves; more than ten times what a room may hold."""

Node = LeafNode | ParentNode | None


@dataclass(frozen=True, slots=True)
class _LeafEntry(Struct):
    """A leaf in the encoding of a whole tree."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (LeafNode,)
    node: LeafNode


@dataclass(frozen=True, slots=True)
class _ParentEntry(Struct):
    """A parent node in the encoding of a whole tree."""

    TYPE: ClassVar[int] = 2
    LAYOUT = (ParentNode,)
    node: ParentNode


_ENTRIES: Final = Vector(Optional(Choice("node type", U8, (_LeafEntry, _ParentEntry))))


class RatchetTree:
    """The nodes of a group's tree."""

    __slots__ = ("_hashes", "_nodes", "suite")

    def __init__(
        self, suite: Suite, nodes: Sequence[Node], hashes: Sequence[bytes | None] | None = None
    ) -> None:
        self.suite = suite
        self._nodes = list(nodes)
        self._hashes: list[bytes | None] = list(hashes) if hashes else [None] * len(self._nodes)

    # Looking.

    @property
    def leaves(self) -> int:
        """How many leaves there are, blank ones too; a power of two."""
        return (len(self._nodes) + 1) // 2

    @property
    def root(self) -> int:
        """The root's node index."""
        return tree_math.root(self.leaves)

    def node(self, index: int) -> Node:
        """Return a node by its index."""
        return self._nodes[index]

    def leaf(self, index: int) -> LeafNode | None:
        """Return the leaf of a leaf index, or None if it is blank or outside the tree."""
        if index >= self.leaves:
            return None
        found = self._nodes[2 * index]
        assert found is None or isinstance(found, LeafNode)
        return found

    def member(self, index: int) -> LeafNode:
        """Return the leaf of a member; raise InvalidError if nobody is there."""
        found = self.leaf(index)
        if found is None:
            raise InvalidError(f"there is no member at leaf {index}")
        return found

    def members(self) -> list[tuple[int, LeafNode]]:
        """Return (leaf index, leaf) of all members, in order."""
        leaves = enumerate(self._nodes[::2])
        return [(index, leaf) for index, leaf in leaves if isinstance(leaf, LeafNode)]

    def parents(self) -> list[tuple[int, ParentNode]]:
        """Return (node index, node) of all parent nodes that are not blank."""
        inner = enumerate(self._nodes[1::2])
        return [(2 * index + 1, node) for index, node in inner if isinstance(node, ParentNode)]

    def encryption_keys(self) -> list[bytes]:
        """Return the public keys of all nodes that are not blank."""
        return [node.encryption_key for node in self._nodes if node is not None]

    def resolution(self, node: int) -> list[int]:
        """Return the nodes that cover all members below a node (section 4.1.1)."""
        found = self._nodes[node]
        if isinstance(found, ParentNode):
            return [node, *(2 * leaf for leaf in found.unmerged_leaves)]
        if found is not None:
            return [node]
        if tree_math.is_leaf(node):
            return []
        return self.resolution(tree_math.left(node)) + self.resolution(tree_math.right(node))

    def filtered_path(self, leaf: int) -> list[tuple[int, int]]:
        """Return (node, its child beside the path) up a leaf's filtered direct path (section 4.1.2)."""
        child = 2 * leaf
        path = []
        for node in tree_math.direct_path(child, self.leaves):
            beside = tree_math.sibling(child)
            if self.resolution(beside):
                path.append((node, beside))
            child = node
        return path

    # Hashing: sections 7.8 and 7.9.

    def tree_hash(self, node: int | None = None) -> bytes:
        """Return the hash of a subtree, or of the whole tree."""
        index = self.root if node is None else node
        known = self._hashes[index]
        if known is None:
            known = self._hash(index, frozenset())
            self._hashes[index] = known
        return known

    def _hash(self, node: int, without: Collection[int]) -> bytes:
        found = self._nodes[node]
        if tree_math.is_leaf(node):
            shown = None if node // 2 in without else found
            assert not isinstance(shown, ParentNode)
            body = b"\1" + U32.write(node // 2) + (b"\1" + shown.encode() if shown else b"\0")
            return self.suite.hash(body)
        assert not isinstance(found, LeafNode)
        if found is not None and without:
            kept = tuple(leaf for leaf in found.unmerged_leaves if leaf not in without)
            found = replace(found, unmerged_leaves=kept)
        body = b"\2" + (b"\1" + found.encode() if found else b"\0")
        for child in (tree_math.left(node), tree_math.right(node)):
            body += opaque(self.hash_without(child, without))
        return self.suite.hash(body)

    def hash_without(self, node: int, leaves: Collection[int]) -> bytes:
        """Return the hash that a subtree had before these leaves came (section 7.9)."""
        below = frozenset(leaf for leaf in leaves if tree_math.in_subtree(2 * leaf, node))
        return self._hash(node, below) if below else self.tree_hash(node)

    def parent_hash(self, parent: ParentNode, beside: int) -> bytes:
        """Return the parent hash that a parent gives its child on the other side of ``beside``."""
        sibling = self.hash_without(beside, parent.unmerged_leaves)
        body = opaque(parent.encryption_key) + opaque(parent.parent_hash) + opaque(sibling)
        return self.suite.hash(body)

    # Changing: section 7.7.  Each returns a new tree.

    def _set(self, node: int, value: Node) -> None:
        # Only ever on a copy that nobody else has yet.
        self._nodes[node] = value
        self._hashes[node] = None
        for above in tree_math.direct_path(node, self.leaves):
            self._hashes[above] = None

    def _copy(self) -> "RatchetTree":
        return RatchetTree(self.suite, self._nodes, self._hashes)

    def free_leaf(self) -> int:
        """Return the leftmost blank leaf; it may lie just outside the tree (section 12.1.1)."""
        for index in range(0, len(self._nodes), 2):
            if self._nodes[index] is None:
                return index // 2
        return self.leaves

    def placed(self, index: int, leaf: LeafNode) -> "RatchetTree":
        """Return the tree with a leaf in a free place, doubled if that lies outside.

        Its ancestors are told (``unmerged_leaves``), as after an Add.
        """
        if index >= MAX_LEAVES:
            raise InvalidError(f"a tree has at most {MAX_LEAVES} leaves here")
        tree = self._copy()
        if index >= tree.leaves:
            # The old root's hash stays true: it is now the left child of a new, blank root.
            more = len(tree._nodes) + 1
            tree._nodes += [None] * more
            tree._hashes += [None] * more
        for node in tree_math.direct_path(2 * index, tree.leaves):
            parent = tree._nodes[node]
            if isinstance(parent, ParentNode):
                merged = tuple(sorted((*parent.unmerged_leaves, index)))
                tree._nodes[node] = replace(parent, unmerged_leaves=merged)
        tree._set(2 * index, leaf)
        return tree

    def updated(self, index: int, leaf: LeafNode) -> "RatchetTree":
        """Return the tree with a member's new leaf and a blank direct path."""
        tree = self._copy()
        for node in tree_math.direct_path(2 * index, tree.leaves):
            tree._nodes[node] = None
        tree._set(2 * index, leaf)
        return tree

    def removed(self, index: int) -> "RatchetTree":
        """Return the tree without a member, cut down while its right half is empty."""
        tree = self._copy()
        for node in tree_math.direct_path(2 * index, tree.leaves):
            tree._nodes[node] = None
        tree._set(2 * index, None)
        while tree.leaves > 1 and not any(tree._nodes[tree.leaves :: 2]):
            half = tree.leaves - 1
            del tree._nodes[half:]
            del tree._hashes[half:]
        return tree

    def with_path(self, index: int, keys: Sequence[bytes]) -> tuple["RatchetTree", bytes]:
        """Return the tree with new public keys up a filtered direct path, and the leaf's parent hash.

        keys: one for each node of ``filtered_path``, from the bottom (sections 7.5 and 7.9).
        """
        path = self.filtered_path(index)
        if len(path) != len(keys):
            raise InvalidError(f"a path of {len(path)} nodes came with {len(keys)} (section 7.5)")
        tree = self._copy()
        for node in tree_math.direct_path(2 * index, tree.leaves):
            tree._nodes[node] = None
            tree._hashes[node] = None
        above = b""
        for (node, beside), key in zip(reversed(path), reversed(keys), strict=True):
            parent = ParentNode(key, above, ())
            tree._nodes[node] = parent
            above = tree.parent_hash(parent, beside)
        return tree, above

    def with_leaf(self, index: int, leaf: LeafNode) -> "RatchetTree":
        """Return the tree with another leaf at a place, its ancestors as they are."""
        tree = self._copy()
        tree._set(2 * index, leaf)
        return tree

    # Encoding: the ratchet_tree extension, section 12.4.3.3.

    def encode(self) -> bytes:
        """Return the encoding, without the blank nodes at its end."""
        entries: list[_LeafEntry | _ParentEntry | None] = []
        for found in self._nodes:
            if isinstance(found, LeafNode):
                entries.append(_LeafEntry(found))
            elif found is not None:
                entries.append(_ParentEntry(found))
            else:
                entries.append(None)
        while entries and entries[-1] is None:
            entries.pop()
        return _ENTRIES.write(entries)

    @classmethod
    def decode(cls, suite: Suite, data: bytes, *, items: int = MAX_ITEMS) -> "RatchetTree":
        """Return the tree that these bytes are; raise MalformedError if they are none.

        items: how many items all its vectors may have together.
        Whether the tree holds together is for ``tree_checks`` to say.
        """
        reader = Reader(data, items)
        entries = _ENTRIES.read(reader)
        reader.finish()
        if not entries or entries[-1] is None:
            raise MalformedError("a tree ends with a node (section 12.4.3.3)")
        leaves = 1
        while tree_math.node_width(leaves) < len(entries):
            leaves *= 2
        if leaves > MAX_LEAVES:
            raise MalformedError(f"a tree has at most {MAX_LEAVES} leaves here")
        nodes: list[Node] = [None] * tree_math.node_width(leaves)
        for index, entry in enumerate(entries):
            if entry is None:
                continue
            if isinstance(entry, _LeafEntry) is not tree_math.is_leaf(index):
                raise MalformedError("a leaf stands where a parent belongs, or the reverse")
            nodes[index] = entry.node
        return cls(suite, nodes)


def parent_hash_of(node: Node) -> bytes | None:
    """Return the parent hash that a node carries, or None if it carries none (section 7.9)."""
    if isinstance(node, ParentNode):
        return node.parent_hash
    if isinstance(node, LeafNode) and isinstance(node.source, FromCommit):
        return node.source.parent_hash
    return None
