"""How operators read the values of a reply and write those of a request; on the wire they are plain.

A feature annotates a field with one of these types, and every door shows it alike: a table, JSON
and CSV (see operator/), and takes it from a command line in the same words.
"""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta

from lairchat.model import limits
from lairchat.wire.objects import Int63

__all__ = ["Kind", "PublicFile", "Size", "Span", "Time", "flag", "flag_of", "kind_of"]


class Kind(StrEnum):
    """What a number or text stands for."""

    TIME = "time"
    """ms since 1970; shown as a date and time, 0 as never."""
    SPAN = "span"
    """seconds; written ``90``, ``30s``, ``15m``, ``2h``, ``7d``."""
    SIZE = "size"
    """bytes; shown as ``41 MB``."""
    FILE = "file"
    """The text of a file; lairctl takes the file's name, other doors the text."""


def _is(kind: Kind) -> Meta:
    return Meta(extra={"kind": kind})


def flag(name: str) -> Meta:
    """Say what a field is called on a command line, where its own name would not read well."""
    return Meta(extra={"flag": name})


Time = Annotated[Int63, _is(Kind.TIME)]
Span = Annotated[int, Meta(ge=0, le=10 * 365 * limits.DAY), _is(Kind.SPAN)]
Size = Annotated[Int63, _is(Kind.SIZE)]
PublicFile = Annotated[str, Meta(max_length=limits.PUBLIC_FILE_CHARS), _is(Kind.FILE)]
"""What a public file holds, such as a public key."""


def kind_of(annotation: Any) -> Kind | None:
    """Return what a field's type stands for, or None."""
    for meta in reversed(getattr(annotation, "__metadata__", ())):
        if isinstance(meta, Meta) and meta.extra and "kind" in meta.extra:
            return Kind(meta.extra["kind"])
    return None


def flag_of(annotation: Any, name: str) -> str:
    """Return the word that stands for a field on a command line."""
    for meta in reversed(getattr(annotation, "__metadata__", ())):
        if isinstance(meta, Meta) and meta.extra and "flag" in meta.extra:
            return str(meta.extra["flag"])
    return name.replace("_", "-")
