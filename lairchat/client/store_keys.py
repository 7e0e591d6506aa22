"""This device's key packages with their private keys, and how far its inbox has been worked through."""

from collections.abc import Iterable, Sequence

from lairchat.client.store_database import Connection, Database
from lairchat.client.store_people import signing_key
from lairchat.mls.keypackages import OwnKeyPackage
from lairchat.mls.objects import KeyPackage, Lifetime
from lairchat.model import limits


class Keys:
    """Key packages that others may be given, and the inbox that brings welcomes made with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(
        self, packages: Iterable[OwnKeyPackage], now_ms: int, *, last_resort: bool = False
    ) -> None:
        """Keep key packages and their private keys, before they are uploaded."""
        rows = [
            (
                own.reference,
                own.package.encode(),
                own.init_key,
                own.encryption_key,
                last_resort,
                now_ms,
                _until(own),
            )
            for own in packages
        ]
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO key_packages"
                " (reference, package, init_key, encryption_key, last_resort, made_at, until)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def to_upload(self, *, last_resort: bool = False) -> list[bytes]:
        """Return the encodings of those that the server may not have, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT package FROM key_packages WHERE NOT uploaded AND last_resort = ?"
                " ORDER BY made_at, rowid",
                (last_resort,),
            )
            return [package for (package,) in rows.fetchall()]

    def uploaded(self, references: Iterable[bytes]) -> None:
        """Note that the server has them."""
        with self._database.writing() as connection:
            connection.executemany(
                "UPDATE key_packages SET uploaded = 1 WHERE reference = ?",
                [(reference,) for reference in references],
            )

    def find(self, references: Sequence[bytes]) -> OwnKeyPackage | None:
        """Return the one that a welcome for these is meant for; None if none is this device's."""
        with self._database.reading() as connection:
            for reference in references:
                row = connection.execute(
                    "SELECT package, init_key, encryption_key FROM key_packages WHERE reference = ?",
                    (reference,),
                ).fetchone()
                if row is not None:
                    package, init_key, encryption_key = row
                    return OwnKeyPackage(
                        KeyPackage.decode(package),
                        init_key,
                        encryption_key,
                        signing_key(connection),
                    )
        return None

    def is_last_resort(self, reference: bytes) -> bool:
        """Tell whether a key package is one of last resort."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT last_resort FROM key_packages WHERE reference = ?", (reference,)
            ).fetchone()
            return row is not None and bool(row[0])

    def one_time(self) -> int:
        """Return how many wait that are for one use each, and the server has."""
        with self._database.reading() as connection:
            (found,) = connection.execute(
                "SELECT count(*) FROM key_packages WHERE uploaded AND NOT last_resort"
            ).fetchone()
            return int(found)

    @property
    def inbox(self) -> int:
        """Up to which entry this device's inbox has been worked through."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT inbox FROM profile").fetchone()[0])

    def pass_inbox(self, entry: int) -> None:
        """Note that an entry, and all before it, need no more work."""
        with self._database.writing() as connection:
            passed(connection, entry)


def _until(own: OwnKeyPackage) -> int:
    lifetime = own.package.leaf.source
    assert isinstance(lifetime, Lifetime), "a key package has a lifetime (section 7.2)"
    # An integer of SQLite has a bit less than one of MLS.
    return min(lifetime.not_after, limits.INTEGER_MAX)


def spend(connection: Connection, reference: bytes) -> None:
    """Erase a key package that was used; one of last resort stays, others may have been given it."""
    connection.execute(
        "DELETE FROM key_packages WHERE reference = ? AND NOT last_resort", (reference,)
    )


def forget(connection: Connection) -> None:
    """Erase all key packages, and begin an inbox anew: both were another device's."""
    connection.execute("DELETE FROM key_packages")
    connection.execute("UPDATE profile SET inbox = 0")


def passed(connection: Connection, entry: int) -> None:
    """Note that an entry of the inbox, and all before it, have been worked through."""
    connection.execute("UPDATE profile SET inbox = ? WHERE inbox < ?", (entry, entry))


def expire(connection: Connection, now_ms: int) -> None:
    """Erase key packages that nobody takes any more."""
    connection.execute(
        "DELETE FROM key_packages WHERE until < ? OR (last_resort AND made_at <= ?)",
        (
            now_ms // 1000 - limits.KEY_PACKAGE_SKEW_SECONDS,
            now_ms - 1000 * limits.LAST_RESORT_SECONDS,
        ),
    )
