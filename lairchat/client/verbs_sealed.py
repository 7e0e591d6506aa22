"""Slash commands about encrypted rooms: coming in, codes, successors, searching."""

from __future__ import annotations

from lairchat.client import effects_sealed as effects
from lairchat.client.kit import CommandError, ask, find_room, need_online, need_room, request
from lairchat.client.verbs_rooms import going
from lairchat.model.limits import INVITE_USES_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.call import Call
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Room

CODE_CHARS = 42
"""characters of an invite code, without the dashes between its groups."""


def need_sealed(state: AppState) -> Room:
    """Return the room shown; raise CommandError unless it is an encrypted one."""
    room = need_room(state)
    if not room.encrypted:
        raise CommandError(f"{room.title} is {room.label}: this is for encrypted rooms for now")
    return room


# -- coming in ---------------------------------------------------------------------------------------


def invitations(state: AppState, call: Call) -> list[Effect]:
    """List who invites us."""
    call.end()
    need_online(state)
    return [effects.ListInvites(request(state, call.typed))]


def accept(state: AppState, call: Call) -> list[Effect]:
    """Go in by an invitation."""
    name = _inviter(state, call)
    return [effects.AcceptInvite(request(state, call.typed), name)]


def decline(state: AppState, call: Call) -> list[Effect]:
    """Turn an invitation down."""
    name = _inviter(state, call)
    return [effects.DeclineInvite(request(state, call.typed), name)]


def _inviter(state: AppState, call: Call) -> str:
    """Take whose invitation is meant; without a name the only one there is."""
    only = state.invites[0] if len(state.invites) == 1 else ""
    name = call.optional().removeprefix("@") or only or call.word("NAME")
    call.end()
    need_online(state)
    if name in state.invites:
        state.invites.remove(name)
    return name


def code(state: AppState, call: Call) -> list[Effect]:
    """Make a code that lets people in, or end all codes."""
    word = call.optional() or "1"
    call.end()
    room = need_sealed(state)
    if word == "off":
        need_online(state)
        return [effects.EndCode(request(state, call.typed), room.id)]
    if not word.isascii() or not word.isdigit() or not 0 < int(word[:9]) <= INVITE_USES_MAX:
        raise CommandError(
            f"for how many people? 1 to {INVITE_USES_MAX}, or off. {call.command.usage}"
        )
    need_online(state)
    return [effects.MakeCode(request(state, call.typed), room.id, int(word))]


def code_in(text: str) -> str:
    """Return what was typed if it looks like an invite code, without its dashes; else nothing.

    No room has so long a name; whether it is a code is read where it is used.
    """
    plain = "".join(text.split()).replace("-", "")
    return plain if len(plain) == CODE_CHARS and plain.isascii() and plain.isalnum() else ""


def join_by_code(state: AppState, call: Call, text: str) -> list[Effect]:
    """Ask to be let in; a member's client answers, now or later."""
    need_online(state)
    return [effects.JoinByCode(request(state, call.typed), text)]


# -- successors --------------------------------------------------------------------------------------


def room_code(state: AppState, call: Call) -> list[Effect]:
    """Show the digits that the devices in a room have in common."""
    call.end()
    room = need_sealed(state)
    return [effects.RoomCode(request(state, call.typed), room.id)]


def refound(state: AppState, call: Call) -> list[Effect]:
    """Found a successor of a room that is held for good."""
    call.end()
    room = need_sealed(state)
    if room.label != "E2E!" and "/refound" not in room.hold:
        raise CommandError(f"{room.title} is not held: it needs no successor")
    need_online(state)
    room_id, typed = room.id, call.typed

    def really(state: AppState) -> list[Effect]:
        return [effects.Refound(request(state, typed), room_id)]

    text = f"Found {room.title} anew, with the same people? The old one is read only from then on."
    ask(state, text, really)
    return []


def succeed(state: AppState, call: Call) -> list[Effect]:
    """Open the encrypted successor of a room from before encryption."""
    call.end()
    room = need_room(state)
    if room.encrypted:
        raise CommandError(f"{room.title} is encrypted already")
    if not room.direct and room.access != "private":
        raise CommandError(
            f"{room.title} is public, and stays so. /new #NAME private makes another"
        )
    need_online(state)
    return [effects.Succeed(going(state, call), room.id)]


# -- searching ---------------------------------------------------------------------------------------


def search(state: AppState, call: Call) -> list[Effect]:
    """Look for words in what this device has read."""
    text = call.word("what to look for") + " " + call.rest()
    words, room_id = text.split(), 0
    if len(words) > 1 and words[-1].startswith(("#", "@")):
        room = find_room(state, words[-1])
        if room is not None:
            words, room_id = words[:-1], room.id
    return [effects.Search(request(state, call.typed), " ".join(words), room_id)]
