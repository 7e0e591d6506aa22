"""What everything that changes the state uses: notes, notices, numbered commands, switching rooms.

Later features' slash commands build on this module and on nothing else of the client.
"""

from __future__ import annotations

from lairchat.client.dialogs import ARMED_AFTER, Question
from lairchat.client.editor import Editor
from lairchat.client.state import Item, Note, Room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lairchat.client.dialogs import Choices
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = [
    "CommandError",
    "ask",
    "drafts",
    "find_room",
    "moved",
    "need_online",
    "need_room",
    "new_room",
    "notice",
    "open_room",
    "quit_now",
    "request",
    "room_list",
    "safe",
    "say",
    "show",
    "show_error",
    "tell",
]

NOTICE_MS = 12_000  # how long the last row says something
ITEMS_KEPT = 20_000  # loaded entries of one room; older ones are fetched again when wanted


class CommandError(Exception):
    """A command cannot be done as typed; the text says why and what to do, the input stays."""


def safe(text: str, *, multiline: bool = False) -> str:
    """Make a text of the server or a person safe to show."""
    if text.isascii() and text.isprintable():
        return text
    from lairchat.model.text import display_safe

    return display_safe(text, multiline=multiline)


# -- telling the user --------------------------------------------------------------------------------


def say(state: AppState, text: str, room: Room | None = None, *, error: bool = False) -> None:
    """Put a local note of one or more lines into a room's timeline, at its end."""
    room = room or state.room
    items = room.window.items
    last = items[-1].order[0] if items else room.window.head or room.head_seq
    item = Item((last, state.number()), state.now, "", text, "error" if error else "note")
    items.append(item)
    del items[:-ITEMS_KEPT]
    tell(state, room, item)


def tell(state: AppState, room: Room, item: Item) -> None:
    """Hand an entry to the plain face, if that is the one in use."""
    if state.journal is not None:
        state.journal.append((room.id, item))


def notice(state: AppState, text: str, *, error: bool = False) -> None:
    """Say something in the last row for a while."""
    state.note = Note(text, state.now + NOTICE_MS, error=error)
    if state.journal is not None:
        item = Item((0, 0), state.now, "", text, "error" if error else "note")
        state.journal.append((0, item))


def show_error(state: AppState, code: str, text: str) -> None:
    """Say what failed, with the code that the documentation explains."""
    notice(state, f"{safe(code)}  {safe(text)}".strip(), error=True)


def ask(state: AppState, text: str, accept: Callable[[AppState], list[Effect]]) -> None:
    """Ask yes or no; ``accept`` runs on yes."""
    state.dialogs.append(Question(text, accept))
    if state.journal is not None:
        notice(state, f"{text} y/N")


def show(state: AppState, page: Choices) -> None:
    """Open a page; the plain face says its lines, and asks only if there is something to choose."""
    if state.journal is None:
        state.dialogs.append(page)
        return
    say(state, "\n".join([page.title, *page.lines]))
    if page.keys or page.leave is not None:
        say(state, f"empty line: {page.leave_words}")
        state.dialogs.append(page)


def moved(state: AppState) -> bool:
    """Tell whether the input was exchanged so lately that what is typed was meant for another one.

    Each key that follows at once counts from itself: a word is not torn in two.
    """
    return state.moved_at is not None and state.now - state.moved_at < ARMED_AFTER


def quit_now(state: AppState) -> list[Effect]:
    """End the program."""
    from lairchat.client.effects import Quit

    state.quitting = True
    return [Quit()]


def drafts(state: AppState) -> str:
    """Return the rooms in which something typed was not sent: it would be lost by quitting."""
    return ", ".join(room.title for room in in_order(state) if room.editor.text.strip())


# -- commands to the server --------------------------------------------------------------------------


def request(state: AppState, typed: str = "") -> int:
    """Return the number of a command to the server; what was typed comes back if it is refused."""
    ref = state.number()
    state.pending[ref] = typed
    return ref


def need_online(state: AppState) -> None:
    """Raise CommandError while there is no connection."""
    if state.phase != "online":
        raise CommandError(
            "not connected: this needs the server; it stays in the input. Try: /reconnect"
        )


def need_room(state: AppState) -> Room:
    """Return the room shown; raise CommandError when there is none."""
    if not state.room.id:
        raise CommandError("no room is open. Try: /join #lobby")
    return state.room


# -- rooms -------------------------------------------------------------------------------------------


def new_room(state: AppState, room_id: int, name: str, *, direct: bool) -> Room:
    """Return a new room with an input of its own."""
    return Room(room_id, name, Editor(state.kills, state.history), direct=direct)


def find_room(state: AppState, word: str) -> Room | None:
    """Return the room of this name: #room, @person or the bare name; rooms go before people."""
    name = word.lstrip("#@").lower()
    found = [room for room in state.rooms.values() if room.name.lower() == name]
    if word.startswith("@"):
        found = [room for room in found if room.direct]
    elif word.startswith("#"):
        found = [room for room in found if not room.direct]
    found.sort(key=lambda room: room.direct)
    return found[0] if found else None


def room_list(state: AppState) -> tuple[list[Room], list[Room], list[Room]]:
    """Return the parts of the room list, in order: rooms, conversations, what is archived.

    What wants the user comes first, in the upper part even when it is a conversation.
    """
    rooms = sorted(state.rooms.values(), key=_place)
    archived = [room for room in rooms if room.archived]
    rooms = [room for room in rooms if not room.archived]
    upper = [room for room in rooms if room.wants_me or not room.direct]
    lower = [room for room in rooms if room.direct and not room.wants_me]
    return upper, lower, archived


def _place(room: Room) -> tuple[bool, bool, str, int]:
    return (not room.wants_me, not (room.wants_me and room.direct), room.name, room.id)


def in_order(state: AppState) -> list[Room]:
    """Return all rooms as the list shows them."""
    upper, lower, archived = room_list(state)
    return upper + lower + archived


def people(state: AppState) -> list[str]:
    """Return the names of everybody the client knows of, without our own."""
    known = {name for room in state.rooms.values() for name in room.people}
    # A conversation that is over has more than a name for its title.
    known |= {room.name for room in state.rooms.values() if room.direct and " " not in room.name}
    if state.me is not None:
        known.discard(state.me.name)
    return sorted(known, key=str.lower)


def open_room(state: AppState, room: Room) -> list[Effect]:
    """Bring a room to the front and ask for what is missing of it."""
    from lairchat.client.reading import enter, fetch_people, leave

    if state.current == room.id:
        return enter(state, room)
    if state.current is not None:
        leave(state.room)
        state.previous = state.current
    elif state.console.editor.text and not room.editor.text:
        room.editor.set(state.console.editor.take())  # typed before there was a room
    state.current = room.id
    state.selected = None
    state.completion = None
    state.over_members = False
    return fetch_people(state) + enter(state, room)
