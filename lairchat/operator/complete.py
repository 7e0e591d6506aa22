"""Tab: what the word before the cursor could become."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple

from lairchat.model.roles import ServerRole
from lairchat.operator.answer import shape_of
from lairchat.operator.cells import safe
from lairchat.operator.line import FILTERS, known_flags
from lairchat.operator.verbs import Argument, Form, Verb, Verbs
from lairchat.operator.words import PIPE, Piece, pieces, quoted
from lairchat.wire.shown import Kind

__all__ = ["Completion", "Names", "complete"]


class Completion(NamedTuple):
    """What could stand in a line from ``start`` to the cursor, ready to be put there."""

    start: int
    words: list[str]


Names = Callable[[Verb, Mapping[str, str], str], Awaitable[list[str]]]
"""Asks the server for one column of a list, given the fields that the list is asked with."""


async def complete(
    verbs: Verbs, line: str, cursor: int, role: ServerRole, names: Names
) -> Completion:
    """Return the choices for the word that ends at the cursor."""
    before = pieces(line[:cursor])
    if before and before[-1].end == cursor and before[-1].text != PIPE:
        word, before = before[-1], before[:-1]
    else:
        word = Piece("", cursor, cursor)
    words = [piece.text for piece in before]
    choices = await _choices(verbs, words, word.text, role, names)
    fitting = sorted({one for one in choices if one.startswith(word.text) and safe(one) == one})
    return Completion(word.start, [quoted(one) for one in fitting])


async def _choices(
    verbs: Verbs, words: list[str], word: str, role: ServerRole, names: Names
) -> list[str]:
    if PIPE in words:
        return list(FILTERS) if words[-1] == PIPE else []
    helping = words[:1] == ["help"]
    if helping:
        words = words[1:]
    verb = verbs.find(words)
    below = verbs.below(words, role)
    further = [one.words[len(words)] for one in below if len(one.words) > len(words)]
    if verb is None or helping or verb.command.role > role:
        return [*further, *([] if words or helping else ["help"])]
    return further + await _argument(verbs, verb, words[len(verb.words) :], word, role, names)


async def _argument(
    verbs: Verbs, verb: Verb, words: list[str], word: str, role: ServerRole, names: Names
) -> list[str]:
    """Return what fits behind a verb: a flag, the value of one, or a target."""
    flags = {f"--{one.word}": one for one in verb.flags}
    waiting = flags.get(words[-1]) if words else None
    if waiting is not None and waiting.form is not Form.SWITCH:
        return await _values(verbs, verb, waiting, [], role, names)
    if word.startswith("--"):
        return [f"--{name}" for name in known_flags(verb)]
    places = _places(words, flags)
    if len(places) < len(verb.targets):
        return await _values(verbs, verb, verb.targets[len(places)], places, role, names)
    return []


def _places(words: list[str], flags: dict[str, Argument]) -> list[str]:
    """Return the words that are targets."""
    found: list[str] = []
    left = list(words)
    while left:
        one = left.pop(0)
        if not one.startswith("--"):
            found.append(one)
        elif one in flags and flags[one].form is not Form.SWITCH:
            left = left[1:]
    return found


async def _values(
    verbs: Verbs,
    verb: Verb,
    argument: Argument,
    places: list[str],
    role: ServerRole,
    names: Names,
) -> list[str]:
    """Return what an argument can be: its choices, or names that the server knows."""
    if argument.choices:
        return list(argument.choices)
    if argument.kind is Kind.FILE or argument.rest:
        return []
    given = dict(zip((target.field for target in verb.targets), places, strict=False))
    for known, column in _lists(verbs, verb, argument, role):
        asked = {one.field: given[one.field] for one in known.targets if one.field in given}
        if all(one.field in asked for one in known.targets if one.required):
            found = await names(known, asked, column)
            if found:
                return found
    return []


def _lists(
    verbs: Verbs, verb: Verb, argument: Argument, role: ServerRole
) -> Iterator[tuple[Verb, str]]:
    """Yield the lists, each with its column, that may hold what is asked for; the likeliest first.

    An argument that is called like a noun is one of that noun's list; any other is one of the lists
    of the verb's own noun, or of what else there has a column of its name.
    """
    paths = [(argument.word,)] + [verb.words[:count] for count in range(len(verb.words) - 1, 0, -1)]
    found = [one for path in paths if (one := verbs.get(*path, "list")) is not None]
    found += [one for one in verbs.below(verb.words[:1], role) if one not in found]
    for known in found:
        columns = [column.name for column in shape_of(known.command.reply).columns]
        if known.command.role > role or not columns:
            continue
        if argument.field in columns:
            yield known, argument.field
        elif _identifies(known, argument, verb):
            yield known, columns[0]


def _identifies(known: Verb, argument: Argument, verb: Verb) -> bool:
    """Tell whether the first column of a list is what an argument names."""
    if known.words == (argument.word, "list"):
        return True
    own = {target.field for target in known.targets}
    return known.words[-1] == "list" and argument in verb.targets and argument.field not in own
