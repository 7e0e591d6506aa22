"""Keeps the first answers of commands, by which a repeat is known and answered alike (decision 3)."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from lairchat.storage.statements import FEW, Columns, driver_of


class Answer(NamedTuple):
    """What a command was answered first. room, seq: its event, or 0. body: the reply, or None."""

    room: int
    seq: int
    at: int
    body: bytes | None


class AnswerRow(NamedTuple):
    """An answer to keep, with the device and command id by which a repeat is known."""

    device: int
    command: bytes
    room: int
    seq: int
    at: int
    body: bytes | None


_ANSWERS = Columns("log_answers", ("command", "device", "room", "seq", "at", "body"))


def find_answers(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], Answer]:
    """Return the kept answers of commands, by (device, command id), in one SELECT.

    Two equal keys in one group are the caller's to see: neither has an answer yet.
    """
    driver = driver_of(connection)
    found: dict[tuple[int, bytes], Answer] = {}
    if len(keys) <= FEW:
        for device, command in keys:
            row = driver.one(
                "SELECT room, seq, at, body FROM log_answers WHERE command = ? AND device = ?",
                (command, device),
            )
            if row is not None:
                found[device, command] = Answer(*row)
        return found
    rows = driver.among(
        "SELECT device, command, room, seq, at, body FROM log_answers WHERE command IN ?",
        [command for _, command in keys],
    )
    wanted: set[tuple[int, bytes]] | None = None
    for device, command, room, seq, at, body in rows:
        # Another device may have used the same id, by accident or to get our answer.
        wanted = wanted or set(keys)
        if (device, command) in wanted:
            found[device, command] = Answer(room, seq, at, body)
    return found


def store_answers(
    connection: Connection,
    answers: Sequence[tuple[int, bytes, int, int, int, bytes | None]],
) -> None:
    """Keep answers, each an AnswerRow; raises IntegrityError (the driver's) if one is kept already."""
    # By command id, which is nearly the order of the tree: its pages are touched once.
    rows = sorted(
        (command, device, room, seq, at, body) for device, command, room, seq, at, body in answers
    )
    driver_of(connection).insert(_ANSWERS, rows)


def forget_answers(connection: Connection, before_ms: int, limit: int = 1_000) -> int:
    """Forget up to about ``limit`` answers of command ids made before a time; return how many.

    The time is the one in the id, as in ``model.ids.check_command_time``, which refuses older
    repeats and ids far in the future. Call again while it returns ``limit`` or more: a sweep of a
    week's answers in one transaction would hold up every sender.
    """
    driver = driver_of(connection)
    bound = max(before_ms, 0).to_bytes(6, "big")
    last = driver.one(
        "SELECT command FROM log_answers WHERE command < ? ORDER BY command LIMIT 1 OFFSET ?",
        (bound, limit - 1),
    )
    if last is None:
        return driver.change("DELETE FROM log_answers WHERE command < ?", (bound,))
    return driver.change("DELETE FROM log_answers WHERE command <= ?", last)


class Answers:
    """Answers of single commands as the kernel keeps them: a body, no event."""

    def find(self, connection: Connection, device: int, key: bytes) -> bytes | None:
        """Return the kept body for this device's command id, or None if it is new."""
        answer = find_answers(connection, [(device, key)]).get((device, key))
        return None if answer is None else answer.body or b""

    def store(self, connection: Connection, device: int, key: bytes, now: int, body: bytes) -> None:
        """Keep the body of an answer given at ``now`` (ms)."""
        store_answers(connection, [(device, key, 0, 0, now, body)])
