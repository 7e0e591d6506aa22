"""What a column, or a file, tells whoever gets hold of it; tables of such facts stand beside schemas.

``storage/classes.py`` has those of the server, ``client/store_classes.py`` those of a device.
The documentation prints both, and a column that no fact names fails the tests.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Class", "Fact", "by_column"]


class Class(StrEnum):
    """What is kept, to whoever reads it."""

    CLEAR = "clear"
    """As people wrote it."""
    METADATA = "metadata"
    """Who, when, with whom, how much; public keys and signatures."""
    HASHED = "hashed"
    """A hash: it tells whether a guess is right, and nothing to who has no guess."""
    CIPHERTEXT = "ciphertext"
    """Opens only with keys that are not kept beside it."""
    SECRET = "secret"  # noqa: S105 - the name of a class
    """Keys and tokens: what opens, signs or logs in."""


class Fact(NamedTuple):
    """One thing that is learned.

    about: the heading under which a reader looks for it.  learns: the end of "whoever has this
    learns ...".  columns: ``table.column`` each; one that is different things in different rows has
    several facts.  elsewhere: where it is besides, or instead of, a column.
    """

    about: str
    kind: Class
    learns: str
    columns: tuple[str, ...] = ()
    elsewhere: str = ""


def by_column(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    """Return what is said of each column."""
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        for column in fact.columns:
            found.setdefault(column, []).append(fact)
    return found
