"""Messages on their way: kept until the server has them on disk, sent in order, never twice.

Promises not to know: the network, files.
"""

from collections.abc import Callable, Iterator
from typing import Any

from lairchat.model import limits
from lairchat.model.ids import command_id, command_time

#: A command id ends with so many random bytes.
RANDOM_BYTES = limits.COMMAND_ID_BYTES - 6
#: How far from the server's clock the time in a command id of another program may be.
CLOCK_TOLERANCE_MS = 15 * 60 * 1000


class Pending:
    """One message: the ticket that the screen knows it by, the command id that the server knows."""

    __slots__ = ("action", "at", "failed", "key", "room", "text", "ticket")

    def __init__(
        self,
        ticket: int,
        room: int,
        text: str,
        key: bytes,
        at: int,
        *,
        action: bool = False,
        failed: str = "",
    ) -> None:
        self.ticket = ticket
        self.room = room
        self.text = text
        self.key = key
        self.at = at
        self.action = action
        self.failed = failed

    def __repr__(self) -> str:
        """Name the ticket, not the text."""
        return f"<Pending {self.ticket} room={self.room}>"


class SendQueue:
    """The queue; ``keep`` is called with its content whenever that changes, before anything leaves.

    A message keeps its command id across reconnects and restarts, so that a repeat is recognised;
    only ``retry`` of a refused one gives it a new id.
    """

    def __init__(
        self,
        keep: Callable[[list[dict[str, Any]]], None],
        now: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._keep = keep
        self._now = now
        self._random = random
        self._items: dict[int, Pending] = {}
        self._restored = False

    def restore(self, kept: list[dict[str, Any]]) -> None:
        """Take over what was queued when the program ended; tickets count down from -1.

        What was queued here before the first profile was known follows it; what belongs to an
        earlier profile stays there.
        """
        early = {} if self._restored else self._items
        self._restored = True
        self._items = {}
        for number, item in enumerate(kept, 1):
            pending = _readable(-number, item)
            if pending is not None:
                self._items[pending.ticket] = pending
        if early:
            self._items.update(early)
            self._save()

    def add(
        self,
        ticket: int,
        room: int,
        text: str,
        *,
        action: bool = False,
        key: bytes | None = None,
    ) -> Pending:
        """Queue a message; it is kept before it is sent.

        key: its command id; made here when not given, or when its time is not the server's.
        """
        now = self._now()
        if key is None:
            key = command_id(now, self._random(RANDOM_BYTES))
        elif abs(command_time(key) - now) > CLOCK_TOLERANCE_MS:
            key = command_id(now, key[-RANDOM_BYTES:])
        # What is no text (a lone surrogate from a command line) would stop the whole queue.
        text = text.encode("utf-8", "replace").decode("utf-8")
        pending = Pending(ticket, room, text, key, now, action=action)
        self._items[ticket] = pending
        self._save()
        return pending

    def retry(self, ticket: int) -> None:
        """Queue a refused message again, as a new command, behind the others."""
        pending = self._items.pop(ticket, None)
        if pending is not None:
            pending.failed = ""
            pending.key = command_id(self._now(), self._random(RANDOM_BYTES))
            self._items[ticket] = pending
            self._save()

    def refuse(self, ticket: int, code: str) -> None:
        """Note that the server refused a message for good; it stays until somebody decides."""
        if ticket in self._items:
            self._items[ticket].failed = code
            self._save()

    def remove(self, ticket: int) -> None:
        """Forget a message: acknowledged, or given up."""
        if self._items.pop(ticket, None) is not None:
            self._save()

    def next(self) -> Pending | None:
        """Return the first message that still has to be sent."""
        return next((item for item in self._items.values() if not item.failed), None)

    def by_key(self, key: bytes) -> Pending | None:
        """Return the message with this command id, whatever time that has been given."""
        wanted = key[-RANDOM_BYTES:]
        return next((item for item in self._items.values() if item.key.endswith(wanted)), None)

    def __iter__(self) -> Iterator[Pending]:
        """Iterate in the order in which they will be sent."""
        return iter(list(self._items.values()))

    def __len__(self) -> int:
        """Count them."""
        return len(self._items)

    def _save(self) -> None:
        self._keep(
            [
                {
                    "room": item.room,
                    "text": item.text,
                    "key": item.key.hex(),
                    "at": item.at,
                    "action": item.action,
                    "failed": item.failed,
                }
                for item in self._items.values()
            ]
        )


def _readable(ticket: int, item: dict[str, Any]) -> Pending | None:
    """Return a kept message, or None for what cannot have been written by this program."""
    try:
        pending = Pending(
            ticket,
            int(item["room"]),
            str(item["text"]),
            bytes.fromhex(item["key"]),
            int(item["at"]),
            action=bool(item.get("action")),
            failed=str(item.get("failed", "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return pending if len(pending.key) == limits.COMMAND_ID_BYTES else None
