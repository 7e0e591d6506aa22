"""Sends what is queued, one message at a time and in order, and says what became of each.

Promises not to know: the screen, files, sockets.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import catalog, inputs
from lairchat.client.sendqueue import Pending, SendQueue
from lairchat.features.messages import messages as wire
from lairchat.model import faults
from lairchat.model.refusal import Refusal

if TYPE_CHECKING:
    from lairchat.client.link import Link

Told = Callable[["wire.Sent | Refusal"], None]

#: Tickets of other programs' messages: far below those of a restored queue, and never the core's.
_FOREIGN = -1_000_000_000
#: How many of our command ids are remembered, to know our own messages again in a room's log.
_SENT_KEPT = 4_096


class Outgoing:
    """The link's queue, and what is under way."""

    log = Logger()

    def __init__(self, link: "Link") -> None:
        self._link = link
        self.queue = SendQueue(self._keep, link.server_now, link.random)
        self._sent: dict[bytes, int] = {}
        self._told: dict[int, list[Told]] = {}
        self._foreign = _FOREIGN
        self._sending = False
        self._held: IDelayedCall | None = None
        self._shown = False
        self._unkept = False

    # -- the queue

    def send(self, ticket: int, room: int, text: str, *, action: bool = False) -> None:
        """Queue a message of the core's, and send it when it is its turn."""
        self.queue.add(ticket, room, text, action=action)
        self._next()

    def submit(
        self, room: int, text: str, told: Told, *, action: bool = False, key: bytes | None = None
    ) -> None:
        """Queue a message of another program; ``told`` says what became of it.

        key: the command id that the program chose; a message that has it is not queued again.
        """
        pending = self.queue.by_key(key) if key is not None else None
        if pending is None:
            self._foreign -= 1
            pending = self.queue.add(self._foreign, room, text, action=action, key=key)
        elif pending.failed:
            self.queue.retry(pending.ticket)
        self._told.setdefault(pending.ticket, []).append(told)
        self._next()

    def retry(self, ticket: int) -> None:
        """Send a refused message again, as a new command."""
        self.queue.retry(ticket)
        self._next()

    def discard(self, ticket: int) -> None:
        """Forget a message."""
        self.queue.remove(ticket)

    def restore(self, kept: list[dict[str, Any]]) -> None:
        """Begin with another profile's queue: what was in this one belongs to another account."""
        self.queue.restore(kept)
        self._told.clear()
        self._sent.clear()
        self._shown = False

    def _keep(self, items: list[dict[str, Any]]) -> None:
        profile = self._link.profile
        if profile is None:
            return
        try:
            profile.keep_outbox(items)
        except Refusal as refusal:
            # A full disk: they are sent all the same, but would not survive the end of this program.
            if not self._unkept:
                self._link.deliver(inputs.Notice(refusal.text, refusal.code))
            self._unkept = True
        else:
            self._unkept = False

    @property
    def kept(self) -> bool:
        """Whether what is queued is on disk, so that it goes out though this program ends."""
        return self._link.profile is not None and not self._unkept

    # -- life

    def online(self) -> None:
        """Show what an earlier run left behind, and send."""
        if not self._shown:
            self._shown = True
            left = tuple(_item(one) for one in self.queue if _FOREIGN < one.ticket < 0)
            if left:
                self._link.deliver(inputs.OutboxRestored(left))
        self._next()

    def rest(self) -> None:
        """Send nothing more: the program ends."""
        if self._held is not None and self._held.active():
            self._held.cancel()

    def ticket_of(self, key: bytes) -> int:
        """Return the ticket of our message with this command id, or 0."""
        return self._sent.get(key, 0)

    # -- sending

    def _next(self) -> None:
        """Send the first of the queue; one at a time, so that their order is kept whatever happens."""
        held = self._held is not None and self._held.active()
        if self._sending or held or not self._link.online:
            return
        pending = self.queue.next()
        if pending is not None:
            self._sending = True
            sending = Deferred.fromCoroutine(self._send(pending))
            sending.addErrback(self._unexpected, pending)

    async def _send(self, pending: Pending) -> None:
        # Again: what was kept from an earlier run may be for a room that the server speaks of otherwise.
        why = self._link.sealed.why_not_clear(pending.room)
        if why is not None:
            self._sending = False
            self._refuse(pending, why)
            self._next()
            return
        self._remember(pending)
        body = catalog.encode_text(pending.text, action=pending.action)
        try:
            sent: wire.Sent = await self._link.ask(
                wire.SEND, wire.Send(pending.room, body), pending.key
            )
        except Refusal as refusal:
            self._sending = False
            self._not_sent(pending, refusal)
            return
        self._sending = False
        self.queue.remove(pending.ticket)
        self._acknowledge(pending, sent, body)
        self._next()

    def _remember(self, pending: Pending) -> None:
        self._sent[pending.key] = pending.ticket
        while len(self._sent) > _SENT_KEPT:
            del self._sent[next(iter(self._sent))]

    def _acknowledge(self, pending: Pending, sent: wire.Sent, body: bytes) -> None:
        link = self._link
        event = wire.LogEvent(
            room=pending.room,
            seq=sent.seq,
            at=sent.at,
            user=0,
            name=link.rooms.name,
            device=0,
            kind="app",
            id=pending.key,
            body=body,
        )
        if pending.ticket > _FOREIGN:
            link.deliver(inputs.SendAcknowledged(pending.ticket, sent.seq, sent.at))
            link.rooms.acknowledged(event)
        else:
            # Another program's message: for this screen it arrives like anybody's.
            link.rooms.event(event)
        for told in self._told.pop(pending.ticket, ()):
            told(sent)

    def _not_sent(self, pending: Pending, refusal: Refusal) -> None:
        link = self._link
        if link.connection is None or not link.connection.connected:
            return  # it stays queued and goes out, with the same id, on the next connection
        if refusal.retry_after is not None:
            if pending.ticket > _FOREIGN:
                link.deliver(
                    inputs.SendRefused(
                        pending.ticket, refusal.code, refusal.text, refusal.retry_after
                    )
                )
            if not link.stopped:
                self._held = link.reactor.callLater(refusal.retry_after, self._next)
            return
        self._refuse(pending, refusal)
        self._next()

    def _refuse(self, pending: Pending, refusal: Refusal) -> None:
        if pending.ticket > _FOREIGN:
            self.queue.refuse(pending.ticket, refusal.code)
            self._link.deliver(inputs.SendRefused(pending.ticket, refusal.code, refusal.text))
        else:
            self.queue.remove(pending.ticket)
        for told in self._told.pop(pending.ticket, ()):
            told(refusal)

    def _unexpected(self, failure: Failure, pending: Pending) -> None:
        """Put a message aside that cannot be sent for a reason of ours; the others go on."""
        self.log.failure("a message could not be sent", failure)
        self._sending = False
        self._refuse(pending, faults.ClientBroken())
        self._next()


def _item(pending: Pending) -> inputs.OutboxItem:
    return inputs.OutboxItem(
        pending.ticket, pending.room, pending.text, pending.at, pending.action, pending.failed
    )
