"""Answers the commands of messages; ``send`` is the hot path of the whole server.

A send is not a function of its own in the writer but a :class:`SendUnit`: the sends that queue up
while the last transaction runs are checked, appended and answered together, in a fixed number of
statements.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, cast

from sqlalchemy.engine import Connection
from twisted.python.failure import Failure

from lairchat.core.bodies import PAGE_BYTES, encode_frame, fit, read_inside, size_of
from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Done, Read, Submit, Write
from lairchat.features.accounts import tables as accounts
from lairchat.features.messages import messages, rules
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.model import limits, refusals
from lairchat.model.events import EventClass
from lairchat.model.ids import RoomId, SessionId, UserId
from lairchat.model.permissions import RoomAction
from lairchat.model.refusal import Refusal
from lairchat.storage import log
from lairchat.storage.log import Answer, Entry, Stored, Unread
from lairchat.storage.writer import Unit
from lairchat.wire.contract import Overlap
from lairchat.wire.objects import FromServer

APP: Final = int(EventClass.APP)
APP_WORD: Final = rules.KIND_WORDS[EventClass.APP]

ANSWER_SLACK: Final = 60_000
"""ms: answers are kept this much longer than their ids are accepted, for what waits in the queue."""

SWEEP: Final = 1_000
"""Answers forgotten in one transaction; a few ms."""

GAP_ROOMS: Final = 5_000
"""Rooms that one gap event names: nine bytes each at most, so that it fits a frame."""

SYNC_EVENT_BYTES: Final = 64
"""bytes: an event is larger than this, so that no more are read than may fit the answer."""


# -- sending


class MessageFrame(FromServer, tag="event", frozen=True):
    """The frame of a message event, encoded in one go; its bytes are those of an EventFrame."""

    name: str
    body: messages.LogEvent


class SentFrame(FromServer, tag="ok", frozen=True):
    """The frame of a send's answer, encoded in one go; its bytes are those of an Ok."""

    id: int
    body: messages.Sent


def send(call: Call, request: messages.Send) -> Submit:
    """Append a message to a room; what it says is looked at here, who may say it in the writer."""
    if request.body[0] == rules.SEALED:
        assert call.key is not None
        return Submit(SealedUnit(call, RoomId(request.room), request.body, call.key))
    text = read_inside(messages.Text, request.body)
    rules.check_text(text.text)
    assert call.key is not None
    return Submit(SendUnit(call, RoomId(request.room), request.body, call.key))


class SendUnit(Unit):
    """One message on its way into the log, and its sender's answer."""

    __slots__ = ("at", "body", "call", "fresh", "key", "refusal", "room", "sender", "seq", "size")

    def __init__(self, call: Call, room: RoomId, body: bytes, key: bytes) -> None:
        self.call = call
        self.sender = call.session
        self.room = room
        self.body = body
        self.key = key
        self.size = len(body) + 256
        self.reset()

    def reset(self) -> None:
        """Be a new message again, of the time when it came."""
        self.at = self.call.now
        self.seq = 0
        self.fresh = True
        self.refusal: Refusal | None = None

    @staticmethod
    def family(connection: Connection, units: Sequence[Unit]) -> None:
        """Run neighbouring sends at once."""
        send_set(connection, cast("Sequence[SendUnit]", units))

    def repeats(self, seq: int, at: int) -> None:
        """Answer as the first send with this id was answered; nobody hears of it again."""
        self.seq, self.at, self.fresh = seq, at, False

    def finish(self, error: BaseException | None) -> None:
        """Answer the sender, and let the room hear what is new; both in the order of the room."""
        call = self.call
        peer = call.peer
        if error is not None:
            peer.push(call.kernel.explain(call.id, messages.SEND.name, Failure(error)))
        else:
            answer = encode_frame(SentFrame(call.id, messages.Sent(self.seq, self.at)))
            if self.fresh:
                call.kernel.measures.message(len(self.body))
                call.kernel.hub.publish(self.room, self.frame(), peer, answer)
            else:
                peer.push(answer)
        peer.ended(Overlap.WRITE)

    def frame(self) -> bytes:
        """Encode the event, once for all who hear it."""
        sender = self.sender
        event = messages.LogEvent(
            self.room,
            self.seq,
            self.at,
            sender.user,
            sender.name,
            sender.device,
            APP_WORD,
            self.key,
            self.body,
        )
        return encode_frame(MessageFrame(messages.MESSAGE.name, event))


class SealedUnit(SendUnit):
    """A message that the server cannot read, on its way into the log of an encrypted room."""

    __slots__ = ()

    @staticmethod
    def family(connection: Connection, units: Sequence[Unit]) -> None:
        """Run neighbouring sends at once; each is judged by itself."""
        send_set(connection, cast("Sequence[SendUnit]", units), _sealable)


def _sealable(connection: Connection, units: Sequence[SendUnit]) -> Sequence[SendUnit]:
    """Refuse what is no message of its room's group, or not the sender's to send; return the others."""
    others = []
    for unit in units:
        try:
            unit.call.kernel.sealing(connection, unit.sender, unit.room, unit.body)
        except Refusal as refusal:
            unit.refusal = refusal
        else:
            others.append(unit)
    return others


def send_set(
    connection: Connection,
    units: Sequence[SendUnit],
    permitted: Callable[[Connection, Sequence[SendUnit]], Sequence[SendUnit]] | None = None,
) -> None:
    """Append the messages of many senders: five statements, whatever their number.

    permitted: refuses some of them and returns the others; None: by the rules of plain rooms.

    A repeat is recognised before anything else is judged, so that an answer once given is given
    again, also to somebody who has left since.  Refusals are not kept: what was refused may be
    tried again with the same id.
    """
    keys = [(unit.sender.device, unit.key) for unit in units]
    answers = log.find_answers(connection, keys)
    if answers:
        units = _unanswered(connection, units, answers)
    units = (permitted or _permitted)(connection, units)
    copies: list[tuple[SendUnit, SendUnit]] = []
    if len(set(keys)) < len(keys):
        units, copies = _without_copies(units)
    if units:
        _append(connection, units)
    for copy, first in copies:
        copy.repeats(first.seq, first.at)


def _append(connection: Connection, units: Sequence[SendUnit]) -> None:
    entries = [
        Entry(unit.room, unit.sender.user, unit.sender.device, APP, unit.key, unit.body, unit.at)
        for unit in units
    ]
    seqs = log.append(connection, entries)
    for unit, seq in zip(units, seqs, strict=True):
        unit.seq = seq
    # No body: that the answer is a message's says the room.
    log.store_answers(
        connection,
        [(unit.sender.device, unit.key, unit.room, unit.seq, unit.at, None) for unit in units],
    )


def _unanswered(
    connection: Connection,
    units: Sequence[SendUnit],
    answers: dict[tuple[int, bytes], Answer],
) -> list[SendUnit]:
    """Answer those that were answered before, and return the others."""
    others = []
    for unit in units:
        answer = answers.get((unit.sender.device, unit.key))
        if answer is None:
            others.append(unit)
        elif _says_the_same(connection, unit, answer):
            unit.repeats(answer.seq, answer.at)
        else:
            unit.refusal = refusals.IdConflict(field="$.key")
    return others


def _says_the_same(connection: Connection, unit: SendUnit, answer: Answer) -> bool:
    """Compare with the event that has this id; one that was purged is taken for the same."""
    # Without a number it is another command's answer, kept for room 0; a client may name that room.
    if answer.room != unit.room or not answer.seq:
        return False
    stored = log.page(connection, answer.room, after=answer.seq - 1, limit=1)[0]
    return stored.body is None or stored.body == unit.body


def _permitted(connection: Connection, units: Sequence[SendUnit]) -> Sequence[SendUnit]:
    """Refuse those who may not post where they want to, and return the others."""
    pairs = {(unit.room, unit.sender.user) for unit in units}
    refused = {pair: _why_not(connection, *pair) for pair in rooms.may_not_post(connection, pairs)}
    if not refused:
        return units
    others = []
    for unit in units:
        why = refused.get((unit.room, unit.sender.user))
        if why is None:
            others.append(unit)
        else:
            unit.refusal = why
    return others


def _why_not(connection: Connection, room: RoomId, user: UserId) -> Refusal | None:
    """Return with what the rule table refuses a post."""
    try:
        room_rules.require(RoomAction.POST, *rooms.room_for(connection, room, user))
    except Refusal as refusal:
        return refusal
    return None


def _without_copies(
    units: Sequence[SendUnit],
) -> tuple[list[SendUnit], list[tuple[SendUnit, SendUnit]]]:
    """Take apart those that come first with their id, and repeats, each with its first."""
    firsts: dict[tuple[int, bytes], SendUnit] = {}
    copies = []
    for unit in units:
        first = firsts.setdefault((unit.sender.device, unit.key), unit)
        if first is unit:
            continue
        if first.room == unit.room and first.body == unit.body:
            copies.append((unit, first))
        else:
            unit.refusal = refusals.IdConflict(field="$.key")
    return list(firsts.values()), copies


# -- reading


def events_of(connection: Connection, found: Sequence[Stored]) -> list[messages.LogEvent]:
    """Return events as the wire has them, with the names that their senders have now."""
    senders = {UserId(event.sender) for event in found if event.sender != rules.SERVER}
    names = accounts.names_of(connection, senders)
    return [
        messages.LogEvent(
            room=event.room,
            seq=event.seq,
            at=event.at,
            user=event.sender,
            name=names.get(UserId(event.sender), ""),
            device=event.device,
            kind=rules.TOMBSTONE if event.body is None else rules.kind_word(event.kind),
            id=event.id,
            body=event.body or b"",
            was="" if event.body is not None else rules.kind_word(event.kind),
            digest=event.digest or b"",
        )
        for event in found
    ]


def require_reader(connection: Connection, room: RoomId, user: UserId) -> None:
    """Refuse who may not read a room: RoomUnknown or NotMember."""
    room_rules.require(RoomAction.READ, *rooms.room_for(connection, room, user))


def history(call: Call, request: messages.History) -> Read[messages.Page]:
    """Read a room's log in either direction.

    Members read all of it, also what was said before they came: in public rooms because anybody
    could have been there, in private ones for now; encrypted rooms will have nothing older to
    show, because newcomers have no keys for it.
    """
    user, room = call.session.user, RoomId(request.room)

    def query(connection: Connection) -> messages.Page:
        require_reader(connection, room, user)
        found = log.page(
            connection, room, after=request.after, before=request.before, limit=request.limit + 1
        )
        more = len(found) > request.limit
        if request.after is not None:
            kept, cut = fit(events_of(connection, found[: request.limit]))
        else:
            newest_first = events_of(connection, found[-request.limit :])[::-1]
            kept, cut = fit(newest_first)
            kept.reverse()
        return messages.Page(room=room, events=kept, more=more or cut)

    return Read(query)


def sync(call: Call, request: messages.Sync) -> Read[messages.Synced]:
    """Tell where all of one's rooms stand, and what is new behind the given cursors.

    The rooms come first: all that fit a page of rooms are told, then the events share what is
    left of the frame, so that one busy room does not starve the others.
    """
    user = call.session.user
    cursors = {cursor.room: cursor.seq for cursor in request.cursors}

    def query(connection: Connection) -> messages.Synced:
        mine = [room for room in rooms.rooms_of(connection, user) if room > request.after]
        told = mine[: limits.ROOMS_JOINED]
        stands = log.unread(connection, user, told)
        synced = [_standing(room, stands[room]) for room in told]
        news = {room: cursors[room] for room in told if _has_news(stands[room], cursors.get(room))}
        events = _share(connection, news, request.limit, PAGE_BYTES - sum(map(size_of, synced)))
        return messages.Synced(
            rooms=[_with_events(room, events.get(room.room), news) for room in synced],
            more=len(mine) > len(told),
        )

    return Read(query)


def _standing(room: int, unread: Unread) -> messages.RoomSync:
    return messages.RoomSync(room=room, head=unread.head, read=unread.read, unread=unread.messages)


def _has_news(unread: Unread, cursor: int | None) -> bool:
    return cursor is not None and cursor < unread.head


def _share(
    connection: Connection, news: dict[RoomId, int], limit: int, budget: int
) -> dict[int, list[messages.LogEvent]]:
    """Read what is new in these rooms; each gets an equal share of what the ones before left."""
    shared: dict[int, list[messages.LogEvent]] = {}
    if limit == 0:
        return shared
    for served, (room, after) in enumerate(news.items()):
        share = budget // (len(news) - served)
        most = min(limit, share // SYNC_EVENT_BYTES)
        found = log.page(connection, room, after=after, limit=most) if most else []
        kept, _ = fit(events_of(connection, found), budget=share)
        budget -= sum(map(size_of, kept))
        shared[room] = kept
    return shared


def _with_events(
    room: messages.RoomSync, events: list[messages.LogEvent] | None, news: dict[RoomId, int]
) -> messages.RoomSync:
    after = news.get(RoomId(room.room))
    if after is None:
        return room
    events = events or []
    last = events[-1].seq if events else after
    return messages.RoomSync(
        room=room.room,
        head=room.head,
        read=room.read,
        unread=room.unread,
        events=events,
        more=last < room.head,
    )


# -- how far one has read


def move_cursor(call: Call, request: messages.MoveCursor) -> Write[messages.CursorMoved]:
    """Move this device's cursor forward; the user's other devices hear when that changes anything.

    What a user has read on any device is read.  A message of one's own is not read by sending it:
    clients move the cursor, so that a script's send does not mark a room as read.
    """
    session, room = call.session, RoomId(request.room)

    def change(connection: Connection) -> Done[messages.CursorMoved]:
        require_reader(connection, room, session.user)
        before = log.unread(connection, session.user, [room])[room]
        if request.seq > before.head:
            raise refusals.CursorBad(field="$.seq")
        log.move_cursor(connection, session.user, session.device, room, request.seq)
        if request.seq <= before.read:
            return Done(_moved(room, before))
        moved = _moved(room, log.unread(connection, session.user, [room])[room])

        def after(hub: Hub) -> None:
            hub.tell(session.user, event_frame(messages.CURSOR.name, moved), but=call.peer)

        return Done(moved, after)

    return Write(change)


def _moved(room: RoomId, unread: Unread) -> messages.CursorMoved:
    return messages.CursorMoved(room=room, read=unread.read, unread=unread.messages)


# -- gaps


def gap_frame(missed: Collection[int]) -> bytes:
    """Build the frames that tell a connection which rooms it has missed events of."""
    return b"".join(
        event_frame(messages.GAP.name, messages.Gap(rooms=part)) for part in _parts(sorted(missed))
    )


def _parts(missed: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(missed), GAP_ROOMS):
        yield missed[start : start + GAP_ROOMS]


# -- upkeep


def upkeep(connection: Connection, now: int, _live: Sequence[SessionId]) -> bool:
    """Forget some answers of commands whose repeats are refused by now; say whether more are left."""
    before = now - limits.ANSWERS_KEPT_SECONDS * 1000 - ANSWER_SLACK
    return log.forget_answers(connection, before, SWEEP) >= SWEEP


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="messages",
        needs=("accounts", "rooms"),
        handlers={
            messages.SEND: send,
            messages.HISTORY: history,
            messages.SYNC: sync,
            messages.MOVE_CURSOR: move_cursor,
        },
        events=messages.EVENTS,
        upkeep=upkeep,
    )
