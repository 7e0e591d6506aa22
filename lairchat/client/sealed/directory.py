"""Who is who: reads account logs from the server, and keeps what is believed about each name.

A log is taken only if it goes on from the one that was seen (``People.learn_log``); another identity
under a known name never replaces it, it is noted, and a person decides.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.logger import Logger

from lairchat.client import inputs
from lairchat.features.identities import messages as wire
from lairchat.mls.codec import decode
from lairchat.mls.errors import MalformedError, MLSError
from lairchat.model import limits, refusals
from lairchat.model.names import name_key
from lairchat.model.refusal import Refusal
from lairchat.trust.entry import ENTRIES, StoredLog
from lairchat.trust.errors import ForkError, PinError, RollbackError, TrustError
from lairchat.trust.locks import Cause
from lairchat.trust.log import AccountLog, check_name
from lairchat.trust.pins import Pin, first_sight, sight

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

_CHANGED = (
    "the identity of {name} has changed; often somebody lost the recovery words. Rooms go on without"
    " the new one until somebody adds it. Compare: /verify {name}"
)
_READS_AT_ONCE = 16
"""count: logs that are asked for together; a room's members are many."""


class Person:
    """Somebody as the server names them, and their log as it was verified here."""

    __slots__ = ("log", "name", "user")

    def __init__(self, user: int, name: str, log: AccountLog) -> None:
        self.user = user
        self.name = name
        self.log = log


class Directory:
    """The logs and pins of one device.

    changed: called with the name of whom something else is believed or known about from now on.
    """

    log = Logger()

    def __init__(self, sealed: "Sealed", changed: Callable[[str], None]) -> None:
        self._sealed = sealed
        self._changed = changed
        self._reading: dict[bytes, list[Deferred[None]]] = {}
        self._faults: dict[bytes, Cause] = {}
        self._awaited: dict[bytes, int] = {}

    @property
    def logs(self) -> "dict[bytes, AccountLog]":
        """All logs that are known here, by account id."""
        return dict(self._sealed.opened.people.logs)

    def fault(self, account: bytes) -> Cause | None:
        """Return what is wrong with what the server gives of an account's log."""
        return self._faults.get(account)

    def name_of(self, account: bytes) -> str:
        """Return the name of an account, as its log has it; its beginning in hex if that is unknown."""
        log = self._sealed.opened.people.logs.get(account)
        return account.hex()[:8] if log is None else log.genesis.name

    # -- reading

    async def read(self, account: bytes) -> AccountLog | None:
        """Read an account's log as far as the server gives it; None if what it gives is not taken."""
        waiting = self._reading.get(account)
        if waiting is not None:
            turn: Deferred[None] = Deferred()
            waiting.append(turn)
            await turn
            return self._sealed.opened.people.logs.get(account)
        self._reading[account] = []
        try:
            person = await self._read(wire.ReadLog(account=account))
        finally:
            for one in self._reading.pop(account):
                one.callback(None)
        return None if person is None else person.log

    async def read_all(self, accounts: Collection[bytes]) -> None:
        """Read the logs of many accounts, so many at a time; raises a Refusal."""
        wanted = list(accounts)
        for start in range(0, len(wanted), _READS_AT_ONCE):
            part = wanted[start : start + _READS_AT_ONCE]
            reads = [Deferred.fromCoroutine(self.read(one)) for one in part]
            try:
                await gatherResults(reads, consumeErrors=True)
            except FirstError as first:
                first.subFailure.raiseException()

    async def person(self, name: str) -> Person:
        """Read the log that a name goes by now, and note the identity; raises a Refusal."""
        person = await self._read(wire.ReadLog(name=name))
        if person is None:
            raise refusals.IdentityBad(why="the server gives another history than before")
        try:
            check_name(person.log, name)
        except TrustError as error:
            raise refusals.IdentityBad(why=str(error)) from None
        self.sighted(name, person.log.account)
        return person

    async def _read(self, asked: wire.ReadLog) -> Person | None:
        part: wire.LogPart = await self._sealed.ask(wire.READ, asked)
        account = part.account if asked.account is None else asked.account
        try:
            data = await self._whole(part)
            if StoredLog.decode(data).genesis.content.account != account:
                raise ForkError("the server gives the log of another account")
            log = self._sealed.opened.people.learn_log(data)
        except RollbackError:
            self._fault(account, Cause.LOG_ROLLED_BACK)
            return None
        except ForkError:
            self._fault(account, Cause.LOG_FORKED)
            return None
        except (MLSError, TrustError) as error:
            self.log.info("a log was not taken: {why}", why=str(error))
            return None
        self._cleared(log)
        return Person(part.user, part.name, log)

    def _cleared(self, log: AccountLog) -> None:
        """Take back what was wrong with a log, once it holds what was missing."""
        if log.head.position < self._awaited.get(log.account, 0):
            return
        self._awaited.pop(log.account, None)
        if self._faults.pop(log.account, None) is not None:
            self._changed(log.genesis.name)

    async def _whole(self, part: wire.LogPart) -> bytes:
        """Return a log that comes in parts; raises MalformedError."""
        data = part.data
        while part.more:
            log = StoredLog.decode(data)
            if len(data) > limits.LOG_BYTES or len(log.entries) > limits.LOG_ENTRIES:
                # Nobody has so many: a server could go on like that until our memory is full.
                raise MalformedError("a log without end")
            request = wire.ReadLog(account=part.account, after=len(log.entries))
            part = await self._sealed.ask(wire.READ, request)
            more = decode(ENTRIES, part.data)
            if not more:
                break
            data = replace(log, entries=(*log.entries, *more)).encode()
        return data

    def withheld(self, account: bytes, position: int, *, forked: bool = False) -> None:
        """Note that somebody speaks of entries of their log that the server does not give."""
        self._awaited[account] = max(position, self._awaited.get(account, 0))
        self._fault(account, Cause.LOG_FORKED if forked else Cause.LOG_WITHHELD)

    def _fault(self, account: bytes, cause: Cause) -> None:
        self._faults[account] = cause
        self._changed(self.name_of(account))

    # -- pins

    def pin(self, name: str) -> Pin | None:
        """Return what is believed about a name."""
        return self._sealed.opened.people.pins().get(name_key(name))

    def sighted(self, name: str, account: bytes, link: bytes = b"") -> Pin:
        """Note that the server shows this account under a name; raises a Refusal if a link differs."""
        own = self._sealed.own
        if own is not None and account == own.identity.account:
            return first_sight(name, account)
        before = self.pin(name)
        try:
            after = (
                first_sight(name, account, link) if before is None else sight(before, account, link)
            )
        except PinError as error:
            raise refusals.IdentityBad(why=str(error)) from None
        if after != before:
            self._sealed.opened.people.keep_pin(after)
            self._changed(after.name)
            if after.changed is not None:
                # Where that holds nothing it is said, or nobody would know who is left outside.
                self._sealed.deliver(inputs.Notice(_CHANGED.format(name=after.name)))
        return after

    def keep(self, pin: Pin) -> None:
        """Keep what a person has decided about a name."""
        self._sealed.opened.people.keep_pin(pin)
        self._changed(pin.name)

    async def identity_changed(self, event: wire.IdentityChanged) -> None:
        """Read on in a log that has grown, or look at an identity that somebody has begun anew."""
        if self._sealed.store is None:
            return
        try:
            await self.person(event.name)
        except Refusal as refusal:
            self.log.info("an identity was not read: {code}", code=refusal.code)
        self._changed(name_key(event.name))
