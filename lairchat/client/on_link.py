"""What the link reports, applied to the state: connection, account, rooms, messages, answers.

Every text from outside passes ``safe`` here, before anything keeps it.
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client.account import account_form, account_refused, leave_account
from lairchat.client.arrivals import (
    acknowledged,
    arrived,
    cursor_moved,
    page_came,
    refused,
    restored,
)
from lairchat.client.dialogs import Form, Page, Trust
from lairchat.client.kit import (
    find_room,
    in_order,
    new_room,
    notice,
    open_room,
    safe,
    say,
    show_error,
)
from lairchat.client.reading import drop_line, fetch_latest, fetch_people, mark_read
from lairchat.client.settings import load
from lairchat.client.state import Me
from lairchat.client.wording import join_notice, member_lines, room_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Room

__all__ = ["LINK"]


# -- the connection ----------------------------------------------------------------------------------


def connecting(state: AppState, event: i.Connecting) -> list[Effect]:
    """An attempt begins."""
    state.server = safe(event.host)
    state.retry_at = None
    if state.phase in {"starting", "halted"}:
        say(state, f"connecting to {state.server}:{event.port}", state.console)
    state.phase = "connecting"
    return []


def connected(state: AppState, event: i.Connected) -> list[Effect]:
    """TCP and TLS stand."""
    state.tls = safe(event.tls)
    state.phase = "greeting"
    state.retry_at = None
    return []


def hello(state: AppState, event: i.HelloReceived) -> list[Effect]:
    """The server said who it is."""
    state.words = safe(event.words)
    state.fingerprint = safe(event.fingerprint)
    state.pinned = event.pinned
    state.version = safe(event.version)
    return []


def disconnected(state: AppState, event: i.Disconnected) -> list[Effect]:
    """No connection: say why once, then count down in the status line."""
    if state.quitting:
        return []  # that is what was asked for
    text = f"{safe(event.code)}  {safe(event.text)}"
    if state.reason != text:  # not once for each attempt
        room = state.room
        say(state, text, room, error=True)
        if state.dialogs and state.journal is None:
            notice(state, text, error=True)
    state.phase = "offline"
    state.code, state.reason = safe(event.code), text
    state.retry_at = state.now + int(event.retry_in * 1000)
    state.latency = None
    for room in state.rooms.values():
        room.window.fetching = ""
        room.people_at, room.people_stale = None, True
    for dialog in state.dialogs:
        if isinstance(dialog, Form):
            dialog.busy = False
    return []


def halted(state: AppState, event: i.Halted) -> list[Effect]:
    """No further attempt is made."""
    state.phase = "halted"
    state.code, state.retry_at = safe(event.code), None
    state.reason = f"{state.code}  {safe(event.text)}"
    leave_account(state)
    say(state, state.reason, error=True)
    say(state, "No further attempt is made. /reconnect tries again, /quit leaves.")
    return []


def identity_changed(state: AppState, event: i.IdentityChanged) -> list[Effect]:
    """A hard stop: both identities side by side, and no key that accepts the new one."""
    state.phase = "halted"
    state.code = "LC-TLS-PIN"
    state.reason = "LC-TLS-PIN  server identity CHANGED"
    state.retry_at = None
    leave_account(state)
    lines = [
        f"The identity of {state.server or 'the server'} has CHANGED.",
        "",
        "was   " + safe(event.old_words),
        "      " + safe(event.old_fingerprint),
        "now   " + safe(event.new_words),
        "      " + safe(event.new_fingerprint),
        "",
        "Somebody may be listening in between. Do not continue unless the operator announced it.",
        "Compare the words with what the operator says, then:",
        "",
        "    lair serverkey --replace",
    ]
    state.dialogs.append(Page("LC-TLS-PIN", lines, state.now, final=True))
    if state.journal is not None:
        for line in lines:
            say(state, line, error=True)
    return []


def latency(state: AppState, event: i.Latency) -> list[Effect]:
    """A ping came back."""
    state.latency = event.milliseconds
    return []


def trust_question(state: AppState, event: i.TrustQuestion) -> list[Effect]:
    """A server never seen before."""
    state.server = safe(event.host)
    dialog = Trust(state.server, event.port, safe(event.words), safe(event.fingerprint), state.now)
    state.words, state.fingerprint = dialog.words, dialog.fingerprint
    state.dialogs.append(dialog)
    if state.journal is not None:
        notice(state, f"New server {dialog.host}:{dialog.port}. Its identity is: {dialog.words}")
        notice(state, f"sha256 {dialog.fingerprint}")
        notice(state, "Compare it with what the server printed. t trusts and remembers, q quits.")
    return []


# -- the account -------------------------------------------------------------------------------------


def account_needed(state: AppState, event: i.AccountNeeded) -> list[Effect]:
    """Nobody is logged in."""
    state.phase = "greeting"
    state.server = safe(event.host)
    account_form(state, event)
    return []


def logged_in(state: AppState, event: i.LoggedIn) -> list[Effect]:
    """This device has a session."""
    state.me = Me(safe(event.user), event.user_id, safe(event.role))
    state.phase = "online"
    state.retry_at = None
    state.reason = ""
    if state.trace_next is not None:
        state.trace, state.trace_next = state.trace_next, None
    leave_account(state)
    return []


def logged_out(state: AppState, event: i.LoggedOut) -> list[Effect]:
    """The session is over; what is queued stays queued."""
    state.me = None
    state.trace = None
    state.synced = False
    state.phase = "greeting"
    say(state, safe(event.text) or "logged out", state.console)
    for room in state.rooms.values():
        state.history.add(room.editor.take())
    state.rooms.clear()
    state.current = state.previous = state.selected = None
    return []


# -- rooms -------------------------------------------------------------------------------------------


def take_info(room: Room, info: i.RoomInfo) -> None:
    """Copy what the server says about a room."""
    room.name = safe(info.name)
    room.direct = info.direct
    room.topic = safe(info.topic)
    room.role, room.access, room.label = safe(info.role), safe(info.access), safe(info.label)
    room.unread = info.unread
    if not room.window.items:
        room.mentions = info.mentions
    elif not info.unread:
        room.mentions = 0
    room.members, room.here = info.members, info.here
    room.read_seq = max(room.read_seq, info.read_seq)
    room.head_seq = max(room.head_seq, info.head_seq)


def rooms_synced(state: AppState, event: i.RoomsSynced) -> list[Effect]:
    """Take the complete list; rooms that are not in it any more are left."""
    ids = {info.id for info in event.rooms}
    for room_id in [room_id for room_id in state.rooms if room_id not in ids]:
        remove_room(state, room_id)
    state.synced = True
    for info in event.rooms:
        room = state.rooms.get(info.id)
        if room is None:
            room = state.rooms[info.id] = new_room(state, info.id, "", direct=info.direct)
        take_info(room, info)
    if state.current is not None:
        room = state.room
        wanted = fetch_latest(state, room) if not room.window.loaded else []
        return fetch_people(state) + wanted + mark_read(state)
    return show_some_room(state)


def show_some_room(state: AppState) -> list[Effect]:
    """Show the room that was shown last, the lobby, or the first one."""
    if not state.rooms:
        return []
    room = (
        (find_room(state, state.wanted) if state.wanted else None)
        or find_room(state, "#lobby")
        or in_order(state)[0]
    )
    wanted = open_room(state, room)
    join_notice(state, room)
    return wanted


def remove_room(state: AppState, room_id: int) -> None:
    """Forget a room; what was typed in it goes to the history."""
    room = state.rooms.pop(room_id)
    state.history.add(room.editor.take())
    if state.previous == room_id:
        state.previous = None
    if state.current == room_id:
        state.current = state.selected = None


def room_joined(state: AppState, event: i.RoomJoined) -> list[Effect]:
    """We are in one more room."""
    state.pending.pop(event.ref, None)
    info = event.room
    room = state.rooms.get(info.id)
    if room is None:
        room = state.rooms[info.id] = new_room(state, info.id, "", direct=info.direct)
    take_info(room, info)
    if not event.show:
        notice(state, f"you are now in {room.title}. Alt-A or /join {room.title} goes there.")
        return []
    typed = ""
    if event.ref and event.ref == state.going and not room.editor.text:
        typed = state.room.editor.take()  # typed while waiting for this room, and meant for it
    wanted = open_room(state, room)
    if typed:
        room.editor.set(typed)
    join_notice(state, room)
    text = state.chain.pop(event.ref, "")
    if text:
        from lairchat.client.outbox import send

        wanted += send(state, room, text)
    return wanted


def room_left(state: AppState, event: i.RoomLeft) -> list[Effect]:
    """We are not in that room any more."""
    state.pending.pop(event.ref, None)
    room = state.rooms.get(event.room)
    if room is None:
        return []
    was_shown = state.current == room.id
    lost = room.editor.text.strip() and "  What you were typing is in the history: Up."
    remove_room(state, event.room)
    wanted = show_some_room(state) if was_shown else []
    notice(state, (safe(event.text) or f"you left {room.title}") + (lost or ""))
    return wanted


def room_changed(state: AppState, event: i.RoomChanged) -> list[Effect]:
    """Something about a room changed."""
    room = state.rooms.get(event.room)
    if room is None:
        return []
    for name in ("name", "topic", "role", "label"):
        value = getattr(event, name)
        if value is not None:
            setattr(room, name, safe(value))
    for name in ("members", "here"):
        value = getattr(event, name)
        if value is not None:
            setattr(room, name, value)
    return []


def members_listed(state: AppState, event: i.MembersListed) -> list[Effect]:
    """Who is in a room."""
    room = state.rooms.get(event.room)
    asked = state.pending.pop(event.ref, None) is not None
    if room is None:
        return []
    room.people = {
        safe(one.name): i.Member(safe(one.name), safe(one.role), one.here) for one in event.members
    }
    room.members = len(room.people)
    room.here = sum(one.here for one in room.people.values())
    if asked:
        say(state, member_lines(room), room)
    return []


def presence_changed(state: AppState, event: i.PresenceChanged) -> list[Effect]:
    """Somebody came or went."""
    name = safe(event.name)
    for room in state.rooms.values():
        known = room.people.get(name)
        if known is not None and known.here != event.here:
            room.people[name] = i.Member(name, known.role, event.here)
            room.here = sum(one.here for one in room.people.values())
    return []


def rooms_listed(state: AppState, event: i.RoomsListed) -> list[Effect]:
    """The answer to /rooms: a page to read."""
    asked = state.pending.pop(event.ref, None) is not None
    lines = room_lines(event.rooms)
    if state.journal is not None:
        say(state, "\n".join(lines))
    elif asked:
        state.dialogs.append(Page(f"Rooms on {state.server}", lines))
    return []


def unread_changed(state: AppState, event: i.UnreadChanged) -> list[Effect]:
    """The server's count for a room."""
    room = state.rooms.get(event.room)
    if room is None:
        return []
    room.unread, room.mentions = event.unread, event.mentions
    if not event.unread and state.current != room.id:
        drop_line(room)
    return mark_read(state) if state.current == room.id else []


# -- answers -----------------------------------------------------------------------------------------


def invite_created(state: AppState, event: i.InviteCreated) -> list[Effect]:
    """A link to hand on."""
    state.pending.pop(event.ref, None)
    link = safe(event.link)
    if state.journal is not None:
        say(state, f"invite link, to be handed on: {link}")
        say(state, safe(event.note))
        return []
    lines = ["Hand this link on; whoever has it can register here.", "", f"    {link}", ""]
    lines += [safe(event.note)] if event.note else []
    state.dialogs.append(Page("Invite link", lines, state.now, copies=link))
    return []


def caught_up(state: AppState, event: i.CaughtUp) -> list[Effect]:
    """The connection is back and everything missed is here."""
    count = event.count
    news = f"{count} new message{'s' * (count != 1)}" if count else "nothing was missed"
    say(state, f"connected again: {news}")
    return mark_read(state)


def command_done(state: AppState, event: i.CommandDone) -> list[Effect]:
    """A command succeeded."""
    state.pending.pop(event.ref, None)
    form = state.dialog
    if isinstance(form, Form) and form.ref == event.ref and event.ref:
        form.clear_secrets()
        state.dialogs.pop()
    if event.text:
        notice(state, safe(event.text))
    return []


def command_failed(state: AppState, event: i.CommandFailed) -> list[Effect]:
    """A command was refused: what was typed goes back into the input if that is empty."""
    typed = state.pending.pop(event.ref, "")
    chained = state.chain.pop(event.ref, "")
    if not event.ref:
        for room in state.rooms.values():
            room.window.fetching, room.window.goal = "", None
    form = state.dialog
    if isinstance(form, Form) and form.ref == event.ref and event.ref:
        form.busy = False
        form.error = f"{safe(event.code)}  {safe(event.text)}"
        if state.journal is not None:
            notice(state, form.error, error=True)
        return []
    give_back(state, typed or chained)
    show_error(state, event.code, event.text)
    return []


def give_back(state: AppState, typed: str) -> None:
    """Put a refused command back where it was typed, or at least into the history."""
    if not typed or state.journal is not None:
        return
    if state.room.editor.text:
        state.history.add(typed)
    else:
        state.room.editor.set(typed)


def plain_notice(state: AppState, event: i.Notice) -> list[Effect]:
    """A line for the user."""
    show_error(state, event.code, event.text) if event.code else notice(state, safe(event.text))
    return []


def settings_loaded(state: AppState, event: i.SettingsLoaded) -> list[Effect]:
    """Settings as they were saved."""
    for name, value in event.settings:
        load(state, name, value)
    return []


LINK: dict[type[i.Input], Callable[[AppState, Any], list[Effect]]] = {
    i.Connecting: connecting,
    i.Connected: connected,
    i.HelloReceived: hello,
    i.Disconnected: disconnected,
    i.Halted: halted,
    i.IdentityChanged: identity_changed,
    i.Latency: latency,
    i.TrustQuestion: trust_question,
    i.AccountNeeded: account_needed,
    i.AccountRefused: account_refused,
    i.LoggedIn: logged_in,
    i.LoggedOut: logged_out,
    i.RoomsSynced: rooms_synced,
    i.RoomJoined: room_joined,
    i.RoomLeft: room_left,
    i.RoomChanged: room_changed,
    i.MembersListed: members_listed,
    i.PresenceChanged: presence_changed,
    i.RoomsListed: rooms_listed,
    i.UnreadChanged: unread_changed,
    i.InviteCreated: invite_created,
    i.MessageArrived: arrived,
    i.HistoryPage: page_came,
    i.SendAcknowledged: acknowledged,
    i.SendRefused: refused,
    i.OutboxRestored: restored,
    i.CursorMoved: cursor_moved,
    i.CaughtUp: caught_up,
    i.CommandDone: command_done,
    i.CommandFailed: command_failed,
    i.Notice: plain_notice,
    i.SettingsLoaded: settings_loaded,
}
"""Who applies which input."""
