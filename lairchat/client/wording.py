"""Sentences and tables for the user that more than one place says."""

from __future__ import annotations

from lairchat.client.kit import say
from lairchat.client.markup import pad

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.inputs import Member, RoomListing
    from lairchat.client.state import AppState, Item, Room

__all__ = [
    "IN_TITLE",
    "LABELS",
    "by_rank",
    "date_of",
    "held_words",
    "join_notice",
    "label_words",
    "member_lines",
    "people_words",
    "rank",
    "reaction_words",
    "room_lines",
    "title_words",
    "typing_words",
]

LABELS = {
    "PLAIN": "the server can read this room",
    "E2E": "end-to-end encrypted, first-use trust",
    "E2E+": "end-to-end encrypted, all members verified",
    "E2E!": "held, nothing is sent: the cause and the next step stand above the status line",
    "E2E?": "keys are being fetched, messages wait",
}
"""What a room's lock state means for the next message; always shown as text."""

IN_TITLE = {
    "PLAIN": "not encrypted",
    "E2E": "first-use trust",
    "E2E+": "all devices ok",
    "E2E!": "held",
    "E2E?": "fetching keys",
}
"""The same in as few words as a title has room for."""

RANKS = {"owner": 0, "admin": 1, "moderator": 2, "member": 3, "guest": 4}
SIGNS = {"owner": "&", "admin": "@", "moderator": "+"}
SHORT = {"owner": "owner", "admin": "admin", "moderator": "mod"}


def label_words(label: str) -> str:
    """Return what a label means, in a sentence's words."""
    return LABELS.get(label, "")


def title_words(room: Room) -> str:
    """Return what a room's label means, in two or three words; of an archived one, that it is."""
    return "archived" if room.archived else IN_TITLE.get(room.label, "")


BEFORE_ENCRYPTION = (
    "made before encryption: read only. /succeed opens an encrypted one with the same people"
)


def held_words(state: AppState, room: Room) -> str:
    """Return why the next message would not leave a room now, and the next step.

    A conversation from before encryption stays what it was, and read only: people who meet in
    private take it for a private one.
    """
    if not room.encrypted and not room.archived:
        private = room.direct or room.access == "private"
        return BEFORE_ENCRYPTION if state.sealed and private else ""
    if room.hold or not room.encrypted:
        return room.hold
    if room.label == "E2E!":
        return "held: nothing is sent here until the cause is found. Try: /status, /reconnect"
    if room.label == "E2E?" and state.locked:
        return "locked on this device: /unlock asks for the password again"
    if room.label == "E2E?" and state.unlinked is not None:
        return "this device is new and reads no encrypted rooms yet: /link"
    return ""


def typing_words(state: AppState, room: Room) -> str:
    """Return who types now, empty if nobody does."""
    names = sorted(name for name, until in room.typing.items() if until > state.now)
    if len(names) > 2:
        return f"{len(names)} people are typing..."
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} typing..." if names else ""


def reaction_words(item: Item) -> str:
    """Return the reactions to a message in one line."""
    return "  ".join(
        f"{emoji} x{count}" + (" (you)" if own else "") for emoji, count, own in item.reactions
    )


def rank(member: Member) -> tuple[int, bool, str]:
    """Return what members are sorted by: role, here first, name."""
    return (RANKS.get(member.role, 5), not member.here, member.name.lower())


def by_rank(room: Room) -> list[Member]:
    """Return a room's members in order."""
    return sorted(room.people.values(), key=rank)


def sign(member: Member) -> str:
    """Return the one character before a name that shows the role."""
    return SIGNS.get(member.role, " ")


def short_role(member: Member) -> str:
    """Return the role in at most five characters, empty for plain members."""
    return SHORT.get(member.role, "guest" if member.role == "guest" else "")


def people_words(room: Room) -> str:
    """Return how many are in a room, and how many of them are online as far as that is known."""
    here = "" if room.here is None else f", {room.here} here"
    return f"{room.members} member{'s' * (room.members != 1)}{here}"


def member_lines(room: Room) -> str:
    """Return the members as text, one a line."""
    lines = [f"{room.title}: {people_words(room)}"]
    lines += [
        f"{sign(one)}{pad(one.name, 20)} {one.role:<9} {'here' if one.here else ''}".rstrip()
        for one in by_rank(room)
    ]
    return "\n".join(lines)


def room_lines(rooms: tuple[RoomListing, ...]) -> list[str]:
    """Return the server's rooms as text, one a line."""
    from lairchat.client.kit import safe

    if not rooms:
        return ["there is no room you could join. /create NAME makes one"]
    lines = [
        f"{'>' if one.joined else ' '} {pad('#' + safe(one.name), 22)} {one.members:>5}  "
        f"{safe(one.topic)}".rstrip()
        for one in sorted(rooms, key=lambda one: one.name)
    ]
    return [*lines, "", "> you are in it.  /join #NAME enters a room, /create NAME makes one"]


def join_notice(state: AppState, room: Room) -> None:
    """Tell the plain face where it is now; the screen shows it anyway."""
    if state.journal is None:
        return
    topic = f": {room.topic}" if room.topic else ""
    words = label_words(room.label)
    closed = ", archived: it can be read, not written in" if room.archived else ""
    say(state, f"now in {room.title}{topic} ({room.label}, {words}{closed})", room)
    held = held_words(state, room)
    if held:
        say(state, held, room)


LAST_DAY = 253_402_300_800_000
"""ms: the year 10,000, in which calendars end."""


def date_of(state: AppState, at: int, *, clock: bool = False) -> str:
    """Return a day where the user is, and the time on it; empty for a time that is not known."""
    if not 0 < at < LAST_DAY:
        return ""
    when = state.local_time(at / 1000)
    day = f"{when[0]}-{when[1]:02}-{when[2]:02}"
    return f"{day} {when[3]:02}:{when[4]:02}" if clock else day
