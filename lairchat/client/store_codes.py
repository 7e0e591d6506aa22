"""Codes: those by which this device lets people into rooms, and those by which it asks to be let in."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lairchat.client.store_database import Connection, Database
from lairchat.e2ee.invite import Code
from lairchat.model import limits


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that lets people into a room this device is in.

    uses: how many people still; until: ms since 1970.
    told: whether it stands in the room's log; before, it lets nobody in.
    """

    room: int
    code: Code = field(repr=False)
    uses: int
    until: int
    told: bool = True


class Codes:
    """Codes in use, by locator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def invitations(self, now_ms: int) -> dict[bytes, Invitation]:
        """Return those by which people may be let in now."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM (SELECT i.locator, i.room, i.secret, i.uses - count(a.seq) AS left,"
                " i.until, i.told FROM invitations i LEFT JOIN admitted a ON a.locator = i.locator"
                " WHERE i.until > ? GROUP BY i.locator) WHERE left > 0",
                (now_ms,),
            )
            return {
                locator: Invitation(room, Code(locator, secret), left, until, bool(told))
                for locator, room, secret, left, until, told in rows.fetchall()
            }

    def of(self, room: int, now_ms: int) -> list[Invitation]:
        """Return a room's codes, as they were made, those as well that may be used up."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT locator, secret, uses, until, told FROM invitations"
                " WHERE room = ? AND until > ?",
                (room, now_ms),
            )
            return [
                Invitation(room, Code(locator, secret), uses, until, bool(told))
                for locator, secret, uses, until, told in rows.fetchall()
            ]

    def keep_invitation(self, invitation: Invitation) -> None:
        """Keep a code; one without uses is erased."""
        with self._database.writing() as connection:
            keep(connection, invitation)

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


def keep(connection: Connection, invitation: Invitation) -> None:
    """Keep a code, whose uses are counted from now on; one without is erased.

    Not in place of another room's: who may add people here has no say over those.
    """
    code, room = invitation.code, invitation.room
    connection.execute(
        "DELETE FROM invitations WHERE locator = ? AND room = ?", (code.locator, room)
    )
    if invitation.uses > 0:
        connection.execute(
            "INSERT INTO invitations (locator, room, secret, uses, until, told)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (locator) DO NOTHING",
            (code.locator, room, code.secret, invitation.uses, invitation.until, invitation.told),
        )


def came(connection: Connection, room: int, seq: int, accounts: Iterable[bytes]) -> None:
    """Count people who came into a room, and nobody had invited: each may have used any of its codes.

    seq: the place of the commit that brought them.
    """
    connection.executemany(
        "INSERT INTO admitted (locator, seq, account)"
        " SELECT locator, ?, ? FROM invitations WHERE room = ?",
        [(seq, account, room) for account in accounts],
    )
    # The only code there is has let them in; of several, word comes of which one it was.
    connection.execute(
        "DELETE FROM invitations AS i WHERE room = ?"
        " AND uses <= (SELECT count(*) FROM admitted WHERE locator = i.locator)"
        " AND (SELECT count(*) FROM invitations WHERE room = i.room) = 1",
        (room,),
    )


def used(connection: Connection, room: int, locator: bytes, account: bytes) -> None:
    """Count somebody who came last by this code for no other code of the room."""
    connection.execute(
        "DELETE FROM admitted AS a WHERE account = ? AND locator <> ?"
        " AND locator IN (SELECT locator FROM invitations WHERE room = ?)"
        " AND seq = (SELECT max(seq) FROM admitted WHERE locator = a.locator AND account = a.account)",
        (account, locator, room),
    )


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
