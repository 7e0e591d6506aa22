"""The client without a screen: one line for each event, for screen readers, pipes and poor terminals.

The same brain as the other face: lines typed become the same inputs, what the state notes becomes
lines.
Nothing that leaves here holds an escape or a control byte.
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client.compose import enter
from lairchat.client.dialogs import Field, Form, Page, Question, Trust
from lairchat.client.kit import safe
from lairchat.client.update import update

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Item

__all__ = ["Plain"]

AT_ONCE = frozenset({"/quit", "/help", "/status", "/reconnect", "/plain", "/version", "/debug"})
"""Commands that need no room and no connection: they run as soon as it is their turn."""


class Plain:
    """Turns inputs into lines and effects; holds the state it was given."""

    def __init__(self, state: AppState, reason: str) -> None:
        self.state = state
        self.reason = reason
        state.journal = []
        self._ended = False
        self._held: list[str] = []  # lines that nobody could take yet

    def opening(self) -> list[str]:
        """Return the first line: which face this is, and why."""
        return [f"Lair Chat, plain mode ({safe(self.reason)}). /help lists commands, /quit leaves."]

    def receive(self, event: i.Input) -> tuple[list[str], list[Effect]]:
        """Apply an input of the link or the clock, then the lines that waited for it."""
        wanted = update(self.state, event)
        return self._pump(wanted)

    def type_line(self, text: str) -> tuple[list[str], list[Effect]]:
        """Apply one line that was typed, without its line end, in its turn.

        Lines wait while nobody could take them: before there is a room, while a form's answers are
        being judged, and until a command typed before is answered (it may lead to another room).
        """
        self._held.append(text)
        wanted = self._pump([])
        if len(self._held) == 1 and self.state.phase != "online":
            wanted[0].append("      (held until there is a room to take it; Ctrl-C leaves)")
        return wanted

    def _pump(self, wanted: list[Effect]) -> tuple[list[str], list[Effect]]:
        while self._held and self._ready(self._held[0]):
            wanted += self._take(self._held.pop(0))
        return self._drain(), wanted + self._end_if_done()

    def _ready(self, text: str) -> bool:
        state = self.state
        dialog = state.dialog
        if dialog is not None:
            return not (isinstance(dialog, Form) and dialog.busy)
        if state.phase == "halted":
            return True
        if state.pending or (text.startswith("/quit") and self._leaving()):
            return False
        if text.partition(" ")[0] in AT_ONCE:
            return True
        return bool(state.room.id) or (state.phase == "online" and state.synced)

    def _leaving(self) -> bool:
        """Tell whether a message is on its way that an end now would leave for the next time."""
        waiting = any(one.item.mark == ".." for one in self.state.outbox)
        return waiting and self.state.phase == "online"

    def _take(self, text: str) -> list[Effect]:
        dialog = self.state.dialog
        if isinstance(dialog, Form):
            return self._answer(dialog, text)
        if dialog is not None:
            dialog.opened = None  # whole lines are meant for the question they follow
            return self._choose(text)
        return self._say(text) if text.strip() else []

    def end_of_input(self) -> tuple[list[str], list[Effect]]:
        """Note that nothing more will be typed: quit once everything typed has left."""
        self._ended = True
        return self._pump([])

    def prompt(self) -> str:
        """Return what stands before the next line."""
        dialog = self.state.dialog
        if isinstance(dialog, Form):
            return f"{self._label(dialog.current)}: "
        if isinstance(dialog, Trust):
            return "trust this server? (t trust, f whole fingerprint, q quit) "
        if isinstance(dialog, Question):
            return "y/N "
        room = self.state.room
        if not room.id:
            return "> "
        warn = "!" if room.label == "PLAIN" else ""
        return f"{warn}{'@' if room.direct else ''}{room.name}> "

    def hides_input(self) -> bool:
        """Tell whether what is typed next must not be echoed."""
        dialog = self.state.dialog
        return isinstance(dialog, Form) and dialog.current.kind == "secret"

    # -- lines typed -------------------------------------------------------------------------------

    def _say(self, text: str) -> list[Effect]:
        editor = self.state.room.editor
        editor.set(text)
        wanted = enter(self.state)
        if not isinstance(self.state.dialog, Question):
            editor.set("")  # the line stands on the terminal already, with the reason below it
        return wanted

    def _choose(self, text: str) -> list[Effect]:
        if isinstance(self.state.dialog, Page):
            self.state.dialogs.pop()
            return []
        held = self.state.room.editor
        wanted = update(self.state, i.Text(text.strip() or "n"))
        held.set("")
        return wanted

    def _answer(self, form: Form, text: str) -> list[Effect]:
        form.opened = None
        field = form.current
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
            self._note(form.error)
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

    def _note(self, text: str) -> None:
        from lairchat.client.kit import notice

        notice(self.state, text)

    def _drain(self) -> list[str]:
        journal = self.state.journal or []
        self.state.journal = []
        lines: list[str] = []
        for room_id, item in journal:
            lines += self._lines(room_id, item)
        return lines

    def _lines(self, room_id: int, item: Item) -> list[str]:
        clock = self._clock(item.at)
        first, *rest = item.text.split("\n")
        room = self.state.rooms.get(room_id)
        where = f" in {room.title.lstrip('#')}" if room is not None else ""
        if item.kind in {"note", "error"}:
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
        from lairchat.client.effects import Quit

        if not self._ended or self.state.quitting:
            return []
        waiting = any(one.item.mark == ".." for one in self.state.outbox)
        under_way = self.state.phase in {"starting", "connecting"} or self.state.pending
        if self.state.phase != "halted" and (waiting or self._held or under_way):
            return []
        self.state.quitting = True
        return [Quit()]


def _bare(line: str) -> str:
    """Drop whatever is not printable: the last guard before a pipe or a screen reader."""
    if line.isprintable():
        return line
    from lairchat.client.markup import cells

    return "".join(glyph for glyph, _ in cells(line))
