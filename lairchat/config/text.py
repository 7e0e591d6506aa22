"""Reads TOML and JSON, and finds where in the text a key stands: line and column, from 1.

The libraries give positions for syntax errors only; what is wrong with a value is found later.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, NoReturn

from lairchat.model import faults

TEXT_BYTES = 1024 * 1024
"""bytes: the largest configuration that is read; a wrong path must not fill memory."""

Place = tuple[int, int]

_TOML_ADVICE = "Texts stand in double quotes; see toml.io for the rest."
_LONG_NUMBER = "it holds a number that is too long"
_TWICE_ADVICE = "Put its keys below the one that is there already."
_JSON_ADVICE = "Names and texts stand in double quotes; see json.org for the rest."


def is_json(where: str) -> bool:
    """Tell from its name whether a configuration is JSON; everything else is TOML."""
    return PurePath(where).suffix.lower() == ".json"


def tree_of(text: str, where: str) -> dict[str, Any]:
    """Return what a configuration's text holds; ``where`` names it. Raises faults.Config."""
    try:
        return _json_tree(text, where) if is_json(where) else _toml_tree(text, where)
    except RecursionError:
        raise faults.Config(
            place=where, problem="nested too deeply", advice="Keep to tables, keys and values."
        ) from None


def locate(text: str, path: list[str], *, as_json: bool = False) -> Place:
    """Return line and column of a key; of the nearest table around it where it is not found."""
    return _locate_json(text, path) if as_json else _locate_toml(text, path)


def _refuse(where: str, place: Place | None, problem: str, advice: str) -> NoReturn:
    at = f"{where}:{place[0]}:{place[1]}" if place else where
    raise faults.Config(place=at, problem=problem[:1].lower() + problem[1:], advice=advice)


# -- TOML ------------------------------------------------------------------------------------------


def _toml_tree(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
    except ValueError:  # not tomllib's own: an integer of more digits than Python turns into one
        _refuse(where, None, _LONG_NUMBER, _TOML_ADVICE)
    found = re.search(r"^(.*) \(at line (\d+), column (\d+)\)$", said)
    if found:
        advice = _TWICE_ADVICE if found[1].endswith("twice") else _TOML_ADVICE
        _refuse(where, (int(found[2]), int(found[3])), _with_tables(found[1]), advice)
    _refuse(where, _place_at(text, len(text)), said, _TOML_ADVICE)


_NAME = re.compile(r"'(.*?)'")
_NAMES = re.compile(r"\('.+?',?\)")


def _with_tables(said: str) -> str:
    """Write tables as in the file, where tomllib writes them as Python does."""
    return _NAMES.sub(lambda tuple_: f"[{'.'.join(re.findall(_NAME, tuple_[0]))}]", said)


_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_ASSIGNMENT = re.compile(
    r"""^(\s*)((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*="""
)


def _names(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _locate_toml(text: str, path: list[str]) -> Place:
    table: list[str] = []
    best = (1, 1)
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _names(header[1])
            if table == path:
                return number, line.index("[") + 1
            if path[: len(table)] == table:
                best = (number, line.index("[") + 1)
        elif (assignment := _ASSIGNMENT.match(line)) is not None:
            full = table + _names(assignment[2])
            if full == path:
                return number, len(assignment[1]) + 1
            if path[: len(full)] == full:
                best = (number, len(assignment[1]) + 1)
    return best


# -- JSON ------------------------------------------------------------------------------------------


class _NoNumberError(ValueError):
    """JSON knows no NaN and no infinity; Python's reader does."""


def _no_number(word: str) -> NoReturn:
    raise _NoNumberError(word)


def _json_tree(text: str, where: str) -> dict[str, Any]:
    try:
        tree = json.loads(text or "{}", parse_constant=_no_number)
    except json.JSONDecodeError as error:
        _refuse(where, (error.lineno, error.colno), error.msg, _JSON_ADVICE)
    except _NoNumberError as error:
        word = str(error)
        at = next(token.start() for token in _TOKEN.finditer(text) if token[0] == word)
        _refuse(where, _place_at(text, at), f"{word} is no value of JSON", _JSON_ADVICE)
    except ValueError:  # an integer of more digits than Python turns into a number
        _refuse(where, None, _LONG_NUMBER, _JSON_ADVICE)
    if not isinstance(tree, dict):
        _refuse(where, (1, 1), "it is no object", 'An example: {"log": {"level": "warn"}}')
    seen: set[tuple[str, ...]] = set()
    for path, at in _keys(text):
        if path in seen and "[]" not in path:
            _refuse(where, _place_at(text, at), f'"{path[-1]}" stands twice', "Keep one of them.")
        seen.add(path)
    return tree


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the path of every key of valid JSON, with its offset; ``[]`` stands for a list."""
    around: list[str] = []  # the keys on the way here; "" in an object that awaits its next key
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word == "{":
            around.append("")
        elif word == "[":
            around.append("[]")
        elif word in {"}", "]"}:
            around.pop()
        elif word == "," and around[-1] != "[]":
            around[-1] = ""
        elif around and around[-1] == "" and word[0] == '"':
            around[-1] = json.loads(word)
            yield tuple(around), token.start()


def _locate_json(text: str, path: list[str]) -> Place:
    best, depth = 0, 0
    for found, at in _keys(text):
        if list(found) == path[: len(found)] and len(found) > depth:
            best, depth = at, len(found)
    return _place_at(text, best)


def _place_at(text: str, offset: int) -> Place:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1
