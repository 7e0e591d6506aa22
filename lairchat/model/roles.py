"""Ranks people, in a room and on the server; a higher role compares greater.

The numbers are stored; the wire, JSON and command lines use the lower-case word.
Gaps between the numbers leave room for roles to come.
"""

from enum import IntEnum
from typing import Self


class Role(IntEnum):
    """What both ladders share: a word for each step."""

    @property
    def word(self) -> str:
        """The name on the wire and on command lines, such as ``moderator``."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Self:
        """Return the role of this lower-case word; raises ValueError if there is none."""
        for role in cls:
            if role.word == word:
                return role
        known = ", ".join(role.word for role in cls)
        raise ValueError(f"no role is called {word!r}; there are {known}")


class RoomRole(Role):
    """What a member is in one room."""

    GUEST = 10
    MEMBER = 20
    MODERATOR = 30
    ADMIN = 40
    OWNER = 50


class ServerRole(Role):
    """What an account is on the whole server."""

    GUEST = 10
    USER = 20
    MODERATOR = 30
    ADMIN = 40
    OWNER = 50
