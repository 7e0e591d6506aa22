"""The public groups of encrypted rooms, from their rows, and as far as they fit in memory."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from lairchat.features.delivery import rules, tables
from lairchat.features.identities import tables as identities
from lairchat.mls.errors import InvalidError
from lairchat.mls.key_schedule import interim_transcript
from lairchat.mls.messages import GroupInfo, decode_message
from lairchat.mls.objects import GroupContext, LeafNode, ParentNode
from lairchat.mls.ratchet_tree import RatchetTree
from lairchat.mls.suites import HYBRID
from lairchat.mls.transition import PublicGroup
from lairchat.model.ids import RoomId
from lairchat.model.refusals import GroupMissing, GroupTree
from lairchat.trust.log import AccountLog

_NODE_BYTES = 3_072
"""bytes: about what a place in a tree takes in memory, the hybrid keys above all."""


class Epoch(NamedTuple):
    """Where a room's group stands: its row, the group with what waits for a commit, and that."""

    row: tables.Group
    group: PublicGroup
    waiting: list[tables.Proposal]


class KnownLogs(Mapping[bytes, AccountLog]):
    """The logs of all accounts, read when they are asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: dict[bytes, AccountLog] = {}

    def __getitem__(self, account: bytes) -> AccountLog:
        found = self._found.get(account) or identities.log_of(self._connection, account)
        if found is None:
            raise KeyError(account)
        self._found[account] = found
        return found

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Cache:
    """Values by what pins every byte of them, so that nothing here can be out of date.

    bound: bytes; those that were used longest ago go first.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lock = Lock()  # readers and the writer have threads of their own
        self._kept: OrderedDict[tuple[bytes, ...], tuple[Any, int]] = OrderedDict()
        self.bytes = 0
        """How many bytes the values take, about."""

    def get(self, key: tuple[bytes, ...]) -> Any:
        """Return what is kept under a key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def keep(self, key: tuple[bytes, ...], value: Any, size: int) -> None:
        """Keep a value, unless it alone is larger than all may be."""
        with self._lock:
            if key in self._kept or size > self._bound:
                return
            self._kept[key] = value, size
            self.bytes += size
            while self.bytes > self._bound:
                _, (_, freed) = self._kept.popitem(last=False)
                self.bytes -= freed


class Groups:
    """The groups of this server's rooms."""

    def __init__(self, bound: int) -> None:
        self.cache = Cache(bound)

    def find(self, connection: Connection, room: RoomId) -> Epoch | None:
        """Return where a room's group stands, or None while there is none."""
        row = tables.group(connection, room)
        if row is None:
            return None
        context = tables.context_at(connection, room, row.epoch)
        assert context is not None  # written with the row
        group = self._once(
            (context, row.info),
            lambda: restore(context, row.info, tables.nodes(connection, room)),
            _size,
        )
        waiting = tables.proposals(connection, room)
        return Epoch(row, rules.with_proposals(group, [one.data for one in waiting]), waiting)

    def require(self, connection: Connection, room: RoomId) -> Epoch:
        """Return where a room's group stands; raises GroupMissing."""
        found = self.find(connection, room)
        if found is None:
            raise GroupMissing
        return found

    def keep(self, group: PublicGroup, info: bytes) -> None:
        """Keep the group that a commit came to, so that the next one finds it."""
        self.cache.keep((group.context.encode(), info), group, _size(group))

    def tree(self, connection: Connection, room: RoomId, epoch: int) -> bytes:
        """Return the tree that a room's group has, or had, in an epoch; raises GroupTree."""
        context = tables.context_at(connection, room, epoch)
        if context is None:
            raise GroupTree(epoch=epoch, field="$.epoch")

        def make() -> bytes:
            nodes = tables.nodes_at(connection, room, epoch)
            try:
                return encode_tree(GroupContext.decode(context), nodes)
            except InvalidError:
                # Some of its nodes have been forgotten.
                raise GroupTree(epoch=epoch, field="$.epoch") from None

        found: bytes = self._once((context,), make, len)
        return found

    def _once(
        self, key: tuple[bytes, ...], make: Callable[[], Any], size: Callable[[Any], int]
    ) -> Any:
        found = self.cache.get(key)
        if found is None:
            found = make()
            self.cache.keep(key, found, size(found))
        return found


def _size(group: PublicGroup) -> int:
    return 2 * group.tree.leaves * _NODE_BYTES


def restore(context: bytes, info: bytes, nodes: Iterable[tuple[int, bytes]]) -> PublicGroup:
    """Return the group that rows describe; raises InvalidError if they are not what was kept.

    Signatures were checked when the nodes came, and the hash of the tree pins every byte of them.
    """
    read = GroupContext.decode(context)
    tree = restore_tree(nodes)
    if tree.tree_hash() != read.tree_hash:
        raise InvalidError("the nodes that are kept are not those of the epoch")
    stated = decode_message(info)
    assert isinstance(stated, GroupInfo)
    interim = interim_transcript(HYBRID, read.confirmed_transcript_hash, stated.confirmation_tag)
    return PublicGroup(read, tree, interim, {})


def restore_tree(kept: Iterable[tuple[int, bytes]]) -> RatchetTree:
    """Return the tree of these nodes."""
    nodes = dict(kept)
    width = 1
    while width <= max(nodes):
        width = 2 * width + 1
    return RatchetTree(
        HYBRID,
        [
            None
            if index not in nodes
            else ParentNode.decode(nodes[index])
            if index % 2
            else LeafNode.decode(nodes[index])
            for index in range(width)
        ],
    )


def encode_tree(context: GroupContext, nodes: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the encoding of an epoch's tree; raises InvalidError if these are not all its nodes."""
    tree = restore_tree(nodes)
    if tree.tree_hash() != context.tree_hash:
        raise InvalidError("the nodes that are kept are not those of the epoch")
    return tree.encode()
