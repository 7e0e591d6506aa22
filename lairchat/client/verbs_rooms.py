"""Slash commands about rooms, people and messages."""

from __future__ import annotations

from lairchat.client import effects, outbox, reading
from lairchat.client.kit import (
    CommandError,
    ask,
    find_room,
    need_online,
    need_room,
    notice,
    open_room,
    request,
    say,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.call import Call
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

ROLES = ("guest", "member", "moderator", "admin", "owner")
ACCESS = ("public", "private")
HISTORY_MOST = 100


def room_name(word: str) -> str:
    """Return a room's name without ``#``; raises CommandError if no room can bear it."""
    from lairchat.model.names import check_room_name
    from lairchat.model.refusal import Refusal

    try:
        return check_room_name(word.removeprefix("#").lower())
    except Refusal as refusal:
        raise CommandError(refusal.text) from None


def person(call: Call) -> str:
    """Take a person's name, with or without ``@``."""
    return call.word("NAME").removeprefix("@")


def going(state: AppState, call: Call) -> int:
    """Return the number of a command that will bring another room to the front.

    Until it is answered nothing is sent: it could land in the room that is still shown.
    """
    state.going = request(state, call.typed)
    return state.going


# -- coming and going --------------------------------------------------------------------------------


def join(state: AppState, call: Call) -> list[Effect]:
    """Go to a room, joining it first if need be."""
    from lairchat.client.verbs_sealed import code_in, join_by_code

    word = call.word("the room's name")
    rest = call.rest()
    code = code_in(f"{word} {rest}") if not word.startswith("#") else ""
    if code:
        return join_by_code(state, call, code)
    if rest:
        raise CommandError(f'"{rest[:20]}" is too much. {call.command.usage}')
    known = find_room(state, word)
    if known is not None:
        return open_room(state, known)
    name = room_name(word)
    need_online(state)
    return [effects.Join(going(state, call), name)]


def leave(state: AppState, call: Call) -> list[Effect]:
    """Leave a room, asking first when there is no way back in."""
    word = call.optional()
    call.end()
    room = find_room(state, word) if word else need_room(state)
    if room is None:
        raise CommandError(f"you are in no room {word}. /rooms lists what there is")
    need_online(state)
    room_id, typed = room.id, call.typed

    def really(state: AppState) -> list[Effect]:
        return [effects.Leave(request(state, typed), room_id)]

    if room.access == "private" and not room.direct:
        ask(state, f"Leave {room.title}? It is private: coming back takes an invite.", really)
        return []
    return really(state)


def create(state: AppState, call: Call) -> list[Effect]:
    """Make a room."""
    name = room_name(call.word("the room's name"))
    access = call.optional() or "public"
    call.end()
    if access not in ACCESS:
        raise CommandError(f'"{access[:20]}" is neither public nor private. {call.command.usage}')
    need_online(state)
    return [effects.Create(going(state, call), name, access)]


def message(state: AppState, call: Call) -> list[Effect]:
    """Open a direct conversation, and say something there."""
    name, text = person(call), call.rest()
    known = find_room(state, "@" + name)
    why = outbox.refusal(text)
    if text and known is not None:
        why = why or outbox.closed(state, known)
    if why:
        raise CommandError(why)
    if known is not None:
        wanted = open_room(state, known)
        return wanted + (outbox.send(state, known, text) if text else [])
    need_online(state)
    ref = going(state, call)
    if text:
        state.chain[ref] = text
    return [effects.OpenDirect(ref, name)]


def rooms(state: AppState, call: Call) -> list[Effect]:
    """List the rooms of this server."""
    call.end()
    need_online(state)
    return [effects.ListRooms(request(state, call.typed))]


def invite(state: AppState, call: Call) -> list[Effect]:
    """Invite a person into this room, or make a link for somebody without an account."""
    name = call.optional().removeprefix("@")
    call.end()
    need_online(state)
    if not name:
        return [effects.CreateInvite(request(state, call.typed))]
    room = need_room(state)
    return [effects.InviteUser(request(state, call.typed), room.id, name)]


def invites(state: AppState, call: Call) -> list[Effect]:
    """Say whose invitations are hidden, hide somebody's, or show them again."""
    word = call.optional().removeprefix("@")
    switch = call.optional().lower() or ("off" if word else "")
    call.end()
    if switch not in {"", "on", "off"}:
        raise CommandError(f'"{switch[:20]}" is neither on nor off. {call.command.usage}')
    need_online(state)
    ref = request(state, call.typed)
    return [effects.HearOf(ref, word, switch == "on") if word else effects.ListMuted(ref)]


# -- this room ---------------------------------------------------------------------------------------


def topic(state: AppState, call: Call) -> list[Effect]:
    """Show or change the topic."""
    room = need_room(state)
    text = call.rest()
    if not text:
        say(state, f"topic of {room.title}: {room.topic or '(none)  /topic TEXT sets one'}")
        return []
    need_online(state)
    return [effects.SetTopic(request(state, call.typed), room.id, " ".join(text.split()))]


def members(state: AppState, call: Call) -> list[Effect]:
    """Show or hide the members' pane."""
    call.end()
    need_room(state)
    return toggle_members(state)


def toggle_members(state: AppState) -> list[Effect]:
    """Turn the members' pane on or off, fetching who is there."""
    from lairchat.client.layout import WIDE

    if state.width >= WIDE:
        state.settings.members = not state.settings.members
        shown = state.settings.members
    else:
        state.over_members = shown = not state.over_members and bool(state.room.id)
    if shown and state.room.id and state.phase == "online":
        return [effects.ListMembers(0, state.room.id)]
    return []


def names(state: AppState, call: Call) -> list[Effect]:
    """List the members as text."""
    call.end()
    room = need_room(state)
    need_online(state)
    return [effects.ListMembers(request(state, call.typed), room.id)]


def kick(state: AppState, call: Call) -> list[Effect]:
    """Put somebody out of the room."""
    room, name, reason = need_room(state), person(call), call.rest()
    need_online(state)
    return [effects.Kick(request(state, call.typed), room.id, name, reason)]


def ban(state: AppState, call: Call) -> list[Effect]:
    """Put somebody out of the room for good."""
    room, name, reason = need_room(state), person(call), call.rest()
    need_online(state)
    return [effects.Ban(request(state, call.typed), room.id, name, reason)]


def unban(state: AppState, call: Call) -> list[Effect]:
    """Let somebody come back."""
    room, name = need_room(state), person(call)
    call.end()
    need_online(state)
    return [effects.Unban(request(state, call.typed), room.id, name)]


def role(state: AppState, call: Call) -> list[Effect]:
    """Change somebody's role in the room."""
    room, name, word = need_room(state), person(call), call.word("ROLE").lower()
    call.end()
    if word not in ROLES:
        raise CommandError(f'"{word[:20]}" is no role. Roles: {", ".join(ROLES)}')
    need_online(state)
    return [effects.SetRole(request(state, call.typed), room.id, name, word)]


# -- messages ----------------------------------------------------------------------------------------


def me(state: AppState, call: Call) -> list[Effect]:
    """Say what you do."""
    room, text = need_room(state), call.rest()
    if not text:
        call.word("what you do")
    why = outbox.closed(state, room) or outbox.refusal(text)
    if why:
        raise CommandError(why)
    return outbox.send(state, room, text, action=True)


def history(state: AppState, call: Call) -> list[Effect]:
    """Load older messages."""
    room = need_room(state)
    word = call.optional() or str(HISTORY_MOST)
    call.end()
    if not word.isascii() or not word.isdigit() or not 0 < int(word[:9]) <= HISTORY_MOST:
        raise CommandError(f"how many? 1 to {HISTORY_MOST} at a time. {call.command.usage}")
    need_online(state)
    if not room.window.older:
        notice(state, "this is the beginning of the room: there is nothing older")
        return []
    wanted = reading.fetch_older(state, room, int(word))
    if room.scroll is None:
        reading.page_up(state)
    return wanted


def goto(state: AppState, call: Call) -> list[Effect]:
    """Go to a message by number, a day, the unread line, the top or the bottom."""
    room = need_room(state)
    where = call.word("where to")
    call.end()
    places = {"top": reading.top, "bottom": reading.bottom, "unread": reading.unread_line}
    if where in places:
        return places[where](state)
    number = where.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 16:
        if not reading.covers(room, int(number)):
            need_online(state)
        return reading.go_to(state, room, int(number))
    day = _day(state, where)
    room.window.goal = ("day", day)
    return reading.settle_goal(state, room)


def _day(state: AppState, word: str) -> int:
    """Return when a day began where the user is, in milliseconds."""
    parts = word.split("-")
    if len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts):
        year, month, day = (int(part[:4]) for part in parts)
        if 1970 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31:
            return local_midnight(state, year, month, day)
    raise CommandError('where to? "#1234", a day such as 2026-11-22, unread, top or bottom')


def local_midnight(state: AppState, year: int, month: int, day: int) -> int:
    """Return the milliseconds at which a day began in the user's time zone."""
    guess = _utc_days(year, month, day) * 86_400
    for _ in range(2):  # twice: the offset may differ between the guess and the result
        local = state.local_time(guess)
        as_utc = _utc_days(local[0], local[1], local[2]) * 86_400
        as_utc += local[3] * 3_600 + local[4] * 60 + local[5]
        guess -= as_utc - _utc_days(year, month, day) * 86_400
    return guess * 1_000


def _utc_days(year: int, month: int, day: int) -> int:
    """Return the days since 1970 of a date (Howard Hinnant, chrono-compatible algorithms)."""
    year -= month <= 2
    era, in_era = divmod(year, 400)
    in_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + in_era * 365 + in_era // 4 - in_era // 100 + in_year - 719_468


def clear(state: AppState, call: Call) -> list[Effect]:
    """Empty the pane; nothing is deleted."""
    call.end()
    room = state.room
    items = room.window.items
    room.cleared = items[-1].order if items else None
    room.scroll = None
    state.selected = None
    return []
