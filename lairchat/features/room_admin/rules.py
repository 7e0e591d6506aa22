"""What operators call rooms: plain ones by name, encrypted ones, whose name nobody here knows, by number."""

ENCRYPTED = "encrypted:"
"""Before the number of an encrypted room.  No room can be named so: ``:`` is in no name."""

_DIGITS = 18
"""count: of the longest number; an id has 63 bits."""


def called(name: str, number: int, *, encrypted: bool) -> str:
    """Return what operators call a room, as they type it."""
    return f"{ENCRYPTED}{number}" if encrypted else name


def shown(name: str, number: int, *, encrypted: bool) -> str:
    """Return what a sentence calls a room."""
    return f"encrypted room {number}" if encrypted else f"#{name}"


def number_of(word: str) -> int | None:
    """Return the number in the word for an encrypted room; None if it is not one."""
    digits = word.removeprefix(ENCRYPTED)
    if digits == word or not (digits.isascii() and digits.isdecimal()) or len(digits) > _DIGITS:
        return None
    return int(digits)
