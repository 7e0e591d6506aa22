"""Thirty digits that all devices in one epoch of a room have in common, to be read to each other.

Drawn from the epoch authenticator of MLS (RFC 9420 section 8.7), which only members of that epoch know,
and which differs as soon as two of them are not in the same one: so also where a server has parted a
room and shows each part its own.
"""

from hashlib import sha256
from typing import Final

from lairchat.mls.codec import opaque
from lairchat.mls.group import Group

DIGITS: Final = 30
"""count: digits of a room code, 99.7 bits."""
GROUP: Final = 5
_LABEL: Final = b"lairchat room code v1"


def room_code(group: Group) -> tuple[str, ...]:
    """Return the six groups of five digits of a room's epoch."""
    drawn = int.from_bytes(sha256(opaque(_LABEL) + opaque(group.authenticator)).digest(), "big")
    digits = f"{drawn % 10**DIGITS:0{DIGITS}}"
    return tuple(digits[at : at + GROUP] for at in range(0, DIGITS, GROUP))
