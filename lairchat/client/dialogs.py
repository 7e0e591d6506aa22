"""What stands over the room: pages, questions, the quick switcher, and the forms of the first run."""

from __future__ import annotations

from lairchat.client.editor import Editor
from lairchat.client.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

    Tag = tuple[str, int | str]

__all__ = [
    "ARMED_AFTER",
    "Choices",
    "Dialog",
    "Field",
    "Form",
    "Page",
    "Question",
    "Switcher",
    "Trust",
    "drop",
    "find",
]

ARMED_AFTER = 300
"""ms: a dialog that came by itself takes no keys before; they were typed for something else."""


class Dialog:
    """Base; ``opened`` is the time it came by itself, None when the user asked for it.

    ``tag`` says what it is about, for those that a later report changes or closes.
    """

    __slots__ = ("opened", "tag")
    takes_paste = False  # whether a paste is an answer to it

    def __init__(self, opened: int | None = None) -> None:
        self.opened = opened
        self.tag: Tag | None = None

    def armed(self, now: int) -> bool:
        """Tell whether it takes keys."""
        return self.opened is None or now - self.opened >= ARMED_AFTER


class Page(Dialog):
    """Lines to read, scrolled with the cursor keys; ``final`` ones can only be left by quitting.

    ``copies`` is what the letter c puts into the clipboard.
    """

    __slots__ = ("copies", "final", "lines", "title", "top")

    def __init__(
        self,
        title: str,
        lines: list[str],
        opened: int | None = None,
        *,
        final: bool = False,
        copies: str = "",
    ) -> None:
        super().__init__(opened)
        self.title = title
        self.lines = lines
        self.top = 0
        self.final = final
        self.copies = copies


class Choices(Page):
    """A page that single letters answer.

    ``keys``: letter, what it says, what it does once the page is closed.
    ``leave``: what Esc says, and what it does; ``enter`` what Enter does with the page still open,
    None if it does as Esc.
    ``qr``: rows of 0 and 1, shown below the lines where there is room.
    """

    __slots__ = ("enter", "keys", "leave", "leave_words", "qr")

    def __init__(
        self,
        title: str,
        lines: list[str],
        opened: int | None = None,
        *,
        tag: Tag | None = None,
    ) -> None:
        super().__init__(title, lines, opened)
        self.tag = tag
        self.keys: tuple[tuple[str, str, Callable[[AppState], list[Effect]]], ...] = ()
        self.leave: Callable[[AppState], list[Effect]] | None = None
        self.leave_words = "close"
        self.enter: Callable[[AppState], list[Effect]] | None = None
        self.qr: tuple[str, ...] = ()


class Question(Dialog):
    """Yes or no; anything but ``y`` is no, and leaving it is ``refuse``, if there is one."""

    __slots__ = ("accept", "refuse", "text")

    def __init__(
        self,
        text: str,
        accept: Callable[[AppState], list[Effect]],
        opened: int | None = None,
        refuse: Callable[[AppState], list[Effect]] | None = None,
    ) -> None:
        super().__init__(opened)
        self.text = text
        self.accept = accept
        self.refuse = refuse


class Switcher(Dialog):
    """Ctrl-T: type a part of a room's, person's or command's name."""

    __slots__ = ("chosen", "editor")
    takes_paste = True

    def __init__(self, editor: Editor) -> None:
        super().__init__()
        self.editor = editor
        self.chosen = 0


class Trust(Dialog):
    """The identity of a server never seen before; ``full`` shows the whole fingerprint."""

    __slots__ = ("fingerprint", "full", "host", "port", "words")

    def __init__(self, host: str, port: int, words: str, fingerprint: str, opened: int) -> None:
        super().__init__(opened)
        self.host = host
        self.port = port
        self.words = words
        self.fingerprint = fingerprint
        self.full = False


class Field:
    """One answer of a form: ``kind`` text, secret or choice."""

    __slots__ = ("choice", "choices", "editor", "kind", "label", "name", "secret")

    def __init__(
        self, name: str, label: str, kind: str = "text", choices: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.name = name
        self.label = label
        self.kind = kind
        self.editor = Editor()
        self.secret = Secret()
        self.choices = choices  # (value, words)
        self.choice = 0

    @property
    def value(self) -> str:
        """The answer; a secret's is not told here."""
        if self.kind == "choice":
            return self.choices[self.choice][0]
        return self.editor.text.strip()

    @property
    def empty(self) -> bool:
        """Whether nothing was answered."""
        return not len(self.secret) if self.kind == "secret" else not self.value


class Form(Dialog):
    """Questions with answers; ``busy`` while the server decides.

    ``kind``: account, password, unlock (the store's password) or words (the recovery words).

    ``typed_over`` once somebody typed while it was busy: more may come, and not for a room.
    """

    __slots__ = (
        "busy",
        "error",
        "fields",
        "focus",
        "host",
        "kind",
        "ref",
        "registration",
        "reveal",
        "typed_over",
    )
    takes_paste = True

    def __init__(self, kind: str, fields: list[Field], opened: int | None = None) -> None:
        super().__init__(opened)
        self.kind = kind
        self.fields = fields
        self.focus = 0
        self.error = ""
        self.busy = False
        self.typed_over = False
        self.reveal = False
        self.host = ""
        self.registration = ""
        self.ref = 0

    def field(self, name: str) -> Field | None:
        """Return the field of this name if the form has it."""
        return next((field for field in self.fields if field.name == name), None)

    def value(self, name: str) -> str:
        """Return the answer of a field, empty when the form does not have it."""
        field = self.field(name)
        return field.value if field is not None else ""

    @property
    def visible(self) -> list[Field]:
        """The fields that the chosen mode asks for."""
        registers = self.value("mode") == "register"
        wants = registers and self.registration != "open"
        return [field for field in self.fields if field.name != "invite" or wants]

    @property
    def current(self) -> Field:
        """The field that takes keys."""
        fields = self.visible
        return fields[min(self.focus, len(fields) - 1)]

    def clear_secrets(self) -> None:
        """Overwrite every password in it."""
        for field in self.fields:
            field.secret.clear()


def find(state: AppState, tag: Tag) -> Dialog | None:
    """Return the open dialog that is about this."""
    return next((one for one in state.dialogs if one.tag == tag), None)


def drop(state: AppState, dialog: Dialog) -> None:
    """Close a dialog that nobody closed: what is being typed is not meant for what is below it."""
    state.dialogs.remove(dialog)
    state.moved_at = state.now
