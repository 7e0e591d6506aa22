"""Applies what the link reports of connection, identity and account.

Every text from outside passes ``safe`` here, before anything keeps it.
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client.account import account_form, leave_account, leave_password
from lairchat.client.dialogs import Form, Page, Trust
from lairchat.client.kit import (
    notice,
    safe,
    say,
)
from lairchat.client.on_device import forget_device
from lairchat.client.state import Me

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState


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
    leave_password(state)
    forget_device(state)
    for room in state.rooms.values():
        state.history.add(room.editor.take())
    state.rooms.clear()
    state.found.clear()
    state.current = state.previous = state.selected = None
    return []
