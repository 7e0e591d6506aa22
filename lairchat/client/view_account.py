"""Draws the first run: the server's identity to be confirmed, and the account form below it."""

from __future__ import annotations

from lairchat import __version__
from lairchat.client.account import strength
from lairchat.client.dialogs import Field, Form, Trust
from lairchat.client.markup import clip, pad, width, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.canvas import Canvas
    from lairchat.client.state import AppState

__all__ = ["draw_account"]

LABEL = 12  # cells of a field's label
TITLES = {
    "password": "Change your password",
    "unlock": "Encrypted rooms: your password",
    "words": "Your recovery words",
}
ABOUT = {
    "unlock": "It opens what this device keeps of encrypted rooms. Public rooms work without it.",
    "words": "All twelve, in their order, with blanks between them.",
}
WORKING = " (the key is derived from the password on this machine)"
ADVICE = (
    "Compare it with what the server printed, or with the invite link you got.",
    "(An invite link already carries it; then this screen is skipped.)",
)


class _Pen:
    """Writes row after row, indented as far as the width allows.

    ``first`` and ``last`` are the rows that have to be seen; ``cursor`` is where typing goes.
    """

    __slots__ = ("cursor", "first", "indent", "last", "rows", "short", "width", "y")

    def __init__(self, canvas: Canvas) -> None:
        self.width = canvas.width
        self.short = canvas.height < 20 or canvas.width < 60
        self.indent = 0 if self.short else 2
        self.y = 0 if self.short else 1
        self.rows: list[tuple[int, int, str, str]] = []
        self.first = self.last = 0
        self.cursor: tuple[int, int] | None = None

    def line(self, text: str, attr: str = "normal", extra: int = 0) -> None:
        """Write a line, wrapped."""
        x = self.indent + (0 if self.short else extra)
        for row in wrap(text, max(1, self.width - x - 1)):
            self.rows.append((x, self.y, row, attr))
            self.y += 1

    def paint(self, canvas: Canvas, space: int) -> None:
        """Draw what fits, the rows that have to be seen in any case."""
        top = min(self.first, max(0, self.last - space + 1))
        for x, y, text, attr in self.rows:
            if 0 <= y - top < space:
                canvas.put(x, y - top, text, attr)
        if self.cursor is not None and self.cursor[1] - top < space:
            canvas.cursor = (self.cursor[0], self.cursor[1] - top)

    def gap(self) -> None:
        """Leave a row free where there is room."""
        if not self.short:
            self.y += 1


def draw_account(state: AppState, canvas: Canvas) -> None:
    """Draw the screen; the identity part only while it has to be confirmed or just was."""
    trust = next((one for one in state.dialogs if isinstance(one, Trust)), None)
    form = next((one for one in reversed(state.dialogs) if isinstance(one, Form)), None)
    for y in range(canvas.height):
        canvas.fill(0, y, canvas.width)
    pen = _Pen(canvas)
    if form is not None and form.kind in TITLES:
        pen.line(TITLES[form.kind], "title-text")
        if form.kind in ABOUT:
            pen.gap()
            pen.line(ABOUT[form.kind])
    else:
        where = state.server + (f":{trust.port}" if trust is not None else "")
        verb = "connecting to" if trust is not None else "connected to"
        pen.line(f"Lair Chat {__version__} - {verb} {where}", "title-text")
    pen.gap()
    if trust is not None:
        pen.line("New server. Its identity is:")
        _identity(trust.words, trust.fingerprint, pen, full=trust.full, asked=True)
        _advice(pen, "[t] trust and remember     [f] full fingerprint     [q] quit")
    elif form is not None and form.kind == "account" and state.words:
        pen.line("Its identity is:")
        _identity(state.words, state.fingerprint, pen, full=False, asked=False)
        if not pen.short:
            pen.line("(It is remembered: another one will be refused.)")
            pen.gap()
    if form is not None:
        _form(state, form, pen)
    pen.paint(canvas, canvas.height - 1 - (state.note is not None))
    _bottom(state, trust, form, canvas)


def _identity(words: str, fingerprint: str, pen: _Pen, *, full: bool, asked: bool) -> None:
    pen.gap()
    pen.line(f"word code   {words}", "strong", 4)
    if not full and len(fingerprint) > 40:
        fingerprint = f"{fingerprint[:23]}:...{fingerprint[-3:]}" + (
            "  (f = full)" if asked else ""
        )
    if full or not pen.short:
        pen.line(f"sha256      {fingerprint}", "strong", 4)
    pen.gap()


def _advice(pen: _Pen, keys: str) -> None:
    for line in ADVICE:
        pen.line(line)
    pen.gap()
    pen.line(keys, "hint", 4)
    pen.gap()


def _form(state: AppState, form: Form, pen: _Pen) -> None:
    if not pen.short:
        pen.line("-" * max(0, min(73, pen.width - 4)), "border")
    fields = form.visible
    for field in fields:
        y = pen.y
        pen.line(_field_text(form, field), "field-current" if field is form.current else "field")
        if field is form.current:
            _place_cursor(form, field, pen, y)
            if pen.short:  # the answer and what is wrong with it are seen together
                _remark(state, form, pen)
            pen.first, pen.last = y, pen.y - 1
    if not pen.short:
        _remark(state, form, pen)


def _remark(state: AppState, form: Form, pen: _Pen) -> None:
    """Write what is wrong, or what is being waited for."""
    if form.error:
        pen.gap()
        pen.line(form.error, "error")
    elif form.busy:
        pen.gap()
        derives = "" if form.kind == "words" else WORKING
        pen.line(f"working ...{derives}", "dim")
    elif form.kind == "account" and state.reason and state.phase == "offline":
        pen.gap()
        pen.line(state.reason, "error")


def _field_text(form: Form, field: Field) -> str:
    label = pad(field.label, max(LABEL, width(field.label) + 2))
    if field.kind == "choice":
        marks = [
            f"({'*' if n == field.choice else ' '}) {words}"
            for n, (_, words) in enumerate(field.choices)
        ]
        return label + "     ".join(marks)
    if field.kind == "text":
        return label + field.editor.text
    shown = field.secret.reveal() if form.reveal else "*" * min(len(field.secret), 32)
    judged = strength(field.secret) if _is_new(form, field) else ""
    note = f"strength: {judged}  " if judged else ""
    if field is form.current:
        note += "(Tab next, F2 show)"
    return f"{label}{pad(shown, max(20, width(shown)))}{'    ' + note if note else ''}".rstrip()


def _is_new(form: Form, field: Field) -> bool:
    return field.name == "new" or (form.value("mode") == "register" and field.name == "password")


def _place_cursor(form: Form, field: Field, pen: _Pen, y: int) -> None:
    x = pen.indent + max(LABEL, width(field.label) + 2)
    if field.kind == "text":
        x += width(field.editor.text[: field.editor.at])
    elif field.kind == "secret":
        x += width(field.secret.reveal()) if form.reveal else min(len(field.secret), 32)
    else:
        x += 1
    pen.cursor = (min(x, pen.width - 1), y)


def _bottom(state: AppState, trust: Trust | None, form: Form | None, canvas: Canvas) -> None:
    y = canvas.height - 1
    canvas.fill(0, y, canvas.width)
    if trust is not None:
        text = "t trust    f full    q quit    F1 help    lair --plain for screen readers"
        canvas.cursor = None
    else:
        back = "cancel" if form is not None and form.kind in TITLES else "quit"
        text = f"Enter continue    Esc {back}    F1 help    lair --plain for screen readers"
    note = state.note
    if note is not None:
        above = clip(note.text, canvas.width - 2)
        canvas.fill(0, y - 1, canvas.width)
        canvas.put(1, y - 1, above, "error" if note.error else "note")
    canvas.put(1 if canvas.width < 60 else 2, y, clip(text, canvas.width - 2), "hint")
