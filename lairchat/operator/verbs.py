"""The commands that operators can give, with their arguments, read from the command table.

Nothing here knows a command by name: what a feature declares (``cli``, request, role) is what
the shell offers, explains and completes.
"""

import difflib
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Table
from lairchat.wire.shown import Kind, flag_of, kind_of

__all__ = ["Argument", "Form", "Verb", "Verbs"]

_TOKEN = re.compile(r"(\[)?\{(\w+)(\.\.\.)?\}(\])?")
_DESCRIBED = re.compile(r"(\w+(?:, \w+)*): (.+)")


class Form(Enum):
    """How the word of an argument is read."""

    TEXT = "text"
    NUMBER = "number"
    REAL = "real"
    SWITCH = "switch"
    CHOICE = "choice"


class Argument(NamedTuple):
    """One field of a request, as a target or a flag.

    word: what stands for it on a command line, without braces or dashes.
    choices: the words that it may be, as strings; () for any.
    required, many: whether it must be given, whether it may be given several times.
    rest: it takes all that is left of the line.
    """

    field: str
    word: str
    form: Form
    kind: Kind | None
    choices: tuple[str, ...]
    required: bool
    many: bool
    rest: bool
    doc: str

    @property
    def value_word(self) -> str:
        """What stands for its value in a usage line."""
        if self.choices:
            return "|".join(self.choices)
        if self.kind is not None:
            return {"time": "TIME", "span": "TIME", "size": "SIZE", "file": "FILE"}[self.kind]
        return {Form.NUMBER: "N", Form.REAL: "N"}.get(self.form, "TEXT")


@dataclass(frozen=True, slots=True)
class Verb:
    """One command as operators know it.

    words: noun and verb.  targets: by place.  flags: by name, those of every command left out.
    """

    words: tuple[str, ...]
    command: Command[Any, Any]
    targets: tuple[Argument, ...]
    flags: tuple[Argument, ...]

    @property
    def name(self) -> str:
        """The words as they are typed."""
        return " ".join(self.words)

    @property
    def changes(self) -> bool:
        """Whether it can be rehearsed."""
        return issubclass(self.command.request, Change)

    @property
    def wordy(self) -> bool:
        """Whether a target takes all that is left of the line: a sentence, or a key."""
        return any(target.rest for target in self.targets)

    @property
    def usage(self) -> str:
        """How it is written: ``user lock NAME [--for TIME]``."""
        shown = [self.name]
        for target in self.targets:
            text = target.word.upper() + ("..." if target.rest else "")
            shown.append(text if target.required else f"[{text}]")
        for one in self.flags:
            text = f"--{one.word}" if one.form is Form.SWITCH else f"--{one.word} {one.value_word}"
            shown.append(text if one.required else f"[{text}]")
        return " ".join(shown)


class Verbs:
    """Every command of a table that is meant for operators."""

    def __init__(self, table: Table) -> None:
        verbs = [verb_of(command) for command in table if command.cli is not None]
        self._by_words = {verb.words: verb for verb in sorted(verbs, key=lambda one: one.words)}
        self._longest = max((len(words) for words in self._by_words), default=0)

    def __iter__(self) -> Iterator[Verb]:
        """Iterate over all verbs, in the order of their words."""
        return iter(self._by_words.values())

    def allowed(self, role: ServerRole) -> list[Verb]:
        """Return what somebody of this role may do."""
        return [verb for verb in self if verb.command.role <= role]

    def get(self, *words: str) -> Verb | None:
        """Return the verb of exactly these words."""
        return self._by_words.get(words)

    def find(self, words: Sequence[str]) -> Verb | None:
        """Return the verb that a line begins with."""
        for count in range(min(self._longest, len(words)), 0, -1):
            if (verb := self._by_words.get(tuple(words[:count]))) is not None:
                return verb
        return None

    def below(self, words: Sequence[str], role: ServerRole) -> list[Verb]:
        """Return the verbs that begin with these words."""
        start = tuple(words)
        return [verb for verb in self.allowed(role) if verb.words[: len(start)] == start]

    def advice(self, words: Sequence[str], role: ServerRole) -> str:
        """Say what somebody may have meant who typed something that is no command."""
        first = words[0].lower() if words else ""
        if words[:1] == [first] and len(words) == 1 and self.below(words, role):
            return f"See what there is: help {first}"
        near = self._nearest([word.lower() for word in words], role)
        return f'Did you mean "{near}"? See: help' if near else "See what there is: help"

    def _nearest(self, words: list[str], role: ServerRole) -> str | None:
        known = {verb.name: verb.words for verb in self.allowed(role)}
        best, score = None, 0.6
        for name, parts in known.items():
            typed = " ".join(words[: len(parts)])
            like = difflib.SequenceMatcher(None, typed, name).ratio()
            if like > score:
                best, score = name, like
        return best


def verb_of(command: Command[Any, Any]) -> Verb:
    """Read how a command is typed; raises ValueError where its line does not fit its request."""
    fields = {field.name: field for field in msgspec.structs.fields(command.request)}
    docs = _documented(command.request)
    words: list[str] = []
    targets: list[Argument] = []
    for token in (command.cli or "").split():
        found = _TOKEN.fullmatch(token)
        if found is None:
            if targets or not re.fullmatch(r"[a-z][a-z0-9-]*", token):
                raise ValueError(
                    f"the command line of {command.name} has {token!r} where no word goes"
                )
            words.append(token)
            continue
        field = fields.pop(found[2], None)
        if field is None or bool(found[1]) is field.required or (targets and targets[-1].rest):
            raise ValueError(
                f"the command line of {command.name} does not fit its field {found[2]}"
            )
        targets.append(_argument(field, docs, rest=bool(found[3]), flag=False))
    for own in _handled_by_doors(command):
        fields.pop(own, None)
    flags = tuple(_argument(field, docs, flag=True) for field in fields.values())
    return Verb(tuple(words), command, tuple(targets), flags)


def _handled_by_doors(command: Command[Any, Any]) -> tuple[str, ...]:
    """Name the fields that no flag stands for: ``--dry-run`` is every change's, pages are ours."""
    pages = any(field.name == "next" for field in msgspec.structs.fields(command.reply))
    return ("dry_run", "after") if pages else ("dry_run",)


def _argument(
    field: msgspec.structs.FieldInfo, docs: dict[str, str], *, flag: bool, rest: bool = False
) -> Argument:
    plain, kind, many = unwrap(field.type)
    form, choices = _form(plain)
    word = flag_of(field.type, field.name)
    if not flag:
        word = word.replace("-", "_")
    return Argument(
        field=field.name,
        word=word,
        form=form,
        kind=kind,
        choices=choices,
        required=field.required,
        many=many,
        rest=rest,
        doc=docs.get(field.name, ""),
    )


def unwrap(annotation: Any) -> tuple[Any, Kind | None, bool]:
    """Return the plain type below annotations, None and list; what it stands for; if it was a list."""
    kind = kind_of(annotation)
    plain = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    origin = get_origin(plain)
    if origin in {Union, UnionType}:
        inner = [one for one in get_args(plain) if one is not NoneType]
        if len(inner) == 1:
            below, found, many = unwrap(inner[0])
            return below, kind or found, many
    elif origin is list:
        below, found, _ = unwrap(get_args(plain)[0])
        return below, kind or found, True
    return plain, kind, False


def _form(plain: Any) -> tuple[Form, tuple[str, ...]]:
    if get_origin(plain) is Literal:
        return Form.CHOICE, tuple(map(str, get_args(plain)))
    if isinstance(plain, type) and issubclass(plain, Enum):
        return Form.CHOICE, tuple(str(one.value) for one in plain)
    forms = {str: Form.TEXT, bool: Form.SWITCH, int: Form.NUMBER, float: Form.REAL}
    if plain not in forms:
        raise ValueError(f"no word on a command line stands for {plain}")
    return forms[plain], ()


def _documented(request: type[msgspec.Struct]) -> dict[str, str]:
    """Read what the docstring of a request, and of its bases, says of each field."""
    found: dict[str, str] = {}
    for base in reversed(request.__mro__):
        current: tuple[str, ...] = ()
        for line in inspect.cleandoc(base.__dict__.get("__doc__") or "").splitlines()[1:]:
            described = _DESCRIBED.fullmatch(line)
            if described is not None:
                current = tuple(described[1].split(", "))
                found.update(dict.fromkeys(current, described[2]))
            elif line.startswith(" ") and current:
                found.update({name: f"{found[name]} {line.strip()}" for name in current})
            else:
                current = ()
    return found
