"""However long the input, only so many items are made of it (RFC 9420 says nothing of bounds)."""

import os
from dataclasses import replace

import pytest

from lairchat.mls.codec import MAX_ITEMS, OPAQUE, U8, Reader, Vector, opaque
from lairchat.mls.errors import MalformedError
from lairchat.mls.keypackages import make_key_package
from lairchat.mls.messages import decode_message
from lairchat.mls.objects import (
    BasicCredential,
    Capabilities,
    Extension,
    FromCommit,
    LeafNode,
    Lifetime,
    ParentNode,
)
from lairchat.mls.ratchet_tree import Node, RatchetTree
from lairchat.mls.suites import HYBRID
from lairchat.mls.tree_math import is_leaf, subtree_leaves


def test_all_vectors_of_an_input_count_together():
    nested = Vector(Vector(U8))
    data = opaque(opaque(bytes(3)) + opaque(bytes(2)))
    assert nested.read(Reader(data, 7)) == ((0, 0, 0), (0, 0))
    with pytest.raises(MalformedError, match="more items"):
        nested.read(Reader(data, 6))


def test_bytes_are_no_items():
    assert OPAQUE.read(Reader(opaque(bytes(1_000)), 0)) == bytes(1_000)


def test_there_is_a_bound_where_nobody_gives_one():
    kind = Vector(U8)
    assert len(kind.read(Reader(opaque(bytes(MAX_ITEMS))))) == MAX_ITEMS
    with pytest.raises(MalformedError, match="more items"):
        kind.read(Reader(opaque(bytes(MAX_ITEMS + 1))))


def test_a_message_takes_a_bound_of_its_own():
    group_info = (
        b"\0\1\0\4" + b"\0\1\xf6\x4a" + opaque(b"id") + bytes(8) + opaque(b"") + opaque(b"")
    )
    extensions = opaque(b"\0\1\0" * 4)
    with pytest.raises(MalformedError, match="more items"):
        decode_message(group_info + extensions, 3)


def leaf() -> LeafNode:
    """Return a leaf as large as those of rooms: an identity, two extensions known, one shown."""
    package = make_key_package(
        HYBRID,
        BasicCredential(bytes(48)),
        os.urandom(32),
        Lifetime(0, 1),
        os.urandom,
        capabilities=Capabilities((1,), (HYBRID.id,), (0xF64B, 0xF64C), (), (1,)),
        leaf_extensions=(Extension(0xF64B, bytes(40)),),
    )
    return replace(package.package.leaf, source=FromCommit(bytes(HYBRID.hash_size)))


def test_the_widest_room_is_within_the_bound_whatever_was_committed_in_it():
    """1,000 devices, each of which every node above it still has as unmerged: no tree has more."""
    member, members, leaves = leaf(), 1_000, 1_024
    nodes: list[Node] = []
    for index in range(2 * leaves - 1):
        if is_leaf(index):
            nodes.append(member if index // 2 < members else None)
            continue
        unmerged = tuple(place for place in subtree_leaves(index) if place < members)
        key = os.urandom(len(member.encryption_key))
        nodes.append(ParentNode(key, bytes(HYBRID.hash_size), unmerged) if unmerged else None)
    encoded = RatchetTree(HYBRID, nodes).encode()
    assert 2_000_000 < len(encoded) < 4_000_000
    tree = RatchetTree.decode(HYBRID, encoded)
    assert len(tree.members()) == members
    assert tree.encode() == encoded
    # There is room for several such trees, and not for as many items as so many bytes could be.
    assert RatchetTree.decode(HYBRID, encoded, items=MAX_ITEMS // 8).encode() == encoded
    hostile = opaque(bytes(len(encoded)))
    with pytest.raises(MalformedError, match="more items"):
        RatchetTree.decode(HYBRID, hostile)
