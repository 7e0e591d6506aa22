"""Where accounts, devices, sessions, invites and failed logins are kept.

Every function takes a connection inside a transaction; those that write belong to the writer's.
Other features find people through :func:`user_by_name`, :func:`user_by_id`, :func:`names_of` and
:func:`page_by_name`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Select,
    SmallInteger,
    String,
    Table,
    delete,
    func,
    insert,
    not_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.names import name_key, skeleton
from lairchat.model.phrases import lasting
from lairchat.model.refusals import AuthLocked, UserUnknown
from lairchat.model.roles import ServerRole
from lairchat.storage import log
from lairchat.storage.schema import metadata
from lairchat.storage.statements import driver_of

#: role: ServerRole.  state: 0 in use, 1 locked.  secret: Argon2id, PHC string, over the
#: authentication secret.  skeleton: model.names.skeleton, so that look-alikes are found.
#: locked_until: ms; null: until somebody unlocks it.  A lock that has run out is none.
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
    Column("locked_until", BigInteger, nullable=True),
    Column("lock_reason", String(200), nullable=True),
    sqlite_autoincrement=True,  # a number never means somebody else later
)

devices = Table(
    "devices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("label", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # a number never means somebody else later
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
    sqlite_autoincrement=True,  # a number never means somebody else later
)

#: code: SHA-256 of the normalised code.  created_by: null for the owner's first link, and for those
#: of the host's operator.  name, skeleton: for whom it is kept, whose name nobody else gets
#: meanwhile.  account: whose password it sets anew, in place of making an account.
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
    Column("name", String(32), nullable=True),
    Column("skeleton", String(64), nullable=True, index=True),
    Column("account", Integer, ForeignKey("users.id"), nullable=True, index=True),
    sqlite_autoincrement=True,  # a number never means somebody else later
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

IN_USE = 0
LOCKED = 1


# -- users


@dataclass(frozen=True, slots=True)
class User:
    """An account as others may know it."""

    id: UserId
    name: str
    role: ServerRole


@dataclass(frozen=True, slots=True)
class Account:
    """An account as logging in needs it; ``secret`` is the Argon2id PHC string."""

    id: UserId
    name: str
    role: ServerRole
    lock: "Lock | None"
    secret: str = field(repr=False)

    def require_unlocked(self, now: int) -> None:
        """Raise AuthLocked while a lock holds."""
        if self.lock is not None and self.lock.holds(now):
            how = lasting(self.lock.until, self.lock.reason)
            raise AuthLocked(name=self.name, how=how)


class Lock(NamedTuple):
    """Why nobody can use an account, and until when (None: until somebody unlocks it)."""

    until: int | None
    reason: str

    def holds(self, now: int) -> bool:
        """Say whether it has not run out."""
        return self.until is None or now < self.until


_USER = (users.c.id, users.c.name, users.c.role)
_LOCK = (users.c.state, users.c.locked_until, users.c.lock_reason)
_ACCOUNT = (*_USER, users.c.secret, *_LOCK)


def _user(row: Any) -> User:
    return User(UserId(row[0]), row[1], ServerRole(row[2]))


def _account(row: Any) -> Account:
    return Account(UserId(row[0]), row[1], ServerRole(row[2]), lock_of(*row[4:]), row[3])


def lock_of(state: int, until: int | None, reason: str | None) -> Lock | None:
    """Return the lock that a row holds, also one that has run out."""
    return None if state == IN_USE else Lock(until, reason or "")


def user_by_name(connection: Connection, name: str) -> User | None:
    """Return the user of this name, in any case of its letters, or None."""
    row = connection.execute(select(*_USER).where(users.c.name_key == name_key(name))).first()
    return None if row is None else _user(row)


def require_user(connection: Connection, name: str, field: str = "$.name") -> User:
    """Return the user of this name; raises UserUnknown, which names the field that it stood in."""
    user = user_by_name(connection, name)
    if user is None:
        raise UserUnknown(name=name, field=field)
    return user


def user_by_id(connection: Connection, user: UserId) -> User | None:
    """Return the user of this number, or None."""
    row = connection.execute(select(*_USER).where(users.c.id == user)).first()
    return None if row is None else _user(row)


def role_in_use(connection: Connection, user: UserId, now: int) -> ServerRole | None:
    """Return the user's role; None for accounts that are locked or not there."""
    account = account_by_id(connection, user)
    if account is None or (account.lock is not None and account.lock.holds(now)):
        return None
    return account.role


def names_of(connection: Connection, ids: Iterable[UserId]) -> dict[UserId, str]:
    """Return the names of these users; numbers that nobody has are left out."""
    # On the driver's connection, because every page of history asks: SQLAlchemy takes 250 us.
    rows = driver_of(connection).among("SELECT id, name FROM users WHERE id IN ?", set(ids))
    return {UserId(user): name for user, name in rows}


def page_by_name(
    connection: Connection, among: Select[tuple[int]], after: str, limit: int
) -> list[User]:
    """Return users by name, whose numbers ``among`` selects, after the name ``after``."""
    query = select(*_USER).where(users.c.id.in_(among), users.c.name_key > name_key(after))
    rows = connection.execute(query.order_by(users.c.name_key).limit(limit))
    return [_user(row) for row in rows]


def account_by_name(connection: Connection, name: str) -> Account | None:
    """Return the account that logs in by this name, or None."""
    row = connection.execute(select(*_ACCOUNT).where(users.c.name_key == name_key(name))).first()
    return None if row is None else _account(row)


def account_by_id(connection: Connection, user: UserId) -> Account | None:
    """Return the account of this number, or None."""
    row = driver_of(connection).one(_ACCOUNT_BY_ID, (user,))
    return None if row is None else _account(row)


def name_is_free(connection: Connection, name: str, now: int, own: Collection[int] = ()) -> bool:
    """Say whether nobody has this name or one that looks like it, and none is kept for somebody.

    own: invites with which it is asked for; what they keep is free to their holder.
    """
    alike = (users.c.name_key == name_key(name)) | (users.c.skeleton == skeleton(name))
    if connection.execute(select(users.c.id).where(alike).limit(1)).first() is not None:
        return False
    kept = select(invites.c.id).where(
        invites.c.skeleton == skeleton(name), invites.c.uses > 0, invites.c.expires_at > now
    )
    return all(one in own for one in connection.execute(kept).scalars())


class Listed(NamedTuple):
    """An account as operators see it in a list; ``lock`` may have run out."""

    id: UserId
    name: str
    role: ServerRole
    lock: Lock | None
    created: int


def directory(
    connection: Connection,
    after: str,
    limit: int,
    *,
    now: int,
    role: ServerRole | None = None,
    locked: bool | None = None,
    among: Select[tuple[int]] | None = None,
    but: Select[tuple[int]] | None = None,
) -> list[Listed]:
    """Return accounts by name after ``after``: all, or those of a role, locked or not.

    among, but: only those whose numbers one selects, without those that the other selects.
    """
    held = (users.c.state != IN_USE) & (
        users.c.locked_until.is_(None) | (users.c.locked_until > now)
    )
    wanted = [users.c.name_key > name_key(after)]
    if role is not None:
        wanted.append(users.c.role == int(role))
    if locked is not None:
        wanted.append(held if locked else not_(held))
    if among is not None:
        wanted.append(users.c.id.in_(among))
    if but is not None:
        wanted.append(users.c.id.not_in(but))
    query = select(*_USER, *_LOCK, users.c.created_at).where(*wanted)
    rows = connection.execute(query.order_by(users.c.name_key).limit(limit))
    return [
        Listed(UserId(row[0]), row[1], ServerRole(row[2]), lock_of(*row[3:6]), row[6])
        for row in rows
    ]


def listed_by_name(connection: Connection, name: str) -> Listed | None:
    """Return one account as a list shows it, or None."""
    query = select(*_USER, *_LOCK, users.c.created_at).where(users.c.name_key == name_key(name))
    row = connection.execute(query).first()
    if row is None:
        return None
    return Listed(UserId(row[0]), row[1], ServerRole(row[2]), lock_of(*row[3:6]), row[6])


def has_owner(connection: Connection) -> bool:
    """Say whether somebody owns the server."""
    owning = select(users.c.id).where(users.c.role == ServerRole.OWNER).limit(1)
    return connection.execute(owning).first() is not None


def create_user(
    connection: Connection, name: str, role: ServerRole, secret: str, now: int
) -> UserId:
    """Make an account; the caller has looked whether the name is free, in this transaction."""
    return UserId(
        _inserted(
            connection,
            insert(users).values(
                name=name,
                name_key=name_key(name),
                skeleton=skeleton(name),
                role=int(role),
                state=IN_USE,
                secret=secret,
                created_at=now,
            ),
        )
    )


def set_role(connection: Connection, user: UserId, role: ServerRole) -> None:
    """Change what an account is on the server."""
    connection.execute(update(users).where(users.c.id == user).values(role=int(role)))


def set_lock(connection: Connection, user: UserId, lock: Lock | None) -> None:
    """Lock an account, or unlock it."""
    values = (IN_USE, None, None) if lock is None else (LOCKED, *lock)
    columns = ("state", "locked_until", "lock_reason")
    changed = update(users).where(users.c.id == user)
    connection.execute(changed.values(dict(zip(columns, values, strict=True))))


def set_secret(connection: Connection, user: UserId, secret: str) -> None:
    """Replace the hash of an account's authentication secret."""
    connection.execute(update(users).where(users.c.id == user).values(secret=secret))


def _inserted(connection: Connection, statement: Any) -> int:
    key = connection.execute(statement).inserted_primary_key
    assert key is not None
    return int(key[0])


# -- devices


def create_device(connection: Connection, user: UserId, label: str, now: int) -> DeviceId:
    """Add a device to an account."""
    statement = insert(devices).values(user=user, label=label, created_at=now)
    return DeviceId(_inserted(connection, statement))


def owns_device(connection: Connection, user: UserId, device: DeviceId) -> bool:
    """Say whether a device is one of this user's."""
    query = select(devices.c.id).where(devices.c.id == device, devices.c.user == user)
    return connection.execute(query).first() is not None


def relabel_device(connection: Connection, device: DeviceId, label: str) -> None:
    """Change what the user calls a device."""
    connection.execute(update(devices).where(devices.c.id == device).values(label=label))


def forget_devices(connection: Connection, user: UserId, keep: int) -> None:
    """Delete devices without a session beyond the newest ``keep`` of them; what they read stays read.

    Otherwise each login without a device number would leave rows for good.
    """
    idle = select(devices.c.id).where(
        devices.c.user == user, devices.c.id.not_in(select(sessions.c.device))
    )
    old = list(connection.execute(idle.order_by(devices.c.id.desc()).offset(keep)).scalars())
    for device in old:
        log.forget_device(connection, user, device)
    if old:
        connection.execute(delete(devices).where(devices.c.id.in_(old)))


# -- sessions


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it is kept; times in ms."""

    id: SessionId
    user: UserId
    device: DeviceId
    created: int
    used: int
    current: bytes = field(repr=False)
    next: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnSession:
    """A session as its user sees it."""

    id: SessionId
    device: DeviceId
    label: str
    created: int
    used: int


# The way of a token is written out: SQLAlchemy builds a statement in 200 us that the database runs
# in 5, and after a restart everybody comes with theirs.
_ACCOUNT_BY_ID = (
    "SELECT users.id, users.name, users.role, users.secret, users.state, users.locked_until,"
    " users.lock_reason FROM users WHERE users.id = ?"
)
_SESSION_BY_LOOKUP = (
    "SELECT sessions.id, sessions.user, sessions.device, sessions.created_at, sessions.used_at,"
    " sessions.current, sessions.next FROM sessions WHERE sessions.lookup = ?"
)
_SESSION_LIVES = "SELECT sessions.id FROM sessions WHERE sessions.id = ?"
_STALE_SESSIONS = "SELECT id FROM sessions WHERE used_at < ? AND id IN ?"
_USE_SESSION = "UPDATE sessions SET used_at = ? WHERE id = ?"
_ROTATE_SESSION = "UPDATE sessions SET current = ?, next = ?, used_at = ? WHERE id = ?"


def create_session(
    connection: Connection,
    user: UserId,
    device: DeviceId,
    *,
    lookup: bytes,
    current: bytes,
    now: int,
) -> SessionId:
    """Begin a session; ``current`` is the SHA-256 of its token's secret part."""
    statement = insert(sessions).values(
        user=user, device=device, lookup=lookup, current=current, created_at=now, used_at=now
    )
    return SessionId(_inserted(connection, statement))


def session_by_lookup(connection: Connection, lookup: bytes) -> StoredSession | None:
    """Return the session that a token's first 16 bytes name, or None."""
    row = driver_of(connection).one(_SESSION_BY_LOOKUP, (lookup,))
    return None if row is None else StoredSession(*row)


def session_lives(connection: Connection, session: SessionId) -> bool:
    """Say whether a session has not ended."""
    return driver_of(connection).one(_SESSION_LIVES, (session,)) is not None


def rotate_session(
    connection: Connection,
    session: SessionId,
    *,
    current: bytes,
    next: bytes,  # noqa: A002 - the column's name
    now: int,
) -> None:
    """Note that a session was used, and the hashes of the tokens that are good from now on."""
    driver_of(connection).change(_ROTATE_SESSION, (current, next, now, session))


def sessions_of(connection: Connection, user: UserId) -> list[OwnSession]:
    """Return a user's sessions, newest first."""
    columns = (sessions.c.id, sessions.c.device, devices.c.label)
    query = select(*columns, sessions.c.created_at, sessions.c.used_at)
    own = query.join(devices, devices.c.id == sessions.c.device).where(sessions.c.user == user)
    rows = connection.execute(own.order_by(sessions.c.created_at.desc(), sessions.c.id.desc()))
    return [OwnSession(*row) for row in rows]


class AnySession(NamedTuple):
    """A session as operators see it."""

    id: SessionId
    user: UserId
    label: str
    created: int
    used: int


_ANY_SESSION = (
    sessions.c.id,
    sessions.c.user,
    devices.c.label,
    sessions.c.created_at,
    sessions.c.used_at,
)


def sessions_after(
    connection: Connection, after: int, limit: int, user: UserId | None = None
) -> list[AnySession]:
    """Return sessions by number after ``after``; ``user`` None: everybody's."""
    query = select(*_ANY_SESSION).join(devices, devices.c.id == sessions.c.device)
    query = query.where(sessions.c.id > after)
    if user is not None:
        query = query.where(sessions.c.user == user)
    rows = connection.execute(query.order_by(sessions.c.id).limit(limit))
    return [AnySession._make(row) for row in rows]


def session_by_id(connection: Connection, session: SessionId) -> AnySession | None:
    """Return the session of this number, or None."""
    query = select(*_ANY_SESSION).join(devices, devices.c.id == sessions.c.device)
    row = connection.execute(query.where(sessions.c.id == session)).first()
    return None if row is None else AnySession._make(row)


def usage(connection: Connection, of: Collection[UserId]) -> dict[UserId, tuple[int, int]]:
    """Return how many sessions these users have, and when one was used last (ms)."""
    query = select(sessions.c.user, func.count(), func.max(sessions.c.used_at))
    rows = connection.execute(query.where(sessions.c.user.in_(of)).group_by(sessions.c.user))
    return {UserId(user): (count, used) for user, count, used in rows}


def surplus_sessions(connection: Connection, user: UserId, keep: int) -> list[SessionId]:
    """Return the sessions of a user beyond the ``keep`` that were used last."""
    query = select(sessions.c.id).where(sessions.c.user == user)
    latest_first = query.order_by(sessions.c.used_at.desc(), sessions.c.id.desc())
    return list(connection.execute(latest_first.offset(keep)).scalars())


def device_sessions(connection: Connection, device: DeviceId) -> list[SessionId]:
    """Return the sessions of a device."""
    query = select(sessions.c.id).where(sessions.c.device == device)
    return list(connection.execute(query).scalars())


def other_sessions(
    connection: Connection, user: UserId, but: SessionId | None = None
) -> list[SessionId]:
    """Return the sessions of a user, all but one."""
    query = select(sessions.c.id).where(sessions.c.user == user)
    return [one for one in connection.execute(query).scalars() if one != but]


def end_sessions(connection: Connection, ended: Collection[SessionId]) -> None:
    """End sessions; their tokens are good for nothing from now on."""
    if ended:
        connection.execute(delete(sessions).where(sessions.c.id.in_(ended)))


def use_sessions(
    connection: Connection, used: Iterable[SessionId], now: int, *, before: int
) -> None:
    """Note that these sessions are in use, those that were used last before a time."""
    driver = driver_of(connection)
    for (session,) in list(driver.among(_STALE_SESSIONS, used, (before,))):
        driver.change(_USE_SESSION, (now, session))


def end_idle_sessions(connection: Connection, before: int) -> None:
    """End all sessions that were used last before a time."""
    connection.execute(delete(sessions).where(sessions.c.used_at < before))


# -- invites


@dataclass(frozen=True, slots=True)
class StoredInvite:
    """An invite as it is kept; its code is known by a hash only.

    name: for whom it is kept, None for whoever has it.
    account: whose password it sets anew; None for one that makes an account.
    """

    id: int
    role: ServerRole
    uses: int
    by: UserId | None
    expires: int
    name: str | None
    account: UserId | None


_INVITE = (
    invites.c.id,
    invites.c.role,
    invites.c.uses,
    invites.c.created_by,
    invites.c.expires_at,
    invites.c.name,
    invites.c.account,
)


def _invite(row: Any) -> StoredInvite:
    return StoredInvite(row[0], ServerRole(row[1]), *row[2:])


def create_invite(
    connection: Connection,
    code: bytes,
    role: ServerRole,
    *,
    uses: int,
    by: UserId | None,
    now: int,
    expires: int,
    name: str | None = None,
    account: UserId | None = None,
) -> int:
    """Keep an invite under the hash of its code and return its number.

    name: nobody else gets this name while it works.  account: sets this account's password.
    """
    return _inserted(
        connection,
        insert(invites).values(
            code=code,
            role=int(role),
            uses=uses,
            created_by=by,
            created_at=now,
            expires_at=expires,
            name=name,
            # What resets a password keeps no name: its account has it.
            skeleton=None if name is None or account is not None else skeleton(name),
            account=account,
        ),
    )


def invite_by_code(connection: Connection, code: bytes) -> StoredInvite | None:
    """Return the invite of this hashed code, spent and expired ones too, or None."""
    row = connection.execute(select(*_INVITE).where(invites.c.code == code)).first()
    return None if row is None else _invite(row)


def invite_by_id(connection: Connection, invite: int) -> StoredInvite | None:
    """Return the invite of this number, or None."""
    row = connection.execute(select(*_INVITE).where(invites.c.id == invite)).first()
    return None if row is None else _invite(row)


def maker_role(connection: Connection, invite: StoredInvite) -> ServerRole:
    """Return what the maker of an invite is now; the host's operator ranks with owners."""
    maker = None if invite.by is None else user_by_id(connection, invite.by)
    return ServerRole.OWNER if maker is None else maker.role


def spend_invite(connection: Connection, invite: int) -> bool:
    """Use an invite once; False, and no change, when it has no use left."""
    left = update(invites).where(invites.c.id == invite, invites.c.uses > 0)
    return connection.execute(left.values(uses=invites.c.uses - 1)).rowcount == 1


def usable_invites(
    connection: Connection, by: UserId | None, after: int, now: int, limit: int
) -> list[StoredInvite]:
    """Return invites that can still be used, by number after ``after``; ``by`` None: everybody's."""
    query = select(*_INVITE).where(
        invites.c.id > after, invites.c.uses > 0, invites.c.expires_at > now
    )
    if by is not None:
        query = query.where(invites.c.created_by == by)
    return [_invite(row) for row in connection.execute(query.order_by(invites.c.id).limit(limit))]


def delete_invite(connection: Connection, invite: int) -> None:
    """Withdraw an invite."""
    connection.execute(delete(invites).where(invites.c.id == invite))


def invites_for(connection: Connection, name: str) -> list[StoredInvite]:
    """Return the invites that keep this name, or one that looks like it, spent ones too."""
    rows = connection.execute(select(*_INVITE).where(invites.c.skeleton == skeleton(name)))
    return [_invite(row) for row in rows]


def delete_resets(connection: Connection, account: UserId) -> None:
    """Withdraw all links that set this account's password."""
    connection.execute(delete(invites).where(invites.c.account == account))


def delete_owner_invites(connection: Connection) -> None:
    """Withdraw all links that make an owner."""
    connection.execute(delete(invites).where(invites.c.role == ServerRole.OWNER))


def forget_invites(connection: Connection, now: int) -> None:
    """Delete invites that nobody can use any more."""
    connection.execute(delete(invites).where((invites.c.expires_at <= now) | (invites.c.uses <= 0)))


# -- failed logins


def attempts(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int, int]]:
    """Return failures, time of the last and end of the delay (ms) under each key that has any."""
    table = login_attempts.c
    query = select(table.key, table.failures, table.last_at, table.until)
    rows = connection.execute(query.where(table.key.in_(keys)))
    return {bytes(key): (failures, last, until) for key, failures, last, until in rows}


def keep_attempts(connection: Connection, key: bytes, failures: int, last: int, until: int) -> None:
    """Keep failed logins under a key."""
    values = {"failures": failures, "last_at": last, "until": until}
    known = update(login_attempts).where(login_attempts.c.key == key)
    if not connection.execute(known.values(values)).rowcount:
        connection.execute(insert(login_attempts).values(key=key, **values))


def clear_attempts(connection: Connection, keys: Sequence[bytes]) -> None:
    """Forget failed logins under these keys."""
    connection.execute(delete(login_attempts).where(login_attempts.c.key.in_(keys)))


def forget_attempts(connection: Connection, before: int) -> None:
    """Forget failed logins of which the last was before a time."""
    connection.execute(delete(login_attempts).where(login_attempts.c.last_at < before))
