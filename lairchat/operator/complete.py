"""Tab: what the word before the cursor could become."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from lairchat.model.roles import ServerRole
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


Names = Callable[[Verb, Sequence[str]], Awaitable[list[str]]]
"""Asks the server for the first column of a list, given the targets that the list needs."""


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
    if verb is None or helping:
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
    for known in _lists(verbs, verb, argument):
        needed = sum(target.required for target in known.targets)
        if known.command.role <= role and needed <= len(places):
            return await names(known, places[:needed])
    return []


def _lists(verbs: Verbs, verb: Verb, argument: Argument) -> list[Verb]:
    """Return the lists whose first column may be what is asked for, the likeliest first.

    An argument that is called like a noun is one of them; any other is one of the verb's own noun.
    """
    paths: list[tuple[str, ...]] = [(argument.word,)] if verbs.get(argument.word, "list") else []
    if argument in verb.targets:
        paths += [verb.words[:count] for count in range(len(verb.words) - 1, 0, -1)]
    found = [verbs.get(*path, "list") for path in paths]
    return [one for one in found if one is not None]
