"""Writes an answer: a table that fits the terminal, JSON, or CSV; never a foreign control byte."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from lairchat.operator.answer import Answer, Column
from lairchat.operator.cells import MARK, clip, pad, safe, width, wrap
from lairchat.operator.line import Format
from lairchat.operator.values import NOTHING, as_plain, as_text, spoken
from lairchat.wire.shown import Kind

__all__ = ["as_csv", "as_json", "as_table", "encoded", "json_row", "render", "summary"]

_GAP = "  "
_BETWEEN = " | "
_LEAST = 12
"""cells: a column of text is not made narrower than this before columns are left out."""
_LEAST_LAST = 20
"""cells: the last column is broken into lines where it has at least this much room."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(answer: Answer, form: Format, columns: int) -> str:
    """Return an answer as text that ends with a line feed, or as nothing at all."""
    if form is Format.JSON:
        return as_json(answer)
    if answer.count is not None:
        return f"{answer.count}\n"
    if form is Format.CSV:
        return as_csv(answer)
    return _text(answer, columns)


# -- for people


def _text(answer: Answer, columns: int) -> str:
    facts = answer.facts
    parts: list[str] = []
    if answer.shape.outcome:
        parts.append(_outcome({column.name: value for column, value in facts}, columns))
        facts = [fact for fact in facts if fact[0].name not in {"done", "undo"} and fact[1]]
    if facts:
        parts.append(_facts(facts, columns))
    if answer.rows or (answer.rows is not None and not facts):
        parts.append(as_table(answer.shape.columns, answer.rows, columns))
    return "".join(parts)


def _outcome(facts: dict[str, Any], columns: int) -> str:
    """Write what was done and how to undo it, in one line where both fit."""
    done, undo = safe(facts.get("done") or ""), safe(facts.get("undo") or "")
    line = f"{done}. undo: {undo}"
    if undo and width(line) <= columns:
        return f"{line}\n"
    lines = wrap(done, columns) if done else []
    return "".join(f"{one}\n" for one in [*lines, *([f"undo: {undo}"] if undo else [])])


def _facts(facts: Sequence[tuple[Column, Any]], columns: int) -> str:
    names = [safe(spoken(column.name)) for column, _ in facts]
    room = max(map(width, names))
    lines: list[str] = []
    for name, (column, value) in zip(names, facts, strict=True):
        # Only what is known to have several lines may have them, and each keeps its margin.
        shown = [safe(line) for line in as_text(value, column.kind).split("\n")]
        rest = max(columns - room - len(_GAP), _LEAST_LAST)
        broken = [part for line in shown for part in wrap(line, rest)]
        lines.append(pad(name, room) + _GAP + broken[0])
        lines += [" " * room + _GAP + part for part in broken[1:]]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def summary(facts: Sequence[tuple[Column, Any]], columns: int) -> str:
    """Write the facts that have a value side by side, in as few lines as they need."""
    lines = [""]
    for column, value in facts:
        shown = safe(as_text(value, column.kind))
        part = f"{safe(spoken(column.name))} {shown}"
        if shown == NOTHING:
            continue
        if lines[-1] and width(lines[-1]) + len(_BETWEEN) + width(part) <= columns:
            lines[-1] += _BETWEEN + part
        else:
            lines.append(part)
    return "".join(f"{line}\n" for line in lines if line)


class Plan(NamedTuple):
    """How wide the columns of a table are; those that are left out have no width."""

    widths: list[int]
    wraps: bool


def as_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Any]], room: int, *, header: bool = True
) -> str:
    """Return rows below each other, in at most ``room`` cells where that is possible."""
    if not rows:
        return "none\n" if header else ""
    texts = [
        [safe(as_text(value, column.kind)) for column, value in zip(columns, row, strict=True)]
        for row in rows
    ]
    heads = [spoken(column.name).upper() for column in columns]
    plan = _plan(columns, heads, texts, room)
    lines = _row(columns, heads, plan) if header else []
    for row in texts:
        lines += _row(columns, row, plan)
    left_out = [spoken(column.name) for column in columns[len(plan.widths) :]]
    if left_out and header:
        lines.append(clip(f"(not shown: {', '.join(left_out)}; --json has all)", max(room, 3)))
    return "".join(f"{line}\n" for line in lines)


def _plan(
    columns: Sequence[Column], heads: Sequence[str], texts: Sequence[Sequence[str]], room: int
) -> Plan:
    natural = [max(width(row[at]) for row in (heads, *texts)) for at in range(len(columns))]
    for count in range(len(columns), 0, -1):
        widths = natural[:count]
        space = room - len(_GAP) * (count - 1)
        soft = [at for at in range(count) if _may_shrink(columns[at])]
        wraps = count - 1 in soft
        while sum(widths) > space:
            # The last column gives first, down to what still reads well over several lines.
            if wraps and widths[-1] > _LEAST_LAST:
                widths[-1] = max(_LEAST_LAST, space - sum(widths[:-1]))
                continue
            wide = [at for at in soft if widths[at] > max(_LEAST, len(heads[at]))]
            if wraps:
                wide = [at for at in wide if at != count - 1]
            if not wide:
                break
            widest = max(wide, key=lambda at: widths[at])
            widths[widest] -= 1
        if sum(widths) <= space:
            return Plan(widths, wraps)
    return Plan([max(min(natural[0], room), len(MARK) + 1)], wraps=False)


def _may_shrink(column: Column) -> bool:
    return not column.numeric and column.kind is not Kind.TIME


def _row(columns: Sequence[Column], texts: Sequence[str], plan: Plan) -> list[str]:
    """Write one row; only its last column goes on below."""
    last = len(plan.widths) - 1
    cells = [pad(texts[at], plan.widths[at], right=columns[at].numeric) for at in range(last)]
    if plan.wraps:
        broken = wrap(texts[last], plan.widths[last])
        ends = [clip(part, plan.widths[last]) for part in broken]
    else:
        ends = [pad(texts[last], plan.widths[last], right=columns[last].numeric)]
    start = _GAP.join([*cells, ""])
    lines = [start + ends[0], *(" " * width(start) + end for end in ends[1:])]
    return [line.rstrip() for line in lines]


# -- for programs


def encoded(value: Any) -> str:
    """Return JSON that names every character faithfully and is safe on a terminal.

    A text that would have to be changed to be shown is written in escapes instead.
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=safe(value) != value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{encoded(k)}: {encoded(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(encoded, value)) + "]"
    return json.dumps(value)


def as_json(answer: Answer) -> str:
    """Return rows as an array with one object a line, facts as an object, a count as a number."""
    if answer.count is not None:
        return f"{answer.count}\n"
    rows = None
    if answer.rows is not None:
        rows = [json_row(answer.shape.columns, row) for row in answer.rows]
        lines = ",\n".join(rows)
        array = f"[\n{lines}\n]" if rows else "[]"
        if not answer.shape.facts:
            return f"{array}\n"
    fields = [
        f"{encoded(column.name)}: {encoded(as_plain(value, column.kind))}"
        for column, value in answer.facts
    ]
    if rows is not None:
        fields.append(f"{encoded(answer.shape.rows)}: {array}")
    return "{" + ", ".join(fields) + "}\n"


def json_row(columns: Sequence[Column], row: Sequence[Any]) -> str:
    """Return one row as an object."""
    return encoded(
        {
            column.name: as_plain(value, column.kind)
            for column, value in zip(columns, row, strict=True)
        }
    )


def as_csv(answer: Answer) -> str:
    """Return rows below the names of their columns; facts as two columns."""
    if answer.rows is None:
        names = ["field", "value"]
        rows = [[column.name, _csv(value, column.kind)] for column, value in answer.facts]
    else:
        columns = answer.shape.columns
        names = [column.name for column in columns]
        rows = [
            [_csv(value, column.kind) for column, value in zip(columns, row, strict=True)]
            for row in answer.rows
        ]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return file.getvalue()


def _csv(value: Any, kind: Kind | None) -> str:
    plain = as_plain(value, kind)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if not isinstance(plain, str):
        return plain if isinstance(plain, str) else encoded(plain)
    # A spreadsheet runs what begins like a formula; people can write that into a name.
    return safe(f"'{plain}" if plain.startswith(_FORMULA) else plain)
