"""What a reply is to people: an outcome, rows, or single facts; and what filters leave of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from lairchat.operator.line import Filter
from lairchat.operator.values import as_text, spoken
from lairchat.operator.verbs import unwrap
from lairchat.wire.contract import Outcome
from lairchat.wire.shown import Kind

__all__ = ["Answer", "Column", "Shape", "filtered", "shape_of"]

_PAGING = frozenset({"next", "more"})


class Column(NamedTuple):
    """A field that is shown.

    numeric: whether it stands at the right of its column.
    """

    name: str
    kind: Kind | None
    numeric: bool


class Shape(NamedTuple):
    """How replies of one type are shown.

    facts: fields that stand alone.  rows: the field that holds rows, or "".
    columns: the fields of a row; of one that is no struct only its value.
    """

    facts: tuple[Column, ...]
    rows: str
    columns: tuple[Column, ...]
    outcome: bool


@dataclass(slots=True)
class Answer:
    """A reply as values.

    facts: field and value.  rows: values in the order of the columns; None: it has no rows.
    count: how many rows there are, if that was asked.
    """

    shape: Shape
    facts: list[tuple[Column, Any]]
    rows: list[tuple[Any, ...]] | None
    count: int | None = None


def shape_of(reply: type[msgspec.Struct]) -> Shape:
    """Read how replies of a type are shown from its fields."""
    facts: list[Column] = []
    rows = ""
    columns: tuple[Column, ...] = ()
    for field in msgspec.structs.fields(reply):
        if field.name in _PAGING:
            continue
        inner = _row_type(field.type)
        if inner is not None and not rows:
            rows = field.name
            columns = tuple(_column(one) for one in msgspec.structs.fields(inner))
        else:
            facts.append(_column(field))
    return Shape(tuple(facts), rows, columns, issubclass(reply, Outcome))


def _row_type(annotation: Any) -> Any:
    """Return the struct that a list holds, or None for anything else."""
    plain = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    if get_origin(plain) is not list:
        return None
    inner = get_args(plain)[0]
    inner = inner.__origin__ if hasattr(inner, "__metadata__") else inner
    return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def _column(field: msgspec.structs.FieldInfo) -> Column:
    plain, kind, many = unwrap(field.type)
    numeric = plain in {int, float} and kind is not Kind.TIME and not many
    return Column(field.encode_name, kind, numeric)


def answer_of(shape: Shape, reply: msgspec.Struct, rows: Sequence[msgspec.Struct]) -> Answer:
    """Return a reply, with the rows of all its pages, as values."""
    facts = [(column, getattr(reply, column.name)) for column in shape.facts]
    if not shape.rows:
        return Answer(shape, facts, None)
    names = [column.name for column in shape.columns]
    return Answer(shape, facts, [tuple(getattr(row, name) for name in names) for row in rows])


def filtered(answer: Answer, filters: Sequence[Filter]) -> Answer:
    """Send an answer's rows, or where it has none its facts, through the filters."""
    for one in filters:
        if answer.count is not None:
            answer = Answer(answer.shape, [], None, 1)
        elif answer.rows is not None:
            answer = _rows_through(answer, one)
        else:
            answer = _facts_through(answer, one)
    return answer


def _rows_through(answer: Answer, one: Filter) -> Answer:
    rows = answer.rows or []
    match one.name:
        case "head":
            rows = rows[: one.number]
        case "grep":
            columns = answer.shape.columns
            rows = [row for row in rows if _matches(one.text, zip(columns, row, strict=True))]
        case _:
            return Answer(answer.shape, [], None, len(rows))
    return Answer(answer.shape, answer.facts, rows)


def _facts_through(answer: Answer, one: Filter) -> Answer:
    facts = answer.facts
    match one.name:
        case "head":
            facts = facts[: one.number]
        case "grep":
            facts = [fact for fact in facts if _fact_matches(one.text, *fact)]
        case _:
            return Answer(answer.shape, [], None, len(facts))
    return Answer(answer.shape, facts, None)


def _matches(text: str, values: Iterable[tuple[Column, Any]]) -> bool:
    """Tell whether one of the values, as it is shown, holds a text; case does not matter."""
    wanted = text.casefold()
    return any(wanted in as_text(value, column.kind).casefold() for column, value in values)


def _fact_matches(text: str, column: Column, value: Any) -> bool:
    return text.casefold() in spoken(column.name).casefold() or _matches(text, [(column, value)])
