"""Holds what a person types into a password field, so that it is neither printed nor kept.

The bytes live in one ``bytearray`` that ``clear`` overwrites; Python may have copied the single
characters on their way in, so this shortens the time a secret lies in memory, it does not end it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["WORDS_IN_A_ROW", "Secret", "Trace", "WordsTrace"]

WORDS_IN_A_ROW = 4
"""count: so many recovery words in their order are no chance."""


class Secret:
    """A password while it is typed and until it is used; its repr says nothing."""

    __slots__ = ("_data",)

    def __init__(self, text: str = "") -> None:
        self._data = bytearray(text.encode("utf-8", "replace"))

    def reveal(self) -> str:
        """Return the text itself: for the key derivation, and for the field under F2."""
        return self._data.decode("utf-8", "replace")

    def append(self, text: str) -> None:
        """Append what was typed."""
        self._data += text.encode("utf-8", "replace")

    def backspace(self) -> None:
        """Take the last character away."""
        data = self._data
        while data:
            byte = data.pop()
            if byte & 0xC0 != 0x80:
                return

    def clear(self) -> None:
        """Overwrite and empty it."""
        for index in range(len(self._data)):
            self._data[index] = 0
        del self._data[:]

    def take(self) -> Secret:
        """Return the content as a new secret and clear this one: for handing a form's field over."""
        taken = Secret()
        taken._data += self._data
        self.clear()
        return taken

    def __len__(self) -> int:
        return len(self._data.decode("utf-8", "replace"))

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


class Trace:
    """Recognises the password that was used to log in when somebody types it as a message.

    Keeps a keyed hash only; the key is drawn by the caller for this process alone.
    """

    __slots__ = ("_digest", "_key")

    def __init__(self, secret: Secret, key: bytes) -> None:
        self._key = key
        self._digest = self._hash(secret.reveal())

    def matches(self, text: str) -> bool:
        """Tell whether a line of the text is the password."""
        return any(self._hash(line.strip()) == self._digest for line in text.split("\n")[:8])

    def _hash(self, text: str) -> bytes:
        from hashlib import blake2b

        return blake2b(text.encode("utf-8", "replace"), key=self._key, digest_size=16).digest()

    def __repr__(self) -> str:
        return "Trace(...)"


class WordsTrace:
    """Recognises recovery words in a message: so many in a row, in their order, however written.

    Keeps keyed hashes only, as ``Trace`` does.
    """

    __slots__ = ("_digests", "_key")

    def __init__(self, words: Sequence[str], key: bytes) -> None:
        self._key = key
        self._digests = frozenset(self._hashes(" ".join(words)))

    def matches(self, text: str) -> bool:
        """Tell whether some of the words stand in the text."""
        return any(digest in self._digests for digest in self._hashes(text))

    def _hashes(self, text: str) -> Iterator[bytes]:
        from hashlib import blake2b

        words = "".join(c if c.isalpha() else " " for c in text.lower()).split()
        for start in range(len(words) - WORDS_IN_A_ROW + 1):
            some = " ".join(words[start : start + WORDS_IN_A_ROW])
            yield blake2b(some.encode("utf-8", "replace"), key=self._key, digest_size=16).digest()

    def __repr__(self) -> str:
        return "WordsTrace(...)"
