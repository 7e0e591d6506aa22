"""Small frozen values without dataclasses, whose import would cost the first paint 20 ms.

A subclass of ``Value`` lists its fields as annotations; it gets slots, a constructor, equality, a
hash and a repr.
Type checkers see a frozen dataclass.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself costs 12 ms; checkers take this name for true
if TYPE_CHECKING:
    from typing import Any, dataclass_transform
else:

    def dataclass_transform(**_options):
        """Stand in for typing.dataclass_transform at run time."""
        return lambda cls: cls


__all__ = ["Value"]


@dataclass_transform(frozen_default=True)
class ValueType(type):
    """Turns a class body's annotations into slots and keeps the defaults apart."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> ValueType:
        """Make the class; fields of the base come first."""
        own = tuple(body.get("__annotations__", ()))
        inherited: tuple[str, ...] = ()
        defaults: dict[str, Any] = {}
        for base in bases:
            inherited += getattr(base, "fields_", ())
            defaults.update(getattr(base, "defaults_", {}))
        for field in own:
            if field in body:
                defaults[field] = body.pop(field)
        body["__slots__"] = own
        body["__match_args__"] = body["fields_"] = inherited + own
        body["defaults_"] = defaults
        return super().__new__(mcs, name, bases, body)


class Value(metaclass=ValueType):
    """Base of frozen values; equality is by class and fields."""

    if not TYPE_CHECKING:

        def __init__(self, *args, **kwargs):
            """Take the fields by position or by name."""
            fields = self.fields_
            if len(args) > len(fields):
                raise TypeError(f"{type(self).__name__} takes {len(fields)} values")
            for field, value in zip(fields, args, strict=False):
                setattr(self, field, value)
            if len(args) != len(fields):
                defaults = self.defaults_
                for field in fields[len(args) :]:
                    if field in kwargs:
                        setattr(self, field, kwargs.pop(field))
                    elif field in defaults:
                        setattr(self, field, defaults[field])
                    else:
                        raise TypeError(f"{type(self).__name__} needs {field}")
            if kwargs:
                raise TypeError(f"{type(self).__name__} knows no {next(iter(kwargs))}")

        def __eq__(self, other):
            if type(self) is not type(other):
                return NotImplemented
            return all(getattr(self, f) == getattr(other, f) for f in self.fields_)

        def __hash__(self):
            return hash((type(self), *(getattr(self, f) for f in self.fields_)))

        def __repr__(self):
            inside = ", ".join(f"{f}={getattr(self, f)!r}" for f in self.fields_)
            return f"{type(self).__name__}({inside})"
