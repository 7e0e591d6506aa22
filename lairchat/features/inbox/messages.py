"""A device's inbox on the wire: read and acknowledged by the device, written to by others."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Bytes16, Bytes32, Int63

Note = Annotated[bytes, Meta(min_length=1, max_length=limits.INBOX_NOTE_BYTES)]
NoteKind = Literal["link", "verify"]
EntryKind = Literal["welcome", "admit", "link", "verify"]


class ReadInbox(Request, frozen=True):
    """Read the inbox of the device that this session has proven to be, after an entry."""

    after: Int63 = 0
    limit: Annotated[int, Meta(ge=1, le=limits.INBOX_PAGE)] = limits.INBOX_PAGE


class AckInbox(Request, frozen=True):
    """Delete the entries up to and with this one: they have been dealt with."""

    upto: Int63


class SendNote(Request, frozen=True):
    """Put a note into the inboxes of certified devices.

    kind: ``link`` to devices of one's own account, ``verify`` to those of somebody with whom one
        shares a private room or direct conversation.
    account, devices: whose, as the log that they go by has them.
    """

    kind: NoteKind
    account: Bytes32
    devices: Annotated[list[Bytes16], Meta(min_length=1, max_length=limits.KEY_PACKAGES_AT_ONCE)]
    body: Note


class AnswerNote(Request, frozen=True):
    """Answer a device of one's own account that is not certified yet, and so has no inbox.

    device: the server's number of it, as the note had it; it has to be connected.
    """

    device: Int63
    body: Note


class InboxEntry(Reply, frozen=True):
    """One entry.

    kind: ``welcome`` into an encrypted room; ``admit``, the proof for whoever came into it with a
        code, behind the welcome; ``link`` or ``verify``, a note of another device.
    at: when it came, ms since 1970.
    account, sender: which certified device has sent it; null if it is not (yet) certified.
    device: the server's number of that device, 0 for the server itself.
    """

    seq: Int63
    kind: EntryKind
    at: Int63
    body: bytes
    device: Int63 = 0
    account: bytes | None = None
    sender: bytes | None = None


class InboxPage(Reply, frozen=True):
    """A page of an inbox.

    head: the last number that was given.
    dropped: how many entries had to go before they were acknowledged, since the inbox exists.
    """

    entries: list[InboxEntry]
    head: Int63
    dropped: Int63 = 0
    more: bool = False


class InboxNew(Reply, frozen=True):
    """This device's inbox has a new entry."""

    seq: Int63


class InboxAnswer(Reply, frozen=True):
    """A certified device of one's own account answers this one, which is not certified yet."""

    account: bytes
    sender: bytes
    body: bytes


READ = Command(
    name="inbox.read",
    request=ReadInbox,
    reply=InboxPage,
    doc="Reads the inbox of one's own device.",
    errors=(refusals.DeviceUnproven,),
)
ACK = Command(
    name="inbox.ack",
    request=AckInbox,
    reply=Nothing,
    doc="Deletes what the device has dealt with from its inbox.",
    errors=(refusals.DeviceUnproven, refusals.InboxEnd),
    overlap=Overlap.WRITE,
)
SEND = Command(
    name="inbox.send",
    request=SendNote,
    reply=Nothing,
    doc="Puts a note for linking or verifying into inboxes: into all that are named, or none.",
    errors=(
        refusals.DeviceUnproven,
        refusals.DeviceGone,
        refusals.IdentityUnknown,
        refusals.InboxStranger,
        refusals.RateLimited,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    keyed=True,
    cost=2,
)
ANSWER = Command(
    name="inbox.answer",
    request=AnswerNote,
    reply=Nothing,
    doc="Answers a device of one's own account that is being linked; nothing is kept of it.",
    errors=(refusals.DeviceUnproven, refusals.InboxAway, refusals.RateLimited),
    role=ServerRole.USER,
    cost=2,
)
INBOX_NEW = EventType(name="inbox.new", body=InboxNew, doc="This device's inbox has a new entry.")
INBOX_ANSWER = EventType(
    name="inbox.answered",
    body=InboxAnswer,
    doc="A device of one's own account answers this one, which is being linked.",
)

COMMANDS = (READ, ACK, SEND, ANSWER)
EVENTS = (INBOX_NEW, INBOX_ANSWER)
