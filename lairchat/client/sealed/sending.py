"""Messages of ours for encrypted rooms: kept sealed in the store from the moment they are typed.

They leave one at a time in each room.  What was typed for other members than there are now, or under a
better lock, is not sent: its writer is asked.
A message that was sealed keeps its bytes until the server has taken or refused them; after a lost
connection the room is read to its end first, which shows whether it stands there.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.client.store_outbox import Letter, State
from lairchat.e2ee.payload import Known, RoomState, Target, Text
from lairchat.e2ee.room import ID_BYTES
from lairchat.features.messages import messages as wire
from lairchat.model import faults, refusals
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal
from lairchat.trust.locks import Lock, still_meant

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

Told = Callable[["wire.Sent | Refusal"], None]
_FOREIGN = -2_000_000_000
"""Tickets of messages that are nobody's on this screen."""
_KEEPS_TRYING = (refusals.EpochStale, refusals.GroupMissing)
QUICK_TRIES = 4
"""count: how often a message is sealed anew at once; then each time after twice as long."""
WAIT_SECONDS_MAX = 60.0
_OUT = faults.RoomHeld(
    why="this device is not in that room any more",
    advice="Nothing is sent there. An invitation leads back in",
)
_ENDED = faults.RoomHeld(
    why="this device has gone out of that room, and what waited there went with its keys",
    advice="Type it again once it is back in: by itself if you are a member still, else by an invitation",
)


class Sending:
    """What is on its way into encrypted rooms."""

    log = Logger()

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed
        self._tickets: dict[bytes, int] = {}
        self._told: dict[bytes, list[Told]] = {}
        self._failed: set[bytes] = set()
        self._confirmed: set[bytes] = set()
        self._busy: set[int] = set()
        self._tried: dict[int, int] = {}
        self._put_off: dict[int, int] = {}
        self._restored = 0
        self._shown = False

    # -- what comes

    def send(
        self,
        ticket: int,
        room: int,
        text: str,
        *,
        action: bool,
        reply: int = 0,
        thread: int = 0,
    ) -> None:
        """Queue a message of the screen's; raises a Refusal if it cannot be kept.

        reply: the place of the message that it answers; 0 for none.
        thread: the place of one that begins the thread it goes into, or stands in it; 0 for none.
        """
        answered = self._sealed.message_at(room, reply).said if reply else None
        target = None if answered is None else Target(answered.author, answered.id)
        root = self._root(room, thread) if thread else None
        self.say(room, Text(text, me=action, thread=root, reply=target), ticket=ticket)

    def _root(self, room: int, place: int) -> Target:
        """Return what begins the thread that a message stands in: itself if it stands in none."""
        said = self._sealed.message_at(room, place).said
        if isinstance(said.body, Text) and said.body.thread is not None:
            # It need not be here.
            return said.body.thread
        return Target(said.author, said.id)

    def submit(self, room: int, text: str, told: Told, *, action: bool, key: bytes | None) -> None:
        """Queue a message of another program; a repeat by its key is not queued again."""
        message = None if key is None else key[-ID_BYTES:].rjust(ID_BYTES, b"\0")
        if message is not None and message in self._known():
            self._told.setdefault(message, []).append(told)
        else:
            self.say(room, Text(text, me=action), told=told, message=message)
        self.wake(room)

    def _known(self) -> set[bytes]:
        return {letter.id for letter in self._sealed.require_store().outbox()}

    def say(
        self,
        room: int,
        body: Known,
        *,
        ticket: int = 0,
        told: Told | None = None,
        message: bytes | None = None,
    ) -> bytes:
        """Queue anything that members say; returns its id."""
        store = self._sealed.require_store()
        letter = Letter(
            room,
            message or self._sealed.random(ID_BYTES),
            body,
            self._sealed.now(),
            self._sealed.labels.audience(room),
            store.marks.timer(room),
        )
        store.queue(letter)
        if ticket:
            self._tickets[letter.id] = ticket
        if told is not None:
            self._told.setdefault(letter.id, []).append(told)
        self.wake(room)
        return letter.id

    def ticket_of(self, message: bytes) -> int:
        """Return the ticket of a message, 0 if it has none."""
        return self._tickets.get(message, 0)

    def _message_of(self, ticket: int) -> bytes | None:
        return next((one for one, found in self._tickets.items() if found == ticket), None)

    def owns(self, ticket: int) -> bool:
        """Tell whether a ticket is of a message in here."""
        return self._message_of(ticket) is not None

    def retry(self, ticket: int) -> None:
        """Send a message after all, to those who are there now: its writer wants that."""
        message = self._message_of(ticket)
        if message is None:
            return
        letter = next((one for one in self._sealed.opened.outbox() if one.id == message), None)
        if letter is None:
            # Its room has ended here, and took it along.
            self._sealed.deliver(inputs.SendRefused(ticket, _ENDED.code, _ENDED.text))
            return
        self._failed.discard(message)
        self._confirmed.add(message)
        self.wake(letter.room)

    def discard(self, ticket: int) -> None:
        """Forget a message; of one that was sealed, which others count, the number is sent."""
        message = self._message_of(ticket)
        if message is None:
            return
        store = self._sealed.opened
        room = next((one.room for one in store.outbox() if one.id == message), 0)
        self._failed.discard(message)
        del self._tickets[message]
        if not store.take_back(message) and store.blank(message):
            # Nothing of it is left; its number has to come, whoever is there.
            self._confirmed.add(message)
            self.wake(room)

    # -- life

    def online(self) -> None:
        """Show what an earlier run left behind, and send it on."""
        letters = self._sealed.opened.outbox()
        if not self._shown:
            self._shown = True
            self._show(letters)
        for room in {letter.room for letter in letters}:
            self.wake(room)

    def _show(self, letters: Iterable[Letter]) -> None:
        """Show what nobody on this screen has typed since it began."""
        items = []
        for letter in letters:
            known = letter.id in self._tickets or letter.id in self._told
            if isinstance(letter.body, Text) and not known:
                self._restored += 1
                self._tickets[letter.id] = -_RESTORED - self._restored
                items.append(self._item(letter))
        if items:
            self._sealed.deliver(inputs.OutboxRestored(tuple(items)))

    def _item(self, letter: Letter) -> inputs.OutboxItem:
        assert isinstance(letter.body, Text)
        show, room, body = self._sealed.show, letter.room, letter.body
        return inputs.OutboxItem(
            self._tickets[letter.id],
            room,
            body.text,
            letter.at,
            body.me,
            reply=show.answered(room, body),
            thread=show.thread(room, body),
        )

    def wake(self, room: int) -> None:
        """Send what waits in a room, if it can be sent now."""
        if room in self._busy or not self._sealed.ready:
            return
        self._busy.add(room)
        pumping = Deferred.fromCoroutine(self._pump(room))
        pumping.addErrback(self._stopped, room)
        pumping.addBoth(lambda _: self._busy.discard(room))

    def _stopped(self, failure: Failure, room: int) -> None:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            self.log.failure("a sealed message could not be sent", failure)
            self._sealed.tell_fault(room)
        elif not isinstance(refusal, faults.NetLost):
            self.log.info("sending waits: {code}", code=refusal.code)
            tried = self._put_off[room] = self._put_off.get(room, 0) + 1
            wait = refusal.retry_after or min(2.0**tried, WAIT_SECONDS_MAX)
            self._sealed.later(wait, self.wake, room)

    # -- sending

    async def _pump(self, room: int) -> None:
        following = self._sealed.following(room)
        await following.until(lambda: following.idle)
        while self._sealed.ready:
            letter = self._next(room)
            if letter is None or not await self._forward(letter):
                return

    def _next(self, room: int) -> Letter | None:
        return next(
            (
                letter
                for letter in self._sealed.opened.outbox(room)
                if letter.state is not State.ACCEPTED and letter.id not in self._failed
            ),
            None,
        )

    async def _forward(self, letter: Letter) -> bool:
        """Bring a message one step on; False if nothing more can be done now."""
        if self._sealed.is_out(letter.room):
            self._fail(letter, _OUT)
            return True
        sealed = letter.sealed
        if letter.state in (State.QUEUED, State.REFUSED):
            found = await self._seal(letter)
            if found is None:
                return letter.id in self._failed
            sealed = found
        assert sealed is not None
        try:
            sent = await self._leave(letter, sealed)
        except _KEEPS_TRYING as refusal:
            self._sealed.opened.refused(letter.id)
            before = self._sealed.position(letter.room)
            await self._sealed.catch_up(letter.room, refusal)
            if self._sealed.position(letter.room) == before:
                self._hold_back(letter)
            return True
        except faults.NetLost:
            raise
        except Refusal as refusal:
            if refusal.retry_after is not None:
                self._wait(letter, refusal)
                raise
            self._sealed.opened.refused(letter.id)
            self._fail(letter, refusal)
            return True
        self._taken(letter, sent, sealed)
        return True

    def _hold_back(self, letter: Letter) -> None:
        """Count a refusal that nothing in the log explains; raises EpochStale if they are too many.

        A server that says so for ever would have us seal for ever.
        """
        tried = self._tried[letter.room] = self._tried.get(letter.room, 0) + 1
        if tried > QUICK_TRIES:
            wait = min(2.0 ** (tried - QUICK_TRIES), WAIT_SECONDS_MAX)
            stale = refusals.EpochStale(epoch=0, retry_after=wait)
            self._wait(letter, stale)
            raise stale

    async def _seal(self, letter: Letter) -> bytes | None:
        """Seal a message and keep that; None if it may not leave now."""
        room = letter.room
        now = self._sealed.labels.audience(room)
        if now.lock is Lock.WAITING:
            await self._sealed.waiting.fetch(room)
            now = self._sealed.labels.audience(room)
            if now.lock is Lock.WAITING:
                return None
        confirmed = letter.id in self._confirmed and now.lock.sends
        if not confirmed and not still_meant(letter.audience, now):
            self._fail(letter, self._why_not(room))
            return None
        store = self._sealed.opened
        state = store.room(room)
        if state is None:
            return None
        unclean = store.is_unclean(room)
        due = state.due(self._sealed.now(), unclean=unclean)
        if due is not None and due.before_sending:
            await self._sealed.commits.renew(room)
            return await self._seal(letter)
        if state.pending is not None:
            await self._sealed.commits.settle(room)
            return await self._seal(letter)
        log = self._sealed.device.account_log
        message, after = state.seal(
            letter.body,
            letter.id,
            log,
            letter.at,
            self._sealed.random,
            expires=letter.expires,
            again=letter.count,
        )
        store.send(after, letter, message, self._sealed.now())
        return message

    def _why_not(self, room: int) -> Refusal:
        lock, text = self._sealed.labels.of(room)
        if lock is Lock.HELD:
            why, _, advice = text.partition(". ")
            return faults.RoomHeld(why=why, advice=advice)
        return faults.RoomHeld(
            why="others are here by now than when this was typed",
            advice="Look who is here: /names. To send it all the same: select it, then x",
        )

    async def _leave(self, letter: Letter, sealed: bytes) -> wire.Sent:
        link = self._sealed.link
        key = command_id(link.server_now(), self._sealed.random(10))
        sent: wire.Sent = await self._sealed.ask(wire.SEND, wire.Send(letter.room, sealed), key)
        return sent

    def _taken(self, letter: Letter, sent: wire.Sent, sealed: bytes) -> None:
        """Note where a message stands; it comes as an answer instead of an event."""
        self._tried.pop(letter.room, None)
        self._put_off.pop(letter.room, None)
        if sent.seq <= (self._sealed.position(letter.room) or 0) and self._is_kept(letter):
            self._misplaced(letter, sent)
            return
        link, session = self._sealed.link, self._sealed.session
        ticket = self.ticket_of(letter.id)
        if ticket:
            link.deliver(inputs.SendAcknowledged(ticket, sent.seq, sent.at))
        event = wire.LogEvent(
            room=letter.room,
            seq=sent.seq,
            at=sent.at,
            user=session.user,
            name=link.rooms.name,
            device=session.device,
            kind="app",
            id=bytes(16),
            body=sealed,
        )
        link.rooms.acknowledged(event)
        if (self._sealed.position(letter.room) or 0) < sent.seq:
            # Something before it has to be read first; until then it is known to be on its way only.
            self._sealed.opened.accepted(letter.id, sent.seq)
        for told in self._told.pop(letter.id, ()):
            told(sent)

    def _is_kept(self, letter: Letter) -> bool:
        return any(one.id == letter.id for one in self._sealed.opened.outbox(letter.room))

    def _misplaced(self, letter: Letter, sent: wire.Sent) -> None:
        """Hold a room in which a message is said to stand where something else was followed.

        A server that throws it away says so; the message is not sent again and again.
        """
        self._sealed.opened.accepted(letter.id, sent.seq)
        self._sealed.suspect(letter.room)
        self._fail(letter, self._why_not(letter.room))

    def stands(self, message: bytes, event: wire.LogEvent) -> None:
        """Note that a message stands in the log, whatever became of the answer."""
        self._confirmed.discard(message)
        for told in self._told.pop(message, ()):
            told(wire.Sent(event.seq, event.at))

    def ended(self, letters: Iterable[Letter]) -> None:
        """Tell that messages are not sent, and cannot be: this device has gone out of their room."""
        unsaid = tuple(letters)
        self._show(unsaid)
        for letter in unsaid:
            self._fail(letter, _ENDED)

    def _wait(self, letter: Letter, refusal: Refusal) -> None:
        ticket = self.ticket_of(letter.id)
        if ticket:
            self._sealed.deliver(
                inputs.SendRefused(ticket, refusal.code, refusal.text, refusal.retry_after)
            )

    def _fail(self, letter: Letter, refusal: Refusal) -> None:
        self._failed.add(letter.id)
        ticket = self.ticket_of(letter.id)
        if ticket:
            self._sealed.deliver(inputs.SendRefused(ticket, refusal.code, refusal.text))
        elif isinstance(letter.body, RoomState):
            self._sealed.deliver(inputs.Notice(refusal.text, refusal.code))
        for told in self._told.pop(letter.id, ()):
            told(refusal)


_RESTORED = 1_000_000
"""Tickets of messages from an earlier run count down from here, below those of plain rooms."""
