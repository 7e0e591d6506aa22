"""Everything the client knows and shows, as plain mutable objects without behaviour of their own.

Only ``update`` (and the modules it is made of) changes them; the view reads them.
Texts in here that came from people or the server are safe to show already.
"""

from __future__ import annotations

import time

from lairchat.client.editor import Editor, History, Kills

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lairchat.client.dialogs import Dialog
    from lairchat.client.inputs import Member
    from lairchat.client.secret import Trace, WordsTrace

    Order = tuple[int, int]
    Segment = tuple[int, str, str]
    Row = list[Segment]

__all__ = [
    "LAST_ROW",
    "OUTBOX",
    "AppState",
    "Completion",
    "Item",
    "Me",
    "Note",
    "Room",
    "Settings",
    "Window",
]

OUTBOX = 1 << 62
"""Sequence number under which queued messages stand: behind everything that has one."""


LAST_ROW = 1 << 30
"""A row of an item behind all that it can have: its last one."""


class Item:
    """One entry of a room's timeline: a message, a statement, a local note or a queued message.

    ``order`` sorts: (sequence, 0) for what has one, (sequence before, n) for notes, (OUTBOX, ticket)
    for what is queued.
    ``kind``: text, action, state, gone, note, error.
    ``mark``: empty, ``..`` queued, ``v`` stored, ``x`` failed; ``why`` then says the reason.
    ``reactions``: (emoji, how many, whether one is ours).
    ``answers``: the order of the message that it answers; ``reply``: that one, in one line.
    ``thread``: the order of the message that begins its thread, below 0 if that one is not here;
    ``began``: that one, in one line.
    ``edited``: how often.  ``poll``: answers can be picked in it.
    """

    __slots__ = (
        "answers",
        "at",
        "began",
        "edited",
        "kind",
        "mark",
        "memo",
        "mention",
        "order",
        "own",
        "poll",
        "reactions",
        "reply",
        "sender",
        "text",
        "thread",
        "why",
    )

    def __init__(self, order: Order, at: int, sender: str, text: str, kind: str) -> None:
        self.order = order
        self.at = at
        self.sender = sender
        self.text = text
        self.kind = kind
        self.own = False
        self.mention = False
        self.mark = ""
        self.why = ""
        self.edited = 0
        self.poll = False
        self.reactions: tuple[tuple[str, int, bool], ...] = ()
        self.answers: Order | None = None
        self.reply = ""
        self.thread: Order | None = None
        self.began = ""
        self.memo: tuple[object, list[Row]] | None = None  # rows as laid out last

    @property
    def selectable(self) -> bool:
        """Whether one can do something with it: what was said, and local notes, to copy them."""
        return self.counts or self.kind == "note"

    @property
    def counts(self) -> bool:
        """Whether it is something a person said."""
        return self.kind in {"text", "action"}


class Queued:
    """A message of ours that is not acknowledged; ``text`` is as typed, ``item`` as shown."""

    __slots__ = ("action", "item", "room", "text", "ticket")

    def __init__(self, ticket: int, room: int, text: str, item: Item, *, action: bool) -> None:
        self.ticket = ticket
        self.room = room
        self.text = text
        self.item = item
        self.action = action


class Window:
    """The part of a room's log that is loaded: one stretch without gaps, plus local notes.

    ``loaded`` once a page came; ``older`` and ``newer`` say whether there is more on that side.
    ``fetching`` is the side being fetched: empty, before, after, latest or around.
    ``goal`` is where to go once it is there: ("seq", n) or ("day", milliseconds).
    """

    __slots__ = ("fetching", "goal", "items", "loaded", "newer", "older")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.loaded = False
        self.older = True
        self.newer = False
        self.fetching = ""
        self.goal: tuple[str, int] | None = None

    @property
    def head(self) -> int:
        """The highest sequence number held, 0 if none."""
        for item in reversed(self.items):
            if item.order[1] == 0:
                return item.order[0]
        return 0

    @property
    def tail(self) -> int:
        """The lowest sequence number held, 0 if none."""
        for item in self.items:
            if item.order[1] == 0:
                return item.order[0]
        return 0


class Room:
    """A room we are in, a direct conversation, or (id 0) the page before there is any.

    ``line`` is the sequence number behind which the unread line stands, None without one;
    ``line_count`` what it says, ``line_seen`` whether it was read.
    ``scroll`` is the last visible row, (order, row of that item), None at the bottom.
    ``cleared`` hides everything up to this order.
    ``archived``: it is read, and nobody writes in it.
    ``hold``: why an encrypted room is held or waits, and the next step; empty when it does not.
    ``typing``: who types, until when; ``typing_at``: when we last said that we do, None if we do not.
    """

    __slots__ = (
        "access",
        "archived",
        "cleared",
        "direct",
        "editor",
        "head_seq",
        "here",
        "hold",
        "id",
        "label",
        "line",
        "line_count",
        "line_seen",
        "members",
        "mentions",
        "name",
        "people",
        "people_at",
        "people_stale",
        "read_seq",
        "role",
        "scroll",
        "topic",
        "typing",
        "typing_at",
        "unread",
        "window",
    )

    def __init__(self, room_id: int, name: str, editor: Editor, *, direct: bool = False) -> None:
        self.id = room_id
        self.name = name
        self.direct = direct
        self.editor = editor
        self.topic = ""
        self.role = "member"
        self.access = "public"
        self.label = "PLAIN"
        self.archived = False
        self.hold = ""
        self.typing: dict[str, int] = {}
        self.typing_at: int | None = None
        self.unread = 0
        self.mentions = 0
        self.members = 0
        self.here: int | None = None  # not known before the members were asked for
        self.people: dict[str, Member] = {}
        self.people_at: int | None = None  # when the members were asked for last
        self.people_stale = True
        self.read_seq = 0
        self.head_seq = 0
        self.window = Window()
        self.line: int | None = None
        self.line_count = 0
        self.line_seen = False
        self.scroll: tuple[Order, int] | None = None
        self.cleared: Order | None = None

    @property
    def title(self) -> str:
        """The name as people write it: #room or @person."""
        return ("@" if self.direct else "#") + self.name if self.id else ""

    @property
    def encrypted(self) -> bool:
        """Whether its label says that the server cannot read it."""
        return self.label.startswith("E2E")

    @property
    def wants_me(self) -> bool:
        """Whether something in it is meant for the user: a mention, or a direct message."""
        return self.mentions > 0 or (self.direct and self.unread > 0)

    def __repr__(self) -> str:
        return f"Room({self.id}, {self.title}, {self.unread} unread)"


class Me:
    """Who is logged in."""

    __slots__ = ("id", "name", "role")

    def __init__(self, name: str, user_id: int, role: str) -> None:
        self.name = name
        self.id = user_id
        self.role = role


class Note:
    """What the last row says until ``until``: an answer, a reason, an error."""

    __slots__ = ("error", "text", "until")

    def __init__(self, text: str, until: int, *, error: bool) -> None:
        self.text = text
        self.until = until
        self.error = error


class Completion:
    """Choices that Tab offers for text[start:end], and the one that stands there now."""

    __slots__ = ("choices", "end", "index", "start")

    def __init__(self, start: int, end: int, choices: list[str]) -> None:
        self.start = start
        self.end = end
        self.choices = choices
        self.index = -1


class Settings:
    """What ``/set`` changes; each has its line in ``settings.SETTINGS``."""

    __slots__ = ("bell", "colour", "members", "rooms", "title", "typing")

    def __init__(self) -> None:
        self.bell = True
        self.colour = True
        self.members = True
        self.rooms = True
        self.title = True
        self.typing = True


class AppState:
    """The whole client.

    ``phase``: starting, connecting, greeting (connected, not logged in), online, offline, halted.
    """

    __slots__ = (
        "blocks",
        "chain",
        "code",
        "completion",
        "console",
        "current",
        "dialogs",
        "fingerprint",
        "focused",
        "found",
        "going",
        "height",
        "history",
        "invites",
        "journal",
        "keymap",
        "kills",
        "latency",
        "local_time",
        "locked",
        "me",
        "moved_at",
        "next_number",
        "note",
        "now",
        "outbox",
        "over_members",
        "pending",
        "phase",
        "pinned",
        "prefix",
        "previous",
        "quitting",
        "reason",
        "retry_at",
        "rooms",
        "rung_at",
        "sealed",
        "selected",
        "sent",
        "server",
        "settings",
        "stored",
        "synced",
        "tls",
        "trace",
        "trace_key",
        "trace_next",
        "unlinked",
        "version",
        "wanted",
        "width",
        "words",
        "words_trace",
    )

    def __init__(self, width: int = 80, height: int = 24, keymap: dict[str, str] | None = None):
        from lairchat.client.keymap import default_keymap

        self.width = width
        self.height = height
        self.now = 0
        self.focused = True
        self.local_time: Callable[[float], time.struct_time] = time.localtime
        # the connection
        self.phase = "starting"
        self.server = ""
        self.tls = ""
        self.words = ""
        self.fingerprint = ""
        self.pinned = False
        self.version = ""
        self.latency: int | None = None
        self.retry_at: int | None = None
        self.code = ""
        self.reason = ""
        # who and where
        self.me: Me | None = None
        self.kills = Kills()
        self.history = History()
        self.rooms: dict[int, Room] = {}
        self.console = Room(0, "", Editor(self.kills, self.history))
        self.current: int | None = None
        self.previous: int | None = None
        self.wanted = ""  # name of the room to show first
        self.synced = False  # the rooms are known since the last login
        # encrypted rooms
        self.sealed = False  # this client keeps encrypted rooms: those before them are read only
        self.locked = False  # this device's store waits for the password
        self.unlinked: tuple[str, ...] | None = None  # what could link this device; None: it is
        self.invites: list[str] = []  # who invites us into encrypted rooms
        # what is under way
        self.outbox: list[Queued] = []
        self.sent = 0
        self.stored = 0
        self.next_number = 1  # tickets, refs and notes
        self.pending: dict[int, str] = {}  # ref of a command -> what was typed for it
        self.chain: dict[int, str] = {}  # ref of OpenDirect -> the text to send there
        self.found: dict[
            tuple[int, int], Item
        ] = {}  # by the last search, in rooms left: (room, #N)
        self.going = 0  # ref of a command that will bring another room to the front
        # what is shown over and under the room
        self.dialogs: list[Dialog] = []
        self.note: Note | None = None
        self.completion: Completion | None = None
        self.selected: Order | None = None
        self.over_members = False
        self.prefix = False  # Ctrl-X was typed
        self.moved_at: int | None = None  # when the input was exchanged while somebody may type
        self.quitting = False
        self.rung_at = -10_000
        self.settings = Settings()
        self.keymap = default_keymap() if keymap is None else keymap
        self.journal: list[tuple[int, Item]] | None = None  # the plain face reads it
        self.blocks = False  # the terminal has half blocks
        # recognising the password, and the recovery words, typed as a message
        self.trace_key = b""
        self.trace: Trace | None = None
        self.trace_next: Trace | None = None
        self.words_trace: WordsTrace | None = None

    @property
    def room(self) -> Room:
        """The room shown, or the page before there is one."""
        return self.console if self.current is None else self.rooms.get(self.current, self.console)

    @property
    def dialog(self) -> Dialog | None:
        """The topmost dialog."""
        return self.dialogs[-1] if self.dialogs else None

    def number(self) -> int:
        """Return the next number for a ticket, a ref or a note."""
        self.next_number += 1
        return self.next_number - 1
