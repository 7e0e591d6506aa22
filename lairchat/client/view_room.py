"""Draws the title, the room list, the messages and the members."""

from __future__ import annotations

from lairchat.client.keymap import short_key
from lairchat.client.kit import room_list
from lairchat.client.markup import clip, pad, width
from lairchat.client.timeline import Timeline, style_for, visible
from lairchat.client.wording import (
    by_rank,
    held_words,
    people_words,
    short_role,
    sign,
    title_words,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.canvas import Canvas
    from lairchat.client.layout import Layout
    from lairchat.client.state import AppState, Room

__all__ = ["draw_members", "draw_rooms", "draw_text", "draw_title"]


def draw_title(state: AppState, canvas: Canvas, found: Layout) -> None:
    """Draw the first row: where one is, and who can read it."""
    canvas.fill(0, 0, found.width, "title")
    room = state.room
    if not room.id:
        canvas.put(0, 0, clip(f" Lair Chat  {state.server}", found.width), "title")
        return
    if found.kind == "narrow":
        canvas.put(0, 0, clip(_narrow_title(state, room, found), found.width), "title")
        return
    people = people_words(room) if room.members else ""
    words = title_words(room)
    held = held_words(state, room) if not found.banner else ""
    least = min(width(room.title) + 2 + min(width(room.topic), 20), found.width - 12)
    shortest = f"| {'archived' if room.archived else room.label} "
    sentences: tuple[str, ...] = (
        f"| {people} | {room.label} {words} " if people else f"| {room.label} {words} ",
        f"| {people} {shortest}" if people else shortest,
    )
    if held:
        most = max(0, found.width - least - width(shortest) - 2)
        sentences = (f"{shortest}{clip(held, most, '~')} ",)
    fitting = (one for one in sentences if found.width - width(one) - 1 >= least)
    right = next(fitting, shortest)
    left = found.width - width(right) - 1
    text = f" {room.title}  {room.topic}" if room.topic else f" {room.title}"
    canvas.put(0, 0, pad(text, left, "~") + " " + right, "title")


def _narrow_title(state: AppState, room: Room, found: Layout) -> str:
    text = f"{room.title} {'archived' if room.archived else room.label}"
    held = held_words(state, room) if not found.banner else ""
    if held:
        return f"{text} {held}"
    if room.members and not room.direct:
        text += f" {room.members}"
    waiting = sum(other.mentions for other in state.rooms.values() if other.id != room.id)
    unread = sum(1 for other in state.rooms.values() if other.unread and other.id != room.id)
    if waiting or unread:
        key = short_key(state.keymap, "next-unread").lower()
        text += f"  {f'{waiting}@' if waiting else f'+{unread}'} ({key})"
    return text


# -- the room list -----------------------------------------------------------------------------------


def draw_rooms(state: AppState, canvas: Canvas, found: Layout) -> None:
    """Draw the list on the left, with the current room on the screen."""
    w, height = found.rooms_w, found.body_h
    wide = found.kind == "wide"
    upper, *others = room_list(state)
    key = short_key(state.keymap, "next-unread").lower()
    head = f"({key} next)" if wide else key
    rows: list[tuple[str, str, Room | None]] = [
        (_spread("ROOMS" if wide else "Rooms", head, w - (1 if wide else 0)), "heading", None)
    ]
    rows += [
        (_room_row(state, room, w, wide=wide), _room_attr(state, room), room) for room in upper
    ]
    for heading, part in zip(("Direct", "Archived"), others, strict=True):
        if part:
            rows += [("", "normal", None), (heading.upper() if wide else heading, "heading", None)]
        rows += [
            (_room_row(state, room, w, wide=wide), _room_attr(state, room), room) for room in part
        ]
    if state.invites:
        heading = "INVITES" if wide else "Invites"
        rows += [("", "normal", None), (heading, "heading", None)]
        rows += [
            (f"  from {name}{'  /accept' * wide}", "room-mine", None) for name in state.invites
        ]
    rows += [("", "normal", None), ("+ new: /join", "hint", None)]
    at = next((n for n, row in enumerate(rows) if row[2] is not None and row[2] is state.room), 0)
    top = max(0, min(at - height // 2, len(rows) - height))
    for n, (text, attr, _) in enumerate(rows[top : top + height]):
        canvas.put(0, n + 1, clip(text, w), attr)
    for n in range(height):
        canvas.put(w, n + 1, "|", "border")


def _spread(left: str, right: str, room: int) -> str:
    return pad(left, max(0, room - width(right))) + right


def _room_attr(state: AppState, room: Room) -> str:
    if room is state.room:
        return "room-current"
    return "room-mine" if room.wants_me else "room-unread" if room.unread else "room"


def _room_row(state: AppState, room: Room, room_w: int, *, wide: bool) -> str:
    mark = ">" if room is state.room else "*" if room.wants_me else " "
    name = room.title if room.wants_me or not room.direct else room.name
    count = _count(room)
    label = room.label
    if wide:
        right = f"{count} {label}" if count else label
    else:  # 15 cells: the name goes before the label, which title and prompt show anyway
        right = count or (label if width(name) + width(label) + 4 <= room_w else "")
    left = room_w - 2 - width(right) - (2 if right else 1)
    return f"{mark} {pad(name, max(1, left), '~')} {right}".rstrip()


def _count(room: Room) -> str:
    if not room.unread:
        return ""
    shown = str(room.unread) if room.unread < 1000 else "999+"
    return f"{shown} @{room.mentions}" if room.mentions and not room.direct else shown


# -- messages ----------------------------------------------------------------------------------------


def draw_text(state: AppState, canvas: Canvas, found: Layout) -> None:
    """Draw the messages that are on the screen."""
    room = state.room
    timeline = Timeline(state, room)
    style = style_for(timeline, found)
    x = found.text_x
    selected = state.selected
    for n, (order, _, row) in enumerate(visible(timeline, style, found.body_h)):
        for dx, text, attr in row:
            canvas.put(x + dx, n + 1, text, attr, found.text_w - dx)
        if order == selected and row[0][2] == "time":
            canvas.put(x + 5, n + 1, ">", "selected")
    if room.id and not room.window.items and timeline.last < 0:
        words = "fetching messages ..." if not room.window.loaded else "no message yet: write one"
        canvas.put(x, 1, clip(words, found.text_w), "dim")
    if found.side_w:
        for n in range(found.body_h):
            canvas.put(found.side_x - 1, n + 1, "|", "border")


# -- members -----------------------------------------------------------------------------------------


def draw_members(state: AppState, canvas: Canvas, found: Layout, x: int, w: int) -> None:
    """Draw who is in the room."""
    room = state.room
    key = short_key(state.keymap, "toggle-members").lower()
    head = f"MEMBERS {room.members or ''} ({key} hide)".replace("  ", " ")
    canvas.put(x, 1, clip(head, w), "heading")
    members = by_rank(room)
    space = found.body_h - 1
    more = len(members) - space
    shown = members[: space - 1] if more > 0 else members
    name_w = max(1, w - 1 - 7 - 6)
    for n, one in enumerate(shown):
        text = f"{sign(one)}{pad(one.name, name_w, '~')} {short_role(one):<6} "
        text += "here" if one.here else ""
        canvas.put(x, n + 2, clip(text.rstrip(), w), "member-here" if one.here else "member")
    if more > 0:
        rest = len(members) - len(shown)
        canvas.put(x, found.body_h, clip(f" and {rest} more: /names", w), "hint")
