"""Where rooms and memberships are kept."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, SmallInteger, String, Table

from lairchat.storage.schema import metadata

#: kind: room, direct.  access: public, private.  posting: everyone, members, moderators.
#: crypto: plain (mls comes later): three separate properties, none of them implied by another.
#: name_key: lower-case name; null for direct conversations.  members: how many, kept dense.
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

#: The one direct conversation of two users; low and high are their ids in order.
directs = Table(
    "directs",
    metadata,
    Column("low", Integer, ForeignKey("users.id"), primary_key=True),
    Column("high", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column("room", Integer, ForeignKey("rooms.id"), nullable=False, unique=True),
)

invitations = Table(
    "invitations",
    metadata,
    Column("room", Integer, ForeignKey("rooms.id"), primary_key=True),
    Column("user", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column("invited_by", Integer, ForeignKey("users.id"), nullable=False),
    Column("invited_at", BigInteger, nullable=False),
)
