"""Applies what the link reports of this device: its words, its store, whose it is, its siblings.

Every text from outside passes ``safe`` here, before anything keeps it.
"""

from __future__ import annotations

from lairchat.client import inputs_sealed as i
from lairchat.client.account import close_form
from lairchat.client.dialogs import Choices, Form, Question, drop, find
from lairchat.client.effects_sealed import BeginAnew, LinkDevice, WordsKept
from lairchat.client.forms_sealed import LINK_WORDS, UNLOCK, unlock_form, words_form
from lairchat.client.kit import ask, notice, request, safe, show, show_error, tell
from lairchat.client.secret import WordsTrace
from lairchat.client.state import Item
from lairchat.client.wording import date_of
from lairchat.client.wording_sealed import device_lines, recovery_lines
from lairchat.model.phrases import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = [
    "backup_taken",
    "device_linked",
    "device_unlinked",
    "devices_listed",
    "forget_device",
    "link_page",
    "recovery_words",
    "store_locked",
    "store_opened",
]

WORDS = ("words", 0)
LINK = ("link", 0)
WRITTEN = "Have you written them down? They are not shown again."
ANEW = (
    "Begin anew? Nothing brings back what was said in your encrypted rooms, you are no member of "
    "them any more, and everybody who knows you is warned that your identity changed."
)


# -- the recovery words ------------------------------------------------------------------------------


def recovery_words(state: AppState, event: i.RecoveryWords) -> list[Effect]:
    """Show the words until somebody has said twice that they are written down."""
    state.sealed = True
    if find(state, WORDS) is not None:
        return []
    words = [safe(word) for word in event.words]
    if state.trace_key:
        state.words_trace = WordsTrace(words, state.trace_key)
    lines = recovery_lines(words)
    if state.journal is not None:
        text = "\n".join(["Your recovery words", *lines])
        # Printed once: it stands in no room, from where it would be told again.
        tell(state, state.console, Item((0, 0), state.now, "", text, "note"))
        _ask_whether_written(state)
        return []
    page = Choices("Your recovery words", lines, state.now, tag=WORDS)
    page.leave_words = "they stay until you have written them down: then Enter"
    page.enter = _ask_whether_written
    state.dialogs.append(page)
    return []


def _ask_whether_written(state: AppState) -> list[Effect]:
    plain = state.journal is not None
    later = "shown again at the next start" if plain else "here until you have"
    question = Question(
        WRITTEN, _written, state.now if plain else None, lambda state: _not_yet(state, later)
    )
    if plain:
        question.tag = WORDS
        notice(state, f"{WRITTEN} y/N")
    state.dialogs.append(question)
    return []


def _written(state: AppState) -> list[Effect]:
    page = find(state, WORDS)
    if page is not None:
        state.dialogs.remove(page)
    notice(state, "the recovery words are erased from this device")
    return [WordsKept()]


def _not_yet(state: AppState, later: str) -> list[Effect]:
    notice(state, f"the words are {later}")
    return []


# -- the store ---------------------------------------------------------------------------------------


def store_locked(state: AppState, event: i.StoreLocked) -> list[Effect]:
    """Encrypted rooms wait for the password; all others do not."""
    state.sealed = True
    known, state.locked = state.locked, True
    form = find(state, UNLOCK)
    if isinstance(form, Form) and event.code:
        state.trace_next = None
        form.busy = False
        form.clear_secrets()
        form.error = f"{safe(event.code)}  {safe(event.text)}"
        if state.journal is not None:
            notice(state, form.error, error=True)
    elif event.code:
        show_error(state, event.code, event.text)
    elif not known and form is None:
        if state.journal is None:
            unlock_form(state, state.now)
        else:
            notice(state, "encrypted rooms are locked: /unlock asks for the password")
    return []


def store_opened(state: AppState, _event: i.StoreOpened) -> list[Effect]:
    """Encrypted rooms can be read and written."""
    state.sealed, state.locked = True, False
    if state.trace_next is not None:
        state.trace, state.trace_next = state.trace_next, None
    form = find(state, UNLOCK)
    if form is not None:
        close_form(state, form)
        notice(state, "encrypted rooms are open")
    return []


# -- whose device this is ----------------------------------------------------------------------------


def device_unlinked(state: AppState, event: i.DeviceUnlinked) -> list[Effect]:
    """This device is new: say how it becomes one of the account's."""
    state.sealed = True
    known = state.unlinked is not None
    state.unlinked = tuple(safe(name) for name in event.devices)
    if known:
        return []
    if state.journal is not None:
        notice(state, "this device is new and reads no encrypted rooms yet: /link")
        return []
    return link_page(state, state.now)


def link_page(state: AppState, opened: int | None = None) -> list[Effect]:
    """Offer the ways in; the last one is to begin anew."""
    names = ", ".join(state.unlinked or ())
    lines = [
        "It is logged in, and not yet one of your devices: it reads no encrypted rooms.",
        "Public rooms work without it.",
        "",
        *([f"d  compare it with another device of yours: {names}"] if names else []),
        "w  type your recovery words",
        "n  neither is left: begin anew, with a new identity",
    ]
    page = Choices("This device is new", lines, opened, tag=LINK)
    page.keys = (
        ("w", "words", _link_by_words),
        ("n", "anew", _ask_to_begin_anew),
    )
    if names:
        page.keys = (("d", "device", _link_by_device), *page.keys)
    page.leave_words, page.leave = "later", _link_later
    show(state, page)
    return []


def _link_by_device(state: AppState) -> list[Effect]:
    return [LinkDevice(request(state))]


def _link_by_words(state: AppState) -> list[Effect]:
    words_form(state)
    return []


def _ask_to_begin_anew(state: AppState) -> list[Effect]:
    ask(state, ANEW, lambda state: [BeginAnew(request(state))])
    return []


def _link_later(state: AppState) -> list[Effect]:
    notice(state, "later, then: /link asks again")
    return []


def device_linked(state: AppState, event: i.DeviceLinked) -> list[Effect]:
    """This device is one of the account's."""
    state.pending.pop(event.ref, None)
    state.unlinked = None
    form = find(state, LINK_WORDS)
    if form is not None:
        close_form(state, form)
    page = find(state, LINK)
    if page is not None:
        drop(state, page)
    notice(state, "this device is one of yours now: encrypted rooms open by and by")
    return []


def backup_taken(state: AppState, event: i.BackupTaken) -> list[Effect]:
    """What was backed up is here."""
    state.pending.pop(event.ref, None)
    form = find(state, LINK_WORDS)
    if form is not None:
        close_form(state, form)
    new = counted(event.count, "message") if event.count else "nothing that was not here"
    notice(state, f"from your backup: {new}")
    return []


def devices_listed(state: AppState, event: i.DevicesListed) -> list[Effect]:
    """The answer to /devices: a page to read."""
    asked = state.pending.pop(event.ref, None) is not None
    devices = [
        i.Device(safe(one.id), safe(one.name), one.created, one.here, one.primary, one.revoked)
        for one in event.devices
    ]
    lines = device_lines([(one, date_of(state, one.created)) for one in devices])
    if asked:
        show(state, Choices("Your devices", lines))
    return []


def forget_device(state: AppState) -> None:
    """Forget what was so for the account that is logged out; words not written down yet stay."""
    state.locked, state.unlinked = False, None
    state.invites.clear()
    for dialog in [one for one in state.dialogs if one.tag not in {None, WORDS}]:
        drop(state, dialog)
