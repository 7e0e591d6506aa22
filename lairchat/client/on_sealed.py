"""Applies what the link reports of encrypted rooms: invitations, codes, changed messages, typing.

Every text from outside passes ``safe`` here, before anything keeps it.
"""

from __future__ import annotations

from lairchat.client import inputs_sealed as i
from lairchat.client.arrivals import change, make_item, remove
from lairchat.client.dialogs import Choices, Page
from lairchat.client.kit import notice, safe, say, show
from lairchat.client.wording import date_of
from lairchat.client.wording_sealed import found_lines, invite_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = [
    "code_made",
    "found",
    "invited",
    "invites_listed",
    "message_changed",
    "messages_gone",
    "somebody_types",
]

INVITES_SHOWN = 50
TYPING_MS = 6_000
"""Without being renewed: who typed has stopped, or is gone."""
TYPING_KEPT = 50
"""count: of one room; more than anybody reads, and no way to fill the memory."""


# -- coming in ---------------------------------------------------------------------------------------


def invited(state: AppState, event: i.Invited) -> list[Effect]:
    """Somebody invites us; which room it is only its members know."""
    name = safe(event.by)
    if name not in state.invites and len(state.invites) < INVITES_SHOWN:
        state.invites.append(name)
    notice(state, f"{name} invites you into an encrypted room: /accept {name}, /decline {name}")
    return []


def invites_listed(state: AppState, event: i.InvitesListed) -> list[Effect]:
    """The answer to /invitations: a page to read."""
    asked = state.pending.pop(event.ref, None) is not None
    invites = [(safe(one.by), date_of(state, one.at)) for one in event.invites]
    state.invites[:] = dict.fromkeys([name for name, _ in invites[:INVITES_SHOWN]])
    if asked:
        show(state, Choices("Invitations into encrypted rooms", invite_lines(invites)))
    return []


def code_made(state: AppState, event: i.CodeMade) -> list[Effect]:
    """A code to hand on, by another way than this server."""
    state.pending.pop(event.ref, None)
    code, note = safe(event.code), safe(event.note)
    if state.journal is not None:
        say(state, f"code, to be handed on: {code}")
        say(state, "the server must not see it: in person, by phone, or by another messenger")
        say(state, note)
        return []
    lines = [
        "Whoever has this code comes into the room, with /join and the code.",
        "Hand it over in person, by phone or by another messenger: the server must not see it.",
        "",
        f"    {code}",
        "",
        *([note] if note else []),
    ]
    state.dialogs.append(Page("Code for this room", lines, state.now, copies=code))
    return []


# -- messages ----------------------------------------------------------------------------------------


def message_changed(state: AppState, event: i.MessageChanged) -> list[Effect]:
    """A message that was shown is another now."""
    room = state.rooms.get(event.room)
    if room is not None:
        change(state, room, event.message)
    return []


def messages_gone(state: AppState, event: i.MessagesGone) -> list[Effect]:
    """Messages whose time is over."""
    room = state.rooms.get(event.room)
    if room is not None:
        remove(state, room, frozenset(event.seqs))
    return []


def somebody_types(state: AppState, event: i.SomebodyTypes) -> list[Effect]:
    """Somebody types, or has stopped to."""
    room = state.rooms.get(event.room)
    if room is None:
        return []
    for name in [name for name, until in room.typing.items() if until <= state.now]:
        del room.typing[name]
    name = safe(event.name)
    if not event.on:
        room.typing.pop(name, None)
    elif name in room.typing or len(room.typing) < TYPING_KEPT:
        room.typing[name] = state.now + TYPING_MS
    return []


def found(state: AppState, event: i.Found) -> list[Effect]:
    """The answer to /search: a page, newest first."""
    if state.pending.pop(event.ref, None) is None:
        return []
    # What is no room's any more can still be shown to the operators.
    state.found = {
        (room, message.seq): make_item(state, message)
        for room, message in event.messages
        if room not in state.rooms
    }
    lines = found_lines(
        [
            (
                state.rooms[room].title if room in state.rooms else f"(left) {room}",
                date_of(state, message.at, clock=True),
                message,
            )
            for room, message in event.messages
        ]
    )
    show(state, Choices("Found on this device", lines))
    return []
