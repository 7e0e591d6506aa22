"""Single values of replies, for people and for programs."""

from enum import Enum
from typing import Any

import msgspec

from lairchat.operator import units
from lairchat.wire.shown import Kind

__all__ = ["NOTHING", "as_plain", "as_text", "spoken"]

NOTHING = "-"
"""What stands where there is no value."""


def as_text(value: Any, kind: Kind | None) -> str:
    """Return a value in words; texts are not made safe yet."""
    if value is None or (isinstance(value, str | list) and not value):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(as_text(one, kind) for one in value)
    if isinstance(value, int) and kind is Kind.TIME:
        return units.write_time(value) if value else "never"
    if isinstance(value, int) and kind is Kind.SPAN:
        return units.write_span(value)
    if isinstance(value, int) and kind is Kind.SIZE:
        return units.write_size(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return ", ".join(f"{one.name} {as_text(getattr(value, one.name), None)}" for one in fields)
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(one, None)}" for name, one in value.items())
    return str(value)


def as_plain(value: Any, kind: Kind | None) -> Any:
    """Return a value for JSON: times in ISO 8601, spans in seconds, sizes in bytes."""
    if isinstance(value, list | tuple):
        return [as_plain(one, kind) for one in value]
    if kind is Kind.TIME and isinstance(value, int):
        return units.write_time(value, exact=True) if value else None
    return msgspec.to_builtins(value)


def spoken(name: str) -> str:
    """Return a field's name as a word for people."""
    return name.replace("_", " ")
