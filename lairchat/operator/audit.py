"""Writes a command down for the audit log, without what may be secret."""

from lairchat.operator.line import Line
from lairchat.operator.verbs import Argument, Form
from lairchat.operator.words import quoted
from lairchat.wire.shown import Kind

__all__ = ["describe"]


def describe(line: Line) -> str:
    """Write a command as it could be typed again, but for what may be secret."""
    words = [*line.verb.words]
    words += [_value(line, one) for one in line.verb.targets if _given(line, one)]
    for one in line.verb.flags:
        if _given(line, one):
            switch = one.form is Form.SWITCH
            words.append(f"--{one.word}={_value(line, one)}" if not switch else _switch(line, one))
    if line.values.get("dry_run"):
        words.append("--dry-run")
    return " ".join(words)


def _given(line: Line, argument: Argument) -> bool:
    return argument.field in line.values or argument.field in line.files


def _switch(line: Line, argument: Argument) -> str:
    return f"--{argument.word}" if line.values[argument.field] else f"--no-{argument.word}"


def _value(line: Line, argument: Argument) -> str:
    if argument.kind is Kind.FILE:
        return "(file)"  # key material; which key it is, the answer and the tables say
    value = line.values[argument.field]
    values = value if isinstance(value, list) else [value]
    return " ".join(quoted(str(one)) for one in values)
