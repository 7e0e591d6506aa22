"""The ratchet tree as an array: shapes, places and hashes (RFC 9420 sections 4, 7.7 and 7.8)."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.mls import tree_math
from lairchat.mls.codec import opaque
from lairchat.mls.errors import InvalidError, MalformedError
from lairchat.mls.objects import LeafNode, ParentNode
from lairchat.mls.ratchet_tree import MAX_LEAVES, RatchetTree, parent_hash_of
from tests.mls.people import FAST, members, person

LEAF = person("somebody", FAST).package.leaf


def _leaf(number: int) -> LeafNode:
    return replace(LEAF, encryption_key=b"key of %d" % number)


def _tree(places: set[int]) -> RatchetTree:
    """Return a tree with members at these places and no others."""
    tree = RatchetTree(FAST, [_leaf(0)])
    for place in range(1, max(places, default=0) + 1):
        tree = tree.placed(place, _leaf(place))
    for place in range(max(places, default=0) + 1):
        if place not in places:
            tree = tree.removed(place)
    return tree


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 40), min_size=1))
def test_a_tree_is_as_wide_as_it_has_to_be_and_says_who_is_there(places: set[int]) -> None:
    tree = _tree(places)
    assert [place for place, _ in tree.members()] == sorted(places)
    assert tree.leaves == 1 << max(places).bit_length()
    assert tree.free_leaf() == min(set(range(tree.leaves + 1)) - places)
    again = RatchetTree.decode(FAST, tree.encode())
    assert again.encode() == tree.encode()
    assert again.tree_hash() == tree.tree_hash()
    for place in range(45):
        if place in places:
            assert tree.member(place) == _leaf(place)
        else:
            assert tree.leaf(place) is None
            with pytest.raises(InvalidError, match="no member"):
                tree.member(place)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 20), min_size=1), st.data())
def test_a_resolution_covers_all_below_and_nobody_twice(
    places: set[int], data: st.DataObject
) -> None:
    """Section 4.1.1."""
    tree = _tree(places)
    for place in data.draw(st.lists(st.sampled_from(sorted(places)), max_size=4)):
        path = tree.filtered_path(place)
        tree, _ = tree.with_path(place, [b"%d of %d" % (node, place) for node, _ in path])
    node = data.draw(st.integers(0, 2 * tree.leaves - 2))
    covered = [
        leaf
        for found in tree.resolution(node)
        for leaf in tree_math.subtree_leaves(found)
        if tree.leaf(leaf) is not None
    ]
    assert sorted(covered) == [
        leaf for leaf in tree_math.subtree_leaves(node) if tree.leaf(leaf) is not None
    ]


def test_newcomers_are_told_to_those_above_them() -> None:
    """Section 7.7: what nobody has told them they cannot know."""
    tree = members(3, FAST, (), 1)[0].public.tree
    after = tree.placed(3, LEAF)
    told = {node: parent.unmerged_leaves for node, parent in after.parents()}
    assert told == {
        node: (3,) if tree_math.in_subtree(6, node) else () for node, _ in tree.parents()
    }
    assert all(not parent.unmerged_leaves for _, parent in tree.parents())


@pytest.mark.parametrize(
    "entries",
    [
        b"",
        b"\0",  # nobody
        b"\1\2" + ParentNode(b"k", b"", ()).encode(),  # a parent where a leaf belongs
        b"\1\1" + LEAF.encode() + b"\1\1" + LEAF.encode(),  # a leaf where a parent belongs
        b"\1\1" + LEAF.encode() + b"\0",  # a blank at the end
        b"\1\3",
        b"\2",
    ],
)
def test_bytes_that_are_no_tree(entries: bytes) -> None:
    """Section 12.4.3.3."""
    with pytest.raises(MalformedError):
        RatchetTree.decode(FAST, opaque(entries))


def test_a_tree_has_a_widest_width() -> None:
    wide = b"\0" * (2 * MAX_LEAVES) + b"\1\1" + LEAF.encode()
    started = time.monotonic()
    with pytest.raises(MalformedError, match="16384"):
        RatchetTree.decode(FAST, opaque(wide))
    fits = b"\0" * (2 * MAX_LEAVES - 2) + b"\1\1" + LEAF.encode()
    tree = RatchetTree.decode(FAST, opaque(fits))
    tree.tree_hash()
    assert time.monotonic() - started < 5
    with pytest.raises(InvalidError, match="16384"):
        tree.placed(MAX_LEAVES, LEAF)


def test_a_path_has_as_many_keys_as_nodes() -> None:
    tree = members(3, FAST)[0].public.tree
    with pytest.raises(InvalidError, match="2 nodes came with 1"):
        tree.with_path(0, [b"k"])


def test_only_some_nodes_carry_a_parent_hash() -> None:
    assert parent_hash_of(None) is None
    assert parent_hash_of(LEAF) is None
    assert parent_hash_of(ParentNode(b"", b"hash", ())) == b"hash"
    assert parent_hash_of(members(2, FAST, (), 1)[1].own_leaf)


def test_subtrees_are_ranges() -> None:
    assert list(tree_math.subtree_leaves(3)) == [0, 1, 2, 3]
    assert list(tree_math.subtree_leaves(4)) == [2]
    assert tree_math.node_width(0) == 0
