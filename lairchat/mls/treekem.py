"""TreeKEM: how a committer gives everyone a fresh secret with O(log n) encryptions (RFC 9420 section 7)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lairchat.mls import tree_math
from lairchat.mls.errors import InvalidError
from lairchat.mls.objects import Ciphertext, GroupContext, PathNode
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.suites import Random, Suite

_LABEL = b"UpdatePathNode"


@dataclass(frozen=True, slots=True, repr=False)
class PathSecrets:
    """What one side knows of an update path.

    private: HPKE private keys by node.
    secrets: path secrets by node, for the welcomes of new members.
    """

    private: Mapping[int, bytes]
    secrets: Mapping[int, bytes]
    commit_secret: bytes


def draw_path(tree: RatchetTree, leaf: int, random: Random) -> PathSecrets:
    """Return fresh secrets for a leaf's filtered direct path (section 7.4)."""
    suite = tree.suite
    nodes = [node for node, _ in tree.filtered_path(leaf)]
    return _climb(suite, nodes, random(suite.hash_size))


def _climb(suite: Suite, nodes: Sequence[int], secret: bytes) -> PathSecrets:
    private = {}
    secrets = {}
    for node in nodes:
        secrets[node] = secret
        private[node] = suite.hpke_derive(suite.derive_secret(secret, b"node"))
        secret = suite.derive_secret(secret, b"path")
    return PathSecrets(private, secrets, secret)


def seal_path(
    tree: RatchetTree,
    leaf: int,
    path: PathSecrets,
    context: GroupContext,
    newcomers: Collection[int],
) -> tuple[PathNode, ...]:
    """Return the nodes of an update path, each secret encrypted to the members beside it (section 7.5).

    tree: with the path's public keys in it; context: of the new epoch, before its transcript.
    newcomers: leaves added by the same commit, who get theirs in the welcome.
    """
    suite = tree.suite
    info = context.encode()
    sealed = []
    for node, beside in tree.filtered_path(leaf):
        secrets = [
            Ciphertext(
                *suite.encrypt_with_label(_public(tree, receiver), _LABEL, info, path.secrets[node])
            )
            for receiver in receivers(tree, beside, newcomers)
        ]
        sealed.append(PathNode(_public(tree, node), tuple(secrets)))
    return tuple(sealed)


def receivers(tree: RatchetTree, beside: int, newcomers: Collection[int]) -> list[int]:
    """Return the nodes that a path secret is encrypted to (section 7.5)."""
    fresh = {2 * leaf for leaf in newcomers}
    return [node for node in tree.resolution(beside) if node not in fresh]


def open_path(
    tree: RatchetTree,
    sender: int,
    nodes: Sequence[PathNode],
    member: int,
    private: Mapping[int, bytes],
    context: GroupContext,
    newcomers: Collection[int],
) -> PathSecrets:
    """Return what a member learns of somebody's update path (section 7.5).

    private: the member's own private keys by node.  The rest is as in ``seal_path``.
    """
    suite = tree.suite
    for (node, beside), sent in zip(tree.filtered_path(sender), nodes, strict=True):
        if not tree_math.in_subtree(2 * member, node):
            continue
        for receiver, secret in zip(receivers(tree, beside, newcomers), sent.secrets, strict=True):
            if receiver in private:
                opened = suite.decrypt_with_label(
                    private[receiver],
                    _LABEL,
                    context.encode(),
                    secret.kem_output,
                    secret.ciphertext,
                )
                return climb_from(tree, sender, node, opened)
        break
    raise InvalidError("the path has no secret for this member (section 7.5)")


def climb_from(tree: RatchetTree, sender: int, start: int, secret: bytes) -> PathSecrets:
    """Return what follows from one path secret, up to the root; it has to fit the tree's keys."""
    suite = tree.suite
    nodes = [node for node, _ in tree.filtered_path(sender) if tree_math.in_subtree(start, node)]
    if start not in nodes:
        raise InvalidError("a path secret is for a node off the path (section 7.5)")
    if len(secret) != suite.hash_size:
        raise InvalidError("a path secret has the wrong length (section 7.4)")
    path = _climb(suite, nodes, secret)
    for node, key in path.private.items():
        there = tree.node(node)
        # A welcome can bring a secret of a path that its tree does not have.
        if there is None or suite.hpke_public(key) != there.encryption_key:
            raise InvalidError("a path secret does not give the path's keys (section 7.5)")
    return path


def common_ancestor(leaf: int, other: int) -> int:
    """Return the lowest node above two leaves."""
    node = 2 * leaf
    while not tree_math.in_subtree(2 * other, node):
        node = tree_math.parent(node)
    return node


def _public(tree: RatchetTree, node: int) -> bytes:
    found = tree.node(node)
    assert found is not None, "a resolution has no blank nodes"
    return found.encryption_key
