"""Divides the screen: which panes there are at a size, and where.

100 columns and more: rooms, text, members.
60 to 99: rooms and text; members take the place of the text.
Below 60: text alone, with a one-line header.
Below 20x6 a sentence that says so.
"""

from __future__ import annotations

from lairchat.client.hints import hint_text
from lairchat.client.markup import clip, wrap
from lairchat.client.markup import width as cells_of
from lairchat.client.wording import held_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.editor import Window
    from lairchat.client.state import AppState, Room

__all__ = ["MIN_HEIGHT", "MIN_WIDTH", "Layout", "Style", "layout", "prompt_of", "style_of"]

MIN_WIDTH, MIN_HEIGHT = 20, 6
WIDE, MIDDLE = 100, 60
ROOMS_MIDDLE = 15
ROOMS_WIDE, SIDE_WIDE = 27, 31
INPUT_ROWS = 8
NOTE_ROWS = 3
BANNER_ROWS = 3
NICK_MIN, NICK_MAX = 6, 12
CONTINUED = 3  # cells by which the input's further rows are indented


class Layout:
    """Columns and rows of the panes; a width of 0 means that the pane is not there."""

    __slots__ = (
        "banner",
        "body_h",
        "editor",
        "height",
        "hint",
        "hint_h",
        "input_y",
        "kind",
        "notes",
        "prompt",
        "rooms_w",
        "side_w",
        "side_x",
        "status_y",
        "text_w",
        "text_x",
        "width",
    )

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.kind = "tiny"
        self.rooms_w = 0
        self.text_x = 0
        self.text_w = width
        self.side_x = width
        self.side_w = 0
        self.body_h = max(0, height - 3)
        self.status_y = height - 2
        self.input_y = height - 1
        self.banner: list[str] = []  # why the room is held, above the status line
        self.hint = ""
        self.hint_h = 0
        self.prompt = ""
        self.notes: list[str] = []
        self.editor: Window | None = None


class Style:
    """How messages are laid out in a text pane."""

    __slots__ = ("narrow", "nick", "width")

    def __init__(self, width: int, nick: int, *, narrow: bool) -> None:
        self.width = width
        self.nick = nick
        self.narrow = narrow

    @property
    def key(self) -> tuple[int, int]:
        """What rows laid out once depend on."""
        return (self.width, -1 if self.narrow else self.nick)


def prompt_of(room: Room, kind: str) -> str:
    """Return the prompt: it says where the next message goes, and who could read it."""
    if not room.id:
        return "[] "
    if room.archived:  # nothing goes anywhere from here
        warn, label = "", "archived"
    else:
        warn, label = "!" if room.label == "PLAIN" else "", room.label
    return f"[{warn}{label}] " if kind == "narrow" else f"[{warn}{room.title} {label}] "


def layout(state: AppState, width: int, height: int) -> Layout:
    """Return the panes for a screen of this size."""
    found = Layout(width, height)
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return found
    found.kind = "wide" if width >= WIDE else "middle" if width >= MIDDLE else "narrow"
    _columns(state, found)
    _rows(state, found)
    return found


def _columns(state: AppState, found: Layout) -> None:
    width = found.width
    if found.kind == "narrow":
        return
    if state.settings.rooms:
        wide = max(ROOMS_MIDDLE, min(ROOMS_WIDE, width * ROOMS_WIDE // 120))
        found.rooms_w = wide if found.kind == "wide" else ROOMS_MIDDLE
        found.text_x = found.rooms_w + 1
    if found.kind == "wide" and state.settings.members and state.room.id:
        found.side_w = min(SIDE_WIDE, width * SIDE_WIDE // 120)
        found.side_x = width - found.side_w
        found.text_w = found.side_x - 1 - found.text_x
    else:
        found.text_w = width - found.text_x


def _rows(state: AppState, found: Layout) -> None:
    """From the bottom: notes and hints, the input, the status line; the body gets the rest."""
    room = state.room
    narrow = found.kind == "narrow"
    spare = found.height - 5  # title, two rows of body, status, one row of input
    found.prompt = prompt_of(room, found.kind)
    if cells_of(found.prompt) > found.width // 2:
        found.prompt = prompt_of(room, "narrow")
    first = found.width - cells_of(found.prompt) - 1
    found.hint = hint_text(state, narrow=narrow, room=first)
    if state.note is not None:
        found.notes = wrap(state.note.text, found.width - 2)[: max(0, min(NOTE_ROWS, spare))]
    found.hint_h = len(found.notes)
    if not found.hint_h and spare > (0 if found.hint else 2):
        found.hint_h = 1 if found.hint or not narrow else 0
    most = max(1, min(INPUT_ROWS, spare + 1 - found.hint_h))
    window = found.editor = room.editor.window(first, found.width - CONTINUED - 1, most)
    rows = len(window.rows)
    if rows > 1 and not narrow and not found.notes and _fits(window, found):
        found.hint_h = 0  # the hint stands behind the last row
    found.input_y = found.height - found.hint_h - rows
    found.status_y = found.input_y - 1
    found.body_h = found.status_y - 1
    _banner(state, found)


def _banner(state: AppState, found: Layout) -> None:
    """Take rows for why the room is held: never more than a third of the messages'."""
    held = held_words(state, state.room)
    if not held:
        return
    lines = wrap(held, found.width - 2)
    most = min(BANNER_ROWS, found.body_h // 3)
    if len(lines) > most > 0:
        lines[most - 1] = clip(lines[most - 1] + " ~", found.width - 2, "~")
    found.banner = lines[:most]
    found.body_h -= len(found.banner)


def _fits(window: Window, found: Layout) -> bool:
    return CONTINUED + cells_of(window.rows[-1]) + cells_of(found.hint) + 4 < found.width


def style_of(found: Layout, senders: list[str]) -> Style:
    """Return how messages are laid out: the nick column fits the longest of the senders seen."""
    longest = max((cells_of(name) for name in senders), default=0)
    nick = max(NICK_MIN, min(NICK_MAX, longest))
    return Style(found.text_w, nick, narrow=found.kind == "narrow")
