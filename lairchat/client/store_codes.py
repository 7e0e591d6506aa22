"""Codes: those by which this device lets people into rooms, and those by which it asks to be let in."""

from dataclasses import dataclass, field

from lairchat.client.store_database import Connection, Database
from lairchat.e2ee.invite import Code
from lairchat.model import limits


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that lets people into a room this device is in.

    uses: how many people still; until: ms since 1970.
    """

    room: int
    code: Code = field(repr=False)
    uses: int
    until: int


class Codes:
    """Codes in use, by locator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def invitations(self, now_ms: int) -> dict[bytes, Invitation]:
        """Return those by which people may be let in now."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT locator, room, secret, uses, until FROM invitations WHERE until > ?",
                (now_ms,),
            )
            return {
                locator: Invitation(room, Code(locator, secret), uses, until)
                for locator, room, secret, uses, until in rows.fetchall()
            }

    def keep_invitation(self, invitation: Invitation) -> None:
        """Keep a code; one without uses is erased."""
        code = invitation.code
        with self._database.writing() as connection:
            connection.execute("DELETE FROM invitations WHERE locator = ?", (code.locator,))
            if invitation.uses > 0:
                connection.execute(
                    "INSERT INTO invitations (locator, room, secret, uses, until)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (code.locator, invitation.room, code.secret, invitation.uses, invitation.until),
                )

    def requests(self) -> dict[bytes, Code]:
        """Return those by which this device has asked to be let in."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT locator, secret FROM requests ORDER BY at")
            return {locator: Code(locator, secret) for locator, secret in rows.fetchall()}

    def ask(self, code: Code, now_ms: int) -> None:
        """Keep a code before this device asks by it to be let in."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO requests (locator, secret, at) VALUES (?, ?, ?)"
                " ON CONFLICT (locator) DO UPDATE SET secret = excluded.secret",
                (code.locator, code.secret, now_ms),
            )

    def answered(self, locator: bytes) -> None:
        """Erase a code that will never let this device in; ``Store.enter`` does if it has."""
        with self._database.writing() as connection:
            answered(connection, locator)


def answered(connection: Connection, locator: bytes) -> None:
    """Erase a code that this device needs no more."""
    connection.execute("DELETE FROM requests WHERE locator = ?", (locator,))


def expire(connection: Connection, now_ms: int) -> None:
    """Erase codes whose time has passed."""
    connection.execute("DELETE FROM invitations WHERE until <= ?", (now_ms,))
    # Whoever was asked tells no end; no code works for longer.
    connection.execute(
        "DELETE FROM requests WHERE at <= ?", (now_ms - 1000 * limits.INVITE_SECONDS_MAX,)
    )


def forget(connection: Connection, room: int) -> None:
    """Erase the codes of a room."""
    connection.execute("DELETE FROM invitations WHERE room = ?", (room,))
