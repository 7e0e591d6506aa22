"""Where accounts, devices, sessions and invites are kept."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
)

from lairchat.storage.schema import metadata

#: role: ServerRole.  state: 0 in use, 1 locked.  secret: Argon2id, PHC string, over the
#: authentication secret.  skeleton: model.names.skeleton, so that look-alikes are found.
users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(32), nullable=False),
    Column("name_key", String(32), nullable=False, unique=True),
    Column("skeleton", String(64), nullable=False, index=True),
    Column("role", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False, default=0),
    Column("secret", String(255), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("label", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

#: lookup: the token's first 16 bytes.  current, next: SHA-256 of its other 32 bytes, now and
#: after the next use (see messages.Grant).
sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("device", Integer, ForeignKey("devices.id"), nullable=False, index=True),
    Column("lookup", LargeBinary(16), nullable=False, unique=True),
    Column("current", LargeBinary(32), nullable=False),
    Column("next", LargeBinary(32), nullable=True),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
)

#: code: SHA-256 of the normalised code.  created_by: null for the owner's first link.
invites = Table(
    "invites",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("code", LargeBinary(32), nullable=False, unique=True),
    Column("role", SmallInteger, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("created_by", Integer, ForeignKey("users.id"), nullable=True, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

#: key: SHA-256 of what is counted (an account, an address, or both), so that neither names that
#: do not exist nor addresses are kept readable.
login_attempts = Table(
    "login_attempts",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)
