"""Turns what encrypted rooms hold into what the screen, ``lair tail`` and ``lair send`` see of them.

Promises not to know: keys, the network.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from lairchat.client import inputs, inputs_sealed
from lairchat.e2ee.fold import Key, Message, Named
from lairchat.e2ee.following import Finding, Forked, Impossible, Repeated, Withheld
from lairchat.e2ee.payload import Asked, CodeUsed, Invitation, Known, Poll, Target, Text, Unknown
from lairchat.e2ee.room import Opened
from lairchat.features.messages import messages as wire
from lairchat.trust.policy import Because, Kind, Policy, Role
from lairchat.trust.structure import Change, Removed

if TYPE_CHECKING:
    from lairchat.client.sealed.service import Sealed

Changed = tuple[Key, Message] | Named | None
Names = Callable[[bytes], str]
"""Gives an account's name."""
REPLY_CHARS = 200
"""characters of an answered message that are told with the answer."""
THREAD_BYTES = 6
"""of what names a message: enough to tell threads apart whose beginnings are not here."""
_NEWER = "(this message needs a newer client)"


class Lines(NamedTuple):
    """A page of a room: its lines, whether there are older and newer ones, and where it ends."""

    messages: tuple[inputs.Message, ...]
    older: bool
    newer: bool
    end: int


class Showing:
    """What is told of encrypted rooms."""

    def __init__(self, sealed: "Sealed") -> None:
        self._sealed = sealed

    # -- as it happens

    def own(self, room: int, event: wire.LogEvent, message: bytes, changed: Changed) -> None:
        """Show a message of this device's once it stands in the log."""
        self._sealed.sending.stands(message, event)
        self._sealed.codes.stands(message)
        self._changed_by(room, event, changed)

    def opened(self, room: int, event: wire.LogEvent, opened: Opened, changed: Changed) -> None:
        """Show what a message of somebody's says, and what is wrong with the log by it."""
        body = opened.said.body
        if isinstance(body, Invitation | CodeUsed):
            self._sealed.adding.let_in(room)
        if isinstance(body, Asked):
            self._sealed.invitations.asked(room, opened.said, body)
        self._changed_by(room, event, changed)
        if opened.finding is not None:
            self._found(room, opened)

    def _changed_by(self, room: int, event: wire.LogEvent, changed: Changed) -> None:
        match changed:
            case None:
                self._line(room, _nothing(event))
            case Named():
                self._sealed.titles.named(room, event.seq)
                self._sealed.show_room(room)
                title = self._sealed.opened.marks.title(room)
                self._sealed.deliver(
                    inputs.RoomChanged(room, name=self._sealed.title(room), topic=title.topic)
                )
                self._line(room, _nothing(event))
            case (_, message):
                if message.said.seq == event.seq:
                    self._line(room, self.line(room, message))
                else:
                    self._sealed.deliver(
                        inputs_sealed.MessageChanged(room, self.line(room, message))
                    )
                    self._line(room, _nothing(event))

    def passed(self, room: int, event: wire.LogEvent) -> None:
        """Go past an event that shows nothing."""
        self._line(room, _nothing(event))

    def changed(
        self, room: int, event: wire.LogEvent, change: Change, staying: Collection[bytes]
    ) -> None:
        """Say in the room what a commit has changed; staying: who still has a device there."""
        text = "; ".join(sentences(change, self._sealed.names.shown, staying))
        if not text:
            self._line(room, _nothing(event))
            return
        self._sealed.opened.messages.note(room, event.seq, event.at, text)
        self._line(room, inputs.Message(event.seq, event.at, "", text, "state"))

    def _found(self, room: int, opened: Opened) -> None:
        assert opened.finding is not None
        who = self._sealed.names.shown(opened.said.author)
        self._sealed.deliver(inputs.Notice(finding_text(opened.finding, who)))
        if isinstance(opened.finding, Forked | Impossible):
            self._sealed.suspect(room)

    def _line(self, room: int, message: inputs.Message) -> None:
        if message.kind != "gone":
            self._sealed.deliver(inputs.MessageArrived(room, message))
        self._sealed.link.watch(room, message)

    # -- lines

    def line(self, room: int, message: Message) -> inputs.Message:
        """Return a message of a room as a line."""
        said = message.said
        own = self._sealed.own
        mine = b"" if own is None else own.identity.account
        kind, text = "text", message.text or ""
        match said.body:
            case Text(me=True):
                kind = "action"
            case Poll():
                text = _poll(text, said.body, message.votes, mine)
            case Unknown() if message.text is not None:
                kind, text = "state", _NEWER
        if message.text is None:
            kind = "gone"
        reactions = tuple(
            (emoji, len(who), mine in who) for emoji, who in sorted(message.reactions.items())
        )
        return inputs.Message(
            said.seq,
            said.at,
            self._sealed.names.shown(said.author),
            text,
            kind,
            self._sealed.sending.ticket_of(said.id),
            message.edited,
            reactions,
            self.answered(room, said.body),
            poll=isinstance(said.body, Poll),
            thread=self.thread(room, said.body),
        )

    def answered(self, room: int, body: Known | Unknown) -> tuple[int, str, str] | None:
        """Return what a message answers: (place, sender, text); the place is 0 if it is not here."""
        if not isinstance(body, Text) or body.reply is None:
            return None
        return self._quoted(room, body.reply)

    def thread(self, room: int, body: Known | Unknown) -> tuple[int, str, str] | None:
        """Return what begins a message's thread: (place, sender, text).

        One that is not here has a place below 0, by which messages of one thread find each other.
        """
        if not isinstance(body, Text) or body.thread is None:
            return None
        place, sender, text = self._quoted(room, body.thread)
        # Of author and id: another one's message may be given the same id.
        root = sha256(body.thread.author + body.thread.id).digest()
        return place or -1 - int.from_bytes(root[:THREAD_BYTES]), sender, text

    def _quoted(self, room: int, target: Target) -> tuple[int, str, str]:
        found = self._sealed.opened.messages.find(room, (target.author, target.id))
        if found is None:
            return 0, "", "a message that is not here"
        name = self._sealed.names.shown(found.said.author)
        text = "message deleted" if found.text is None else found.text
        return found.said.seq, name, text[:REPLY_CHARS]

    def page(
        self, room: int, *, before: int | None = None, after: int | None = None, limit: int
    ) -> Lines:
        """Return a page of what this device has of a room, ascending; the latest one by default."""
        store = self._sealed.opened
        state = store.room(room)
        # What was read in a room that this device is not in stays readable.
        head = store.messages.last(room) if state is None else state.followed.seq
        if after is not None:
            found = store.messages.after(room, after, limit + 1)
            notes = store.messages.notes_after(room, after, limit + 1)
        else:
            start = head + 1 if before is None else before
            found = store.messages.before(room, start, limit + 1)
            notes = store.messages.notes(room, start, limit + 1)
        lines = [self.line(room, one) for one in found]
        lines += [inputs.Message(one.seq, one.at, "", one.text, "state") for one in notes]
        lines.sort(key=lambda one: one.seq)
        more = len(lines) > limit
        if after is not None:
            kept = lines[:limit]
            end = kept[-1].seq if more and kept else head
            return Lines(tuple(kept), older=True, newer=more, end=end)
        kept = lines[-limit:] if more else lines
        return Lines(tuple(kept), older=more, newer=False, end=head)


def _nothing(event: wire.LogEvent) -> inputs.Message:
    return inputs.Message(event.seq, event.at, "", "", "gone")


def _poll(question: str, poll: Poll, votes: Mapping[bytes, tuple[int, ...]], mine: bytes) -> str:
    counts = [0] * len(poll.options)
    for picks in votes.values():
        for pick in picks:
            counts[pick] += 1
    own = votes.get(mine, ())
    rows = [
        f"  {n}. {_row(option)}  x{counts[n - 1]}" + " (you)" * (n - 1 in own)
        for n, option in enumerate(poll.options, 1)
    ]
    return "\n".join([f"poll: {_row(question)}", *rows])


def _row(text: str) -> str:
    """Return a text on one line: one with more could draw answers and counts that nobody gave."""
    return " ".join(text.split())


# -- what commits and findings say


def sentences(change: Change, name: Names, staying: Collection[bytes] = ()) -> Iterable[str]:
    """Say what a commit changes, a clause for each; keys that were only renewed say nothing.

    staying: the accounts of which some devices stay.
    """
    by = name(change.committer.account)
    before = {gone.identity.account for gone in change.removed}
    for account in dict.fromkeys(one.account for one in change.added):
        if account == change.committer.account:
            yield f"{by} added a device"
        elif account not in before and change.after.kind != Kind.DIRECT:
            # Of a direct conversation everybody knows who is in it.
            yield f"{by} added {name(account)}"
    if change.rejoined and not change.removed:
        yield f"{by} came in with another device"
    for account in dict.fromkeys(gone.identity.account for gone in change.removed):
        gone = next(one for one in change.removed if one.identity.account == account)
        if not (change.rejoined and account == change.committer.account):
            yield _gone(gone, name, stays=account in staying)
    yield from _roles(by, change.before, change.after, name)


def _gone(gone: Removed, name: Names, *, stays: bool) -> str:
    who = name(gone.identity.account)
    match gone.because:
        case Because.LEFT:
            return f"{who} left"
        case Because.BANNED:
            return f"{who} was banned from the server"
        case Because.REVOKED:
            return f"a device of {who} was revoked"
    assert gone.by is not None
    if gone.by.account == gone.identity.account:
        return f"{who} removed a device"
    return f"{name(gone.by.account)} removed {'a device of ' * stays}{who}"


_ROLES = {
    Role.MEMBER: "a member",
    Role.MODERATOR: "a moderator",
    Role.ADMINISTRATOR: "an administrator",
}


def _roles(by: str, before: Policy, after: Policy, name: Names) -> Iterable[str]:
    if before == after:
        return
    listed = {*before.administrators, *before.moderators}
    for account in sorted(listed | {*after.administrators, *after.moderators}):
        if before.role(account) != after.role(account):
            yield f"{by} made {name(account)} {_ROLES[after.role(account)]}"
    if before.adders != after.adders:
        yield f"{by} changed who may add people"


def finding_text(finding: Finding, who: str) -> str:
    """Say what a message shows of the room's log."""
    match finding:
        case Withheld(_, first, last):
            count = last - first + 1
            return f"the server has not delivered {count} message{'s' * (count != 1)} of {who}"
        case Forked():
            return f"the server shows {who} another history of this room than you"
        case Repeated():
            return f"a device of {who} is in use twice: a copy of it, or a forgery"
    # What it has seen, the server has not given us, or has given us in another place.
    return f"the server hides something of this room from you that {who} has seen"
