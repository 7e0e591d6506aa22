"""The forms of this device: the password that opens its store, and the recovery words."""

from __future__ import annotations

from lairchat.client.dialogs import Field, Form
from lairchat.client.effects_sealed import LinkByWords, Recover, Unlock
from lairchat.client.kit import request
from lairchat.client.secret import Secret, Trace, WordsTrace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = ["LINK_WORDS", "UNLOCK", "submit_unlock", "submit_words", "unlock_form", "words_form"]

UNLOCK = ("form", "unlock")
LINK_WORDS = ("form", "words")
WORDS = 12


def unlock_form(state: AppState, opened: int | None = None) -> None:
    """Open the form that asks for the password of this device's store."""
    form = Form("unlock", [Field("password", "Password", "secret")], opened)
    form.tag = UNLOCK
    state.dialogs.append(form)


def words_form(state: AppState) -> None:
    """Open the form that asks for the recovery words."""
    form = Form("words", [Field("words", "Words", "secret")])
    form.tag = LINK_WORDS
    state.dialogs.append(form)


def submit_unlock(state: AppState, form: Form) -> list[Effect]:
    """Try the password; it leaves the form."""
    secret = form.fields[0].secret
    if state.trace_key:
        state.trace_next = Trace(secret, state.trace_key)
    form.busy, form.typed_over = True, False
    return [Unlock(secret.take())]


def submit_words(state: AppState, form: Form) -> list[Effect]:
    """Try the words; they stay in the form, where a slip can be mended."""
    words = form.fields[0].secret.reveal().lower().split()
    if len(words) != WORDS:
        form.error = f"these are {len(words)} words, and it takes {WORDS}: F2 shows them"
        return []
    if state.phase != "online":
        form.error = "not connected: they stay filled in, Enter tries again"
        return []
    if state.trace_key:
        state.words_trace = WordsTrace(words, state.trace_key)
    form.ref = request(state)
    form.busy, form.typed_over = True, False
    secret = Secret(" ".join(words))
    if state.unlinked is None:
        # The device is one of the account's: they are typed for what is backed up.
        return [Recover(form.ref, secret)]
    return [LinkByWords(form.ref, secret)]
