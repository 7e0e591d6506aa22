"""Where the nodes of a perfect binary tree stand in an array (RFC 9420 appendix C).

Leaves have even indices and parents odd ones; a tree is known by its number of leaves, a power of
two.  Leaf ``i`` is node ``2 * i``.
"""


def level(node: int) -> int:
    """Return how far above the leaves a node stands."""
    return (~node & (node + 1)).bit_length() - 1


def node_width(leaves: int) -> int:
    """Return how many nodes a tree of so many leaves has."""
    return 2 * leaves - 1 if leaves else 0


def root(leaves: int) -> int:
    """Return the root of a tree of so many leaves."""
    return leaves - 1


def is_leaf(node: int) -> bool:
    """Tell whether a node is a leaf."""
    return not node & 1


def left(node: int) -> int:
    """Return the left child of a parent node."""
    return node ^ (1 << (level(node) - 1))


def right(node: int) -> int:
    """Return the right child of a parent node."""
    return node ^ (3 << (level(node) - 1))


def parent(node: int) -> int:
    """Return the parent of a node; the caller knows that it is not the root."""
    up = level(node)
    return (node | (1 << up)) & ~(1 << (up + 1))


def sibling(node: int) -> int:
    """Return the other child of a node's parent."""
    above = parent(node)
    return right(above) if node < above else left(above)


def direct_path(node: int, leaves: int) -> list[int]:
    """Return the ancestors of a node, from its parent to the root."""
    path = []
    top = root(leaves)
    while node != top:
        node = parent(node)
        path.append(node)
    return path


def subtree_leaves(node: int) -> range:
    """Return the leaf indices below a node, or its own if it is a leaf."""
    half = (1 << level(node)) - 1
    return range((node - half) // 2, (node + half) // 2 + 1)


def in_subtree(node: int, top: int) -> bool:
    """Tell whether a node is another or stands below it."""
    half = (1 << level(top)) - 1
    return top - half <= node <= top + half
