"""The client without a screen: one line for each event, for screen readers, pipes and poor terminals.

The same brain as the other face: lines typed become the same inputs, what the state notes becomes
lines.
Nothing that leaves here holds an escape or a control byte.

A line is said in a room only if it cannot have been meant for something else, a password least of
all.  Whoever sits at a terminal sees the prompt: lines that come before it, or behind something that
was refused, are not said.  A pipe sees nothing: there a command names the room first, and again after
whatever was refused; a form that refuses an answer of a pipe ends the program.
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client.commands import lookup, split
from lairchat.client.compose import enter
from lairchat.client.dialog_keys import dialog_action
from lairchat.client.dialogs import Choices, Dialog, Field, Form, Question, Trust
from lairchat.client.inputs_sealed import StoreLocked
from lairchat.client.kit import notice, quit_now, safe
from lairchat.client.recap import Recap
from lairchat.client.update import update
from lairchat.client.wording import reaction_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Item

__all__ = ["Plain"]

AT_ONCE = frozenset({"quit", "help", "status", "reconnect", "plain", "version", "debug"})
"""Commands that need no room and no connection: they run as soon as it is their turn."""

ANYWHERE = AT_ONCE | {
    "accept",
    "backup",
    "decline",
    "devices",
    "fingerprint",
    "invitations",
    "link",
    "logout",
    "password",
    "recover",
    "revoke",
    "rooms",
    "search",
    "set",
    "unlock",
    "verify",
    "whois",
}
"""Commands that mean the same whichever room is open."""

OPENING = frozenset({"join", "msg", "new"})
"""Commands that name the room or the person that the lines behind them are for."""

EARLY, ONCE, UNNAMED = "early", "once", "unnamed"
"""Why a line is not said: until no line waits any more; this line only; until a room is named."""


ANSWERS: dict[type, dict[str, str]] = {
    Question: {"y": "y", "yes": "y", "n": "n", "no": "n", "": "n"},
    Trust: {"t": "t", "trust": "t", "f": "f", "q": "q", "quit": "q"},
}
"""Whole lines that answer a question, and the key that they stand for."""


class Plain:
    """Turns inputs into lines and effects; holds the state it was given.

    piped: nobody sees the prompts, lines come whatever is asked.
    failed: a line of a pipe could not be used as it was meant.
    """

    def __init__(self, state: AppState, reason: str, *, piped: bool = False) -> None:
        self.state = state
        self.reason = reason
        self.piped = piped
        self.failed = False
        state.journal = []
        self._ended = False
        self._held: list[str] = []  # lines that nobody could take yet
        self._doubt = ""  # why text is not said; empty: it is
        self._unsaid = 0
        self._recap = Recap()
        self._doubtful(EARLY)

    def opening(self) -> list[str]:
        """Return the first line: which face this is, and why."""
        return [f"Lair Chat, plain mode ({safe(self.reason)}). /help lists commands, /quit leaves."]

    def receive(self, event: i.Input) -> tuple[list[str], list[Effect]]:
        """Apply an input of the link or the clock, then the lines that waited for it."""
        state = self.state
        was = state.current
        refused = isinstance(event, i.AccountRefused) or (
            isinstance(event, i.CommandFailed) and event.ref in state.pending
        )
        if isinstance(event, StoreLocked):
            refused = bool(event.code) and isinstance(state.dialog, Form)
        asked = isinstance(event, i.RoomJoined | i.RoomLeft) and event.ref in state.pending
        side = self._recap.side(state, event)
        wanted = update(state, event)
        if refused:
            wanted += self._refused(form=isinstance(state.dialog, Form))
        elif was is not None and state.current != was and not asked:
            self._doubtful(ONCE)  # put out of the room: what is being typed is not for the next one
        if isinstance(event, i.SendRefused) and event.retry_after is None:
            self.failed |= self.piped
        self._recap.add(state, event, side)
        return self._pump(wanted)

    def type_line(self, text: str) -> tuple[list[str], list[Effect]]:
        """Apply one line that was typed, without its line end, in its turn.

        Lines wait while nobody could take them: before there is a room, while a form's answers are
        being judged, and until a command typed before is answered (it may lead to another room).
        """
        self._held.append(text)
        wanted = self._pump([])
        if len(self._held) == 1 and self.state.phase != "online":
            wanted[0].append("      (held until something is asked; Ctrl-C leaves)")
        return wanted

    def _pump(self, wanted: list[Effect]) -> tuple[list[str], list[Effect]]:
        if isinstance(self.state.dialog, Form | Trust):
            self._doubtful(EARLY)
        while self._held and not self.state.quitting and self._ready(self._held[0]):
            wanted += self._take(self._held.pop(0))
            self._recap.enter(self.state)
        if self._doubt == EARLY and not self._held and self._at_room():
            self._doubt = ""
        self._tell_unsaid()
        return self._drain(), wanted + self._end_if_done()

    def _at_room(self) -> bool:
        """Tell whether a line would be taken by a room, if there is one for it."""
        state = self.state
        known = bool(state.room.id) or (state.phase == "online" and state.synced)
        return state.dialog is None and known

    def _ready(self, text: str) -> bool:
        state = self.state
        dialog = state.dialog
        if dialog is not None:
            return not (isinstance(dialog, Form) and dialog.busy)
        if state.phase == "halted":
            return True
        word = _command(text)
        if state.pending or (word == "quit" and self._leaving()):
            return False
        return word in AT_ONCE or self._at_room()

    def _leaving(self) -> bool:
        """Tell whether a message is on its way that an end now would leave for the next time."""
        waiting = any(one.item.mark == ".." for one in self.state.outbox)
        return waiting and self.state.phase == "online"

    def _take(self, text: str) -> list[Effect]:
        dialog = self.state.dialog
        if isinstance(dialog, Form):
            return self._answer(dialog, text)
        if dialog is not None and not self._is_aside(dialog, text):
            dialog.opened = None  # whole lines are meant for the question they follow
            return self._choose(text)
        wanted = self._leave(dialog) if dialog is not None else []
        return wanted + self._take_in_room(text)

    def _is_aside(self, dialog: Dialog, text: str) -> bool:
        """Tell whether a line is no answer to what is open, and goes on without one.

        Nothing that a pipe says was meant for a question that came by itself; at a terminal a
        command is not.
        """
        if isinstance(dialog, Choices):
            return bool(_command(text))
        if not isinstance(dialog, Question) or dialog.opened is None:
            return False
        answers = ANSWERS[Question]
        return text.strip().lower() not in answers if self.piped else bool(_command(text))

    def _leave(self, dialog: Dialog) -> list[Effect]:
        return dialog_action(self.state, dialog, "back", "esc")

    def _take_in_room(self, text: str) -> list[Effect]:
        if not text.strip():
            return []
        word = _command(text)
        if word in OPENING:
            self._doubt = ""
        elif self._doubt and word not in ANYWHERE:
            self._unsaid += 1
            if self._doubt == ONCE:
                self._doubt = ""
            return []
        return self._say(text)

    # -- lines that are not said -------------------------------------------------------------------

    def _doubtful(self, why: str) -> None:
        """Say no more in rooms for now: lines may be meant for something else."""
        self._doubt = UNNAMED if self.piped else why

    def _refused(self, *, form: bool) -> list[Effect]:
        """Drop what was typed ahead of a refusal: it was meant for after a yes."""
        self._unsaid += len(self._held)
        self._held.clear()
        if not self.piped:
            return []
        self._doubt, self.failed = UNNAMED, True
        if not form:
            return []
        notice(self.state, "Nobody is at a terminal to be asked again: this is the end.")
        return quit_now(self.state)

    def _tell_unsaid(self) -> None:
        count, self._unsaid = self._unsaid, 0
        if not count:
            return
        lines = f"{count} line{'s' * (count != 1)} not sent"
        if self.piped:
            self.failed = True
            way = "from a pipe a command names the room first, and after a refusal: /join #lobby"
        else:
            way = "typed before this room was asking for it. Type it again if it is for this room"
        notice(self.state, f"{lines}: {way}", error=True)

    def end_of_input(self) -> tuple[list[str], list[Effect]]:
        """Note that nothing more will be typed: quit once everything typed has left."""
        self._ended = True
        return self._pump([])

    def prompt(self) -> str:
        """Return what stands before the next line, empty while none is asked for."""
        return _bare(self._prompt())

    def _prompt(self) -> str:
        dialog = self.state.dialog
        if isinstance(dialog, Form):
            return "" if dialog.busy else f"{self._label(dialog.current)}: "
        if isinstance(dialog, Trust):
            return "trust this server? (t trust, f whole fingerprint, q quit) "
        if isinstance(dialog, Question):
            return "y/N "
        if isinstance(dialog, Choices):
            return "".join(f"{letter} " for letter, _, _ in dialog.keys) or "empty line: stop "
        room = self.state.room
        if not room.id:
            return "> "
        warn = "!" if room.label == "PLAIN" and not room.archived else ""
        closed = " archived" if room.archived else f" {room.label}" * room.encrypted
        return f"{warn}{'@' if room.direct else ''}{room.name}{closed}> "

    def hides_input(self) -> bool:
        """Tell whether what is typed next must not be echoed."""
        dialog = self.state.dialog
        return isinstance(dialog, Form) and dialog.current.kind == "secret"

    # -- lines typed -------------------------------------------------------------------------------

    def _say(self, text: str) -> list[Effect]:
        editor = self.state.room.editor
        editor.set(text)
        wanted = enter(self.state)
        if isinstance(self.state.dialog, Question):
            return wanted
        if _command(text) == "goto" and not editor.text:
            self._recap.went(self.state, wanted)
        if editor.text:
            self.failed |= self.piped
            wanted += self._refused(form=False) if _command(text) else []
        editor.set("")  # the line stands on the terminal already, with the reason below it
        return wanted

    def _choose(self, text: str) -> list[Effect]:
        """Answer with a whole word: a line that only begins like an answer is none."""
        dialog = self.state.dialog
        if isinstance(dialog, Choices):
            return self._letter(dialog, text.strip().lower())
        answers = ANSWERS.get(type(dialog))
        if answers is None:  # something to read, and read it was
            self.state.dialogs.pop()
            return []
        letter = answers.get(text.strip().lower(), "")
        if isinstance(dialog, Trust) and not letter:
            notice(self.state, "t, f or q? Nothing was trusted", error=True)
            return self._refused(form=True)
        held = self.state.room.editor
        wanted = update(self.state, i.Text(letter or "n"))
        held.set("")
        return wanted if letter else wanted + self._refused(form=False)

    def _letter(self, page: Choices, word: str) -> list[Effect]:
        """Answer a page with one of its letters; an empty line leaves it."""
        letters = [letter for letter, _, _ in page.keys]
        if not word:
            return self._leave(page)
        if word in letters:
            return update(self.state, i.Text(word))
        known = ", ".join(letters)
        notice(self.state, f"{known}, or an empty line? Nothing was chosen", error=True)
        return self._refused(form=False)

    def _answer(self, form: Form, text: str) -> list[Effect]:
        form.opened = None
        field = form.current
        if not text and form.kind != "account":
            return self._leave(form)
        if field.kind == "choice":
            self._pick(field, text.strip())
            form.focus += 1
            return []
        if text:
            if field.kind == "text":
                field.editor.set("")
            field.secret.clear()
            update(self.state, i.Paste(text))
        wanted = update(self.state, i.Key("enter"))
        if form.error:
            notice(self.state, form.error, error=True)
            wanted += self._refused(form=True)
        return wanted

    def _pick(self, field: Field, text: str) -> None:
        for n, (value, words) in enumerate(field.choices):
            if text and (value.startswith(text) or words.startswith(text) or text == str(n + 1)):
                field.choice = n

    def _label(self, field: Field) -> str:
        if field.kind == "choice":
            return f"{field.label} (" + ", ".join(value for value, _ in field.choices) + ")"
        given = field.editor.text
        return f"{field.label} [{given}]" if given and field.kind == "text" else field.label

    # -- lines to print ----------------------------------------------------------------------------

    def _drain(self) -> list[str]:
        journal = self.state.journal or []
        self.state.journal = []
        lines: list[str] = []
        for room_id, item in journal:
            lines += self._lines(room_id, item)
        return lines

    def _lines(self, room_id: int, item: Item) -> list[str]:
        clock = self._clock(item.at)
        text = f"(to {item.reply}) {item.text}" if item.reply else item.text
        if item.thread is not None:
            text = f"(thread of {item.began}) {text}"
        first, *rest = (text + " (edited)" * (item.edited > 0)).split("\n")
        if item.reactions:
            rest.append(reaction_words(item))
        room = self.state.rooms.get(room_id)
        where = f" in {room.title.lstrip('#')}" if room is not None else ""
        if item.kind == "rule":
            head = f"-- {first}"
        elif item.kind in {"note", "error"}:
            head = f"{clock} -!- {first}"
        elif item.kind in {"state", "gone"}:
            head = f"{clock} --{where}: {first}"
        elif item.kind == "action":
            head = f"{clock} * {self._name(item)}{where} {first}"
        else:
            mark = ">" if item.mention else ""
            head = f"{clock} {self._name(item)}{mark}{where}: {first}"
        return [_bare(line) for line in (head, *(f"      {line}" for line in rest))]

    def _name(self, item: Item) -> str:
        return "you" if item.own else item.sender

    def _clock(self, at: int) -> str:
        if not at:
            return "--:--"
        when = self.state.local_time(at / 1000)
        return f"{when[3]:02}:{when[4]:02}"

    def _end_if_done(self) -> list[Effect]:
        if not self._ended or self.state.quitting:
            return []
        waiting = any(one.item.mark == ".." for one in self.state.outbox)
        judged = isinstance(self.state.dialog, Form) and self.state.dialog.busy
        arriving = self.state.phase == "online" and not self.state.synced
        under_way = self.state.phase in {"starting", "connecting"} or self.state.pending
        if self.state.phase != "halted" and (
            waiting or self._held or under_way or judged or arriving
        ):
            return []
        if isinstance(self.state.dialog, Form | Trust) or self._held:
            self.failed = True  # something was asked that nobody answered
        return quit_now(self.state)


def _command(text: str) -> str:
    """Return the name of the command that a line is, empty when it is none."""
    found = lookup(split(text)[0]) if text.startswith("/") else None
    return found.name if found is not None else "?" * text.startswith("/")


def _bare(line: str) -> str:
    """Drop whatever is not printable: the last guard before a pipe or a screen reader."""
    if line.isprintable():
        return line
    from lairchat.client.markup import cells

    return "".join(glyph for glyph, _ in cells(line))
