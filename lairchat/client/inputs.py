"""Everything that can happen to the client: keys, the clock, and what the link reports.

``update(state, input)`` takes one of these at a time.
Times are milliseconds since 1970 (``int``), waits are seconds (``float``); room ids are ints.
Texts from the server or from people are passed as they came: the update makes them safe to show.
"""

from __future__ import annotations

from lairchat.client.values import Value

__all__ = [
    "AccountNeeded",
    "AccountRefused",
    "CaughtUp",
    "CommandDone",
    "CommandFailed",
    "Connected",
    "Connecting",
    "CursorMoved",
    "Disconnected",
    "Focus",
    "Halted",
    "HelloReceived",
    "HistoryPage",
    "IdentityChanged",
    "Input",
    "InviteCreated",
    "Key",
    "Latency",
    "LoggedIn",
    "LoggedOut",
    "Member",
    "MembersListed",
    "Message",
    "MessageArrived",
    "Notice",
    "OutboxItem",
    "OutboxRestored",
    "Paste",
    "PresenceChanged",
    "Resize",
    "RoomChanged",
    "RoomInfo",
    "RoomJoined",
    "RoomLeft",
    "RoomListing",
    "RoomsListed",
    "RoomsSynced",
    "SendAcknowledged",
    "SendRefused",
    "SettingsLoaded",
    "Text",
    "Tick",
    "TrustQuestion",
    "UnreadChanged",
]


class Input(Value):
    """Base of everything that ``update`` takes."""


# -- the terminal ----------------------------------------------------------------------------------


class Key(Input):
    """A key that is not plain text, by name: ``enter``, ``ctrl-a``, ``alt-left``, ``f1``."""

    name: str


class Text(Input):
    """A run of typed printable characters."""

    text: str


class Paste(Input):
    """What the terminal marked as pasted; never acted on by itself."""

    text: str


class Resize(Input):
    """The terminal's new size in cells."""

    width: int
    height: int


class Focus(Input):
    """The terminal window gained or lost the focus."""

    gained: bool


class Tick(Input):
    """The time: once a second at least, and before each batch of keys."""

    now: int


# -- the connection --------------------------------------------------------------------------------


class Connecting(Input):
    """An attempt begins."""

    host: str
    port: int


class Connected(Input):
    """TCP and TLS stand; ``tls`` is shown in the status line, as in ``tls1.3``."""

    tls: str = "tls1.3"


class HelloReceived(Input):
    """The server proved its identity; ``pinned`` when it is the remembered or linked one."""

    words: str
    fingerprint: str
    pinned: bool = True
    version: str = ""


class Disconnected(Input):
    """No connection any more, or none yet: ``code`` and ``text`` say why; the next try comes."""

    code: str
    text: str
    retry_in: float


class Halted(Input):
    """No further attempt is made: identity, version, or login refused for good."""

    code: str
    text: str


class IdentityChanged(Input):
    """The server is not the one that was remembered: a hard stop, both identities side by side."""

    old_words: str
    new_words: str
    old_fingerprint: str
    new_fingerprint: str


class Latency(Input):
    """Round trip of the last ping."""

    milliseconds: int


class TrustQuestion(Input):
    """A server never seen before; answered by the effect ``TrustAnswer``."""

    host: str
    port: int
    words: str
    fingerprint: str


# -- the account -----------------------------------------------------------------------------------


class AccountNeeded(Input):
    """Nobody is logged in; answered by ``Login`` or ``Register``.

    ``mode`` is the preselected one, ``login`` or ``register``; ``registration`` what the server
    allows: ``open``, ``invite`` or ``closed``; ``invite`` the code of the link, ``host`` for show.
    """

    host: str
    mode: str = "login"
    name: str = ""
    invite: str = ""
    registration: str = "invite"


class AccountRefused(Input):
    """The login or registration was refused; ``field`` names the answer at fault if known."""

    code: str
    text: str
    field: str = ""


class LoggedIn(Input):
    """This device has a session; ``role`` is the server role's word."""

    user: str
    user_id: int
    role: str = "user"


class LoggedOut(Input):
    """The session is over, by ourselves or by the server."""

    text: str


# -- rooms and people ------------------------------------------------------------------------------


class RoomInfo(Value):
    """What the client knows of a room it is in; a direct conversation's name is the peer's.

    ``here`` is how many members are online, None where that was not asked.
    ``archived``: it is read, and nobody writes in it.
    ``label``: what stands on the lock; ``hold``: what holds it (cause and next step), else empty.
    """

    id: int
    name: str
    direct: bool = False
    topic: str = ""
    role: str = "member"
    access: str = "public"
    unread: int = 0
    mentions: int = 0
    members: int = 0
    here: int | None = None
    read_seq: int = 0
    head_seq: int = 0
    label: str = "PLAIN"
    archived: bool = False
    hold: str = ""


class RoomsSynced(Input):
    """The complete list of rooms this account is in, after each login or resume."""

    rooms: tuple[RoomInfo, ...]


class RoomJoined(Input):
    """We are in one more room; ``show`` brings it to the front."""

    room: RoomInfo
    show: bool = True
    ref: int = 0


class RoomLeft(Input):
    """We are not in the room any more; ``text`` says why when it was not our wish."""

    room: int
    text: str = ""
    ref: int = 0


class RoomChanged(Input):
    """Something about a room changed; None leaves it as it is."""

    room: int
    name: str | None = None
    topic: str | None = None
    role: str | None = None
    members: int | None = None
    here: int | None = None
    label: str | None = None
    archived: bool | None = None
    hold: str | None = None


class Member(Value):
    """Somebody in a room; ``role`` is the room role's word."""

    name: str
    role: str = "member"
    here: bool = False


class MembersListed(Input):
    """Who is in a room; ``ref`` is the request's when somebody asked for the list as text."""

    room: int
    members: tuple[Member, ...]
    ref: int = 0


class PresenceChanged(Input):
    """A person who shares a room with us came or went."""

    name: str
    here: bool


class RoomListing(Value):
    """One line of the server's room list."""

    name: str
    topic: str = ""
    members: int = 0
    joined: bool = False


class RoomsListed(Input):
    """Answer to ``ListRooms``."""

    rooms: tuple[RoomListing, ...]
    ref: int = 0


class InviteCreated(Input):
    """Answer to ``CreateInvite``: shown once, to be handed on."""

    link: str
    note: str = ""
    ref: int = 0


# -- messages --------------------------------------------------------------------------------------


class Message(Value):
    """One event of a room's log.

    ``kind`` is ``text``, ``action`` (/me), ``state`` (a server statement whose text is a whole
    sentence such as "dave joined") or ``gone`` (purged).
    ``ticket`` is the one of our own ``Send`` if this is its echo.
    ``edited``: how often.  ``reactions``: (emoji, how many, whether one is ours).
    ``reply``: (place, sender, text) of the message that it answers; the place is 0, and the sender
    empty, if that one is not here.
    ``thread``: the same of the message that begins the thread it stands in; one that is not here has
    a place below 0, which those of its thread have in common.
    ``poll``: it asks something, with answers to pick from; its text alone could look like it.
    """

    seq: int
    at: int
    sender: str
    text: str
    kind: str = "text"
    ticket: int = 0
    edited: int = 0
    reactions: tuple[tuple[str, int, bool], ...] = ()
    reply: tuple[int, str, str] | None = None
    poll: bool = False
    thread: tuple[int, str, str] | None = None


class MessageArrived(Input):
    """A new event at the head of a room, in order."""

    room: int
    message: Message


class HistoryPage(Input):
    """Answer to ``FetchHistory``: ascending; ``older`` and ``newer`` say whether there is more."""

    room: int
    messages: tuple[Message, ...]
    older: bool
    newer: bool = False
    replace: bool = False


class SendAcknowledged(Input):
    """Our message is durable on the server."""

    ticket: int
    seq: int
    at: int


class SendRefused(Input):
    """Our message was refused.

    With ``retry_after`` the link keeps it and tries again by itself; without, it is marked ``x``
    and stays in the outbox until the user resends or drops it.
    """

    ticket: int
    code: str
    text: str
    retry_after: float | None = None


class OutboxItem(Value):
    """A message that is not acknowledged yet, as the store kept it.

    ``reply`` and ``thread`` are those of ``Message``.
    """

    ticket: int
    room: int
    text: str
    at: int
    action: bool = False
    failed: str = ""
    reply: tuple[int, str, str] | None = None
    thread: tuple[int, str, str] | None = None


class OutboxRestored(Input):
    """What was still queued when the client ended the last time."""

    items: tuple[OutboxItem, ...]


class UnreadChanged(Input):
    """The server's count for a room."""

    room: int
    unread: int
    mentions: int = 0


class CursorMoved(Input):
    """Another device of ours read up to ``seq``."""

    room: int
    seq: int
    unread: int = 0


class CaughtUp(Input):
    """After a reconnect: how many messages came meanwhile."""

    count: int


# -- answers and words -----------------------------------------------------------------------------


class CommandDone(Input):
    """The command of this ``ref`` succeeded; the text is shown when there is one."""

    ref: int
    text: str = ""


class CommandFailed(Input):
    """The command of this ``ref`` was refused; what was typed goes back to the input."""

    ref: int
    code: str
    text: str
    retry_after: float | None = None


class Notice(Input):
    """A line for the user that belongs to no command."""

    text: str
    code: str = ""


class SettingsLoaded(Input):
    """Settings as they were saved: name and text value; unknown ones are ignored."""

    settings: tuple[tuple[str, str], ...]
