"""Slash commands about the program, the connection and the account."""

from __future__ import annotations

from lairchat import __version__
from lairchat.client import effects
from lairchat.client.account import password_form
from lairchat.client.dialogs import Page
from lairchat.client.kit import (
    CommandError,
    ask,
    drafts,
    find_room,
    need_online,
    notice,
    quit_now,
    request,
    say,
)
from lairchat.client.settings import SETTINGS, change, describe
from lairchat.client.verbs_rooms import toggle_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.call import Call
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState


def show_help(state: AppState, call: Call) -> list[Effect]:
    """Explain everything, or one command."""
    from lairchat.client.help import command_lines, open_help

    word = call.optional()
    call.end()
    if word:
        say(state, "\n".join(command_lines(word)))
        return []
    open_help(state)
    return []


def leave_program(state: AppState, call: Call) -> list[Effect]:
    """End the program, asking first when drafts would be lost."""
    call.end()
    waiting = drafts(state)
    if waiting:
        ask(state, f"There is an unsent draft in {waiting}. Quit without it?", quit_now)
        return []
    return quit_now(state)


def reconnect(state: AppState, call: Call) -> list[Effect]:
    """Connect now."""
    call.end()
    state.retry_at = None
    return [effects.Reconnect()]


def whois(state: AppState, call: Call) -> list[Effect]:
    """Say what is known of a person."""
    name = call.word("NAME").removeprefix("@")
    call.end()
    lowered = name.lower()
    rows = []
    here = False
    for room in state.rooms.values():
        for known, member in room.people.items():
            if known.lower() == lowered:
                name, here = known, here or member.here
                rows.append(f"  {member.role} in {room.title}")
    if state.me is not None and lowered == state.me.name.lower():
        rows.insert(0, f"  this is you, {state.me.role} on {state.server}")
    if not rows and find_room(state, "@" + name) is None:
        raise CommandError(f"{name} is in none of your rooms. /msg {name} asks the server")
    say(state, "\n".join([f"{name}: {'here' if here else 'not here'}", *rows]))
    return []


def status(state: AppState, call: Call) -> list[Effect]:
    """Say how things stand."""
    call.end()
    waiting = sum(1 for one in state.outbox if one.item.mark == "..")
    failed = len(state.outbox) - waiting
    unread = sum(room.unread for room in state.rooms.values())
    lines = [
        f"connection  {connection_words(state)}",
        f"server      {state.server or '(none)'} {state.version}".rstrip(),
        f"identity    {state.words or '(not known yet)'}",
        f"account     {f'{state.me.name}, {state.me.role}' if state.me else 'nobody is logged in'}",
        f"rooms       {len(state.rooms)}, {unread} unread messages",
        f"queue       {waiting} waiting, {failed} failed",
    ]
    say(state, "\n".join(lines))
    return []


def connection_words(state: AppState) -> str:
    """Return the state of the connection in words."""
    if state.phase == "online":
        latency = f", {state.latency} ms" if state.latency is not None else ""
        return f"online, {state.tls}{latency}"
    return f"{state.phase}  {state.reason}".strip()


def password(state: AppState, call: Call) -> list[Effect]:
    """Change the password, in a form: it is never typed into the input."""
    if call.rest():
        raise CommandError("type /password alone: it asks in a form where nobody can read along")
    need_online(state)
    password_form(state)
    return []


def logout(state: AppState, call: Call) -> list[Effect]:
    """End the session of this device, or of all."""
    word = call.optional()
    call.end()
    if word not in {"", "all"}:
        raise CommandError(f'"{word[:20]}" is not known here. {call.command.usage}')
    need_online(state)
    everywhere = word == "all"

    def really(state: AppState) -> list[Effect]:
        return [effects.Logout(request(state), everywhere)]

    where = "on all your devices" if everywhere else "on this device"
    ask(state, f"Log out {where}? Your password lets you in again.", really)
    return []


def set_setting(state: AppState, call: Call) -> list[Effect]:
    """Show or change settings."""
    name, value = call.optional(), call.optional()
    call.end()
    if not name:
        say(state, "\n".join(describe(state)))
        return []
    if not value:
        lines = [line for line in describe(state) if line.split()[0] == name]
        if not lines:
            names = ", ".join(one.name for one in SETTINGS)
            raise CommandError(f'there is no setting "{name[:20]}". Settings: {names}')
        say(state, lines[0])
        return []
    why = change(state, name, value)
    if why:
        raise CommandError(why)
    notice(state, f"{name} is {value}")
    return [effects.SaveSetting(name, value)]


def layout(state: AppState, call: Call) -> list[Effect]:
    """Turn a pane on or off."""
    pane, value = call.word("members or rooms"), call.optional()
    call.end()
    if pane not in {"members", "rooms"} or value not in {"", "on", "off"}:
        raise CommandError(f"which pane? {call.command.usage}")
    if pane == "members" and not value:
        return toggle_members(state)
    value = value or ("off" if getattr(state.settings, pane) else "on")
    change(state, pane, value)
    return [effects.SaveSetting(pane, value)]


def version(state: AppState, call: Call) -> list[Effect]:
    """Say which versions talk to each other."""
    call.end()
    server = f", server {state.version}" if state.version else ""
    say(state, f"Lair Chat {__version__}{server}")
    return []


def plain(state: AppState, call: Call) -> list[Effect]:
    """Say how to run without a screen."""
    call.end()
    say(
        state,
        "For screen readers and pipes: lair --plain (or LAIR_PLAIN=1). One line for each event,\n"
        "no colours, no cursor movement; what you type and all commands are the same.",
    )
    return []


def debug(state: AppState, call: Call) -> list[Effect]:
    """Show figures for a bug report: sizes and states, no texts."""
    call.end()
    lines = [
        f"version     {__version__}",
        f"screen      {state.width}x{state.height}, focus {'yes' if state.focused else 'no'}",
        f"connection  {state.phase} {state.code}".rstrip(),
        f"outbox      {len(state.outbox)}, sent {state.sent}, stored {state.stored}",
        f"commands    {len(state.pending)} unanswered",
    ]
    for room in state.rooms.values():
        window = room.window
        lines.append(
            f"room {room.id:<6} {len(window.items)} items {window.tail}..{window.head} of "
            f"{room.head_seq}, read {room.read_seq}, older {window.older}, newer {window.newer}"
        )
    if state.journal is not None:
        say(state, "\n".join(lines))
    else:
        state.dialogs.append(Page("Figures for a bug report", lines))
    return []
