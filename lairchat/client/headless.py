"""``lair send``, ``lair invite``, and what commands of scripts have in common.

They work beside a client or without, and never move the read cursor.
Exit status by sysexits: 0 done, 64 usage, 65 refused text, 69 no server, 75 later, 77 not allowed,
78 profile; 130 interrupted.
"""

import os
import sys
from typing import Any, TextIO

from lairchat.client.cli import wall_clock
from lairchat.client.holding import Session, ask
from lairchat.client.sendqueue import RANDOM_BYTES
from lairchat.model import faults, limits
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal

_EXITS = {
    "LC-ADDRESS": os.EX_USAGE,
    "LC-CFG": os.EX_USAGE,
    "LC-LINK": os.EX_USAGE,
    "LC-NO-TERMINAL": os.EX_USAGE,
    "LC-ARGS": os.EX_DATAERR,
    "LC-ID": os.EX_DATAERR,
    "LC-TEXT": os.EX_DATAERR,
    "LC-WORDS": os.EX_DATAERR,
    "LC-NET": os.EX_UNAVAILABLE,
    "LC-TLS": os.EX_UNAVAILABLE,
    "LC-VERSION": os.EX_UNAVAILABLE,
    "LC-BUSY": os.EX_TEMPFAIL,
    "LC-CONNECTIONS": os.EX_TEMPFAIL,
    "LC-EPOCH": os.EX_TEMPFAIL,
    "LC-GROUP-LEASE": os.EX_TEMPFAIL,
    "LC-GROUP-MISSING": os.EX_TEMPFAIL,
    "LC-RATE": os.EX_TEMPFAIL,
    "LC-SEND": os.EX_TEMPFAIL,
    "LC-SHUTDOWN": os.EX_TEMPFAIL,
    "LC-STORE": os.EX_TEMPFAIL,
    "LC-TIMEOUT": os.EX_TEMPFAIL,
    "LC-AUTH": os.EX_NOPERM,
    "LC-BANNED": os.EX_NOPERM,
    "LC-DENIED": os.EX_NOPERM,
    "LC-DEVICE": os.EX_NOPERM,
    "LC-GROUP": os.EX_NOPERM,
    "LC-HELD": os.EX_NOPERM,
    "LC-LOCKED": os.EX_NOPERM,
    "LC-NOT": os.EX_NOPERM,
    "LC-ROOM": os.EX_NOPERM,
    "LC-PROFILE": os.EX_CONFIG,
    "LC-START-PERM": os.EX_CANTCREAT,
}


def exit_status(refusal: Refusal) -> int:
    """Return the sysexits status that a script can act on."""
    return next(
        (status for prefix, status in _EXITS.items() if refusal.code.startswith(prefix)),
        os.EX_SOFTWARE,
    )


class Delivery:
    """What is known of a message that is not acknowledged yet.

    kept: it is in the profile's queue, and goes out though nobody waits for it any more.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.kept = False

    def told(self, answer: dict[str, Any]) -> None:
        """Note what the holder of the profile says of its queue."""
        self.kept = answer.get("kept") is True

    def queued(self, kept: bool) -> None:
        """Note that it is in our own queue."""
        self.kept = kept

    def late(self) -> Refusal:
        """Say what became of it when there is no answer in time."""
        session = self._session
        address, seconds = session.address, f"{session.patience:g}"
        if self.kept:
            return faults.SendQueued(address=address, seconds=seconds)
        return session.hindrance or faults.SendUnsent(address=address, seconds=seconds)


async def send(session: Session, room: str, text: str, *, action: bool = False) -> dict[str, Any]:
    """Send one message; returns its sequence and time once it is on the server's disk.

    Raises SendQueued when there is no answer in time and the message stays in the profile's queue;
    with every other refusal it is not there.
    """
    key = command_id(wall_clock(), os.urandom(RANDOM_BYTES))
    request = {"op": "send", "room": room, "text": text, "action": action, "key": key.hex()}
    delivery = Delivery(session)
    return await ask(
        session,
        request,
        lambda service: service.send(room, text, action=action, key=key, queued=delivery.queued),
        delivery.late,
        delivery.told,
    )


async def invite(session: Session, uses: int) -> dict[str, Any]:
    """Make an invite link; returns it, and what to know of it."""
    request = {"op": "invite", "uses": uses}
    return await ask(session, request, lambda service: service.invite(uses), session.no_answer)


def read_text(argument: str | None, stream: TextIO) -> str:
    """Return the message to send: the argument, or standard input without its last newline."""
    if argument is not None:
        return argument
    if stream.isatty():
        raise faults.NoTerminal(what="the text", command="lair send ROOM TEXT")
    # As bytes: what is not UTF-8 shall become a message with marks in it, not a traceback.
    data = stream.buffer.read(limits.MESSAGE_BYTES * 2)
    return data.decode("utf-8", "replace").removesuffix("\n")


def report(refusal: Refusal) -> int:
    """Print a refusal and return the exit status."""
    sys.stderr.write(f"{refusal}\n")
    return exit_status(refusal)
