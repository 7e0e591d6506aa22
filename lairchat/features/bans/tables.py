"""Where bans from the whole server are kept.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    Select,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.engine import Connection

from lairchat.model.ids import UserId
from lairchat.storage.schema import metadata
from lairchat.storage.statements import Driver

#: network: an address or network in its normal form; null where an account is banned, which is
#: ``user`` then.  banned_by: null for the host's operator.  until: ms; null: until it is lifted.
server_bans = Table(
    "server_bans",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("network", String(43), nullable=True, unique=True),
    Column("user", Integer, ForeignKey("users.id"), nullable=True, unique=True),
    Column("reason", String(200), nullable=False),
    Column("banned_by", Integer, ForeignKey("users.id"), nullable=True),
    Column("banned_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=True),
    sqlite_autoincrement=True,  # a number never means another ban later
)


class ServerBan(NamedTuple):
    """Who is kept out of the server, by whom (None: the host's operator), why and until when."""

    id: int
    network: str | None
    user: UserId | None
    reason: str
    by: UserId | None
    at: int
    until: int | None

    def holds(self, now: int) -> bool:
        """Say whether it has not run out."""
        return self.until is None or now < self.until


_BAN = (
    server_bans.c.id,
    server_bans.c.network,
    server_bans.c.user,
    server_bans.c.reason,
    server_bans.c.banned_by,
    server_bans.c.banned_at,
    server_bans.c.until,
)
_BAN_OF_USER = (
    "SELECT id, network, server_bans.user, reason, banned_by, banned_at, until"
    " FROM server_bans WHERE server_bans.user = ?"
)


def ban_of_user(connection: Connection, user: UserId) -> ServerBan | None:
    """Return the ban of an account, one that has run out too, or None."""
    # On the driver's connection: every login asks.
    row = Driver(connection).one(_BAN_OF_USER, (user,))
    return None if row is None else ServerBan._make(row)


def banned_among(
    connection: Connection, users: Collection[UserId], now: int
) -> dict[UserId, ServerBan]:
    """Return the bans in force of these accounts."""
    rows = connection.execute(select(*_BAN).where(server_bans.c.user.in_(users)))
    found = [ServerBan._make(row) for row in rows]
    return {ban.user: ban for ban in found if ban.user is not None and ban.holds(now)}


def ban_of_network(connection: Connection, network: str) -> ServerBan | None:
    """Return the ban of exactly this network, one that has run out too, or None."""
    row = connection.execute(select(*_BAN).where(server_bans.c.network == network)).first()
    return None if row is None else ServerBan._make(row)


def banned_users(now: int) -> Select[tuple[int]]:
    """Select the accounts that are kept out, for the accounts feature to page by name."""
    alive = server_bans.c.until.is_(None) | (server_bans.c.until > now)
    return select(server_bans.c.user).where(server_bans.c.user.is_not(None), alive)


def bans_after(connection: Connection, after: int, now: int, limit: int) -> list[ServerBan]:
    """Return the bans in force, by number after ``after``."""
    alive = server_bans.c.until.is_(None) | (server_bans.c.until > now)
    query = select(*_BAN).where(server_bans.c.id > after, alive)
    rows = connection.execute(query.order_by(server_bans.c.id).limit(limit))
    return [ServerBan._make(row) for row in rows]


def networks(connection: Connection, now: int) -> list[tuple[str, int | None]]:
    """Return all networks that are kept out, and until when."""
    alive = server_bans.c.until.is_(None) | (server_bans.c.until > now)
    query = select(server_bans.c.network, server_bans.c.until)
    rows = connection.execute(query.where(server_bans.c.network.is_not(None), alive))
    return [(network, until) for network, until in rows]


def keep_ban(
    connection: Connection,
    *,
    network: str | None,
    user: UserId | None,
    reason: str,
    by: UserId | None,
    now: int,
    until: int | None,
) -> None:
    """Keep a network or an account out; the caller has dropped an earlier ban of the same."""
    connection.execute(
        insert(server_bans).values(
            network=network, user=user, reason=reason, banned_by=by, banned_at=now, until=until
        )
    )


def drop_ban(connection: Connection, ban: int) -> None:
    """Lift a ban."""
    connection.execute(delete(server_bans).where(server_bans.c.id == ban))


def forget_bans(connection: Connection, now: int) -> None:
    """Delete bans that have run out."""
    connection.execute(delete(server_bans).where(server_bans.c.until <= now))
