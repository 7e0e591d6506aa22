"""This device's inbox: welcomes, what lets it into rooms, and the notes of linking and verifying."""

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.features.inbox import messages as wire
from lairchat.model import faults
from lairchat.model.refusal import Refusal

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed


class Mailbox:
    """Works through the inbox, entry by entry and each once."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._reading = False
        self._again = False
        self._waiting: list[Deferred[None]] = []

    def wake(self) -> None:
        """Read what is new."""
        if self._reading:
            self._again = True
            return
        self._reading = True
        Deferred.fromCoroutine(self._read()).addErrback(self._stopped).addBoth(self._rested)

    def _rested(self, _: object) -> None:
        self._reading = False
        if self._again:
            self._again = False
            self.wake()
            return
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    async def through(self) -> None:
        """Wait until what is there has been worked through, or cannot be for now."""
        if self._reading:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting

    def _stopped(self, failure: Failure) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("the inbox could not be read", failure)
        if not isinstance(refusal, faults.NetLost):
            wait = refusal.retry_after if isinstance(refusal, Refusal) else None
            self._sealed.later(wait or 10.0, self.wake)

    async def _read(self) -> None:
        more = True
        while more and self._sealed.ready:
            keys = self._sealed.opened.keys
            page: wire.InboxPage = await self._sealed.ask(wire.READ, wire.ReadInbox(keys.inbox))
            admissions = [entry.body for entry in page.entries if entry.kind == "admit"]
            for entry in page.entries:
                await self._take(entry, admissions)
                keys.pass_inbox(entry.seq)
            if page.entries:
                await self._sealed.ask(wire.ACK, wire.AckInbox(page.entries[-1].seq))
            more = page.more and bool(page.entries)

    async def _take(self, entry: wire.InboxEntry, admissions: list[bytes]) -> None:
        if entry.seq <= self._sealed.opened.keys.inbox:
            return
        match entry.kind:
            case "welcome":
                await self._sealed.entering.welcomed(entry, admissions)
            case "link" if await self._sealed.backup.handing.noted(entry.body):
                pass
            case "verify" | "link":
                await self._sealed.comparing.noted(entry)
            case "admit":
                # Looked at together with the welcome that came before it.
                self.log.debug("an admission")
