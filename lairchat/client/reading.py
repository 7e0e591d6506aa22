"""Where a room stands: scrolling, the unread line, the read cursor, and which page to fetch next."""

from __future__ import annotations

from lairchat.client import effects
from lairchat.client.layout import layout
from lairchat.client.state import OUTBOX
from lairchat.client.timeline import Timeline, style_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.layout import Style
    from lairchat.client.state import AppState, Item, Room
    from lairchat.client.timeline import Placed

__all__ = [
    "bottom",
    "covers",
    "enter",
    "fetch_latest",
    "fetch_older",
    "fetch_people",
    "go_to",
    "leave",
    "mark_read",
    "page_down",
    "page_up",
    "select",
    "selected_item",
    "settle_goal",
    "top",
    "unread_line",
]

OVERLAP = 2  # rows that stay when a page is turned
PEOPLE_MS = 3_000  # between two questions who is in a room; a hundred joins are one question


# -- what has been read ------------------------------------------------------------------------------


def at_bottom(room: Room) -> bool:
    """Tell whether the newest message is on the screen."""
    return room.scroll is None and not room.window.newer


def enter(state: AppState, room: Room) -> list[Effect]:
    """Begin to show a room: draw the unread line, fetch the page, note what has been read."""
    if room.unread and room.line is None:
        set_line(room, room.unread)
    wanted: list[Effect] = []
    if not room.window.loaded:
        wanted += fetch_latest(state, room)
    return wanted + mark_read(state)


def leave(room: Room) -> None:
    """Stop showing a room: a line that was read has done its work."""
    if room.line_seen:
        drop_line(room)


def set_line(room: Room, count: int) -> None:
    """Draw the unread line behind what has been read."""
    room.line, room.line_count, room.line_seen = room.read_seq, count, False


def drop_line(room: Room) -> None:
    """Take the unread line away."""
    room.line, room.line_count, room.line_seen = None, 0, False


def mark_read(state: AppState) -> list[Effect]:
    """Move the read cursor if the user can see the newest message now."""
    room = state.room
    if not room.id or not state.focused or state.dialogs or not at_bottom(room):
        return []
    if not room.window.loaded:
        return []
    head = room.window.head
    room.line_seen = room.line is not None
    room.unread = room.mentions = 0
    if head <= room.read_seq:
        return []
    room.read_seq = head
    return [effects.MoveCursor(room.id, head)]


# -- fetching ----------------------------------------------------------------------------------------


def fetch_people(state: AppState) -> list[Effect]:
    """Ask who is in the room shown, if that may have changed, and not too often."""
    room = state.room
    if not room.id or not room.people_stale or state.phase != "online":
        return []
    if room.people_at is not None and state.now - room.people_at < PEOPLE_MS:
        return []
    room.people_at, room.people_stale = state.now, False
    return [effects.ListMembers(0, room.id)]


def fetch_latest(state: AppState, room: Room) -> list[Effect]:
    """Ask for the newest page, once."""
    if state.phase != "online" or room.window.fetching:
        return []
    room.window.fetching = "latest"
    return [effects.FetchHistory(room.id)]


def fetch_older(state: AppState, room: Room, limit: int = 100) -> list[Effect]:
    """Ask for what is before the oldest loaded message, once at a time."""
    window = room.window
    if state.phase != "online" or window.fetching or not window.older or not room.id:
        return []
    if not window.loaded or not window.tail:
        return fetch_latest(state, room)
    window.fetching = "before"
    return [effects.FetchHistory(room.id, before=window.tail, limit=limit)]


def fetch_newer(state: AppState, room: Room) -> list[Effect]:
    """Ask for what is behind the newest loaded message, once at a time."""
    window = room.window
    if state.phase != "online" or window.fetching or not window.newer:
        return []
    window.fetching = "after"
    return [effects.FetchHistory(room.id, after=window.head)]


# -- scrolling ---------------------------------------------------------------------------------------


def _page(state: AppState, room: Room) -> tuple[Timeline, Style, int]:
    found = layout(state, state.width, state.height)
    timeline = Timeline(state, room)
    return timeline, style_for(timeline, found), max(1, found.body_h)


def page_up(state: AppState) -> list[Effect]:
    """Scroll back one page; near the top the page before is fetched."""
    room = state.room
    timeline, style, height = _page(state, room)
    if timeline.last < timeline.first:
        room.cleared = None
        return fetch_older(state, room)
    index, row = timeline.anchor()
    step = max(1, height - OVERLAP)
    rows = timeline.upward(index, row, height + step, style)
    end = max(min(height, len(rows)), len(rows) - step)
    _anchor(room, timeline, rows, end - 1)
    if len(rows) < height + step:
        room.cleared = None
        return fetch_older(state, room)
    return []


def page_down(state: AppState) -> list[Effect]:
    """Scroll on one page; behind the last one the newest messages are shown."""
    room = state.room
    if room.scroll is None:
        return fetch_newer(state, room) + mark_read(state)
    timeline, style, height = _page(state, room)
    if timeline.last < timeline.first:
        return bottom(state)
    index, row = timeline.anchor()
    last = timeline.upward(index, row, 1, style)[-1][1]
    step = max(1, height - OVERLAP)
    rows = timeline.downward(index, last + 1, step, style)
    if rows:
        _anchor(room, timeline, rows, len(rows) - 1)
    if room.scroll is None or len(rows) < step:
        room.scroll = None
        return fetch_newer(state, room) + mark_read(state)
    return []


def _anchor(room: Room, timeline: Timeline, rows: list[Placed], at: int) -> None:
    order, row, _ = rows[at]
    room.scroll = (order, row)
    if at == len(rows) - 1 and order == timeline[timeline.last].order:
        room.scroll = None


def top(state: AppState) -> list[Effect]:
    """Go to the oldest loaded message and fetch what is before it."""
    room = state.room
    room.cleared = None
    _show_at_top(state, room, 0)
    return fetch_older(state, room)


def bottom(state: AppState) -> list[Effect]:
    """Go to the newest message; if that is not loaded, fetch it."""
    room = state.room
    room.scroll = None
    state.selected = None
    if room.window.newer:
        room.window.items[:] = [item for item in room.window.items if item.order[1] > 0]
        room.window.loaded = room.window.newer = False
        room.window.fetching = ""
        return fetch_latest(state, room)
    return mark_read(state)


def unread_line(state: AppState) -> list[Effect]:
    """Go to where reading stopped."""
    room = state.room
    if room.line is None:
        return bottom(state)
    return go_to(state, room, room.line + 1)


def covers(room: Room, seq: int) -> bool:
    """Tell whether a message is loaded, or could not be by fetching."""
    window = room.window
    return not ((seq < window.tail and window.older) or (seq > window.head and window.newer))


def go_to(state: AppState, room: Room, seq: int) -> list[Effect]:
    """Bring a message to the top of the screen, fetching its surroundings if needed."""
    window = room.window
    if not covers(room, seq):
        if state.phase != "online":
            return []
        window.fetching, window.goal = "around", ("seq", seq)
        return [effects.FetchHistory(room.id, around=seq)]
    timeline = Timeline(state, room)
    _show_at_top(state, room, timeline.find((seq, 0)))
    return mark_read(state)


def _show_at_top(state: AppState, room: Room, index: int) -> None:
    timeline, style, height = _page(state, room)
    if timeline.last < timeline.first:
        return
    index = max(timeline.first, min(index, timeline.last))
    rows = timeline.downward(index, 0, height, style)
    if len(rows) < height:
        room.scroll = None
    else:
        _anchor(room, timeline, rows, len(rows) - 1)


def settle_goal(state: AppState, room: Room) -> list[Effect]:
    """After a page came: go where the user wanted to, or fetch on."""
    goal, window = room.window.goal, room.window
    if goal is None:
        return []
    what, value = goal
    if what == "seq":
        window.goal = None
        return go_to(state, room, value)
    first = next((item for item in window.items if item.order[1] == 0), None)
    if first is not None and first.at > value and window.older:
        return fetch_older(state, room)
    window.goal = None
    timeline = Timeline(state, room)
    index = next((i for i, item in enumerate(window.items) if item.at >= value), timeline.last)
    _show_at_top(state, room, index)
    return mark_read(state)


# -- selecting ---------------------------------------------------------------------------------------


def selected_item(state: AppState) -> Item | None:
    """Return what is selected, None if nothing is, or it is gone."""
    timeline = Timeline(state, state.room)
    if state.selected is None or timeline.last < timeline.first:
        return None
    index = timeline.find(state.selected)
    if index > timeline.last or timeline[index].order != state.selected:
        return None
    return timeline[index]


def select(state: AppState, step: int) -> list[Effect]:
    """Select the message before (-1) or after (+1) the selected one, and keep it on the screen."""
    room = state.room
    timeline, style, height = _page(state, room)
    if state.selected is None:
        if step > 0:
            return []
        index = timeline.anchor()[0] + 1
    else:
        index = timeline.find(state.selected)
    index += step
    while timeline.first <= index <= timeline.last and not timeline[index].selectable:
        index += step
    if index > timeline.last:
        state.selected = None
        return bottom(state)
    if index < timeline.first:
        return fetch_older(state, room)
    state.selected = timeline[index].order
    _reveal(room, timeline, style, height, index)
    return []


def _reveal(room: Room, timeline: Timeline, style: Style, height: int, index: int) -> None:
    """Scroll as little as needed to see all rows of an item."""
    anchor, row = timeline.anchor()
    order = timeline[index].order
    page = timeline.upward(anchor, row, height, style)
    rows = len(timeline.block(index, style))
    if sum(1 for placed in page if placed[0] == order) >= min(rows, height):
        return
    if index < anchor:
        below = timeline.downward(index, 0, height, style)
        _anchor(room, timeline, below, len(below) - 1)
    else:
        room.scroll = (order, rows - 1)
        if index == timeline.last or order[0] >= OUTBOX:
            room.scroll = None
