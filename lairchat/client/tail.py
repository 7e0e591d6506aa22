"""``lair tail``: prints what is said in a room, whoever holds the profile meanwhile.

Promises not to know: how the profile is reached.
"""

import json
import select
from time import localtime, strftime
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from lairchat.client import holding
from lairchat.client.holding import Session
from lairchat.model import faults
from lairchat.model.refusal import Refusal, received
from lairchat.model.text import display_safe

#: How often lair tail looks whether somebody still reads what it prints.
LOOK_SECONDS = 1.0


class Printer:
    """Prints events as lines, for people or as JSON, and knows where it stands.

    last: the sequence of the last event that was printed, or is not to be printed.
    closed: nobody reads any more.  fault: why nothing can be printed, where that is no reader's wish.
    """

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._until: list[Deferred[None]] = []
        self.last: int | None = None
        self.closed = False
        self.fault: OSError | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        """Print one event."""
        if self.closed:
            return
        self.last = event["seq"]
        try:
            self._out.write(f"{self._line(event)}\n")
            self._out.flush()
        except OSError as error:
            # Nobody reads any more, or the disk is full: nothing more can be printed.
            self.fault = None if isinstance(error, BrokenPipeError) else error
            self.close()

    def close(self) -> None:
        """Print nothing more: as in "lair tail ROOM | head", what wanted it has had enough."""
        self.closed = True
        until, self._until = self._until, []
        for one in until:
            one.callback(None)

    def look(self) -> None:
        """Close when nobody can read any more what is printed; that is not told by itself."""
        try:
            number = self._out.fileno()
        except (OSError, ValueError):  # no file: a test's
            return
        poll = select.poll()
        poll.register(number, 0)
        if any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
            self.close()

    def _line(self, event: dict[str, Any]) -> str:
        if self._as_json:
            # ASCII only: whoever looks at it with a terminal is as safe as with the other form.
            return json.dumps(event, sort_keys=True)
        when = strftime("%H:%M", localtime(event["at"] / 1000))
        room = display_safe(event["room"]).removeprefix("#")
        who, text = display_safe(event["from"]), display_safe(event["text"])
        if event["kind"] == "text":
            return f"{when} {who} in {room}: {text}"
        if event["kind"] == "action":
            return f"{when} * {who} in {room} {text}"
        return f"{when} -- in {room}: {text}"

    async def until_closed(self) -> None:
        """Wait until nobody reads any more."""
        if not self.closed:
            closed: Deferred[None] = Deferred()
            self._until.append(closed)
            await closed


async def tail(session: Session, room: str, printer: Printer) -> None:
    """Follow a room until it cannot be followed, or nobody reads what is printed.

    When the holder of the profile ends, this process takes over where it stands.
    """
    looking = LoopingCall(printer.look)
    looking.clock = session.reactor
    looking.start(LOOK_SECONDS)
    try:
        await _tail(session, room, printer)
    finally:
        looking.stop()


async def _tail(session: Session, room: str, printer: Printer) -> None:
    while not printer.closed:
        if not await _tail_beside(session, room, printer):
            try:
                service = await session.hold()
            except faults.ProfileLocked:
                await deferLater(session.reactor, holding.TAKING_SECONDS)
                continue
            await session.unless_over(service.tail(room, printer.last, printer))
            await session.unless_over(printer.until_closed())


async def _tail_beside(session: Session, room: str, printer: Printer) -> bool:
    """Follow through the holder until that ends; False when there is no holder."""
    ended: Deferred[Refusal | None] = Deferred()

    def take(answer: dict[str, Any]) -> None:
        if "event" in answer:
            printer(answer["event"])
        elif "ok" in answer and printer.last is None:
            printer.last = answer["ok"]["after"]
        elif "error" in answer and not ended.called:
            ended.callback(received(answer["error"], answer.get("text", "")))

    def lost() -> None:
        if not ended.called:
            ended.callback(None)

    caller = await session.holder(take, lost)
    if caller is None:
        return False
    caller.ask({"op": "tail", "room": room, "after": printer.last})
    Deferred.fromCoroutine(printer.until_closed()).addCallback(lambda _: lost())
    refusal = await ended
    caller.close()
    if refusal is not None:
        raise refusal
    return True
