"""What a reader without a screen is told of a room: its last messages, and where reading stopped.

A screen shows all that by itself; lines have to say it once, in the right moment.
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client.effects import FetchHistory
from lairchat.client.kit import in_order, notice, tell
from lairchat.client.layout import layout
from lairchat.client.state import Item
from lairchat.client.timeline import Timeline, day_of, style_for, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Room

__all__ = ["Recap", "unread_words"]

SCREENFUL = 20  # messages told of a room on entering it, more if more are unread
CONTEXT = 3  # of these at least were read before


class Recap:
    """Puts what should be told into the journal; keeps which messages have been told already."""

    def __init__(self) -> None:
        self._at: int | None = None
        self._told: dict[int, int] = {}  # room -> sequence number up to which it was told
        self._entered: set[int] = set()  # rooms whose last messages have been told

    def side(self, state: AppState, event: i.Input) -> str:
        """Return which page of a room is awaited, before the update forgets it."""
        room = state.rooms.get(event.room) if isinstance(event, i.HistoryPage) else None
        return room.window.fetching if room is not None else ""

    def add(self, state: AppState, event: i.Input, side: str) -> None:
        """Tell what an event brought that is not told yet."""
        if isinstance(event, i.MessageArrived):
            told = self._told.get(event.room, 0)
            self._told[event.room] = max(told, event.message.seq)
        elif isinstance(event, i.RoomsSynced):
            words = unread_words(state)
            if words:
                notice(state, f"unread elsewhere: {words}. /join goes there")
        elif isinstance(event, i.HistoryPage) and event.room == state.current:
            if side in {"before", "after", "around"}:
                self._page(state, event)
            else:
                self._latest(state, state.room)
        self.enter(state)

    def enter(self, state: AppState) -> None:
        """Tell what is new in a room that was brought to the front, if its messages are here."""
        if state.current == self._at:
            return
        self._at = state.current
        room = state.room
        if room.id in self._entered and room.line is not None:
            self._items(state, room, [one for one in _events(room) if one.order[0] > room.line])

    def _latest(self, state: AppState, room: Room) -> None:
        """Tell the last messages: a screenful the first time, later what came meanwhile."""
        items = _events(room)
        if room.id in self._entered:
            told = self._told.get(room.id, 0)
            items = [one for one in items if one.order[0] > told]
            if items:
                _rule(state, room, f"meanwhile in {room.title}")
        else:
            fresh = sum(1 for one in items if room.line is not None and one.order[0] > room.line)
            items = items[-max(SCREENFUL, fresh + CONTEXT) :]
            self._entered.add(room.id)
            if items:
                _rule(state, room, f"the last {_lines(items)} of {room.title}")
        self._items(state, room, items)

    def went(self, state: AppState, wanted: list[Effect]) -> None:
        """Tell what a screen would show after /goto; what is being fetched is told when it comes."""
        room = state.room
        if any(isinstance(one, FetchHistory) for one in wanted):
            if room.window.fetching == "latest":
                self._entered.discard(room.id)  # all of it, though it was told before
            return
        timeline = Timeline(state, room)
        found = layout(state, state.width, state.height)
        page = visible(timeline, style_for(timeline, found), found.body_h)
        self._asked(state, room, {order[0] for order, _, _ in page})

    def _page(self, state: AppState, event: i.HistoryPage) -> None:
        """Tell the page that was asked for."""
        self._asked(state, state.room, {message.seq for message in event.messages})

    def _asked(self, state: AppState, room: Room, wanted: set[int]) -> None:
        items = [one for one in _events(room) if one.order[0] in wanted]
        _rule(state, room, f"{_lines(items)} of {room.title}, as asked for")
        self._items(state, room, items)
        _rule(state, room, "end of what was asked for")

    def _items(self, state: AppState, room: Room, items: list[Item]) -> None:
        day = ""
        line = room.line
        for item in items:
            if item.at and day_of(state, item) != day:
                day = day_of(state, item)
                _rule(state, room, day)
            if line is not None and item.order[0] > line:
                count = room.line_count
                _rule(state, room, f"{count} new message{'s' * (count != 1)}" if count else "new")
                line = None
            tell(state, room, item)
            self._told[room.id] = max(self._told.get(room.id, 0), item.order[0])


def _lines(items: list[Item]) -> str:
    return f"{len(items)} line{'s' * (len(items) != 1)}"


def _events(room: Room) -> list[Item]:
    return [item for item in room.window.items if item.order[1] == 0]


def _rule(state: AppState, room: Room, text: str) -> None:
    tell(state, room, Item((0, 0), state.now, "", text, "rule"))


def unread_words(state: AppState) -> str:
    """Return where something is unread, apart from the room that is open."""
    return ", ".join(
        f"{room.title} {room.unread}" + (f" ({room.mentions} for you)" if room.mentions else "")
        for room in in_order(state)
        if room.unread and room.id != state.current
    )
