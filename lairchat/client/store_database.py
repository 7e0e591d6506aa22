"""The connection to a device's store: how it is unlocked and set up, and its transactions.

SQLCipher seals each page with AES-256 under a random key and proves it with an HMAC; the key comes as
bytes from the vault and is in no SQL text, so neither in a trace nor in an error.
What the driver raises becomes a refusal with a next step.

Promises not to know: what is in the store.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlcipher3 import dbapi2 as driver

from lairchat.client.profile import Profile
from lairchat.mls.errors import MisuseError
from lairchat.model.faults import ProfileDamaged, ProfileDisk, ProfileFull, ProfileLocked
from lairchat.model.refusal import Refusal
from lairchat.trust.secret import SecretBytes

Connection = Any
"""The driver's connection; it has no types."""

_SETTINGS: Final = (
    # One process owns the store: another one, whatever the profile's lock says, is turned away.  The
    # index of the write-ahead log then stays in memory instead of in a third file.
    "locking_mode = EXCLUSIVE",
    # A commit is one sync of the log, and is there after a power failure: what leaves rests on it.
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    # Erased keys and deleted text are overwritten, not left in free pages for who gets the key.
    "secure_delete = ON",
    # A page that was changed is found when it is read, before it is believed.
    "cell_size_check = ON",
    "trusted_schema = OFF",
    # What is sorted or set aside stays in memory: SQLCipher would not seal it elsewhere.
    "temp_store = MEMORY",
    "mmap_size = 0",
    # Twice what a checkpoint waits for: a log that had to grow once is cut again.
    "journal_size_limit = 8388608",
)

# SQLite's primary result codes, the low byte of an extended one.
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26


def connect(path: Path, master: SecretBytes) -> Connection:
    """Open an existing file; the caller calls ``set_up`` next.  Raises a Refusal."""
    _quieten()
    with explained(path):
        # As a URI, so that SQLite never makes a file that is not there: it would be readable by all.
        connection = driver.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=1.0
        )
        # A text of this form is a key as it is, not a passphrase from which one would be derived.
        connection.set_key(f"x'{master.reveal().hex()}'")
    return connection


def set_up(connection: Connection) -> None:
    """Set up a connection; raises what the driver raises if the key is not the file's."""
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}").fetchall()


def _quieten() -> None:
    """Keep SQLCipher from writing to the terminal, which a screen of ours fills.

    What it writes there it also gives to the driver as an error; none is lost.
    """
    connection = driver.connect(":memory:")
    connection.execute("PRAGMA cipher_log_level = NONE").fetchall()
    connection.close()


def check_sound(path: Path, connection: Connection) -> None:
    """Raise ProfileDamaged if a page that was read was not what had been written.

    SQLCipher gives zeros for a page whose HMAC does not fit, and an error for the next one: of the
    last page of a long value nobody would hear, if its state were not asked for.
    """
    if connection.execute("PRAGMA cipher_status").fetchone() != ("1",):
        raise ProfileDamaged(path=path, why="a page of it is broken")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the driver's errors into refusals that say what to do."""
    try:
        yield
    except driver.Error as error:
        refusal = _refusal(path, error)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(path: Path, error: Exception) -> Refusal | None:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case code if code in (_BUSY, _LOCKED):
            return ProfileLocked(path=path.parent)
        case code if code in (_READONLY, _IOERR, _CANTOPEN):
            return ProfileDisk(path=path, why=str(error))
        case code if code == _FULL:
            return ProfileFull(path=path)
        case code if code == _NOTADB:
            return ProfileDamaged(path=path, why="its key does not open it")
        case code if code == _CORRUPT:
            return ProfileDamaged(path=path, why="a page of it is broken")
    return None


class Database:
    """An open store: one connection, one transaction at a time, while its profile is locked."""

    def __init__(self, profile: Profile, path: Path, connection: Connection) -> None:
        self.profile = profile
        self.path = path
        self._connection = connection

    def __repr__(self) -> str:
        return f"Database({self.path})"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Do several things as one: after a crash, a refusal or an error none of them was done.

        Raises ProfileFull, ProfileDisk or ProfileDamaged.
        """
        if not self.profile.locked:
            raise MisuseError("a store is written by who holds its profile's lock")
        connection = self._connection
        with explained(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                check_sound(self.path, connection)
                connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself.
                with suppress(driver.Error):
                    connection.execute("ROLLBACK")
                check_sound(self.path, connection)
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Look things up; what is looked up is read to its end before this is over."""
        with explained(self.path):
            try:
                yield self._connection
            except Exception:
                # Whatever followed from a broken page is not what is wrong.
                check_sound(self.path, self._connection)
                raise
            check_sound(self.path, self._connection)

    def checkpoint(self) -> None:
        """Bring what was written into the file, and empty the log, in which old pages still stand."""
        with explained(self.path):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close it, which also brings the log into the file."""
        with explained(self.path):
            self._connection.close()
