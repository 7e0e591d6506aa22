"""Slash commands about this account's devices, and about who is who."""

from __future__ import annotations

from lairchat.client import effects_sealed as effects
from lairchat.client.kit import CommandError, ask, need_online, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.call import Call
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState


def _person(call: Call) -> str:
    name = call.word("NAME").removeprefix("@")
    call.end()
    return name


# -- this device and its siblings --------------------------------------------------------------------


def unlock(state: AppState, call: Call) -> list[Effect]:
    """Open this device's store, in a form: the password is never typed into the input."""
    from lairchat.client.forms_sealed import unlock_form

    if call.rest():
        raise CommandError("type /unlock alone: it asks in a form where nobody can read along")
    if not state.locked:
        raise CommandError("nothing is locked on this device")
    unlock_form(state)
    return []


def link(state: AppState, call: Call) -> list[Effect]:
    """Make this device one of the account's."""
    from lairchat.client.on_device import link_page

    call.end()
    if state.unlinked is None:
        raise CommandError("this device is one of yours already. /devices lists them")
    need_online(state)
    return link_page(state)


def recover(state: AppState, call: Call) -> list[Effect]:
    """Take in what is backed up, by the recovery words: in a form, never in the input."""
    from lairchat.client.forms_sealed import words_form

    if call.rest():
        raise CommandError("type /recover alone: it asks in a form where nobody can read along")
    _need_linked(state)
    need_online(state)
    words_form(state)
    return []


def backup(state: AppState, call: Call) -> list[Effect]:
    """Back encrypted rooms up, or delete the backup."""
    word = call.word("on or off")
    call.end()
    if word not in {"on", "off"}:
        raise CommandError(f"on or off? {call.command.usage}")
    _need_linked(state)
    need_online(state)
    typed = call.typed

    def really(state: AppState) -> list[Effect]:
        return [effects.KeepBackup(request(state, typed), word == "on")]

    if word == "on":
        return really(state)
    text = "Delete the backup? A device that you link later then shows nothing from before."
    ask(state, text, really)
    return []


def _need_linked(state: AppState) -> None:
    if state.unlinked is not None:
        raise CommandError("this device is not one of yours yet: /link")


def devices(state: AppState, call: Call) -> list[Effect]:
    """List the account's devices."""
    call.end()
    need_online(state)
    return [effects.ListDevices(request(state, call.typed))]


def revoke(state: AppState, call: Call) -> list[Effect]:
    """End a device; a name may have blanks."""
    name = call.word("the device's name") + " " + call.rest()
    name, lost = name.strip(), False
    if name.endswith(" lost"):
        name, lost = name.removesuffix(" lost").strip(), True
    need_online(state)
    typed = call.typed

    def really(state: AppState) -> list[Effect]:
        return [effects.RevokeDevice(request(state, typed), name, lost)]

    warning = " Whoever has it may have read what it held." if lost else ""
    ask(state, f'End the device "{name}"? It reads nothing new from then on.{warning}', really)
    return []


# -- other people ------------------------------------------------------------------------------------


def verify(state: AppState, call: Call) -> list[Effect]:
    """Compare short codes with somebody who is there."""
    name = _person(call)
    need_online(state)
    return [effects.VerifyPerson(request(state, call.typed), name)]


def fingerprint(state: AppState, call: Call) -> list[Effect]:
    """Show somebody's safety number."""
    return _shown(state, call, _person(call))


def accept(state: AppState, call: Call) -> list[Effect]:
    """Show somebody's identity, where a changed one can be accepted; or whom nobody saw come."""
    from lairchat.client.verbs_sealed import need_sealed

    name = call.optional().removeprefix("@")
    call.end()
    if name:
        return _shown(state, call, name)
    room = need_sealed(state)
    need_online(state)
    return [effects.ListNewcomers(request(state, call.typed), room.id)]


def _shown(state: AppState, call: Call, name: str) -> list[Effect]:
    need_online(state)
    return [effects.ShowIdentity(request(state, call.typed), name)]
