"""Holds secret bytes so that they are not printed by accident.

Python copies bytes as it likes and cannot wipe them: what ends a secret here is that nobody refers
to it any more.
"""

from hmac import compare_digest


class SecretBytes:
    """Bytes whose repr says nothing and whose comparison takes the same time for all of one length."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)

    def reveal(self) -> bytes:
        """Return the bytes: for the algorithm that needs them."""
        return self._data

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return compare_digest(self._data, other._data)

    # A hash in a set or dictionary would be compared in a time that depends on the secret.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "SecretBytes(redacted)"
