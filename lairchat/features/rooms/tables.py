"""Where rooms and memberships are kept.

Every function takes a connection inside a transaction; those that write belong to the writer's.
Names of people are not here: the callers ask the accounts feature for them.

What joining, reading and coming back need runs as fixed statements on the driver's connection:
building the same statement with SQLAlchemy takes 200 to 300 us each time, running it 6 (measured).
"""

from collections.abc import Collection, Iterable
from functools import cache
from itertools import chain
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    Select,
    SmallInteger,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.model.ids import DeviceId, RoomId, UserId
from lairchat.model.permissions import POST_ROLE_NEEDED
from lairchat.model.refusals import RoomUnknown
from lairchat.model.roles import RoomRole
from lairchat.storage import log
from lairchat.storage.schema import metadata
from lairchat.storage.statements import FEW, driver_of

#: kind: room, direct.  access: public, private.  posting: everyone, members, moderators.
#: crypto: plain, mls: three separate properties.  An encrypted room is private, without name and topic.
#: name_key: lower-case name; null for direct conversations, encrypted rooms and rooms that all have
#: left, so that the name is free again.  members: how many, kept dense.  created_by: null for the rooms
#: that belong to the server.  archived_at: since when nobody writes in it or enters it.  erased_to:
#: null unless an operator deleted it; then how far its log has been emptied.
rooms = Table(
    "rooms",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(10), nullable=False),
    Column("name", String(32), nullable=False),
    Column("name_key", String(32), nullable=True, unique=True),
    Column("access", String(10), nullable=False),
    Column("posting", String(10), nullable=False),
    Column("crypto", String(10), nullable=False),
    Column("topic", String(200), nullable=False),
    Column("members", Integer, nullable=False),
    Column("created_by", Integer, ForeignKey("users.id"), nullable=True),
    Column("created_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger, nullable=True),
    Column("erased_to", BigInteger, nullable=True),
    Index("ix_rooms_access_name_key", "access", "name_key"),
    sqlite_autoincrement=True,  # a number never means somebody else later
)

#: role: RoomRole.
memberships = Table(
    "memberships",
    metadata,
    Column("room", Integer, ForeignKey("rooms.id"), primary_key=True),
    Column("user", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column("role", SmallInteger, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
)

#: The direct conversations of two users; low and high are their ids in order.  nth: of the encrypted
#: ones each after the first follows another, which was held for good, and only the last is written in.
directs = Table(
    "directs",
    metadata,
    Column("low", Integer, ForeignKey("users.id"), primary_key=True),
    Column("high", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column("crypto", String(10), primary_key=True),
    Column("nth", Integer, primary_key=True, autoincrement=False),
    Column("room", Integer, ForeignKey("rooms.id"), nullable=False, unique=True),
)

#: One for each who invites: that of somebody whose invitations are hidden hides nobody else's.
#: accepted_at: since when who is invited into an encrypted room waits to be added; null: no answer yet.
invitations = Table(
    "invitations",
    metadata,
    Column("room", Integer, ForeignKey("rooms.id"), primary_key=True),
    Column("user", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column("invited_by", Integer, ForeignKey("users.id"), primary_key=True),
    Column("invited_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=True),
)


Kind = Literal["room", "direct"]
Access = Literal["public", "private"]
Posting = Literal["everyone", "members", "moderators"]
Crypto = Literal["plain", "mls"]


class Room(NamedTuple):
    """A room as it stands in its row."""

    id: RoomId
    kind: Kind
    name: str
    access: Access
    posting: Posting
    crypto: Crypto
    topic: str
    members: int
    created_by: UserId | None
    archived_at: int | None = None

    @property
    def archived(self) -> bool:
        """Whether an operator has put it away."""
        return self.archived_at is not None

    @property
    def direct(self) -> bool:
        """Whether this is the direct conversation of two people."""
        return self.kind == "direct"

    @property
    def encrypted(self) -> bool:
        """Whether the server cannot read it."""
        return self.crypto == "mls"

    @property
    def legacy(self) -> bool:
        """Whether it is for few and yet the server reads it: it is from before encryption."""
        return self.access == "private" and not self.encrypted

    @property
    def servers_own(self) -> bool:
        """Whether the room belongs to the server, as ``#lobby`` does, and not to a person."""
        return self.created_by is None


#: A room, and the role in it of the one who asks (None: not a member).
Seen = tuple[Room, RoomRole | None]

_COLUMNS = (
    rooms.c.id,
    rooms.c.kind,
    rooms.c.name,
    rooms.c.access,
    rooms.c.posting,
    rooms.c.crypto,
    rooms.c.topic,
    rooms.c.members,
    rooms.c.created_by,
    rooms.c.archived_at,
)
_SEEN = (
    f"SELECT {', '.join(map(str, _COLUMNS))}, memberships.role FROM rooms"  # noqa: S608
    " {join} JOIN memberships ON memberships.room = rooms.id AND memberships.user = ? WHERE "
)
_SEEN_BY_ID = _SEEN.format(join="LEFT") + "rooms.id = ?"
_SEEN_BY_NAME = _SEEN.format(join="LEFT") + "rooms.name_key = ?"
_MINE = _SEEN.format(join="INNER") + "memberships.room > ? ORDER BY memberships.room LIMIT ?"
_PUBLIC = (
    _SEEN.format(join="LEFT")
    + "rooms.access = ? AND rooms.name_key > ? ORDER BY rooms.name_key LIMIT ?"
)
_OWN = _SEEN.format(join="INNER") + "rooms.name_key IS NOT NULL"
_INVITED_TO = (
    _SEEN.format(join="LEFT")  # noqa: S608 - constants only
    + "rooms.id IN (SELECT invitations.room FROM invitations WHERE invitations.user = ?)"
)
_INVITED_BY = "SELECT room, invited_by FROM invitations WHERE invitations.user = ?"


def _seen(row: Any) -> Seen:
    return Room._make(row[:-1]), None if row[-1] is None else RoomRole(row[-1])


# -- looking


def seen(connection: Connection, room: RoomId, user: UserId) -> Seen | None:
    """Return the room of this number with the user's role in it, or None if there is no room."""
    row = driver_of(connection).one(_SEEN_BY_ID, (user, room))
    return None if row is None else _seen(row)


def room_for(connection: Connection, room: RoomId, user: UserId) -> Seen:
    """Return the room of this number with the user's role in it; raises RoomUnknown."""
    found = seen(connection, room, user)
    if found is None:
        raise RoomUnknown
    return found


def seen_by_name(connection: Connection, key: str, user: UserId) -> Seen | None:
    """Return the room of this lower-case name with the user's role in it, or None."""
    row = driver_of(connection).one(_SEEN_BY_NAME, (user, key))
    return None if row is None else _seen(row)


def role_of(connection: Connection, room: RoomId, user: UserId) -> RoomRole | None:
    """Return what a user is in a room; None when not a member, or when there is no such room."""
    row = driver_of(connection).one(
        "SELECT memberships.role FROM memberships"
        " WHERE memberships.room = ? AND memberships.user = ?",
        (room, user),
    )
    return None if row is None else RoomRole(row[0])


def rooms_of(connection: Connection, user: UserId) -> list[RoomId]:
    """Return the numbers of all rooms that a user is in, ascending."""
    rows = driver_of(connection).all(
        "SELECT memberships.room FROM memberships WHERE memberships.user = ? ORDER BY 1", (user,)
    )
    return [room for (room,) in rows]


def joined(connection: Connection, user: UserId) -> int:
    """Count the rooms that a user is in, direct conversations aside."""
    row = driver_of(connection).one(
        "SELECT COUNT(*) FROM memberships JOIN rooms ON rooms.id = memberships.room"
        " WHERE memberships.user = ? AND rooms.kind = ?",
        (user, "room"),
    )
    assert row is not None
    return int(row[0])


def opened(connection: Connection, user: UserId) -> int:
    """Count the direct conversations that a user has opened."""
    own = rooms.join(memberships, memberships.c.room == rooms.c.id)
    query = select(func.count()).select_from(own)
    mine = (memberships.c.user == user, rooms.c.kind == "direct", rooms.c.created_by == user)
    return int(connection.execute(query.where(*mine)).scalar_one())


def listed(
    connection: Connection,
    user: UserId,
    after: str,
    limit: int,
    muted: Collection[UserId] = (),
) -> list[Seen]:
    """Return rooms that a user may know of, by name after the key ``after``.

    Those are the public ones, the user's own, and the private ones that the user is invited to.
    muted: people whose invitations are left out.
    """
    # Nothing here passes the private rooms of others, of which there may be any number.
    driver = driver_of(connection)
    heard = {room for room, by in driver.all(_INVITED_BY, (user,)) if by not in muted}
    found = [row for row in driver.all(_INVITED_TO, (user, user)) if row[0] in heard]
    found += driver.all(_PUBLIC, (user, "public", after, limit))
    found += driver.all(_OWN, (user,))
    by_name = {room.name: (room, role) for room, role in map(_seen, found) if room.name > after}
    return [by_name[name] for name in sorted(by_name)[:limit]]


def mine(connection: Connection, user: UserId, after: int, limit: int) -> list[Seen]:
    """Return the rooms and direct conversations that a user is in, by number after ``after``."""
    return [_seen(row) for row in driver_of(connection).all(_MINE, (user, after, limit))]


def every_room(connection: Connection, after: str, limit: int) -> list[Room]:
    """Return all rooms that have a name, private ones too, by name after the key ``after``."""
    query = select(*_COLUMNS).where(rooms.c.name_key > after).order_by(rooms.c.name_key)
    return [Room._make(row) for row in connection.execute(query.limit(limit))]


def every_encrypted(connection: Connection, after: int, limit: int, *, direct: bool) -> list[Room]:
    """Return all encrypted rooms but deleted ones, by number after ``after``.

    direct: direct conversations as well.
    """
    query = select(*_COLUMNS).where(
        rooms.c.crypto == "mls", rooms.c.erased_to.is_(None), rooms.c.id > after
    )
    if not direct:
        query = query.where(rooms.c.kind == "room")
    rows = connection.execute(query.order_by(rooms.c.id).limit(limit))
    return [Room._make(row) for row in rows]


def encrypted_room(connection: Connection, number: int) -> Room | None:
    """Return the encrypted room of this number, or None; one that was deleted is none."""
    query = select(*_COLUMNS).where(
        rooms.c.id == number, rooms.c.crypto == "mls", rooms.c.erased_to.is_(None)
    )
    row = connection.execute(query).first()
    return None if row is None else Room._make(row)


def made_at(connection: Connection, room: RoomId) -> int:
    """Return when a room was made, ms."""
    query = select(rooms.c.created_at).where(rooms.c.id == room)
    return int(connection.execute(query).scalar_one())


def members_of(room: RoomId) -> Select[tuple[int]]:
    """Select the users in a room, for the accounts feature to page by name."""
    return select(memberships.c.user).where(memberships.c.room == room)


def inside(connection: Connection, room: RoomId) -> list[UserId]:
    """Return the users in a room."""
    rows = driver_of(connection).all(
        "SELECT memberships.user FROM memberships WHERE memberships.room = ?", (room,)
    )
    return [UserId(user) for (user,) in rows]


def share_private(connection: Connection, one: UserId, other: UserId) -> bool:
    """Say whether two users are together in a private room or a direct conversation."""
    row = driver_of(connection).one(
        "SELECT 1 FROM memberships AS mine"
        " JOIN memberships AS theirs ON theirs.room = mine.room"
        " JOIN rooms ON rooms.id = mine.room"
        " WHERE mine.user = ? AND theirs.user = ? AND rooms.access = 'private' LIMIT 1",
        (one, other),
    )
    return row is not None


def roles_in(
    connection: Connection, room: RoomId, users: Collection[UserId]
) -> dict[UserId, RoomRole]:
    """Return the roles of these users in a room; who is not a member is left out."""
    rows = driver_of(connection).among(
        "SELECT memberships.user, memberships.role FROM memberships"
        " WHERE memberships.room = ? AND memberships.user IN ?",
        users,
        (room,),
    )
    return {user: RoomRole(role) for user, role in rows}


def servers_own_of(connection: Connection, user: UserId) -> list[RoomId]:
    """Return the server's own rooms that a user is in."""
    own = rooms.join(memberships, memberships.c.room == rooms.c.id)
    mine = (memberships.c.user == user, rooms.c.created_by.is_(None))
    return list(connection.execute(select(rooms.c.id).select_from(own).where(*mine)).scalars())


def owners(connection: Connection, room: RoomId) -> int:
    """Count the owners of a room."""
    query = select(func.count()).select_from(memberships)
    owning = (memberships.c.room == room, memberships.c.role == int(RoomRole.OWNER))
    return int(connection.execute(query.where(*owning)).scalar_one())


def invited(connection: Connection, room: RoomId, user: UserId) -> bool:
    """Say whether a user has been invited into a room and has not answered yet."""
    row = driver_of(connection).one(
        "SELECT 1 FROM invitations WHERE invitations.room = ? AND invitations.user = ?",
        (room, user),
    )
    return row is not None


# -- changing


def create(
    connection: Connection,
    *,
    kind: Kind,
    name: str,
    access: Access,
    posting: Posting,
    topic: str,
    by: UserId | None,
    now: int,
    crypto: Crypto = "plain",
) -> Room:
    """Make a room and its log, without members; the caller knows that the name is free."""
    values: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "access": access,
        "posting": posting,
        "crypto": crypto,
        "topic": topic,
        "members": 0,
        "created_by": by,
    }
    key = name.lower() if name else None
    made = connection.execute(insert(rooms).values(**values, name_key=key, created_at=now))
    assert made.inserted_primary_key is not None
    room = RoomId(made.inserted_primary_key[0])
    log.create_head(connection, room)
    return Room(id=room, **values)


def add(connection: Connection, room: RoomId, user: UserId, role: RoomRole, now: int) -> None:
    """Make a user a member, and use up the invitation; the caller knows that it is not one yet."""
    name = connection.dialect.identifier_preparer.quote("user")  # a reserved word elsewhere
    driver = driver_of(connection)
    driver.change(
        f"INSERT INTO memberships (room, {name}, role, joined_at) VALUES (?, ?, ?, ?)",  # noqa: S608
        (room, user, int(role), now),
    )
    driver.change("UPDATE rooms SET members = members + 1 WHERE id = ?", (room,))
    uninvite(connection, room, user)


def remove(connection: Connection, room: RoomId, user: UserId) -> None:
    """End a membership, and forget what was read; the caller knows that there is one."""
    driver = driver_of(connection)
    driver.change(
        "DELETE FROM memberships WHERE memberships.room = ? AND memberships.user = ?", (room, user)
    )
    driver.change("UPDATE rooms SET members = members - 1 WHERE id = ?", (room,))
    log.forget_cursors(connection, user, room)


def archive(connection: Connection, room: RoomId) -> None:
    """Put away a room that its last member has left: the name is free, the log is kept.

    Private, so that to everybody it is as if it did not exist.
    """
    connection.execute(
        update(rooms).where(rooms.c.id == room).values(name_key=None, access="private")
    )
    connection.execute(delete(invitations).where(invitations.c.room == room))


def set_archived(connection: Connection, room: RoomId, at: int | None) -> None:
    """Close a room to writing and joining, or open it again (None)."""
    connection.execute(update(rooms).where(rooms.c.id == room).values(archived_at=at))


def close(connection: Connection, room: RoomId) -> list[UserId]:
    """Take everybody out of a room that is to be deleted, free its name, and return who was in it.

    Its log is left for :func:`erase`, which takes longer than one transaction may.
    """
    users = inside(connection, room)
    for user in users:
        log.forget_cursors(connection, user, room)
    connection.execute(delete(memberships).where(memberships.c.room == room))
    connection.execute(
        delete(directs).where(directs.c.room == room)
    )  # so that they can open another
    archive(connection, room)
    gone = {"name": "", "topic": "", "members": 0, "erased_to": 0}
    connection.execute(update(rooms).where(rooms.c.id == room).values(gone))
    return users


def erase(connection: Connection, limit: int) -> bool:
    """Take the content from up to so many events of a deleted room; say whether more are left.

    What remains of each is its place in the chain, so that the log still verifies.
    """
    row = driver_of(connection).one(
        "SELECT rooms.id, rooms.erased_to, log_heads.seq FROM rooms"
        " JOIN log_heads ON log_heads.room = rooms.id WHERE rooms.erased_to < log_heads.seq LIMIT 1"
    )
    if row is None:
        return False
    room, start, end = row
    stop = min(start + limit, end)
    log.purge(connection, room, range(start + 1, stop + 1))
    connection.execute(update(rooms).where(rooms.c.id == room).values(erased_to=stop))
    return True


def set_topic(connection: Connection, room: RoomId, topic: str) -> None:
    """Change a room's topic."""
    connection.execute(update(rooms).where(rooms.c.id == room).values(topic=topic))


def set_role(connection: Connection, room: RoomId, user: UserId, role: RoomRole) -> None:
    """Change what a member is in a room."""
    membership = (memberships.c.room == room, memberships.c.user == user)
    connection.execute(update(memberships).where(*membership).values(role=int(role)))


def waiting(connection: Connection, user: UserId, by: UserId) -> int:
    """Count the invitations of one user that another has not answered."""
    query = select(func.count()).select_from(invitations)
    unanswered = invitations.c.accepted_at.is_(None)
    own = (invitations.c.user == user, invitations.c.invited_by == by, unanswered)
    return int(connection.execute(query.where(*own)).scalar_one())


def inviters(connection: Connection, room: RoomId, user: UserId) -> set[UserId]:
    """Return who has invited a user into a room, as long as there is no answer."""
    query = select(invitations.c.invited_by)
    rows = connection.execute(query.where(invitations.c.room == room, invitations.c.user == user))
    return {UserId(by) for (by,) in rows}


def invite(connection: Connection, room: RoomId, user: UserId, by: UserId, now: int) -> None:
    """Keep an invitation; the caller knows that there is none of theirs yet."""
    connection.execute(
        insert(invitations).values(room=room, user=user, invited_by=by, invited_at=now)
    )


def uninvite(connection: Connection, room: RoomId, user: UserId) -> bool:
    """Drop the invitations of a user into a room; say whether there were any."""
    dropped = driver_of(connection).change(
        "DELETE FROM invitations WHERE invitations.room = ? AND invitations.user = ?", (room, user)
    )
    return bool(dropped)


# -- invitations into encrypted rooms, which are accepted before somebody adds whoever is invited


_INVITATION = (
    "SELECT invitations.room, invitations.user, invitations.invited_by, invitations.invited_at"
    " FROM invitations JOIN rooms ON rooms.id = invitations.room"
    " WHERE rooms.crypto = 'mls' AND "
)


class Invitation(NamedTuple):
    """Whom somebody has invited into an encrypted room, and when, ms."""

    room: RoomId
    user: UserId
    by: UserId
    at: int


def invited_to(connection: Connection, user: UserId) -> list[Invitation]:
    """Return a user's invitations into encrypted rooms that have no answer, the newest first."""
    rows = driver_of(connection).all(
        f"{_INVITATION} invitations.user = ? AND invitations.accepted_at IS NULL"
        " ORDER BY invitations.invited_at DESC, invitations.room, invitations.invited_by",
        (user,),
    )
    return [Invitation(*row) for row in rows]


def accept(connection: Connection, room: RoomId, user: UserId, now: int) -> bool:
    """Note that a user accepts all invitations into a room; say whether that is new of one of them."""
    changed = driver_of(connection).change(
        "UPDATE invitations SET accepted_at = ? WHERE room = ? AND user = ?"
        " AND accepted_at IS NULL",
        (now, room, user),
    )
    return bool(changed)


def accepted(connection: Connection, room: RoomId, after: int = 0) -> list[Invitation]:
    """Return the accepted invitations into an encrypted room, of users with a higher number."""
    rows = driver_of(connection).all(
        f"{_INVITATION} invitations.room = ? AND invitations.user > ?"
        " AND invitations.accepted_at IS NOT NULL ORDER BY invitations.user, invitations.invited_by",
        (room, after),
    )
    return [Invitation(*row) for row in rows]


def withdraw_all(connection: Connection, user: UserId) -> list[RoomId]:
    """Drop a user's invitations into encrypted rooms; return the rooms where some were accepted."""
    driver = driver_of(connection)
    rows = driver.all(
        "SELECT DISTINCT room FROM invitations WHERE user = ? AND accepted_at IS NOT NULL", (user,)
    )
    driver.change(
        "DELETE FROM invitations WHERE user = ?"
        " AND room IN (SELECT id FROM rooms WHERE crypto = 'mls')",
        (user,),
    )
    return [RoomId(room) for (room,) in rows]


def forget_invitations(connection: Connection, before: int, limit: int) -> bool:
    """Forget some invitations into encrypted rooms of before a time, ms; say whether more are left."""
    driver = driver_of(connection)
    rows = driver.all(f"{_INVITATION} invitations.invited_at < ? LIMIT ?", (before, limit))
    for room, user, by, _ in rows:
        driver.change(
            "DELETE FROM invitations WHERE room = ? AND user = ? AND invited_by = ?",
            (room, user, by),
        )
    return len(rows) == limit


# -- direct conversations


def direct_between(
    connection: Connection, one: UserId, other: UserId, crypto: Crypto
) -> RoomId | None:
    """Return the direct conversation of two users, of this kind, or None; of several the last."""
    row = driver_of(connection).one(
        "SELECT room FROM directs WHERE low = ? AND high = ? AND crypto = ?"
        " ORDER BY nth DESC LIMIT 1",
        (*sorted((one, other)), crypto),
    )
    return None if row is None else row[0]


def keep_direct(
    connection: Connection,
    one: UserId,
    other: UserId,
    room: RoomId,
    crypto: Crypto,
    follows: RoomId | None = None,
) -> None:
    """Note which room is the direct conversation of two users; follows: which one was until now."""
    low, high = sorted((one, other))
    nth = 0
    if follows is not None:
        last = connection.execute(select(directs.c.nth).where(directs.c.room == follows))
        nth = last.scalar_one() + 1
    connection.execute(
        insert(directs).values(low=low, high=high, crypto=crypto, nth=nth, room=room)
    )


_NEIGHBOUR = (
    "(SELECT other.room FROM directs AS other WHERE other.low = directs.low"
    " AND other.high = directs.high AND other.crypto = directs.crypto"
    " AND other.nth {than} directs.nth ORDER BY other.nth {order} LIMIT 1)"
)
_BEFORE = _NEIGHBOUR.format(than="<", order="DESC")
_AFTER = _NEIGHBOUR.format(than=">", order="ASC")


class Between(NamedTuple):
    """Where a direct conversation stands among those of its two people; None: there is none."""

    follows: RoomId | None = None
    followed_by: RoomId | None = None


def between(connection: Connection, among: Iterable[RoomId]) -> dict[RoomId, Between]:
    """Return which of these direct conversations follow others, and are followed."""
    rows = driver_of(connection).among(
        f"SELECT room, {_BEFORE}, {_AFTER} FROM directs WHERE room IN ?",  # noqa: S608 - constants
        among,
    )
    return {room: Between(before, after) for room, before, after in rows}


def is_followed(connection: Connection, room: RoomId) -> bool:
    """Say whether another direct conversation has come in the place of one."""
    row = driver_of(connection).one(
        f"SELECT {_AFTER} FROM directs WHERE room = ?",  # noqa: S608 - constants
        (room,),
    )
    return row is not None and row[0] is not None


def founded_anew(
    connection: Connection, one: UserId, other: UserId, since: int, now: int
) -> tuple[int, int]:
    """Return how many conversations of two users follow others since a time, ms, and when the first came.

    Not those from when the clock was ahead of now: they would count until it is there again.
    """
    low, high = sorted((one, other))
    query = (
        select(func.count(), func.coalesce(func.min(rooms.c.created_at), 0))
        .select_from(directs.join(rooms, rooms.c.id == directs.c.room))
        .where(directs.c.low == low, directs.c.high == high, directs.c.nth > 0)
        .where(rooms.c.created_at > since, rooms.c.created_at <= now)
    )
    count, first = connection.execute(query).one()
    return count, first


def partners(connection: Connection, user: UserId, among: Iterable[RoomId]) -> dict[RoomId, UserId]:
    """Return who is at the other end of these direct conversations of a user."""
    rows = driver_of(connection).among("SELECT room, low, high FROM directs WHERE room IN ?", among)
    return {room: high if low == user else low for room, low, high in rows}


# -- the room's log


def append_state(connection: Connection, room: RoomId, body: bytes, now: int) -> int:
    """Append a statement of the server to a room's log, and return its sequence number."""
    nobody = DeviceId(0)
    entry = log.Entry(
        room, 0, nobody, int(EventClass.STATE), bytes(limits.COMMAND_ID_BYTES), body, now
    )
    return log.append(connection, [entry])[0]


def read_to_end(connection: Connection, user: UserId, room: RoomId) -> None:
    """Take as read what was said before a user came, whatever the device."""
    end = log.heads(connection, [room])[room].seq
    log.move_cursor(connection, user, 0, room, end)


def may_not_post(
    connection: Connection, pairs: Collection[tuple[RoomId, UserId]]
) -> list[tuple[RoomId, UserId]]:
    """Return those of (room, user) who may not post there, by the table of model.permissions.

    Nobody posts in an encrypted room what the server can read, nor in a private one that is not.

    For the send path.  Asking for the exceptions is one statement that returns no row as a rule:
    the driver gives up the interpreter lock for each row, and with the reactor busy every row of
    an answer can cost the interpreter's switch interval (measured: 600 ms instead of 10 for 300).
    """
    driver = driver_of(connection)
    if len(pairs) <= FEW:
        return [pair for pair in pairs if driver.one(_MAY_POST, (*pair, *_NEEDED)) is None]
    wanted = list(pairs)
    found: set[tuple[RoomId, UserId]] = set()
    for start in range(0, len(wanted), _LENGTHS[-1]):
        part = wanted[start : start + _LENGTHS[-1]]
        length = next(length for length in _LENGTHS if length >= len(part))
        part.extend(part[-1:] * (length - len(part)))
        values = [*chain.from_iterable(part), *_NEEDED]
        found.update((room, user) for room, user in driver.all(_refused_text(length), values))
    return list(found)


#: How many pairs one statement asks for; shorter lists repeat their last one, so that there are few
#: texts and all stay prepared.
_LENGTHS = (4, 16, 64, 256, 1024)
_NEEDED = tuple(
    chain.from_iterable((posting.value, int(role)) for posting, role in POST_ROLE_NEEDED.items())
)


_LEAST = f"CASE rooms.posting {' '.join(['WHEN ? THEN ?'] * len(POST_ROLE_NEEDED))} END"
_MAY_POST = (
    "SELECT memberships.role FROM memberships JOIN rooms ON rooms.id = memberships.room"  # noqa: S608
    f" WHERE memberships.room = ? AND memberships.user = ? AND memberships.role >= {_LEAST}"
    " AND rooms.crypto = 'plain' AND rooms.access = 'public' AND rooms.archived_at IS NULL"
)


@cache
def _refused_text(length: int) -> str:
    asked = ", ".join(["(?, ?)"] * length)
    return (
        f"WITH asked (room, member) AS (VALUES {asked})"  # noqa: S608 - marks only
        " SELECT asked.room, asked.member FROM asked"
        " LEFT JOIN memberships ON memberships.room = asked.room"
        " AND memberships.user = asked.member"
        " LEFT JOIN rooms ON rooms.id = asked.room"
        f" WHERE memberships.role IS NULL OR memberships.role < {_LEAST}"
        " OR rooms.crypto <> 'plain' OR rooms.access <> 'public'"
        " OR rooms.archived_at IS NOT NULL"
    )
