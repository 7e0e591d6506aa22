"""Applies what the link reports of who is who: comparing codes with somebody, and safety numbers.

Every text from outside passes ``safe`` here, before anything keeps it.
"""

from __future__ import annotations

from lairchat.client import inputs_sealed as i
from lairchat.client.dialogs import Choices, Page, Question, drop, find
from lairchat.client.effects_sealed import (
    AcceptIdentity,
    AcceptNewcomers,
    AnswerComparison,
    CancelComparison,
    MarkCompared,
    Verdict,
)
from lairchat.client.kit import ask, notice, request, safe, say, show
from lairchat.client.wording_sealed import code_lines, differ_lines, identity_lines, waiting_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = [
    "comparing",
    "comparison_asked",
    "comparison_ended",
    "identity_shown",
    "newcomers_listed",
]

ASKED_AT_ONCE = 3
"""count: questions of others that stand at a time; more are an attempt to bury the screen."""

NAMED_AT_ONCE = 4
"""count: people in one question; of more the last would stand below the edge of a small screen."""


# -- comparing ---------------------------------------------------------------------------------------


def comparison_asked(state: AppState, event: i.ComparisonAsked) -> list[Effect]:
    """Ask whether to compare; who asks too often is turned down."""
    number, name = event.number, safe(event.name)
    tag = ("compare", number)
    if find(state, tag) is not None:
        return []
    if sum(isinstance(one, Question) and one.tag is not None for one in state.dialogs) >= (
        ASKED_AT_ONCE
    ):
        return [AnswerComparison(number, False)]
    text = (
        f'A new device that calls itself "{name}" wants to be one of yours. Is it in your hands?'
        if event.link
        else f"{name} wants to compare codes with you, while you talk or meet. Begin?"
    )

    def answer(agree: bool) -> list[Effect]:
        return [AnswerComparison(number, agree)]

    question = Question(text, lambda _: answer(True), state.now, lambda _: answer(False))
    question.tag = tag
    state.dialogs.append(question)
    if state.journal is not None:
        notice(state, f"{text} y/N")
    return []


def comparing(state: AppState, event: i.Comparing) -> list[Effect]:
    """Wait for the other side, or show the codes."""
    state.pending.pop(event.ref, None)
    number, name = event.number, safe(event.name)
    words, numbers = ([safe(one) for one in part] for part in (event.words, event.numbers))
    old = find(state, ("compare", number))
    if old is not None:
        drop(state, old)
    title = "Link a device" if event.link else f"Verify {name}"
    lines = code_lines(name, words, numbers, link=event.link)
    if not words:
        lines = waiting_lines(name, link=event.link)
    page = Choices(title, lines, state.now, tag=("compare", number))
    page.leave_words = "stop"
    page.leave = lambda _: [CancelComparison(number)]
    if words:
        page.keys = (
            ("y", "same", lambda _: [Verdict(number, True)]),
            ("n", "differ", lambda state: _differ(state, number, name, link=event.link)),
        )
    show(state, page)
    return []


def _differ(state: AppState, number: int, name: str, *, link: bool) -> list[Effect]:
    _alarm(state, number, differ_lines(name, link=link))
    return [Verdict(number, False)]


def _alarm(state: AppState, number: int, lines: list[str]) -> None:
    page = Page("The codes differ", lines)
    page.tag = ("differ", number)
    if state.journal is not None:
        say(state, "\n".join([page.title, *lines]), error=True)
    else:
        state.dialogs.append(page)


def comparison_ended(state: AppState, event: i.ComparisonEnded) -> list[Effect]:
    """Say what came of it; codes that differed are an alarm, also when the other side saw it."""
    page = find(state, ("compare", event.number))
    if page is not None:
        drop(state, page)
    told = find(state, ("differ", event.number)) is not None
    if not event.differed:
        notice(state, safe(event.text), error=not event.same)
    elif not told:
        _alarm(state, event.number, [safe(event.text), "", *differ_lines("", link=False)])
    return []


# -- safety numbers ----------------------------------------------------------------------------------


def identity_shown(state: AppState, event: i.IdentityShown) -> list[Effect]:
    """Show the safety number; of a changed identity the new one is what can be compared now."""
    if state.pending.pop(event.ref, None) is None:
        return []
    name = safe(event.name)
    was, now = ([safe(one) for one in part] for part in (event.number, event.changed))
    devices = [safe(one) for one in event.devices]
    page = Choices(f"Identity of {name}", identity_lines(name, event.sureness, was, now, devices))
    page.qr = tuple(safe(row) for row in event.qr)
    number = " ".join(now or was)
    page.keys = (("y", "same", lambda state: _mark(state, name, number)),)
    if now:
        page.keys += (("a", "accept", lambda s: _accept(s, name, number)),)
    show(state, page)
    return []


def _mark(state: AppState, name: str, number: str) -> list[Effect]:
    text = f"Did {name} read you the same sixty digits, or did you see both screens yourself?"
    ask(state, text, lambda state: [MarkCompared(request(state), name, number)])
    return []


def _accept(state: AppState, name: str, number: str) -> list[Effect]:
    text = (
        f"Go on with whoever is {name} now, without comparing? If {name} did not reinstall, this "
        "is somebody else."
    )
    ask(state, text, lambda state: [AcceptIdentity(request(state), name, number)])
    return []


def newcomers_listed(state: AppState, event: i.NewcomersListed) -> list[Effect]:
    """Ask whether those who came unseen belong in the room."""
    if state.pending.pop(event.ref, None) is None or event.room not in state.rooms:
        return []
    if event.names:
        _ask_about(state, event.room, event.names)
        return []
    title = state.rooms[event.room].title
    say(state, f"this device saw everybody come into {title}. /trust NAME shows who somebody is")
    return []


def _ask_about(state: AppState, room: int, names: tuple[str, ...]) -> None:
    """Ask about the first of them, and once they are accepted about the next."""
    these, others = names[:NAMED_AT_ONCE], names[NAMED_AT_ONCE:]
    shown, title = ", ".join(map(safe, these)), state.rooms[room].title

    def accept(state: AppState) -> list[Effect]:
        if others and room in state.rooms:
            _ask_about(state, room, others)
        return [AcceptNewcomers(request(state), room, these)]

    text = f"This device did not see how these came into {title}: {shown}. Do they belong there?"
    ask(state, text, accept)
    # It comes by itself, as an answer of the server's or after the question before it.
    state.dialogs[-1].opened = state.now
