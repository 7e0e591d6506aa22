"""How much presence is told, and how it is put together."""

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

COALESCE_SECONDS: Final = 0.5
"""seconds: changes are collected this long, so that a herd costs little; the last state is told."""

ROOM_CONNECTIONS: Final = 200
"""count: connections of the largest room in which presence is told; in a larger one every change
would cost as much as a message to all, and nobody follows so many people."""

PEOPLE_PER_EVENT: Final = 500
"""count: changes in one event; with names of 32 characters they fill half a frame."""


def parts(people: Sequence[T]) -> list[Sequence[T]]:
    """Cut a long list of changes into events."""
    starts = range(0, len(people), PEOPLE_PER_EVENT)
    return [people[start : start + PEOPLE_PER_EVENT] for start in starts]
