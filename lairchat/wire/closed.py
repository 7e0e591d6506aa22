"""Tells which types let nothing through that :func:`lairchat.wire.scan.scan` would refuse.

A closed type bounds every number, takes only strings as keys, holds no extension types and nests
to a known depth.  When a value of such a type encodes to the very bytes that it was decoded from,
those bytes can hold no duplicate, no NaN, no bomb: there was no room for them.  So the codec
scans only what came in another form, and everything that is not closed.
"""

from typing import Any, Final

from msgspec import inspect

from lairchat.model import limits

_PLAIN: Final = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.StrType,
    inspect.BytesType,
    inspect.LiteralType,
    inspect.EnumType,
)


def is_closed(kind: Any, *, levels: int = limits.DECODE_DEPTH, raw: bool = False) -> bool:
    """Tell whether a type is closed.

    levels: how many maps and arrays its values may nest.
    raw: count :class:`msgspec.Raw` as closed, because whoever opens it checks it by itself.
    """
    return _closed(inspect.type_info(kind), levels, raw)


def _closed(kind: inspect.Type, levels: int, raw: bool) -> bool:
    match kind:
        case inspect.IntType(le=le, lt=lt):
            # A bound is at most 2^63-1 by itself, and MessagePack has no integers below -2^63.
            return not (le is lt is None)
        case inspect.FloatType(ge=ge, gt=gt, le=le, lt=lt):
            # Bounds are finite, and NaN fails every comparison: two of them keep all three out.
            return not (ge is gt is None or le is lt is None)
        case inspect.RawType():
            return raw
        case inspect.Metadata(type=inner):
            return _closed(inner, levels, raw)
        case inspect.UnionType(types=types):
            return all(_closed(one, levels, raw) for one in types)
        case _ if isinstance(kind, _PLAIN):
            return True
    parts = _parts(kind)
    # A recursive type ends here as well: each round costs a level.
    return parts is not None and levels > 0 and all(_closed(one, levels - 1, raw) for one in parts)


def _parts(kind: inspect.Type) -> list[inspect.Type] | None:
    """Return what a container holds, or None for what is no container of ours."""
    match kind:
        case inspect.StructType(fields=fields):
            return [field.type for field in fields]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return [item]
        case inspect.TupleType(item_types=items):
            return list(items)
        case inspect.DictType(key_type=inspect.StrType(), value_type=value):
            return [value]
    return None
