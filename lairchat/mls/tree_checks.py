"""Whether a tree that somebody sent holds together (RFC 9420 sections 7.9.2 and 12.4.3.1)."""

from lairchat.mls import tree_math
from lairchat.mls.errors import InvalidError
from lairchat.mls.objects import ParentNode
from lairchat.mls.ratchet_tree import RatchetTree, parent_hash_of


def check_tree(tree: RatchetTree, group_id: bytes) -> None:
    """Raise InvalidError unless every part of the tree was put there by who it names.

    A lying tree could show members that are not there or hide some that are: every leaf has to be
    signed by its own key for its place, and every parent's key has to be vouched for by a leaf.
    What leaves may be at all is checked in ``rules``.
    """
    check_unmerged(tree)
    check_keys(tree)
    check_parent_hashes(tree)
    for _, parent in tree.parents():
        # Else the first to commit would find it, and could not.
        tree.suite.check_hpke_public(parent.encryption_key)
    for index, leaf in tree.members():
        leaf.check_signature(tree.suite, group_id, index)


def check_keys(tree: RatchetTree) -> None:
    """Raise InvalidError if two nodes of a tree have the same key (section 7.3).

    Parents count as well: who knew one private key would know the other.
    """
    encryption = tree.encryption_keys()
    signature = [leaf.signature_key for _, leaf in tree.members()]
    if len({*encryption}) != len(encryption) or len({*signature}) != len(signature):
        raise InvalidError("two nodes of a tree have the same key (section 7.3)")


def check_unmerged(tree: RatchetTree) -> None:
    """Raise InvalidError unless unmerged leaves are members below, known all the way up."""
    for node, parent in tree.parents():
        if list(parent.unmerged_leaves) != sorted(set(parent.unmerged_leaves)):
            raise InvalidError("unmerged leaves are not in order (section 7.1)")
        for leaf in parent.unmerged_leaves:
            if not tree_math.in_subtree(2 * leaf, node) or tree.leaf(leaf) is None:
                raise InvalidError("an unmerged leaf is no member below (section 12.4.3.1)")
            _check_known_up_to(tree, leaf, node)


def _check_known_up_to(tree: RatchetTree, leaf: int, top: int) -> None:
    node = tree_math.parent(2 * leaf)
    while node != top:
        between = tree.node(node)
        if isinstance(between, ParentNode) and leaf not in between.unmerged_leaves:
            raise InvalidError("a leaf is unmerged above but not below (section 12.4.3.1)")
        node = tree_math.parent(node)


def check_parent_hashes(tree: RatchetTree) -> None:
    """Raise InvalidError unless every parent node is parent-hash valid (section 7.9.2)."""
    for node, parent in tree.parents():
        left, right = tree_math.left(node), tree_math.right(node)
        if not (_vouched(tree, parent, left, right) or _vouched(tree, parent, right, left)):
            raise InvalidError(f"nobody vouches for node {node} (section 7.9.2)")


def _vouched(tree: RatchetTree, parent: ParentNode, child: int, beside: int) -> bool:
    """Tell whether a node below a child carries its parent's hash, and all else there is unmerged."""
    covering = tree.resolution(child)
    unmerged = {
        2 * leaf for leaf in parent.unmerged_leaves if tree_math.in_subtree(2 * leaf, child)
    }
    heirs = [node for node in covering if node not in unmerged]
    if len(heirs) != 1 or len(covering) != len(unmerged) + 1:
        return False
    return parent_hash_of(tree.node(heirs[0])) == tree.parent_hash(parent, beside)
