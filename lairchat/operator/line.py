"""Reads the words of a command line: verb, targets, flags, filters; refuses with advice."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from lairchat.model.refusals import CliFilter, CliUnknown, CliUsage
from lairchat.model.roles import ServerRole
from lairchat.operator import units
from lairchat.operator.verbs import Argument, Form, Verb, Verbs
from lairchat.operator.words import PIPE
from lairchat.wire.shown import Kind

__all__ = ["FILTERS", "Filter", "Format", "Line", "parse"]

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_READERS = {
    Kind.SPAN: units.read_span,
    Kind.SIZE: units.read_size,
    Kind.TIME: units.read_time,
}
HELP = frozenset({"--help", "?"})


class Format(Enum):
    """How an answer is written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


class Filter(NamedTuple):
    """What a row has to go through: grep with a text, head with a number, count."""

    name: str
    text: str = ""
    number: int = 0


FILTERS = {"json": "", "csv": "", "count": "", "grep": "TEXT", "head": "N"}
"""What may stand behind ``|``, with what it takes."""


@dataclass(slots=True)
class Line:
    """A command line that has been understood.

    values: what is asked, by field; files: fields whose value names a file that is yet to be read.
    """

    verb: Verb
    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    filters: list[Filter] = field(default_factory=list)
    format: Format = Format.TEXT
    yes: bool = False
    dry_run: bool = False

    @property
    def asks(self) -> bool:
        """Whether the operator is to be asked before it is done."""
        command = self.verb.command
        if not command.asks or self.yes or self.dry_run:
            return False
        return command.undoes is None or self.values.get(command.undoes[0]) != command.undoes[1]


def parse(verbs: Verbs, words: Sequence[str], role: ServerRole, *, files: bool = False) -> Line:
    """Return what the words say; raises CliUnknown, CliUsage, CliFilter.

    files: whether the door reads files, so that a word names one; otherwise it is its text.
    """
    head, *stages = _stages(words)
    verb = verbs.find(head)
    if verb is None:
        raise CliUnknown(words=" ".join(head[:3]), advice=verbs.advice(head, role))
    line = Line(verb)
    given = _given(line, head[len(verb.words) :])
    for stage in stages:
        _add_filter(line, stage)
    for argument, texts in given:
        _take(line, argument, texts, files=files)
    if verb.changes and line.dry_run:
        line.values["dry_run"] = True
    _check(line)
    return line


def _stages(words: Sequence[str]) -> list[list[str]]:
    """Cut the words at each ``|``."""
    stages: list[list[str]] = [[]]
    for word in words:
        if word == PIPE:
            stages.append([])
        else:
            stages[-1].append(word)
    return stages


def _add_filter(line: Line, words: list[str]) -> None:
    name = words[0] if words else ""
    if name not in FILTERS:
        raise CliFilter(word=" ".join(words))
    takes = FILTERS[name]
    text = " ".join(words[1:])
    if bool(takes) is not bool(text):
        raise wrong(line.verb, f"| {name} {f'needs {takes}' if takes else 'takes nothing'}")
    if name in {"json", "csv"}:
        line.format = Format(name)
    elif name == "head":
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise wrong(line.verb, "| head needs a number")
        line.filters.append(Filter(name, number=int(text)))
    else:
        line.filters.append(Filter(name, text=text))


def wrong(verb: Verb, why: str) -> CliUsage:
    """Return the refusal of a line whose verb was understood."""
    return CliUsage(command=verb.name, why=why)


# -- which word belongs to which argument


def _given(line: Line, words: list[str]) -> list[tuple[Argument, list[str]]]:
    """Sort the words behind the verb into targets and flags."""
    flags: dict[str, list[str]] = {}
    places: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            places += left
            break
        if word.startswith("--"):
            _flag(line, word, left, flags)
        else:
            places.append(word)
    found = _targets(line.verb, places)
    return found + [(flag, flags[flag.field]) for flag in line.verb.flags if flag.field in flags]


def _targets(verb: Verb, places: list[str]) -> list[tuple[Argument, list[str]]]:
    found: list[tuple[Argument, list[str]]] = []
    for target in verb.targets:
        if not places:
            if target.required:
                raise wrong(verb, f"{target.word.upper()} is missing")
            break
        if target.rest:
            found.append((target, places if target.many else [" ".join(places)]))
            places = []
        else:
            found.append((target, [places[0]]))
            places = places[1:]
    if places:
        raise wrong(verb, f'"{places[0]}" is one word too many')
    return found


def _flag(line: Line, word: str, left: list[str], flags: dict[str, list[str]]) -> None:
    name, equals, value = word[2:].partition("=")
    if _of_every_command(line, name) and not equals:
        return
    argument, positive = _named(line.verb, name)
    if argument.form is Form.SWITCH:
        text = value if equals else "yes"
        if not positive:
            text = "no"
    elif equals:
        text = value
    elif left and not left[0].startswith("--"):
        text = left.pop(0)
    else:
        raise wrong(line.verb, f"--{name} needs {argument.value_word} after it")
    if argument.field in flags and not argument.many:
        raise wrong(line.verb, f"--{name} is given twice")
    flags.setdefault(argument.field, []).append(text)


def _of_every_command(line: Line, name: str) -> bool:
    if name in {"json", "csv"}:
        line.format = Format(name)
    elif name == "yes" and line.verb.command.asks | line.verb.changes:
        line.yes = True
    elif name == "dry-run" and line.verb.changes:
        line.dry_run = True
    else:
        return False
    return True


def _named(verb: Verb, name: str) -> tuple[Argument, bool]:
    """Return the flag of this name, and whether it is said or, with ``--no-``, unsaid."""
    for argument in verb.flags:
        if argument.word == name:
            return argument, True
        if argument.form is Form.SWITCH and f"no-{argument.word}" == name:
            return argument, False
    near = difflib.get_close_matches(name, known_flags(verb), n=1)
    advice = f", did you mean --{near[0]}" if near else ""
    raise wrong(verb, f"there is no --{name}{advice}")


def known_flags(verb: Verb) -> list[str]:
    """Return the names of all flags that a verb takes."""
    known = [argument.word for argument in verb.flags]
    if verb.changes:
        known.append("dry-run")
    if verb.command.asks:
        known.append("yes")
    return [*known, "json", "csv", "help"]


# -- what the words mean


def _take(line: Line, argument: Argument, texts: list[str], *, files: bool) -> None:
    """Read the words of one argument into the line's values."""
    shown = argument.word.upper() if argument in line.verb.targets else f"--{argument.word}"
    try:
        values = [_read(argument, text) for text in texts]
    except units.UnreadableError as error:
        raise wrong(line.verb, f"{shown}: {error}") from None
    if argument.kind is Kind.FILE and files:
        line.files[argument.field] = texts[0]
        return
    line.values[argument.field] = values if argument.many else values[0]


def _read(argument: Argument, text: str) -> Any:
    if argument.kind in _READERS:
        return _READERS[argument.kind](text)
    match argument.form:
        case Form.NUMBER:
            if not re.fullmatch(r"-?[0-9]{1,19}", text):
                raise units.UnreadableError("a number is needed")
            return int(text)
        case Form.REAL:
            if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
                raise units.UnreadableError("a number is needed")
            return float(text)
        case Form.SWITCH:
            if text not in _TRUE | _FALSE:
                raise units.UnreadableError("yes or no is needed")
            return text in _TRUE
        case Form.CHOICE:
            if text not in argument.choices:
                raise units.UnreadableError(f"one of {', '.join(argument.choices)} is needed")
            return text
        case _:
            return text


def _check(line: Line) -> None:
    """Hold the values to the bounds of the request, whose decoder would name fields of the wire."""
    arguments = {one.field: one for one in (*line.verb.targets, *line.verb.flags)}
    for one in arguments.values():
        if one.required and one.field not in line.values.keys() | line.files.keys():
            raise wrong(line.verb, f"--{one.word} is missing")
    try:
        msgspec.convert({**dict.fromkeys(line.files, ""), **line.values}, line.verb.command.request)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        named = arguments.get(re.match(r"\w*", path)[0])  # type: ignore[index]
        word = named.word if named is not None else "a value"
        said = reason.replace("`", "").replace("str of", "text of")
        raise wrong(line.verb, f"{word}: {said[:1].lower()}{said[1:]}") from None
