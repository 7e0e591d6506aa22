"""Who is who: this device, the account logs that have been read, pins, and what holds sending."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lairchat.client.store_database import Connection, Database
from lairchat.mls.errors import MisuseError
from lairchat.trust.entry import Head, StoredLog
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.locks import Cause, Hold
from lairchat.trust.log import AccountLog, read_log
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """This device.

    signing: its private MLS signature key.  signer: the private device-signing key, if it is a
    primary device.  number: by which the server knows it, once it does.
    """

    identity: LeafIdentity
    signing: SecretBytes = field(repr=False)
    signer: SecretBytes | None = field(default=None, repr=False)
    number: int | None = None


class People:
    """Identities, this device's own first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logs: dict[bytes, AccountLog] | None = None
        #: How many logs have been read on; what was found out of them is so old.
        self.learned = 0

    def own(self) -> OwnDevice | None:
        """Return this device; None before it has been made."""
        with self._database.reading() as connection:
            return own_device(connection)

    def keep_own(self, own: OwnDevice) -> None:
        """Keep this device, its keys among it, before anybody hears of it.

        Raises MisuseError if it is another one than before.
        """
        with self._database.writing() as connection:
            before = own_device(connection)
            if before is not None and (before.identity, before.signing) != (
                own.identity,
                own.signing,
            ):
                raise MisuseError("a store belongs to one device")
            connection.execute(
                "INSERT INTO device (id, account, device, signing, signer, number)"
                " VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET signer = excluded.signer, number = excluded.number",
                (
                    own.identity.account,
                    own.identity.device,
                    own.signing.reveal(),
                    None if own.signer is None else own.signer.reveal(),
                    own.number,
                ),
            )

    @property
    def logs(self) -> Mapping[bytes, AccountLog]:
        """The account logs that have been read, by account id.

        Their signatures were looked at when they came; what is kept since is proven by the store.
        """
        if self._logs is None:
            with self._database.reading() as connection:
                rows = connection.execute("SELECT account, data, position, hash FROM logs")
                self._logs = {
                    account: read_log(data, self._database.profile.server, Head(position, digest))
                    for account, data, position, digest in rows.fetchall()
                }
        return MappingProxyType(self._logs)

    def learn_log(self, data: bytes) -> AccountLog:
        """Read an account's log as the server gives it, and keep it if it goes on from the last one.

        Raises what :func:`lairchat.trust.log.read_log` does: a log that is shorter than the one that
        has been seen, or another one, is not taken, and the one that was kept stays.
        """
        account = StoredLog.decode(data).genesis.content.account
        known = self.logs.get(account)
        log = read_log(data, self._database.profile.server, None if known is None else known.head)
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO logs (account, data, position, hash) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (account) DO UPDATE SET data = excluded.data,"
                " position = excluded.position, hash = excluded.hash",
                (log.account, data, log.head.position, log.head.hash),
            )
        self._logs = {**self.logs, log.account: log}
        self.learned += 1
        return log

    def stored_log(self, account: bytes) -> StoredLog | None:
        """Return an account's log as it came; None if it has not been read."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT data FROM logs WHERE account = ?", (account,)
            ).fetchone()
        return None if row is None else StoredLog.decode(row[0])

    def pins(self) -> dict[str, Pin]:
        """Return what is believed about each name."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT name, account, sureness, changed FROM pins")
            return {
                name: Pin(name, account, Sureness(sureness), changed)
                for name, account, sureness, changed in rows.fetchall()
            }

    def keep_pin(self, pin: Pin) -> None:
        """Keep what is now believed about a name."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO pins (name, account, sureness, changed) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET account = excluded.account,"
                " sureness = excluded.sureness, changed = excluded.changed",
                (pin.name, pin.account, pin.sureness, pin.changed),
            )

    def holds(self, room: int) -> tuple[Hold, ...]:
        """Return what holds sending in a room, besides what pins and the room's own state do."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT cause, name FROM holds WHERE room = ? ORDER BY cause, name", (room,)
            )
            return tuple(Hold(Cause(cause), name) for cause, name in rows.fetchall())

    def keep_holds(self, room: int, held: Iterable[Hold]) -> None:
        """Keep what holds a room, in place of what did."""
        with self._database.writing() as connection:
            forget(connection, room)
            hold(connection, room, held)


def forget_own(connection: Connection) -> None:
    """Erase this device, its private keys among it."""
    connection.execute("DELETE FROM device")


def own_device(connection: Connection) -> OwnDevice | None:
    """Return this device; None before it has been made."""
    row = connection.execute(
        "SELECT account, device, signing, signer, number FROM device"
    ).fetchone()
    if row is None:
        return None
    account, device, signing, signer, number = row
    return OwnDevice(
        LeafIdentity(account, device),
        SecretBytes(signing),
        None if signer is None else SecretBytes(signer),
        number,
    )


def signing_key(connection: Connection) -> bytes:
    """Return this device's private signature key; raises MisuseError before it has been made."""
    own = own_device(connection)
    if own is None:
        raise MisuseError("this device has not been made yet")
    return own.signing.reveal()


def hold(connection: Connection, room: int, held: Iterable[Hold]) -> None:
    """Keep what holds a room, too."""
    connection.executemany(
        "INSERT OR IGNORE INTO holds (room, cause, name) VALUES (?, ?, ?)",
        [(room, one.cause.value, one.name) for one in held],
    )


def forget(connection: Connection, room: int) -> None:
    """Forget what holds a room."""
    connection.execute("DELETE FROM holds WHERE room = ?", (room,))
