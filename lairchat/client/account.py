"""The forms that ask for secrets: log in or register, and the change of a password."""

from __future__ import annotations

from lairchat.client import effects
from lairchat.client import inputs as i
from lairchat.client.dialogs import Dialog, Field, Form, Trust
from lairchat.client.kit import notice, request, safe
from lairchat.client.secret import Secret, Trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = [
    "account_form",
    "account_refused",
    "close_form",
    "form_key",
    "form_text",
    "leave_account",
    "leave_password",
    "password_form",
    "strength",
    "submit",
    "trust_answer",
]

LOG_IN = ("login", "log in")
CREATE = {
    "open": ("register", "create an account"),
    "invite": ("register", "create with invite code"),
}
STRENGTHS = ((8, "too short"), (11, "weak"), (15, "fair"), (20, "good"))  # below so many points
TOO_SHORT = (
    "the password is too short: 8 characters or more, and not the same few. Type a longer one"
)


def strength(secret: Secret) -> str:
    """Return a rough word for a password: by length and variety, no dictionary."""
    text = secret.reveal()
    if not text:
        return ""
    kinds = sum(
        any(test(c) for c in text)
        for test in (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    )
    points = len(text) + 2 * (kinds - 1) if len(set(text)) > 4 else len(set(text))
    if len(text) < STRENGTHS[0][0]:
        points = min(points, 7)
    return next((word for bound, word in STRENGTHS if points < bound), "strong")


def _is_account(dialog: Dialog) -> bool:
    return isinstance(dialog, Form) and dialog.kind == "account"


# -- opening and closing -----------------------------------------------------------------------------


def account_form(state: AppState, event: i.AccountNeeded) -> None:
    """Open the form; one that is already being filled in keeps its answers."""
    state.dialogs[:] = [one for one in state.dialogs if not isinstance(one, Trust)]
    form = next((one for one in state.dialogs if _is_account(one)), None)
    if isinstance(form, Form):
        form.busy = False
        form.registration = event.registration
        return
    choices = [LOG_IN, CREATE[event.registration]] if event.registration in CREATE else [LOG_IN]
    fields = [
        Field("mode", "Account", "choice", tuple(choices)),
        Field("name", "Name"),
        Field("invite", "Invite"),
        Field("password", "Password", "secret"),
    ]
    form = Form("account", fields, state.now)
    form.host, form.registration = safe(event.host), event.registration
    if event.mode == "register" and len(choices) > 1:
        fields[0].choice = 1
    fields[1].editor.set(safe(event.name))
    fields[2].editor.set(safe(event.invite))
    form.focus = 1
    state.dialogs.append(form)


def password_form(state: AppState) -> None:
    """Open the form that changes the password."""
    fields = [
        Field("old", "Password now", "secret"),
        Field("new", "New password", "secret"),
        Field("again", "New, again", "secret"),
    ]
    state.dialogs.append(Form("password", fields))


def leave_account(state: AppState) -> None:
    """Close the trust question and the account form, and forget what was typed in secret.

    A password form stays: what is being typed into it would go into the room.
    """
    for form in [one for one in state.dialogs if _is_account(one)]:
        close_form(state, form)
    state.dialogs[:] = [one for one in state.dialogs if not isinstance(one, Trust)]


def leave_password(state: AppState) -> None:
    """Close the forms of a session that is over."""
    for form in [one for one in state.dialogs if isinstance(one, Form)]:
        if not _is_account(form):
            close_form(state, form)


def close_form(state: AppState, form: Dialog) -> None:
    """Close a form without being asked to; whoever still types into it is not sending that."""
    assert isinstance(form, Form)
    if form.typed_over or not form.busy:
        state.moved_at = state.now
    form.clear_secrets()
    state.dialogs.remove(form)
    # What was typed before the form took keys may be what it asked for.
    if state.console.editor.text and _is_account(form):
        state.history.add(state.console.editor.take())
        notice(state, "what was typed before you were logged in is in the history: Up")


def account_refused(state: AppState, event: i.AccountRefused) -> list[Effect]:
    """Say why in the form; every answer but the password stays."""
    text = f"{safe(event.code)}  {safe(event.text)}"
    state.trace_next = None
    form = next((one for one in state.dialogs if _is_account(one)), None)
    if not isinstance(form, Form):
        notice(state, text, error=True)
        return []
    form.busy = False
    form.error = text
    names = [field.name for field in form.visible]
    form.focus = names.index(event.field) if event.field in names else names.index("password")
    form.clear_secrets()
    if state.journal is not None:
        notice(state, text, error=True)
    return []


def trust_answer(state: AppState, *, trusted: bool) -> list[Effect]:
    """Answer the trust question."""
    state.dialogs[:] = [one for one in state.dialogs if not isinstance(one, Trust)]
    if trusted:
        state.pinned = True
        return [effects.TrustAnswer(True)]
    return [effects.TrustAnswer(False), effects.Quit()]


# -- filling in --------------------------------------------------------------------------------------


def form_text(form: Form, text: str) -> None:
    """Type or paste into the current field; a paste's line ends do not answer anything."""
    if form.busy:
        form.typed_over = True
        return
    field = form.current
    if form.kind == "words":  # written down in lines, and pasted so
        text = text.replace("\n", " ")
    text = text.strip("\n") if "\n" in text else text
    text = text.partition("\n")[0]
    if field.kind == "secret":
        field.secret.append(text)
    elif field.kind == "text":
        field.editor.insert(text)
    elif text == " ":
        field.choice = (field.choice + 1) % len(field.choices)
    form.error = ""


def form_key(state: AppState, form: Form, action: str) -> list[Effect]:
    """Do what a key means in a form."""
    field = form.current
    if form.busy:
        return []
    if action == "send":
        return _enter(state, form)
    steps = {"complete": 1, "down": 1, "complete-back": -1, "up": -1}
    if action in steps:
        form.focus = (form.focus + steps[action]) % len(form.visible)
    elif field.kind == "choice" and action in {"left", "right"}:
        field.choice = (field.choice + 1) % len(field.choices)
    elif field.kind == "secret":
        _secret_key(field.secret, action)
    else:
        _text_key(field, action)
    return []


def _secret_key(secret: Secret, action: str) -> None:
    if action == "backspace":
        secret.backspace()
    elif action in {"kill-to-start", "kill-blank-word", "kill-word-left"}:
        secret.clear()


def _text_key(field: Field, action: str) -> None:
    if field.kind != "text":
        return
    from lairchat.client.actions import EDITING

    edit = EDITING.get(action)
    if edit is not None:
        edit(field.editor)


def _enter(state: AppState, form: Form) -> list[Effect]:
    """Go to the next empty answer, or submit when there is none."""
    fields = form.visible
    if form.current.kind != "choice" and form.current.empty:
        form.error = f"{form.current.label} is empty"
        return []
    for step in range(1, len(fields) + 1):
        index = (form.focus + step) % len(fields)
        if fields[index].empty:
            form.focus = index
            return []
    return submit(state, form)


def submit(state: AppState, form: Form) -> list[Effect]:
    """Hand the answers over; passwords leave the form."""
    form.error = ""
    if form.kind == "account":
        return _submit_account(state, form)
    if form.kind == "password":
        return _submit_password(state, form)
    from lairchat.client.forms_sealed import submit_unlock, submit_words

    return submit_unlock(state, form) if form.kind == "unlock" else submit_words(state, form)


def _submit_account(state: AppState, form: Form) -> list[Effect]:
    field = form.field("password")
    assert field is not None
    if state.phase != "greeting":
        form.error = "not connected yet: it stays filled in, Enter tries again"
        return []
    if form.value("mode") == "register" and _too_short(form, field):
        return []
    if state.trace_key:
        state.trace_next = Trace(field.secret, state.trace_key)
    secret = field.secret.take()
    form.busy, form.typed_over = True, False
    name = form.value("name")
    if form.value("mode") == "login":
        return [effects.Login(name, secret)]
    wants = form.registration != "open"
    return [effects.Register(name, secret, invite_code(form.value("invite")) if wants else "")]


def invite_code(text: str) -> str:
    """Return the code in what was typed: dashes and blanks dropped, also out of a whole link."""
    if "/i/" in text:
        text = text.partition("/i/")[2].partition("?")[0]
    return "".join(c for c in text if c.isalnum()).upper()


def _too_short(form: Form, field: Field) -> bool:
    """Refuse a new password that anybody would guess, and empty it: it is typed anew, not on."""
    if strength(field.secret) != STRENGTHS[0][1]:
        return False
    field.secret.clear()
    form.focus = form.visible.index(field)
    form.error = TOO_SHORT
    return True


def _submit_password(state: AppState, form: Form) -> list[Effect]:
    old, new, again = (field.secret for field in form.fields)
    if new.reveal() != again.reveal():
        again.clear()
        form.focus = 2
        form.error = "the new passwords differ: type the second one again"
        return []
    if _too_short(form, form.fields[1]):
        again.clear()
        return []
    if state.phase != "online":
        form.error = "not connected: it stays filled in, Enter tries again"
        return []
    if state.trace_key:
        state.trace_next = Trace(new, state.trace_key)
    form.ref = request(state)
    form.busy, form.typed_over = True, False
    again.clear()
    return [effects.ChangePassword(form.ref, old.take(), new.take())]
