"""Trees that lie: each field of each node, and those who would hide in them (RFC 9420 section 7.9.2).

The liar is a member who signs the group information himself: hashes of the tree are right, and only
the tree itself can give it away.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from lairchat.mls import tree_math
from lairchat.mls.errors import InvalidError, MLSError
from lairchat.mls.group import Group
from lairchat.mls.messages import GroupInfo
from lairchat.mls.objects import (
    Add,
    BasicCredential,
    Capabilities,
    Extension,
    FromCommit,
    FromUpdate,
    LeafNode,
    Lifetime,
    ParentNode,
    X509Credential,
)
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.suites import HYBRID, Suite, suite_of
from lairchat.mls.transition import PublicGroup
from lairchat.mls.tree_checks import check_tree, check_unmerged
from tests.mls.people import FAST, GROUP_ID, members, person, propose_update, settle, welcomed


def _with(tree: RatchetTree, node: int, value: Any) -> RatchetTree:
    """Return a tree with another node, as bytes would bring it."""
    nodes = list(tree._nodes)
    nodes[node] = value
    return RatchetTree.decode(tree.suite, RatchetTree(tree.suite, nodes).encode())


def _accept(tree: RatchetTree, liar: Group) -> PublicGroup:
    """Look at a tree as a newcomer does, whom a member has invited into it."""
    context = replace(liar.context, tree_hash=tree.tree_hash())
    info = GroupInfo(context, (), bytes(tree.suite.hash_size), liar.leaf, b"")
    return PublicGroup.of(info.sign(tree.suite, liar.signing_key), tree)


def _refused(check: Callable[..., object], *args: Any) -> bool:
    try:
        check(*args)
    except MLSError:
        return True
    return False


def _bent(value: Any) -> Iterator[Any]:
    """Give other values in place of one field's."""
    match value:
        case bytes():
            yield value + b"\0"
            yield value[:-1] or b"x"
            yield bytes(byte ^ 1 for byte in value[:1]) + value[1:]
            yield value[:-1] + bytes(byte ^ 0x80 for byte in value[-1:])
        case int():
            yield value + 1
        case BasicCredential(identity):
            yield BasicCredential(identity + b"!")
            yield X509Credential((identity,))
        case Lifetime(not_before, not_after):
            yield Lifetime(not_before + 1, not_after)
            yield Lifetime(not_before, not_after + 1)
            yield FromUpdate()
            yield FromCommit(b"")
        case FromCommit(parent_hash):
            yield from (FromCommit(bent) for bent in _bent(parent_hash))
            yield FromUpdate()
            yield Lifetime(0, 2**40)
        case FromUpdate():
            yield from (Lifetime(0, 2**40), FromCommit(b""))
        case Capabilities():
            for name in ("versions", "cipher_suites", "extensions", "proposals", "credentials"):
                yield replace(value, **{name: (*getattr(value, name), 99)})
                if getattr(value, name):
                    yield replace(value, **{name: ()})
        case tuple():  # extensions, or unmerged leaves
            for item in (Extension(1, b"id"), 0, 1, 2**32 - 1):
                yield (*value, item)
            yield value[1:] if value else (Extension(99, b""),)


def _lies(tree: RatchetTree) -> Iterator[tuple[str, RatchetTree]]:
    """Give a tree with each field of each node bent, and each node taken away or put elsewhere."""
    for node in range(2 * tree.leaves - 1):
        found = tree.node(node)
        if found is None:
            continue
        for field in (field for field in fields(found) if not field.name.startswith("_")):
            for bent in _bent(getattr(found, field.name)):
                changed = replace(found, **{field.name: bent})
                try:
                    lie = _with(tree, node, changed)
                except (MLSError, AttributeError, TypeError):
                    continue  # not even an encoding
                if lie.encode() != tree.encode():
                    yield f"{node} {field.name} {bent!r}", lie
        yield f"{node} blank", _with(tree, node, None)
        for other in range(node % 2, 2 * tree.leaves - 1, 2):
            if other != node:
                yield f"{node} moved to {other}", _with(tree, other, found)


def _groups(suite: Suite) -> list[Group]:
    """Return a group with leaves of every source, blanks, and unmerged leaves."""
    groups: Sequence[Group] = members(7, suite, (), 1)
    groups = propose_update(groups, 3)
    groups = settle(groups, groups[2].commit(os.urandom), 2)
    own = person("new", suite)
    committed = groups[0].commit(os.urandom, proposals=[Add(own.package)], path=False)
    return [*settle(groups, committed, 0), welcomed(committed, own)]


@pytest.mark.parametrize("suite", [FAST, HYBRID], ids=["fast", "hybrid"])
def test_each_field_of_each_node_of_a_valid_tree(suite: Suite) -> None:
    groups = _groups(suite)
    liar, tree = groups[4], groups[4].public.tree
    _accept(tree, liar)
    count = 0
    assert any(parent.unmerged_leaves for _, parent in tree.parents())
    for what, lie in _lies(tree):
        if what == f"{tree.root} blank":
            continue  # no lie about anybody: updates and removals leave one
        count += 1
        assert _refused(_accept, lie, liar), what
    assert count > 300


def test_each_field_of_each_node_of_the_official_trees(vectors: Path) -> None:
    cases = json.loads((vectors / "mls/tree-validation.json").read_text())
    count = 0
    for case in cases[:14]:  # of one suite; the others have the same shapes
        tree = RatchetTree.decode(suite_of(case["cipher_suite"]), bytes.fromhex(case["tree"]))
        group_id = bytes.fromhex(case["group_id"])
        if tree.leaves > 16:
            continue
        check_tree(tree, group_id)
        for what, lie in _lies(tree):
            if what == f"{tree.root} blank":
                continue
            count += 1
            assert _refused(check_tree, lie, group_id), what
    assert count > 1000


# Attacks that bend several things at once, and sign what they can.


def _resigned(leaf: LeafNode, group: Group, **parts: Any) -> LeafNode:
    changed = replace(leaf, **parts)
    return changed.sign(group.suite, group.signing_key, GROUP_ID, group.leaf)


def test_a_key_that_nobody_below_vouches_for_is_found() -> None:
    """A member who puts a key of his own above others would read on after his removal."""
    groups = members(4, FAST, (), 1)
    tree = groups[0].public.tree
    for node in (1, 3, 5):
        found = tree.node(node)
        assert isinstance(found, ParentNode)
        lie = _with(tree, node, replace(found, encryption_key=FAST.hpke_public(bytes(32))))
        with pytest.raises(InvalidError, match="vouches"):
            _accept(lie, groups[0])


def test_a_member_hidden_from_a_newcomer_is_found() -> None:
    """The leaf is blanked, but a parent's key, which the hidden one knows, was made beside it."""
    groups = members(4, FAST, (), 1)
    tree = groups[0].public.tree
    for hidden in (1, 2, 3):
        with pytest.raises(InvalidError, match="vouches"):
            _accept(_with(tree, 2 * hidden, None), groups[0])


def test_the_liars_own_leaf_can_vouch_only_for_its_own_path() -> None:
    """He signs his leaf anew with any parent hash he likes; what is beside his path is not his."""
    groups = members(4, FAST, (), 1)
    liar, tree = groups[3], groups[3].public.tree
    leaf = _resigned(liar.own_leaf, liar, source=FromCommit(b""))
    with pytest.raises(InvalidError, match="vouches"):
        _accept(_with(tree, 6, leaf), liar)
    other = tree.node(1)
    assert isinstance(other, ParentNode)
    # A false key above 0 and 1, and his own path made right over it.
    false = _with(tree, 1, replace(other, encryption_key=FAST.hpke_public(bytes(32))))
    keys = [FAST.hpke_public(bytes([n]) * 32) for n in (1, 2)]
    false, parent_hash = false.with_path(3, keys)
    leaf = _resigned(liar.own_leaf, liar, source=FromCommit(parent_hash))
    with pytest.raises(InvalidError, match="node 1"):
        _accept(false.with_leaf(3, leaf), liar)


@pytest.mark.parametrize(
    ("unmerged", "match"),
    [
        ((1, 0), "not in order"),
        ((0, 0), "not in order"),
        ((9,), "no member below"),
        ((2**32 - 1,), "no member below"),
        ((7,), "vouches|no member below|unmerged above"),
    ],
)
def test_lies_about_unmerged_leaves(unmerged: tuple[int, ...], match: str) -> None:
    """Section 12.4.3.1: else a secret would go to who is not there, or not to who is."""
    groups = members(7, FAST, (), 1)
    tree = groups[0].public.tree
    root = tree.node(tree.root)
    assert isinstance(root, ParentNode)
    lie = _with(tree, tree.root, replace(root, unmerged_leaves=unmerged))
    with pytest.raises(InvalidError, match=match):
        _accept(lie, groups[0])


def test_who_is_unmerged_above_is_unmerged_below() -> None:
    groups = members(4, FAST, (), 1)
    tree = groups[0].public.tree
    root = tree.node(3)
    assert isinstance(root, ParentNode)
    lie = _with(tree, 3, replace(root, unmerged_leaves=(1,)))
    with pytest.raises(InvalidError, match="above but not below"):
        check_unmerged(lie)


def test_an_unmerged_leaf_that_is_left_out_is_missed() -> None:
    """Its parents claim that it knows their keys."""
    groups = _groups(FAST)
    tree = groups[0].public.tree
    for node, parent in tree.parents():
        if parent.unmerged_leaves:
            with pytest.raises(InvalidError):
                _accept(_with(tree, node, replace(parent, unmerged_leaves=())), groups[0])


def test_parents_keys_are_keys() -> None:
    """A vouched one that is no key: the first to commit could not encrypt to it."""
    groups = members(2, FAST)
    liar = groups[1]
    tree, parent_hash = liar.public.tree.with_path(1, [b"no key"])
    leaf = _resigned(liar.own_leaf, liar, source=FromCommit(parent_hash))
    with pytest.raises(InvalidError, match="not a public key"):
        _accept(tree.with_leaf(1, leaf), liar)


def test_a_key_that_stands_twice_is_refused() -> None:
    """Section 7.3; the owner of a leaf puts its key on the node above it."""
    groups = members(2, FAST)
    liar = groups[1]
    tree, parent_hash = liar.public.tree.with_path(1, [liar.own_leaf.encryption_key])
    leaf = _resigned(liar.own_leaf, liar, source=FromCommit(parent_hash))
    with pytest.raises(InvalidError, match="same key"):
        _accept(tree.with_leaf(1, leaf), liar)


def test_a_tree_is_of_its_groups_suite() -> None:
    groups = members(2, FAST)
    info = groups[0].group_info(with_tree=False)
    tree = RatchetTree.decode(suite_of(3), groups[0].public.tree.encode())
    with pytest.raises(InvalidError, match="cipher suite"):
        PublicGroup.of(info, tree)


def test_a_tree_in_which_all_are_unmerged_takes_no_long_time() -> None:
    """Every hash without the newcomers is another one; a newcomer's machine must not stand still."""
    count = 512
    tree = RatchetTree(FAST, [replace(person("m", FAST).package.leaf, encryption_key=b"0")])
    leaf = tree.member(0)
    for place in range(1, count):
        tree = tree.placed(place, replace(leaf, encryption_key=b"%d" % place))
    nodes = list(tree._nodes)
    for node in range(1, 2 * count - 1, 2):
        below = tuple(tree_math.subtree_leaves(node))
        nodes[node] = ParentNode(b"p%d" % node, b"", below[1:])
    hostile = RatchetTree.decode(FAST, RatchetTree(FAST, nodes).encode())
    started = time.monotonic()
    with pytest.raises(InvalidError):
        check_tree(hostile, GROUP_ID)
    assert time.monotonic() - started < 5
