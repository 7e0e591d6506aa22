"""Where the public part of encrypted rooms is kept, epoch by epoch.

Every function takes a connection inside a transaction; those that write belong to the writer's.
Nodes and leaves have intervals of epochs, so that the tree of an epoch that is over can still be read
by whoever was welcomed to it, and a report proven; a commit ends few and begins few.

Promises not to know: what the bytes mean.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
)
from sqlalchemy.engine import Connection

from lairchat.model.ids import RoomId
from lairchat.storage.schema import metadata
from lairchat.storage.statements import Columns, driver_of


def _room() -> Column[Any]:
    return Column("room", Integer, ForeignKey("mls_groups.room"), primary_key=True)


#: info: what the last committer states of the epoch.  seq: the event that began it.  rejoined: it was
#: begun by a device that joined by itself while removals waited.
mls_groups = Table(
    "mls_groups",
    metadata,
    Column("room", Integer, ForeignKey("rooms.id"), primary_key=True, autoincrement=False),
    Column("group_id", LargeBinary(16), nullable=False, unique=True),
    Column("epoch", BigInteger, nullable=False),
    Column("info", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("rejoined", Boolean, nullable=False),
)

#: The nodes that are not blank, in the epochs from the one to before the other (null: still).
group_nodes = Table(
    "group_nodes",
    metadata,
    _room(),
    Column("node", Integer, primary_key=True),
    Column("from_epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("to_epoch", BigInteger, nullable=True),
    Column("data", LargeBinary, nullable=False),
    Index("ix_group_nodes_room_to_epoch", "room", "to_epoch"),
)

#: Who was at a leaf, and by which key it signed, in which epochs.
group_leaves = Table(
    "group_leaves",
    metadata,
    _room(),
    Column("leaf", Integer, primary_key=True),
    Column("from_epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("to_epoch", BigInteger, nullable=True),
    Column("account", LargeBinary(32), nullable=False),
    Column("device_id", LargeBinary(16), nullable=False),
    Column("signature_key", LargeBinary(32), nullable=False),
    Index("ix_group_leaves_account_device_id_room", "account", "device_id", "room"),
)

#: The context of each epoch there was: with it a signature of that time can be proven.  seq: the event
#: that began it.
group_epochs = Table(
    "group_epochs",
    metadata,
    _room(),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("seq", BigInteger, nullable=False),
    Column("context", LargeBinary, nullable=False),
)

#: Proposals of this epoch, by their event.  leaf: whose it is; null: the server's.
group_proposals = Table(
    "group_proposals",
    metadata,
    _room(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", Integer, nullable=True),
    Column("data", LargeBinary, nullable=False),
)

#: Whom the server wants removed, until a commit does it.  reason: as members are told it.  proposed:
#: it has proposed so in this epoch; else it may not yet.
group_removals = Table(
    "group_removals",
    metadata,
    _room(),
    Column("leaf", Integer, primary_key=True, autoincrement=False),
    Column("account", LargeBinary(32), nullable=False, index=True),
    Column("device_id", LargeBinary(16), nullable=False),
    Column("reason", LargeBinary, nullable=False),
    Column("because", SmallInteger, nullable=False),
    Column("proposed", Boolean, nullable=False),
)

#: Commits that are too large for an event; the event has their digest.
group_bodies = Table(
    "group_bodies",
    metadata,
    _room(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)


class Group(NamedTuple):
    """A room's group as its row has it."""

    room: RoomId
    group_id: bytes
    epoch: int
    info: bytes
    seq: int
    rejoined: bool


class Leaf(NamedTuple):
    """A place in a group, and who is there."""

    room: RoomId
    leaf: int
    account: bytes
    device: bytes
    key: bytes


class Removal(NamedTuple):
    """Whom the server wants removed from a group, why, and whether it has proposed so."""

    leaf: int
    account: bytes
    device: bytes
    reason: bytes
    because: int
    proposed: bool = False


class Proposal(NamedTuple):
    """A proposal that waits for a commit; leaf: whose it is, None: the server's."""

    seq: int
    leaf: int | None
    data: bytes


_NODES = Columns("group_nodes", ("room", "node", "from_epoch", "data"))
_LEAVES = Columns(
    "group_leaves", ("room", "leaf", "from_epoch", "account", "device_id", "signature_key")
)
_PROPOSALS = Columns("group_proposals", ("room", "seq", "leaf", "data"))
_REMOVALS = Columns(
    "group_removals",
    ("room", "leaf", "account", "device_id", "reason", "because", "proposed"),
)
_LEAF = "SELECT room, leaf, account, device_id, signature_key FROM group_leaves WHERE "


# -- looking


def group(connection: Connection, room: RoomId) -> Group | None:
    """Return a room's group, or None while there is none."""
    row = driver_of(connection).one(
        "SELECT room, group_id, epoch, info, seq, rejoined FROM mls_groups WHERE room = ?", (room,)
    )
    return None if row is None else Group._make((*row[:-1], bool(row[-1])))


def place(connection: Connection, room: RoomId) -> tuple[bytes, int] | None:
    """Return the id of a room's group and the epoch it is in, or None while there is none."""
    row = driver_of(connection).one(
        "SELECT group_id, epoch FROM mls_groups WHERE room = ?", (room,)
    )
    return None if row is None else (row[0], row[1])


def is_taken(connection: Connection, group_id: bytes) -> bool:
    """Say whether there is a group of this id."""
    found = driver_of(connection).one("SELECT 1 FROM mls_groups WHERE group_id = ?", (group_id,))
    return found is not None


def nodes(connection: Connection, room: RoomId) -> list[tuple[int, bytes]]:
    """Return the nodes of a room's tree that are not blank, by index."""
    return driver_of(connection).all(
        "SELECT node, data FROM group_nodes WHERE room = ? AND to_epoch IS NULL", (room,)
    )


def nodes_at(connection: Connection, room: RoomId, epoch: int) -> list[tuple[int, bytes]]:
    """Return the nodes of the tree that a room had in an epoch, as far as they are kept."""
    return driver_of(connection).all(
        "SELECT node, data FROM group_nodes WHERE room = ? AND from_epoch <= ?"
        " AND (to_epoch IS NULL OR to_epoch > ?)",
        (room, epoch, epoch),
    )


def context_at(connection: Connection, room: RoomId, epoch: int) -> bytes | None:
    """Return the group context of an epoch that there was, or None."""
    row = driver_of(connection).one(
        "SELECT context FROM group_epochs WHERE room = ? AND epoch = ?", (room, epoch)
    )
    return None if row is None else row[0]


def context_now(connection: Connection, room: RoomId) -> bytes | None:
    """Return the group context of the epoch that a room is in, or None while there is no group."""
    row = driver_of(connection).one(
        "SELECT group_epochs.context FROM mls_groups JOIN group_epochs"
        " ON group_epochs.room = mls_groups.room AND group_epochs.epoch = mls_groups.epoch"
        " WHERE mls_groups.room = ?",
        (room,),
    )
    return None if row is None else row[0]


def begun(connection: Connection, room: RoomId, epoch: int) -> int | None:
    """Return the event that began an epoch, or None if there was no such epoch."""
    row = driver_of(connection).one(
        "SELECT seq FROM group_epochs WHERE room = ? AND epoch = ?", (room, epoch)
    )
    return None if row is None else row[0]


def leaf_of(connection: Connection, room: RoomId, account: bytes, device: bytes) -> Leaf | None:
    """Return where in a room's group a device is now, or None."""
    row = driver_of(connection).one(
        f"{_LEAF} account = ? AND device_id = ? AND room = ? AND to_epoch IS NULL",
        (account, device, room),
    )
    return None if row is None else Leaf(*row)


def leaves_of_device(connection: Connection, account: bytes, device: bytes) -> list[Leaf]:
    """Return where a device is now, in all groups."""
    rows = driver_of(connection).all(
        f"{_LEAF} account = ? AND device_id = ? AND to_epoch IS NULL ORDER BY room",
        (account, device),
    )
    return [Leaf(*row) for row in rows]


def leaves_of_account(connection: Connection, account: bytes) -> list[Leaf]:
    """Return where an account's devices are now, in all groups."""
    rows = driver_of(connection).all(
        f"{_LEAF} account = ? AND to_epoch IS NULL ORDER BY room, leaf", (account,)
    )
    return [Leaf(*row) for row in rows]


def leaves(connection: Connection, room: RoomId) -> list[Leaf]:
    """Return who is in a room's group now."""
    rows = driver_of(connection).all(
        f"{_LEAF} room = ? AND to_epoch IS NULL ORDER BY leaf", (room,)
    )
    return [Leaf(*row) for row in rows]


def accounts_staying(connection: Connection, room: RoomId) -> set[bytes]:
    """Return the accounts that have a leaf in a room's group which nobody wants removed."""
    rows = driver_of(connection).all(
        "SELECT DISTINCT group_leaves.account FROM group_leaves LEFT JOIN group_removals"
        " ON group_removals.room = group_leaves.room AND group_removals.leaf = group_leaves.leaf"
        " WHERE group_leaves.room = ? AND group_leaves.to_epoch IS NULL"
        " AND group_removals.leaf IS NULL",
        (room,),
    )
    return {account for (account,) in rows}


def accounts_at(connection: Connection, room: RoomId, epoch: int) -> set[bytes]:
    """Return the accounts that had a leaf in a room's group in an epoch."""
    rows = driver_of(connection).all(
        "SELECT DISTINCT account FROM group_leaves WHERE room = ? AND from_epoch <= ?"
        " AND (to_epoch IS NULL OR to_epoch > ?)",
        (room, epoch, epoch),
    )
    return {account for (account,) in rows}


def leaf_at(connection: Connection, room: RoomId, leaf: int, epoch: int) -> Leaf | None:
    """Return who was at a leaf of a room's group in an epoch, or None."""
    row = driver_of(connection).one(
        f"{_LEAF} room = ? AND leaf = ? AND from_epoch <= ? AND (to_epoch IS NULL OR to_epoch > ?)",
        (room, leaf, epoch, epoch),
    )
    return None if row is None else Leaf(*row)


def proposals(connection: Connection, room: RoomId) -> list[Proposal]:
    """Return what waits for a commit, in the order in which it came."""
    rows = driver_of(connection).all(
        "SELECT seq, leaf, data FROM group_proposals WHERE room = ? ORDER BY seq", (room,)
    )
    return [Proposal(*row) for row in rows]


def removals(connection: Connection, room: RoomId) -> list[Removal]:
    """Return whom the server wants removed from a room, by leaf."""
    rows = driver_of(connection).all(
        "SELECT leaf, account, device_id, reason, because, proposed FROM group_removals"
        " WHERE room = ? ORDER BY leaf",
        (room,),
    )
    return [Removal._make((*row[:-1], bool(row[-1]))) for row in rows]


def is_removed(connection: Connection, room: RoomId, leaf: int) -> bool:
    """Say whether the server wants a leaf removed."""
    found = driver_of(connection).one(
        "SELECT 1 FROM group_removals WHERE room = ? AND leaf = ?", (room, leaf)
    )
    return found is not None


def body(
    connection: Connection, room: RoomId, seq: int, offset: int, length: int
) -> tuple[int, bytes] | None:
    """Return the size of a large commit and a part of it, or None."""
    row = driver_of(connection).one(
        "SELECT LENGTH(data), SUBSTR(data, ?, ?) FROM group_bodies WHERE room = ? AND seq = ?",
        (offset + 1, length, room, seq),
    )
    return None if row is None else (row[0], row[1])


# -- changing


def begin(connection: Connection, started: Group, context: bytes, now: int) -> None:
    """Keep a new group; its first nodes and leaves follow."""
    driver = driver_of(connection)
    driver.change(
        "INSERT INTO mls_groups (room, group_id, epoch, info, seq, rejoined)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        started,
    )
    _keep_context(connection, started, context, now)


def advance(connection: Connection, to: Group, context: bytes, now: int) -> None:
    """Let a group be in its next epoch; what waited for a commit waits no more."""
    driver = driver_of(connection)
    driver.change(
        "UPDATE mls_groups SET epoch = ?, info = ?, seq = ?, rejoined = ? WHERE room = ?",
        (to.epoch, to.info, to.seq, to.rejoined, to.room),
    )
    driver.change("DELETE FROM group_proposals WHERE room = ?", (to.room,))
    _keep_context(connection, to, context, now)


def _keep_context(connection: Connection, group: Group, context: bytes, now: int) -> None:
    driver_of(connection).change(
        "INSERT INTO group_epochs (room, epoch, at, seq, context) VALUES (?, ?, ?, ?, ?)",
        (group.room, group.epoch, now, group.seq, context),
    )


def change_nodes(
    connection: Connection,
    room: RoomId,
    epoch: int,
    ended: Iterable[int],
    begun: Sequence[tuple[int, bytes]],
) -> None:
    """End nodes with an epoch, and begin others in their place or elsewhere."""
    driver = driver_of(connection)
    for node in ended:
        driver.change(
            "UPDATE group_nodes SET to_epoch = ? WHERE room = ? AND node = ? AND to_epoch IS NULL",
            (epoch, room, node),
        )
    driver.insert(_NODES, [(room, node, epoch, data) for node, data in begun])


def change_leaves(
    connection: Connection,
    room: RoomId,
    epoch: int,
    ended: Iterable[int],
    begun: Sequence[Leaf],
) -> None:
    """Note who is in a group no more from an epoch on, and who is."""
    driver = driver_of(connection)
    for leaf in ended:
        driver.change(
            "UPDATE group_leaves SET to_epoch = ? WHERE room = ? AND leaf = ? AND to_epoch IS NULL",
            (epoch, room, leaf),
        )
    driver.insert(
        _LEAVES, [(room, one.leaf, epoch, one.account, one.device, one.key) for one in begun]
    )


def keep_proposals(connection: Connection, room: RoomId, kept: Sequence[Proposal]) -> None:
    """Keep proposals until the next commit."""
    driver_of(connection).insert(_PROPOSALS, [(room, *one) for one in kept])


def keep_removals(connection: Connection, room: RoomId, kept: Sequence[Removal]) -> None:
    """Want these leaves removed; the caller knows that none of them is wanted so yet."""
    driver_of(connection).insert(_REMOVALS, [(room, *one) for one in kept])


def set_proposed(connection: Connection, room: RoomId, leaves: Collection[int]) -> None:
    """Note which removals the server has proposed in this epoch."""
    driver = driver_of(connection)
    driver.change("UPDATE group_removals SET proposed = ? WHERE room = ?", (False, room))
    for leaf in leaves:
        driver.change(
            "UPDATE group_removals SET proposed = ? WHERE room = ? AND leaf = ?",
            (True, room, leaf),
        )


def drop_removals(connection: Connection, room: RoomId, gone: Iterable[int]) -> None:
    """Want these leaves removed no more."""
    driver = driver_of(connection)
    for leaf in gone:
        driver.change("DELETE FROM group_removals WHERE room = ? AND leaf = ?", (room, leaf))


def drop_removals_of(connection: Connection, account: bytes, because: int) -> None:
    """Want nobody of an account removed for this reason any more; who was proposed may stay."""
    driver_of(connection).change(
        "DELETE FROM group_removals WHERE account = ? AND because = ?", (account, because)
    )


def keep_body(connection: Connection, room: RoomId, seq: int, data: bytes) -> None:
    """Keep a commit that is too large for its event."""
    driver_of(connection).change(
        "INSERT INTO group_bodies (room, seq, data) VALUES (?, ?, ?)", (room, seq, data)
    )


def forget_trees(connection: Connection, before: int, limit: int) -> bool:
    """Forget some nodes of epochs that began before a time, ms, and are over; say whether more are left.

    The tree of such an epoch is then no tree any more, which its hash shows.
    """
    driver = driver_of(connection)
    rows = driver.all(
        "SELECT group_nodes.room, group_nodes.node, group_nodes.from_epoch FROM group_nodes"
        " JOIN group_epochs ON group_epochs.room = group_nodes.room"
        " AND group_epochs.epoch = group_nodes.to_epoch WHERE group_epochs.at < ? LIMIT ?",
        (before, limit),
    )
    for row in rows:
        driver.change("DELETE FROM group_nodes WHERE room = ? AND node = ? AND from_epoch = ?", row)
    return len(rows) == limit
