"""Where bans are kept."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table

from lairchat.storage.schema import metadata

bans = Table(
    "bans",
    metadata,
    Column("room", Integer, ForeignKey("rooms.id"), primary_key=True),
    Column("user", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column("banned_by", Integer, ForeignKey("users.id"), nullable=False),
    Column("banned_at", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
)
