"""A mapping that is never changed: a changed copy costs what changed, however much it holds.

An epoch of a thousand senders has two thousand ratchets; to copy them all for each message, or to
compare them all, would cost more than to open it.

Promises not to know: what the values are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=tuple[int, int])
"""A key; its second number decides in which table it is, so that should differ most."""

V = TypeVar("V")

_TABLES: Final = 32


class Parts(Mapping[K, V], Generic[K, V]):
    """Values by key, in small tables; a changed copy shares those in which nothing changed."""

    __slots__ = ("_tables",)

    def __init__(self, parts: Mapping[K, V]) -> None:
        tables: list[dict[K, V]] = [{} for _ in range(_TABLES)]
        for key, value in parts.items():
            tables[key[1] % _TABLES][key] = value
        self._tables: Sequence[dict[K, V]] = tables

    def __getitem__(self, key: K) -> V:
        """Return the value of a key."""
        return self._tables[key[1] % _TABLES][key]

    def __iter__(self) -> Iterator[K]:
        """Yield all keys."""
        for table in self._tables:
            yield from table

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(map(len, self._tables))

    def replaced(self, changes: Mapping[K, V | None]) -> "Parts[K, V]":
        """Return a copy with other values; None takes a key away."""
        tables = list(self._tables)
        for place in {key[1] % _TABLES for key in changes}:
            tables[place] = tables[place].copy()
        for key, value in changes.items():
            table = tables[key[1] % _TABLES]
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
        copy: Parts[K, V] = Parts.__new__(Parts)
        copy._tables = tables
        return copy

    def differing(self, other: "Parts[K, V]") -> Iterator[K]:
        """Yield the keys whose values are not the very same in both."""
        for ours, theirs in zip(self._tables, other._tables, strict=True):
            if ours is not theirs:
                for key in ours.keys() | theirs.keys():
                    if ours.get(key) is not theirs.get(key):
                        yield key
