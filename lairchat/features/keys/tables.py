"""Where the public keys of operators are kept.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from lairchat.model.ids import UserId
from lairchat.storage.schema import metadata

#: digest: SHA-256 of the key as SSH writes it, which is what a fingerprint shows.  kind: such as
#: ssh-ed25519.  added_by: null for the host's operator.  used_at: null until it has let somebody in.
user_keys = Table(
    "user_keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("label", String(40), nullable=False),
    Column("added_by", Integer, ForeignKey("users.id"), nullable=True),
    Column("added_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=True),
    sqlite_autoincrement=True,  # a number never means another key later
)


class KeptKey(NamedTuple):
    """A key of an account; ``used`` is None until it has let somebody in.

    by: who has added it; None for the host's operator.
    """

    id: int
    user: UserId
    digest: bytes
    kind: str
    label: str
    added: int
    used: int | None
    by: UserId | None


_KEPT = (
    user_keys.c.id,
    user_keys.c.user,
    user_keys.c.digest,
    user_keys.c.kind,
    user_keys.c.label,
    user_keys.c.added_at,
    user_keys.c.used_at,
    user_keys.c.added_by,
)


def key_by_digest(connection: Connection, digest: bytes) -> KeptKey | None:
    """Return the key with this SHA-256, or None; no two accounts have the same."""
    row = connection.execute(select(*_KEPT).where(user_keys.c.digest == digest)).first()
    return None if row is None else KeptKey._make(row)


def keys_of(connection: Connection, user: UserId | None, after: int, limit: int) -> list[KeptKey]:
    """Return keys by number after ``after``; ``user`` None: everybody's."""
    query = select(*_KEPT).where(user_keys.c.id > after)
    if user is not None:
        query = query.where(user_keys.c.user == user)
    rows = connection.execute(query.order_by(user_keys.c.id).limit(limit))
    return [KeptKey._make(row) for row in rows]


def added_by_others(connection: Connection, user: UserId) -> list[tuple[int, UserId]]:
    """Return the keys that another account has added to an account's, each with that account."""
    query = select(user_keys.c.id, user_keys.c.added_by).where(
        user_keys.c.user == user, user_keys.c.added_by != user
    )
    return [(key, UserId(adder)) for key, adder in connection.execute(query)]


def added_to_others(connection: Connection, adder: UserId) -> dict[int, UserId]:
    """Return the keys that an account has added to others, each with whose it is."""
    query = select(user_keys.c.id, user_keys.c.user).where(
        user_keys.c.added_by == adder, user_keys.c.user != adder
    )
    return {key: UserId(user) for key, user in connection.execute(query)}


def take_over(connection: Connection, key: int, by: UserId | None) -> None:
    """Note that somebody else stands for a key from now on (None: the host's operator)."""
    connection.execute(update(user_keys).where(user_keys.c.id == key).values(added_by=by))


def count_keys(connection: Connection, user: UserId) -> int:
    """Count the keys of an account."""
    query = select(func.count()).select_from(user_keys).where(user_keys.c.user == user)
    return int(connection.execute(query).scalar_one())


def keep_key(
    connection: Connection,
    user: UserId,
    *,
    digest: bytes,
    kind: str,
    label: str,
    by: UserId | None,
    now: int,
) -> int:
    """Give an account a key, and return its number; the caller knows that nobody has it."""
    statement = insert(user_keys).values(
        user=user, digest=digest, kind=kind, label=label, added_by=by, added_at=now
    )
    made = connection.execute(statement).inserted_primary_key
    assert made is not None
    return int(made[0])


def drop_key(connection: Connection, key: int) -> None:
    """Take a key away."""
    connection.execute(delete(user_keys).where(user_keys.c.id == key))


def note_use(connection: Connection, key: int, now: int) -> None:
    """Note that a key has let its owner in."""
    connection.execute(update(user_keys).where(user_keys.c.id == key).values(used_at=now))
