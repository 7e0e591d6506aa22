"""Lays a room's messages out in rows, and finds the rows that are on the screen.

Everything counts from an anchor, the last visible row, so that a page costs the same in a room of ten
messages and of ten thousand, and stays where it is while new messages arrive below.
Rows of an item are kept with the item until the pane's width changes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from lairchat.client.layout import Layout, Style, style_of
from lairchat.client.markup import clip, pad, width, wrap
from lairchat.client.state import OUTBOX, Item
from lairchat.client.wording import reaction_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.state import AppState, Order, Room, Row

    Placed = tuple[Order, int, Row]

__all__ = ["Timeline", "style_for", "visible"]

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MARK = 4  # cells from the right edge at which the mark of our own messages stands
FAILED = "Ctrl-Up selects it, then x sends it again, e edits it"


def order_of(item: Item) -> Order:
    """Return what items are sorted by."""
    return item.order


class Timeline:
    """A room's items with the queued messages behind them, as one sequence."""

    __slots__ = ("_items", "_queued", "_split", "first", "last", "room", "state")

    def __init__(self, state: AppState, room: Room) -> None:
        self.state = state
        self.room = room
        self._items = room.window.items
        self._split = len(self._items)
        self._queued = [one.item for one in state.outbox if one.room == room.id]
        self.last = self._split + len(self._queued) - 1
        self.first = 0
        if room.cleared is not None:
            self.first = self.find(room.cleared, after=True)

    def __getitem__(self, index: int) -> Item:
        if index < self._split:
            return self._items[index]
        return self._queued[index - self._split]

    def find(self, order: Order, *, after: bool = False) -> int:
        """Return the index of the item of this order, or of the next one."""
        side = bisect_right if after else bisect_left
        if order[0] >= OUTBOX:
            return self._split + side(self._queued, order, key=order_of)
        return side(self._items, order, key=order_of)

    def senders(self, around: int, count: int) -> list[str]:
        """Return who speaks in the items up to an index."""
        start = max(self.first, around - count + 1)
        return [shown_name(self[i]) for i in range(start, min(around, self.last) + 1)]

    def block(self, index: int, style: Style) -> list[Row]:
        """Return an item's rows with what stands above it: the day, and the unread line."""
        item = self[index]
        rows = self._laid_out(item, style)
        above = self._above(index, item, style)
        return above + rows if above else rows

    def _laid_out(self, item: Item, style: Style) -> list[Row]:
        if item.memo is None or item.memo[0] != style.key:
            item.memo = (style.key, _rows(item, style, self.clock(item)))
        return item.memo[1]

    def _above(self, index: int, item: Item, style: Style) -> list[Row]:
        above: list[Row] = []
        before = self[index - 1] if index > self.first else None
        if before is None and self.room.window.older and self.room.window.loaded:
            above.append(_older(self.room, style))
        if not style.narrow and item.at and (before is None or not self._same_day(before, item)):
            above.append(_rule(day_of(self.state, item), "-", style, "dim"))
        if self._first_unread(before, item):
            above.append(_unread(self.room.line_count, style))
        return above

    def _first_unread(self, before: Item | None, item: Item) -> bool:
        line = self.room.line
        if line is None or item.order[1] != 0 or item.order[0] <= line:
            return False
        return before is None or before.order[0] <= line

    def clock(self, item: Item) -> str:
        """Return the time of day as HH:MM."""
        when = self.state.local_time(item.at / 1000)
        return f"{when[3]:02}:{when[4]:02}"

    def _same_day(self, one: Item, two: Item) -> bool:
        if one.at // 60_000 == two.at // 60_000:
            return True  # most neighbours are seconds apart: spare the calendar
        local = self.state.local_time
        return local(one.at / 1000)[:3] == local(two.at / 1000)[:3]

    # -- from the anchor ---------------------------------------------------------------------------

    def anchor(self) -> tuple[int, int | None]:
        """Return (index, row) of the last visible row; row None is the item's last."""
        if self.room.scroll is None:
            return self.last, None
        order, row = self.room.scroll
        index = self.find(order)
        if index > self.last:
            return self.last, None
        return (index, row) if self[index].order == order else (index, None)

    def upward(self, index: int, row: int | None, count: int, style: Style) -> list[Placed]:
        """Return at most about ``count`` rows that end at this one, top first."""
        found: list[Placed] = []
        while index >= self.first and len(found) < count:
            block = self.block(index, style)
            end = len(block) if row is None else min(row + 1, len(block))
            order = self[index].order
            found[:0] = [(order, k, block[k]) for k in range(end)]
            index, row = index - 1, None
        return found[-count:]

    def downward(self, index: int, row: int, count: int, style: Style) -> list[Placed]:
        """Return at most ``count`` rows that begin at this one."""
        found: list[Placed] = []
        while index <= self.last and len(found) < count:
            block = self.block(index, style)
            order = self[index].order
            found += [(order, k, block[k]) for k in range(row, len(block))]
            index, row = index + 1, 0
        return found[:count]


def day_of(state: AppState, item: Item) -> str:
    """Return the day of an entry where the user is, in words."""
    when = state.local_time(item.at / 1000)
    return f"{DAYS[when[6]]} {when[2]} {MONTHS[when[1] - 1]} {when[0]}"


def style_for(timeline: Timeline, found: Layout) -> Style:
    """Return the style for the page at the anchor."""
    index, _ = timeline.anchor()
    return style_of(found, timeline.senders(index, found.body_h))


def visible(timeline: Timeline, style: Style, height: int) -> list[Placed]:
    """Return the rows on the screen, top first, fewer than ``height`` when there are no more."""
    index, row = timeline.anchor()
    page = timeline.upward(index, row, height, style)
    if len(page) < height and timeline.room.scroll is not None and page:
        more = timeline.downward(index, page[-1][1] + 1, height - len(page), style)
        page += more
    return page


# -- rows -------------------------------------------------------------------------------------------


def shown_name(item: Item) -> str:
    """Return what stands in the nick column."""
    if item.own and item.kind == "text":
        return "you"
    if item.kind in {"state", "gone"}:
        return "--"
    if item.kind in {"note", "error"}:
        return "-!-"
    return "*" if item.kind == "action" else item.sender


def _rows(item: Item, style: Style, clock: str) -> list[Row]:
    name = shown_name(item)
    attr = _name_attr(item)
    centred = item.kind != "text"
    separator = ">" if item.mention else " "
    if style.narrow:
        name = clip(name, 12, "~")
        start, indent = 6 + width(name) + 2, 2
        prefix: Row = [(0, clock, "time"), (6, name + separator, attr)]
    else:
        start = indent = 6 + style.nick + 1
        shown = clip(name, style.nick, "~")
        gap = (style.nick - width(shown)) // 2 if centred else 0
        prefix = [(0, clock, "time"), (6 + gap, shown, attr)]
        if item.mention:
            prefix.append((6 + width(shown), ">", "mention"))
    return _body(item, style, prefix, start, indent)


def _body(item: Item, style: Style, prefix: Row, start: int, indent: int) -> list[Row]:
    text = (
        f"{'you' if item.own else item.sender} {item.text}" if item.kind == "action" else item.text
    )
    if item.edited:
        text += " (edited)"
    free = MARK + 1 if item.own else 0
    attr = _text_attr(item)
    first = style.width - start - free
    quotes = [f"| {item.began}"] if item.thread is not None else []
    quotes += [f"> {item.reply}"] if item.reply else []
    if quotes:
        rest = style.width - indent - free
        lines = ["", *wrap(text, rest)]
        rows: list[Row] = [[*prefix, (start, clip(quotes[0], first, "~"), "dim")]]
        rows += [[(indent, clip(quote, rest, "~"), "dim")] for quote in quotes[1:]]
    else:
        lines = wrap(text, first, style.width - indent - free)
        rows = [[*prefix, (start, lines[0], attr)]]
    if item.mark:
        rows[0].append((style.width - MARK, item.mark, f"mark-{item.mark[0]}"))
    rows += [[(indent, line, attr)] for line in lines[1:]]
    if item.reactions:
        words = wrap(reaction_words(item), style.width - indent - free)
        rows += [[(indent, line, "state")] for line in words]
    if item.why:
        reason = wrap(f"{item.why} ({FAILED})", style.width - indent)
        rows += [[(indent, line, "error")] for line in reason]
    return rows


def _name_attr(item: Item) -> str:
    if item.own:
        return "self"
    if item.mention:
        return "mention"
    if item.kind == "text":
        return f"nick{sum(map(ord, item.sender)) % 6}"
    return "error" if item.kind == "error" else "state"


def _text_attr(item: Item) -> str:
    if item.kind == "error":
        return "error"
    if item.kind in {"state", "gone", "note"}:
        return "state"
    return "mention-text" if item.mention else "normal"


def _rule(text: str, glyph: str, style: Style, attr: str) -> Row:
    text = clip(f" {text} ", style.width)
    left = (style.width - len(text)) // 2
    return [(0, pad(glyph * left + text + glyph * style.width, style.width), attr)]


def _unread(count: int, style: Style) -> Row:
    if style.narrow:
        return [(0, f"==== {count} new ====" if count else "==== new ====", "unread")]
    words = f"{count} new message{'s' * (count != 1)}" if count else "new messages"
    return _rule(words, "=", style, "unread")


def _older(room: Room, style: Style) -> Row:
    text = "loading older messages ..." if room.window.fetching else "older messages: PgUp"
    return _rule(text, " ", style, "dim")
