"""Follows the logs of encrypted rooms: each event opened, kept, and shown, in order and once.

What an event needs first (an account's log, a large commit) is fetched before the next one is looked
at; if it cannot be, the rest waits and is read again.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.e2ee.room import (
    Advanced,
    Behind,
    BodyNeededError,
    Claim,
    Event,
    Halted,
    Happening,
    Opened,
    Out,
    Own,
    Room,
    Unreadable,
)
from lairchat.features.messages import messages as wire
from lairchat.mls.errors import InvalidError, MLSError
from lairchat.mls.messages import PrivateMessage, decode_message
from lairchat.model import faults, refusals
from lairchat.model.events import EventClass
from lairchat.model.refusal import Refusal
from lairchat.trust.errors import LogNeededError
from lairchat.trust.structure import Change

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

RETRY_SECONDS = 5.0
"""seconds: until a room is read on again that could not be; twice as long after each further time."""
RETRY_SECONDS_MAX = 60.0
GIVEN_SECONDS = 10.0
"""seconds: within which the server gives what it says that a room's log has."""
_CANNOT = (
    "the server does not give what this room's log says was said or changed here; it is asked again."
    " If that stays, ask the operator"
)
_TOMBSTONE = "tombstone"
_CLASSES = {
    "app": EventClass.APP,
    "commit": EventClass.COMMIT,
    "proposal": EventClass.PROPOSAL,
    "hint": EventClass.TOMBSTONE,
    "state": EventClass.STATE,
}


def event_of(event: wire.LogEvent, content: bytes | None = None) -> Event | None:
    """Return an event of the log as rooms take it; None for a class that is not known here."""
    purged = event.kind == _TOMBSTONE
    kind = _CLASSES.get(event.was if purged else event.kind)
    if kind is None:
        return None
    if purged:
        return Event(event.seq, kind, event.user, None, event.digest)
    return Event.of(event.seq, kind, event.user, event.body, content)


def staying(before: Room, change: Change) -> set[bytes]:
    """Return the accounts that have a device in a room after a change, of those that had one."""
    gone = {one.identity for one in change.removed}
    return {one.account for one in before.members if one not in gone}


class Following:
    """One encrypted room: what has come of its log and is not worked through yet.

    trouble: what keeps the room from going on, for its lock; empty while nothing does.
    """

    log = Logger()

    def __init__(self, sealed: "Sealed", number: int) -> None:
        self._sealed = sealed
        self.number = number
        self._events: deque[wire.LogEvent] = deque()
        self._working = False
        self._failed = 0
        self._waiting: list[tuple[Callable[[], bool], Deferred[bool]]] = []
        self.trouble = ""

    @property
    def state(self) -> Room | None:
        """The room as it is kept; None if this device is not in it."""
        store = self._sealed.store
        return None if store is None else store.room(self.number)

    @property
    def idle(self) -> bool:
        """Whether all that has come has been worked through."""
        return not self._events and not self._working

    def take(self, event: wire.LogEvent) -> None:
        """Take the next event of the log."""
        self._events.append(event)
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._work()).addErrback(self._stuck)

    async def until(self, done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait until something holds, asked after each event; False if it does not come about in time.

        Raises NetLost if the connection goes.
        """
        if done():
            return True
        if not self._sealed.link.online:
            raise faults.NetLost(address=self._sealed.link.target.host)
        waiting: Deferred[bool] = Deferred()
        one = done, waiting
        self._waiting.append(one)
        if seconds is not None:
            self._sealed.later(seconds, self._too_long, one)
        return await waiting

    async def reach(self, seq: int) -> bool:
        """Wait until the room has been followed to a place; if it is not given, the lock says so a while."""

        def there() -> bool:
            state = self.state
            return state is None or state.followed.seq >= seq

        if await self.until(there, GIVEN_SECONDS):
            return True
        self.say(_CANNOT)
        self._sealed.later(RETRY_SECONDS, self._again)
        return False

    def _again(self) -> None:
        self.say("")
        self._sealed.sending.wake(self.number)

    def _too_long(self, one: tuple[Callable[[], bool], "Deferred[bool]"]) -> None:
        if one in self._waiting:
            self._waiting.remove(one)
            one[1].callback(one[0]())

    def say(self, trouble: str) -> None:
        """Have the lock say what keeps the room from going on; empty: nothing any more."""
        if trouble != self.trouble:
            self.trouble = trouble
            self._sealed.relabel(self.number)

    def lost(self) -> None:
        """Forget what has come: the connection is gone, and it is read again from where we stand."""
        self._events.clear()
        self._failed, self.trouble = 0, ""
        waiting, self._waiting = self._waiting, []
        for _, one in waiting:
            one.errback(faults.NetLost(address=self._sealed.link.target.host))

    def _told(self) -> None:
        for one in [one for one in self._waiting if one[0]()]:
            if one in self._waiting:
                self._waiting.remove(one)
                one[1].callback(True)

    # -- working through

    async def _work(self) -> None:
        try:
            while self._events:
                event = self._events[0]
                await self._follow(event)
                if self._events and self._events[0] is event:
                    self._events.popleft()
                self._failed = 0
                self.say("")
                self._told()
        finally:
            self._working = False
        self._told()
        self._sealed.settled(self.number)

    def _stuck(self, failure: Failure) -> None:
        """Read on later what cannot be read now."""
        refusal = failure.value
        self._events.clear()
        if isinstance(refusal, faults.NetLost):
            return
        if not isinstance(refusal, Refusal):
            self.log.failure("an encrypted room could not be followed", failure)
            if not self._failed:
                self._sealed.tell_fault(self.number)
        wait = refusal.retry_after if isinstance(refusal, Refusal) else None
        wait = max(wait or 0.0, min(RETRY_SECONDS * 2**self._failed, RETRY_SECONDS_MAX))
        self._failed += 1
        if self._failed > 1:
            self.say(_CANNOT)
        self._sealed.later(wait, self._sealed.reread, self.number)
        # What waited for the end of this is told now why nothing leaves, not once it can be read.
        self._told()

    async def _follow(self, logged: wire.LogEvent) -> None:
        """Work one event through; raises a Refusal if something it needs cannot be had now."""
        state = self.state
        event = event_of(logged)
        if state is None:
            if event is not None and event.kind == EventClass.COMMIT:
                self._sealed.entering.changed(self.number)
            return
        if logged.seq <= state.followed.seq:
            return
        if event is None or logged.seq != state.followed.seq + 1:
            raise refusals.Internal(incident="log")
        self._sealed.names.note(logged.user, logged.name)
        store = self._sealed.opened
        mine = store.sealed_here(self.number, event.digest)
        if mine is not None:
            changed = store.follow_own(state.sent_by_self(event, self._now()), event, mine)
            self._sealed.show.own(self.number, logged, mine, changed)
            return
        after, happening, event = await self._receive(event)
        # What was to be said there goes with the keys: who typed it is told.
        unsaid = store.outbox(self.number) if isinstance(happening, Out) else []
        try:
            came = self._sealed.codes.newcomers(state, happening)
            changed = store.follow(after, event, happening, came)
        except InvalidError:
            # At a place that was followed before stands something else than then.
            self._sealed.suspect(self.number)
            raise refusals.Internal(incident="fork") from None
        if isinstance(happening, Opened):
            self._sealed.show.opened(self.number, logged, happening, changed)
            self._claims(happening)
        else:
            self._happened(logged, happening, state)
            self._sealed.sending.ended(unsaid)

    async def _receive(self, event: Event) -> tuple[Room, Happening, Event]:
        """Return what an event does, once all that it needs is here."""
        asked: set[bytes] = set()
        while True:
            state = self.state
            assert state is not None
            store = self._sealed.opened
            try:
                room, happening = state.receive(
                    event,
                    store.people.logs,
                    self._now(),
                    repeats=store.repeats(self.number),
                    hash_at=store.hash_at(self.number),
                    asked=asked,
                )
            except LogNeededError as needed:
                if needed.account in asked:
                    # A commit that nobody can judge without: the server hides what it refers to.
                    self._sealed.directory.withheld(needed.account, needed.position)
                    raise refusals.GroupLog(position=needed.position) from None
                await self._sealed.directory.read(needed.account)
                asked.add(needed.account)
            except BodyNeededError as needed:
                content = await self._sealed.transfer.commit(self.number, needed)
                event = Event(
                    event.seq, event.kind, event.sender, event.body, event.digest, content
                )
            except ValueError as error:
                # Not what stood there when its place in the chain was made.
                self.log.info("an event could not be taken: {why}", why=str(error))
                raise refusals.Internal(incident="log") from None
            else:
                return room, happening, event

    def _claims(self, opened: Opened) -> None:
        account = opened.said.author
        if opened.claim is Claim.KNOWN:
            return
        position = opened.payload.log.position
        self._sealed.directory.withheld(account, position, forked=opened.claim is Claim.FORKED)

    def _happened(self, logged: wire.LogEvent, happening: Happening, before: Room) -> None:
        match happening:
            case Own(change) | Advanced(change):
                if isinstance(happening, Own) and before.pending is not None:
                    self._sealed.commits.won(self.number, before.pending.digest)
                if change is not None:
                    self._changed(logged, change, before)
                if isinstance(happening, Advanced):
                    self._sealed.check_info(self.number)
            case Out(change):
                self._sealed.show.changed(self.number, logged, change, staying(before, change))
                self._sealed.removed(self.number, change)
                if change.committer.account == before.own.account and not change.rejoined:
                    # One of ours that had not heard this one for long; now it is here.
                    self._sealed.entering.changed(self.number)
            case Halted():
                self._sealed.show.passed(self.number, logged)
                self._sealed.relabel(self.number)
            case Behind():
                self._sealed.show.passed(self.number, logged)
                self._sealed.come_back(self.number)
            case Unreadable() if self._is_ahead(logged):
                # No honest server gives a message of an epoch before the commit that begins it.
                self._sealed.show.passed(self.number, logged)
                self._sealed.suspect(self.number)
            case _:
                self._sealed.show.passed(self.number, logged)

    def _is_ahead(self, logged: wire.LogEvent) -> bool:
        """Tell whether an event is a message of an epoch that this device has not come to."""
        state = self.state
        try:
            message = decode_message(logged.body)
        except MLSError:
            return False
        return (
            state is not None
            and isinstance(message, PrivateMessage)
            and message.group_id == state.group.context.group_id
            and message.epoch > state.group.context.epoch
        )

    def _changed(self, logged: wire.LogEvent, change: Change, before: Room) -> None:
        if change.added or change.rejoined:
            self._sealed.titles.newcomers(self.number, logged.seq, change)
            self._sealed.invitations.came(self.number, {one.account for one in change.added})
        if change.removed:
            self._sealed.newcomers.gone(self.number)
        self._sealed.show.changed(self.number, logged, change, staying(before, change))
        self._sealed.relabel(self.number)

    def _now(self) -> int:
        return self._sealed.now()
