"""What ``generated`` writes about lair/1: frames, stages, commands, events, codes, limits.

Everything comes from the structs and tables that the programs run by.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect as types

from lairchat.client import catalog
from lairchat.features.messages import messages
from lairchat.model import limits
from lairchat.wire import objects
from lairchat.wire.errors import CODES
from lairchat.wire.session import TRANSITIONS, Authenticated

INT63 = 2**63 - 1


def shape(kind: types.Type) -> str:  # noqa: C901 - one case a type
    """Say in a few words what a field may hold."""
    match kind:
        case types.Metadata():
            return shape(kind.type)
        case types.IntType():
            return f"int{_range(kind.ge, kind.le)}"
        case types.FloatType():
            return "float"
        case types.StrType():
            return f"str{_lengths(kind, 'characters')}"
        case types.BytesType():
            return f"bin{_lengths(kind, 'bytes')}"
        case types.BoolType():
            return "bool"
        case types.NoneType():
            return "nil"
        case types.RawType():
            return "map, see the command, reply or event"
        case types.LiteralType():
            return " or ".join(f'"{value}"' for value in kind.values)
        case types.ListType():
            most = f" of at most {kind.max_length}" if kind.max_length else ""
            return f"array{most}: {shape(kind.item_type)}"
        case types.DictType():
            return f"map of {shape(kind.key_type)} to {shape(kind.value_type)}"
        case types.UnionType():
            return " or ".join(shape(one) for one in kind.types)
        case types.StructType():
            return f"``{kind.cls.__name__}``"
    return "any"


def _range(least: int | None, most: int | None) -> str:
    if most is None:
        return ""
    return f", {least or 0} to {'2^63-1' if most == INT63 else most}"


def _lengths(kind: Any, unit: str) -> str:
    if kind.max_length is None:
        return ""
    if kind.min_length == kind.max_length:
        return f", {kind.max_length} {unit}"
    return f", {kind.min_length or 0} to {kind.max_length} {unit}"


def fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    """List a struct's fields, with those of the structs inside it below."""
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    if not info.fields:
        yield from ("An empty map.", "")
    for field in info.fields:
        need = "" if field.required else ", optional"
        yield f"- ``{field.encode_name}``: {shape(field.type)}{need}"
    yield ""


def inside(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs that a struct's fields hold."""
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    for field in info.fields:
        kind: Any = field.type
        if isinstance(kind, types.ListType):
            kind = kind.item_type
        if isinstance(kind, types.UnionType):
            kind = next((one for one in kind.types if isinstance(one, types.StructType)), kind)
        if isinstance(kind, types.StructType):
            yield kind.cls


def prose(thing: Any) -> Iterator[str]:
    """Write a docstring's sentences as a paragraph each part."""
    text = inspect.cleandoc(thing.__doc__ or "")
    for paragraph in text.split("\n\n"):
        yield re.sub(r"([*|\\])", r"\\\1", paragraph.replace("\n", " ").replace("``", "``"))
        yield ""


def described(struct: type[msgspec.Struct]) -> Iterator[str]:
    """Write what a struct is and its fields."""
    yield from prose(struct)
    yield from fields(struct)


def wire_frames() -> Iterator[str]:
    """List the frame objects of both directions."""
    for title, union in (
        ("From the client", objects.ClientFrame),
        ("From the server", objects.ServerFrame),
    ):
        yield from (title, "~" * len(title), "")
        for kind in union.__args__:
            tag = kind.__struct_config__.tag
            yield from (f"**{tag}** (``t`` is ``{tag}``)", "")
            yield from described(kind)
            for nested in inside(kind):
                yield from (f"``{nested.__name__}``:", "")
                yield from described(nested)


def wire_stages() -> Iterator[str]:
    """Draw the table of stages."""
    yield from (".. list-table::", "   :header-rows: 1", "")
    yield from ("   * - stage", "     - what its sender says", "     - stage after it")
    for (before, said), after in TRANSITIONS.items():
        if said is Authenticated:
            name, who = "(logged in)", "either"
        else:
            name = str(said.__struct_config__.tag)
            who = "client" if said in objects.ClientFrame.__args__ else "server"
        yield f"   * - {before.name}"
        yield f"     - {who}: {name}"
        yield f"     - {after.name}"
    yield ""


def wire_commands() -> Iterator[str]:
    """List every command with its arguments, answer and refusals."""
    for command in catalog.TABLE:
        yield from (command.name, "~" * len(command.name), "", command.doc, "")
        facts = [
            f"stage {command.stage.value.upper()}",
            f"least role {command.role.name.lower()}",
            f"{command.cost} of the allowance ``{command.rate}``",
            f"runs as {command.overlap.value}",
        ]
        if command.keyed:
            facts.append("needs a ``key``")
        yield from (", ".join(facts) + ".", "", "Arguments:", "")
        yield from described(command.request)
        for nested in inside(command.request):
            yield from (f"``{nested.__name__}``:", "")
            yield from described(nested)
        yield from ("Answer:", "")
        yield from described(command.reply)
        for nested in inside(command.reply):
            yield from (f"``{nested.__name__}``:", "")
            yield from described(nested)
        if command.errors:
            codes = ", ".join(sorted({f"``{error.code}``" for error in command.errors}))
            yield from (f"May be refused with {codes}.", "")


def wire_events() -> Iterator[str]:
    """List every event."""
    for event in catalog.TABLE.events():
        yield from (event.name, "~" * len(event.name), "", event.doc, "")
        yield from described(event.body)
        for nested in inside(event.body):
            yield from (f"``{nested.__name__}``:", "")
            yield from described(nested)


def wire_bodies() -> Iterator[str]:
    """List the bodies of a plain room's events."""
    for body in (messages.Text, messages.StateChange):
        yield from (f"**{body.__struct_config__.tag}** (``type``)", "")
        yield from described(body)


def wire_codes() -> Iterator[str]:
    """List the codes of a broken protocol."""
    for code, meaning in CODES.items():
        yield f"``{code}``"
        yield f"   {meaning[:1].upper()}{meaning[1:]}."
        yield ""


def wire_limits() -> Iterator[str]:
    """List every named limit."""
    yield from (".. list-table::", "   :header-rows: 1", "")
    yield from ("   * - name", "     - value")
    for name, value in vars(limits).items():
        if name.isupper() and isinstance(value, int):
            yield f"   * - {name}"
            yield f"     - {value:,}"
    yield ""


PAGES = (
    wire_frames,
    wire_stages,
    wire_commands,
    wire_events,
    wire_bodies,
    wire_codes,
    wire_limits,
)
