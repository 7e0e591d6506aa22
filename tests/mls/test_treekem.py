"""TreeKEM by itself: who can open which secret (RFC 9420 sections 7.4 to 7.6)."""

import os

import pytest

from lairchat.mls import tree_math, treekem
from lairchat.mls.errors import InvalidError
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.treekem import PathSecrets
from tests.mls.people import FAST, members, person

TREE = members(6, FAST, (), 1)[0].public.tree


def _path(leaf: int) -> tuple[PathSecrets, RatchetTree]:
    drawn = treekem.draw_path(TREE, leaf, os.urandom)
    keys = [FAST.hpke_public(key) for key in drawn.private.values()]
    return drawn, TREE.with_path(leaf, keys)[0]


@pytest.mark.parametrize("sender", range(6))
def test_everybody_else_learns_the_commit_secret_and_what_is_above_them(sender: int) -> None:
    groups = members(6, FAST, (), 1)
    context = groups[0].context
    drawn, after = _path(sender)
    nodes = treekem.seal_path(after, sender, drawn, context, ())
    for group in groups:
        if group.leaf == sender:
            continue
        opened = treekem.open_path(after, sender, nodes, group.leaf, group.private, context, ())
        assert opened.commit_secret == drawn.commit_secret
        above = treekem.common_ancestor(group.leaf, sender)
        # Section 7.4: from a secret follow those above it, and none below.
        assert set(opened.secrets) == {
            node for node in drawn.secrets if tree_math.in_subtree(above, node)
        }
        for node, secret in opened.secrets.items():
            assert secret == drawn.secrets[node]


def test_who_was_added_by_the_commit_gets_no_secret_in_its_path() -> None:
    """Section 7.5: newcomers get theirs in the welcome."""
    tree = TREE.placed(6, person("new", FAST).package.leaf)
    drawn = treekem.draw_path(tree, 4, os.urandom)
    keys = [FAST.hpke_public(key) for key in drawn.private.values()]
    after, _ = tree.with_path(4, keys)
    context = members(6, FAST)[0].context
    with_all = treekem.seal_path(after, 4, drawn, context, ())
    without = treekem.seal_path(after, 4, drawn, context, [6])
    assert [len(node.secrets) for node in with_all] == [1, 1, 1]
    assert [len(node.secrets) for node in without] == [1, 0, 1]


def test_who_has_no_key_of_a_path_cannot_open_it() -> None:
    drawn, after = _path(0)
    context = members(6, FAST)[0].context
    nodes = treekem.seal_path(after, 0, drawn, context, ())
    with pytest.raises(InvalidError, match="no secret for this member"):
        treekem.open_path(after, 0, nodes, 3, {}, context, ())
    with pytest.raises(InvalidError, match="no secret for this member"):
        treekem.open_path(after, 0, nodes, 3, {10: bytes(32)}, context, ())


def test_a_secret_is_for_a_node_of_the_path() -> None:
    _, after = _path(0)
    for node in (0, 5, 9):
        with pytest.raises(InvalidError, match="off the path"):
            treekem.climb_from(after, 0, node, bytes(32))


def test_the_lowest_node_above_two_leaves() -> None:
    assert treekem.common_ancestor(0, 1) == 1
    assert treekem.common_ancestor(3, 0) == 3
    assert treekem.common_ancestor(4, 0) == 7
    assert treekem.common_ancestor(2, 2) == 4
