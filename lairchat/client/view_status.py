"""Draws the status line: time, server, connection, what waits, and always a key that helps."""

from __future__ import annotations

from lairchat.client.keymap import short_key
from lairchat.client.markup import clip, width
from lairchat.client.wording import typing_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.canvas import Canvas
    from lairchat.client.layout import Layout
    from lairchat.client.state import AppState

__all__ = ["connection_text", "draw_status"]


def clock(state: AppState) -> str:
    """Return the time of day, blanks before the first tick."""
    if not state.now:
        return "--:--"
    when = state.local_time(state.now / 1000)
    return f"{when[3]:02}:{when[4]:02}"


def connection_text(state: AppState) -> str:
    """Return the bracket at the left: the time, or what is wrong with the connection."""
    time = clock(state)
    if state.quitting:
        return "closing"
    if state.phase == "online":
        return time
    if state.phase == "offline":
        left = 0
        if state.retry_at is not None:
            left = max(0, -((state.now - state.retry_at) // 1000))
        return f"offline {time}, retry {left} s" if left else f"offline {time}, retrying"
    words = {"greeting": "logging in", "halted": f"stopped: {state.code}"}
    return words.get(state.phase, state.phase)


def _parts(state: AppState, found: Layout) -> list[str]:
    """Return what the line says, most important first."""
    wide = found.kind == "wide"
    who = f"{state.me.name}@{state.server}" if wide and state.me is not None else state.server
    parts = [who] if who else []
    if wide and state.tls and state.phase == "online":
        parts.append(state.tls + (" pinned" if state.pinned else ""))
    if state.latency is not None and state.phase == "online":
        parts.append(f"{state.latency}ms")
    waiting = sum(1 for one in state.outbox if one.item.mark == "..")
    failed = len(state.outbox) - waiting
    if failed:
        parts.append(f"{failed} failed")
    if waiting:
        parts.append(f"{waiting} queued")
    if wide and state.sent:
        parts.append(f"sent {state.stored}/{state.sent}")
    mine = sum(room.mentions for room in state.rooms.values())
    if mine:
        parts.append(f"{mine} mention{'s' * (mine != 1)}")
    typing = typing_words(state, state.room)
    if typing:
        parts.append(typing)
    unread = sum(1 for room in state.rooms.values() if room.unread and room.id != state.current)
    if unread:
        parts.append(f"{unread} unread")
    if state.room.scroll is not None or state.room.window.newer:
        parts.append("-MORE-")
    return parts


def hints(state: AppState, found: Layout) -> str:
    """Return the keys shown at the right end."""
    help_key = short_key(state.keymap, "help") or "/help"
    go_key = short_key(state.keymap, "switch")
    wide = found.kind != "narrow"
    if state.selected is not None:
        if state.room.encrypted:
            return "[r reply t thread e edit d delete + Esc]" if wide else "r t e d + Esc"
        return "[x resend e edit c copy y quote Esc]" if wide else "x e c y Esc"
    if state.prefix:
        return "[^X ... ? shows keys]" if found.kind != "narrow" else "^X ?"
    if state.room.scroll is not None:
        end = short_key(state.keymap, "bottom")
        if found.kind == "narrow":
            return f"{help_key} help  {end}"
        return f"[{help_key} help {end} newest]"
    if found.kind == "narrow":
        return f"{help_key} help  {go_key} go" if go_key else f"{help_key} help"
    if found.kind == "wide":
        return f"[{help_key} help] [{go_key} go]" if go_key else f"[{help_key} help]"
    return f"[{help_key} help {go_key} go]" if go_key else f"[{help_key} help]"


def draw_status(state: AppState, canvas: Canvas, found: Layout) -> None:
    """Draw it; what does not fit is dropped from the least important end, the keys stay."""
    y = found.status_y
    canvas.fill(0, y, found.width, "status")
    right = hints(state, found)
    if found.kind == "narrow":
        _narrow(state, canvas, found, right)
        return
    left = f" [{connection_text(state)}] "
    room = found.width - width(right) - 2
    for part in _parts(state, found):
        if width(left) + width(part) + 2 > room:
            break
        left += part + "  "
    attr = "status" if state.phase == "online" else "status-bad"
    canvas.put(0, y, clip(left, max(0, room)), attr)
    canvas.put(found.width - width(right) - 1, y, right, "status")


def _narrow(state: AppState, canvas: Canvas, found: Layout, right: str) -> None:
    left = connection_text(state)
    room = found.width - width(right) - 2
    if state.phase == "online":
        left = _narrow_online(state, left, room)
    elif state.phase == "offline":
        left = "offline" + left[left.rfind(" retry") :] if " retry" in left else left
    if room < 4:
        right, room = "", found.width
    attr = "status" if state.phase == "online" else "status-bad"
    x = canvas.put(0, found.status_y, clip(left, room), attr)
    canvas.put(x + 2, found.status_y, right, "status")


def _narrow_online(state: AppState, time: str, room: int) -> str:
    """Return how it goes, or who types if nothing waits and it fits."""
    typing = f"{time} {typing_words(state, state.room)}"
    if typing != f"{time} " and not state.outbox and width(typing) <= room:
        return typing
    waiting = sum(1 for one in state.outbox if one.item.mark == "..")
    failed = len(state.outbox) - waiting
    left = f"{time} ok" + (f" {state.latency}ms" if state.latency is not None else "")
    left += f" {failed} failed" if failed else ""
    return left + (f" {waiting} queued" if waiting else "")
