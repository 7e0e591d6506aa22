"""The state of encrypted rooms, written as what changed since it was written last.

A message changes one row of its room, one ratchet and one number: what an epoch has once is written
once, a ratchet tree once for all epochs that have it.

Promises not to know: what was said.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from enum import IntEnum
from typing import Final, cast

from lairchat.client import store_messages
from lairchat.client.store_database import Connection
from lairchat.client.store_people import signing_key
from lairchat.e2ee.following import Followed
from lairchat.e2ee.room import Past, Room
from lairchat.e2ee.silence import Heard
from lairchat.e2ee.storing import restore_pending, store_pending
from lairchat.mls.errors import InvalidError
from lairchat.mls.group import Group, PastEpoch
from lairchat.mls.objects import GroupContext
from lairchat.mls.secret_tree import SecretTree
from lairchat.mls.storing import (
    RowKey,
    difference,
    restore_group,
    restore_past,
    store_group,
    store_past,
)
from lairchat.model import chain, limits


class Place(IntEnum):
    """Which of a room's epochs."""

    NOW = 0
    PAST = 1
    PENDING = 2


Epoch = Group | PastEpoch
_PARTS: Final = {
    kind: tuple(field.name for field in fields(kind) if field.name != "keys")
    for kind in (Group, PastEpoch)
}


# Reading.


def numbers(connection: Connection) -> list[int]:
    """Return the rooms there are."""
    return [room for (room,) in connection.execute("SELECT room FROM rooms ORDER BY room")]


def ever(connection: Connection) -> set[int]:
    """Return the rooms there are and those that this device has left."""
    rows = connection.execute("SELECT room FROM rooms UNION SELECT room FROM numbers")
    return {room for (room,) in rows.fetchall()}


def load(connection: Connection, room: int) -> Room | None:
    """Return a room; None if this device is not in it.

    Raises MalformedError if what is kept is not what was written.
    """
    row = connection.execute(
        "SELECT server_key, seq, hash, count, sent, renewed_at, halted, behind, pending, ended_at,"
        " listening, listened FROM rooms WHERE room = ?",
        (room,),
    ).fetchone()
    if row is None:
        return None
    server_key, seq, digest, count, sent, renewed_at, halted, behind, pending, ended_at = row[:10]
    listening, listened = row[10:]
    heard = connection.execute("SELECT device, at FROM heard WHERE room = ?", (room,))
    counts = connection.execute("SELECT device, count FROM counts WHERE room = ?", (room,))
    key = signing_key(connection)
    group = _group(connection, room, Place.NOW, key)
    assert group is not None, "a room without an epoch"
    coming = _group(connection, room, Place.PENDING, key)
    return Room(
        room,
        server_key,
        group,
        Followed(seq, digest, dict(counts.fetchall())),
        _past(connection, room, ended_at),
        None if coming is None else restore_pending(pending, coming),
        count,
        sent,
        renewed_at,
        halted,
        behind,
        Heard(listening, listened, dict(heard.fetchall())),
    )


def _group(connection: Connection, room: int, place: Place, key: bytes) -> Group | None:
    found = _part(connection, room, place)
    if found is None:
        return None
    epoch, part = found
    return restore_group(part, _trees(connection), _ratchets(connection, epoch), key)


def _past(connection: Connection, room: int, ended_at: int) -> Past | None:
    found = _part(connection, room, Place.PAST)
    if found is None:
        return None
    epoch, part = found
    rows = _ratchets(connection, epoch)
    return Past(restore_past(part, _trees(connection), rows), ended_at)


def _part(connection: Connection, room: int, place: Place) -> tuple[int, bytes] | None:
    found = connection.execute(
        "SELECT id, part FROM epochs WHERE room = ? AND place = ?", (room, place)
    ).fetchone()
    return cast("tuple[int, bytes] | None", found)


def _trees(connection: Connection) -> Callable[[bytes], bytes | None]:
    def tree(digest: bytes) -> bytes | None:
        row = connection.execute("SELECT data FROM trees WHERE hash = ?", (digest,)).fetchone()
        return None if row is None else cast("bytes", row[0])

    return tree


def _ratchets(connection: Connection, epoch: int) -> dict[RowKey, bytes]:
    rows = connection.execute(
        "SELECT purpose, place, generation, data FROM ratchets WHERE epoch = ?", (epoch,)
    )
    return {(purpose, place, generation): data for purpose, place, generation, data in rows}


def hash_at(connection: Connection, room: int, seq: int) -> bytes | None:
    """Return the chain's hash at a place of a room's log, None where it is not known here."""
    if seq == 0:
        return chain.genesis(room)
    row = connection.execute(
        "SELECT hash FROM events WHERE room = ? AND seq = ?", (room, seq)
    ).fetchone()
    # What came from the backup says nothing about the chain.
    return None if row is None or not row[0] else cast("bytes", row[0])


def is_repeat(connection: Connection, room: int, author: bytes, message: bytes) -> bool:
    """Tell whether a message of this author and id has been taken before."""
    found = connection.execute(
        "SELECT 1 FROM events WHERE room = ? AND author = ? AND id = ?", (room, author, message)
    )
    return found.fetchone() is not None


def is_unclean(connection: Connection, room: int) -> bool:
    """Tell whether new keys have to come before the next message."""
    row = connection.execute("SELECT unclean FROM rooms WHERE room = ?", (room,)).fetchone()
    return row is not None and bool(row[0])


# Writing.


def begin(connection: Connection, room: Room) -> Room:
    """Write a room that this device has just come into, and return it as it is written.

    If it was here before it goes on counting its messages: for others a number that comes again is
    a copy of this device.
    Raises InvalidError if it has been in that epoch, or a later one: a welcome that comes again would
    bring keys back that have sealed; or if a commit of that group has been refused here: nothing leads
    past it.
    """
    require_new(connection, room.group.context)
    leave(connection, room.room)
    before = connection.execute("SELECT count FROM numbers WHERE room = ?", (room.room,)).fetchone()
    if before is not None:
        room = replace(room, count=max(room.count, before[0]))
    connection.execute(
        "INSERT INTO rooms (room, server_key, seq, hash, count, sent, renewed_at)"
        " VALUES (?, ?, 0, x'', 0, 0, 0)",
        (room.room, room.server_key),
    )
    save(connection, None, room)
    if room.followed.seq:
        mark(connection, room)
    return room


def require_new(connection: Connection, context: GroupContext) -> None:
    """Raise InvalidError unless this device has been in no such epoch, and may come into the group."""
    # By the group, since the room's number is the server's to say.
    row = connection.execute(
        "SELECT epoch, refused FROM lived WHERE group_id = ?", (context.group_id,)
    ).fetchone()
    if row is None:
        return
    epoch, refused = row
    if refused:
        raise InvalidError("a commit was refused in that room, and nothing leads past it")
    if _integer(context.epoch) <= epoch:
        raise InvalidError("this device has been in that epoch of the room before")


def _integer(epoch: int) -> int:
    # An integer of SQLite has a bit less than one of MLS.
    return min(epoch, limits.INTEGER_MAX)


def save(connection: Connection, old: Room | None, new: Room) -> None:
    """Write a room; old: as it was written last, None if nothing of it is there."""
    _save_row(connection, old, new)
    _save_lived(connection, old, new)
    _save_counts(connection, {} if old is None else old.followed.counts, new)
    _save_heard(connection, {} if old is None else old.heard.devices, new)
    before, after = _epochs(old), _epochs(new)
    for place in Place:
        _save_epoch(connection, new.room, place, before.get(place), after.get(place))
    if _trees_of(before) != _trees_of(after):
        forget_trees(connection)


def _epochs(room: Room | None) -> dict[Place, Epoch]:
    if room is None:
        return {}
    found: dict[Place, Epoch] = {Place.NOW: room.group}
    if room.past is not None:
        found[Place.PAST] = room.past.epoch
    if room.pending is not None:
        found[Place.PENDING] = room.pending.group
    return found


def _trees_of(epochs: dict[Place, Epoch]) -> list[bytes]:
    return [epoch.public.context.tree_hash for epoch in epochs.values()]


def _save_row(connection: Connection, old: Room | None, new: Room) -> None:
    pending = None if old is None else old.pending
    won = pending is not None and new.group is pending.group
    lost = pending is not None and new.pending is None and not won
    changed = connection.execute(
        "UPDATE rooms SET seq = ?, hash = ?, count = ?, sent = ?, renewed_at = ?, halted = ?,"
        " behind = ?, ended_at = ?, listening = ?, listened = ?,"
        " unclean = max(min(unclean, ?) - ?, 0) WHERE room = ?",
        (
            new.followed.seq,
            new.followed.hash,
            new.count,
            new.sent,
            new.renewed_at,
            new.halted,
            new.behind,
            None if new.past is None else new.past.ended_at,
            new.heard.since,
            new.heard.at,
            1 if lost else 2,
            won,
            new.room,
        ),
    )
    assert changed.rowcount == 1, "a room that is not kept"
    if old is None or old.pending is not new.pending:
        stored = None if new.pending is None else store_pending(new.pending)
        connection.execute("UPDATE rooms SET pending = ? WHERE room = ?", (stored, new.room))


def _save_lived(connection: Connection, old: Room | None, new: Room) -> None:
    context = new.group.context
    if old is None or old.group.context is not context:
        connection.execute(
            "INSERT INTO lived (group_id, epoch) VALUES (?, ?)"
            " ON CONFLICT (group_id) DO UPDATE SET epoch = excluded.epoch",
            (context.group_id, _integer(context.epoch)),
        )


def _save_counts(connection: Connection, before: Mapping[bytes, int], new: Room) -> None:
    after = new.followed.counts
    if before is after:
        return
    connection.executemany(
        "INSERT INTO counts (room, device, count) VALUES (?, ?, ?)"
        " ON CONFLICT (room, device) DO UPDATE SET count = excluded.count",
        [(new.room, who, count) for who, count in after.items() if before.get(who) != count],
    )


def _save_heard(connection: Connection, before: Mapping[bytes, int], new: Room) -> None:
    after = new.heard.devices
    if before is after:
        return
    connection.executemany(
        "DELETE FROM heard WHERE room = ? AND device = ?",
        [(new.room, who) for who in before.keys() - after.keys()],
    )
    connection.executemany(
        "INSERT INTO heard (room, device, at) VALUES (?, ?, ?)"
        " ON CONFLICT (room, device) DO UPDATE SET at = excluded.at",
        [(new.room, who, at) for who, at in after.items() if before.get(who) != at],
    )


def _save_epoch(
    connection: Connection, room: int, place: Place, old: Epoch | None, new: Epoch | None
) -> None:
    if old is new:
        return
    if old is not None and new is not None and _is_same(old, new):
        (epoch,) = connection.execute(
            "SELECT id FROM epochs WHERE room = ? AND place = ?", (room, place)
        ).fetchone()
        if not _has_same_part(old, new):
            connection.execute("UPDATE epochs SET part = ? WHERE id = ?", (_stored(new), epoch))
        _save_keys(connection, epoch, old.keys, new.keys)
        return
    connection.execute("DELETE FROM epochs WHERE room = ? AND place = ?", (room, place))
    if new is not None:
        _insert(connection, room, place, new)


def _insert(connection: Connection, room: int, place: Place, epoch: Epoch) -> None:
    digest = epoch.public.context.tree_hash
    if connection.execute("SELECT 1 FROM trees WHERE hash = ?", (digest,)).fetchone() is None:
        connection.execute(
            "INSERT INTO trees (hash, data) VALUES (?, ?)", (digest, epoch.public.tree.encode())
        )
    written = connection.execute(
        "INSERT INTO epochs (room, place, part, tree) VALUES (?, ?, ?, ?)",
        (room, place, _stored(epoch), digest),
    )
    _save_keys(connection, written.lastrowid, None, epoch.keys)


def _stored(epoch: Epoch) -> bytes:
    return store_group(epoch) if isinstance(epoch, Group) else store_past(epoch)


def _is_same(old: Epoch, new: Epoch) -> bool:
    return type(old) is type(new) and old.public.context == new.public.context


def _has_same_part(old: Epoch, new: Epoch) -> bool:
    # What a message leaves alone stays the same object: no need to encode it to find out.
    return all(getattr(old, name) is getattr(new, name) for name in _PARTS[type(old)])


def _save_keys(connection: Connection, epoch: int, old: SecretTree | None, new: SecretTree) -> None:
    found = difference(old, new)
    connection.executemany(
        "DELETE FROM ratchets WHERE epoch = ? AND purpose = ? AND place = ? AND generation = ?",
        [(epoch, *key) for key in found.erased],
    )
    connection.executemany(
        "INSERT INTO ratchets (epoch, purpose, place, generation, data) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (epoch, purpose, place, generation) DO UPDATE SET data = excluded.data",
        [(epoch, *key, data) for key, data in found.changed.items()],
    )


def mark(
    connection: Connection, room: Room, author: bytes | None = None, message: bytes | None = None
) -> None:
    """Write down the event up to which a room has just been followed; author, id: of a message.

    A device that was behind has followed the log, for its chain alone, beyond the place where it then
    enters: from there it follows it again, and what it could not read is now what it is.
    Raises InvalidError if another event had been there.
    """
    followed = room.followed
    if message is not None:
        # What this device opens by itself counts for more than what its backup has in that place.
        store_messages.forget_restored(connection, room.room, followed.seq)
    written = connection.execute(
        "INSERT INTO events (room, seq, hash, author, id) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (room, seq) DO UPDATE SET hash = excluded.hash,"
        " author = coalesce(author, excluded.author), id = coalesce(id, excluded.id)"
        " WHERE hash IN (excluded.hash, x'')",
        (room.room, followed.seq, followed.hash, author, message),
    )
    if not written.rowcount:
        raise InvalidError("the server shows another log of this room than it did before")


def refuse(connection: Connection, room: Room) -> None:
    """Write down that a commit of a room's group was refused, which no entering undoes."""
    connection.execute(
        "UPDATE lived SET refused = 1 WHERE group_id = ?", (room.group.context.group_id,)
    )


def forget_past(connection: Connection, ended_by: int) -> None:
    """Erase the keys of epochs whose end had been followed by then, ms."""
    connection.execute(
        "DELETE FROM epochs WHERE place = ? AND room IN (SELECT room FROM rooms WHERE ended_at <= ?)",
        (Place.PAST, ended_by),
    )
    connection.execute("UPDATE rooms SET ended_at = NULL WHERE ended_at <= ?", (ended_by,))
    forget_trees(connection)


def leave(connection: Connection, room: int) -> None:
    """Erase the keys of a room; what was read in it stays."""
    connection.execute(
        "INSERT INTO numbers (room, count) SELECT room, count FROM rooms WHERE room = ?"
        " ON CONFLICT (room) DO UPDATE SET count = excluded.count",
        (room,),
    )
    connection.execute("DELETE FROM rooms WHERE room = ?", (room,))
    forget_trees(connection)


def forget_trees(connection: Connection) -> None:
    """Erase ratchet trees of epochs that are gone."""
    connection.execute("DELETE FROM trees WHERE hash NOT IN (SELECT tree FROM epochs)")


def distrust(connection: Connection) -> None:
    """Have new keys come before the next message of every room.

    A commit that is under way brings none: whoever used this store since may have taken it too, and
    sealed with the keys that it begins with.
    """
    connection.execute("UPDATE rooms SET unclean = 1 + (pending IS NOT NULL)")
