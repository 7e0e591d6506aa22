"""Says who applies which report of the link, and applies the answers to commands.

Every text from outside passes ``safe`` before anything keeps it: here, in ``on_connection``,
``on_rooms`` and ``arrivals``.
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as sealed
from lairchat.client.account import account_refused, close_form
from lairchat.client.arrivals import (
    acknowledged,
    arrived,
    cursor_moved,
    page_came,
    refused,
    restored,
)
from lairchat.client.dialogs import Form, Page
from lairchat.client.kit import (
    notice,
    safe,
    say,
    show_error,
)
from lairchat.client.on_connection import (
    account_needed,
    connected,
    connecting,
    disconnected,
    halted,
    hello,
    identity_changed,
    latency,
    logged_in,
    logged_out,
    trust_question,
)
from lairchat.client.on_device import (
    backup_taken,
    device_linked,
    device_unlinked,
    devices_listed,
    recovery_words,
    store_locked,
    store_opened,
)
from lairchat.client.on_identity import (
    comparing,
    comparison_asked,
    comparison_ended,
    identity_shown,
    newcomers_listed,
)
from lairchat.client.on_rooms import (
    members_listed,
    presence_changed,
    room_changed,
    room_joined,
    room_left,
    rooms_listed,
    rooms_synced,
    unread_changed,
)
from lairchat.client.on_sealed import (
    code_made,
    found,
    invited,
    invites_listed,
    message_changed,
    messages_gone,
    somebody_types,
)
from lairchat.client.reading import mark_read
from lairchat.client.settings import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = ["LINK"]


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


def form_of(state: AppState, ref: int) -> Form | None:
    """Return the form that waits for this answer, also under a page that was opened since."""
    forms = (one for one in state.dialogs if isinstance(one, Form))
    return next((form for form in forms if ref and form.ref == ref), None)


def command_done(state: AppState, event: i.CommandDone) -> list[Effect]:
    """A command succeeded."""
    state.pending.pop(event.ref, None)
    form = form_of(state, event.ref)
    if form is not None:
        if form.kind == "password":
            state.trace, state.trace_next = state.trace_next, None
        close_form(state, form)
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
    form = form_of(state, event.ref)
    if form is not None:
        state.trace_next = None
        form.busy = False
        form.error = f"{safe(event.code)}  {safe(event.text)}"
        if state.journal is not None:
            notice(state, form.error, error=True)
        return []
    if state.quitting and not event.ref:
        return []  # what nobody typed ends with the connection, as was asked for
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
    sealed.RecoveryWords: recovery_words,
    sealed.StoreLocked: store_locked,
    sealed.StoreOpened: store_opened,
    sealed.DeviceUnlinked: device_unlinked,
    sealed.DeviceLinked: device_linked,
    sealed.BackupTaken: backup_taken,
    sealed.DevicesListed: devices_listed,
    sealed.ComparisonAsked: comparison_asked,
    sealed.Comparing: comparing,
    sealed.ComparisonEnded: comparison_ended,
    sealed.IdentityShown: identity_shown,
    sealed.NewcomersListed: newcomers_listed,
    sealed.Invited: invited,
    sealed.InvitesListed: invites_listed,
    sealed.CodeMade: code_made,
    sealed.MessageChanged: message_changed,
    sealed.MessagesGone: messages_gone,
    sealed.SomebodyTypes: somebody_types,
    sealed.Found: found,
}
"""Who applies which input."""
