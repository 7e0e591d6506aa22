"""What a QR code for comparing identities holds: both account ids, whole.

68 bytes, so that a code of version 4 with error correction L takes them: 33 modules and its margin
fit the smallest common terminal in half blocks.
Drawing it is the client's.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from lairchat.mls.codec import Choice, Fixed, Struct, Uint, decode
from lairchat.trust.errors import PinError
from lairchat.trust.signing import HASH_BYTES

QR_BYTES: Final = 68
"""bytes: four that say what it is, then the account id of who shows it and of who is to scan it."""


@dataclass(frozen=True, slots=True)
class _Comparison(Struct):
    TYPE: ClassVar[int] = int.from_bytes(b"LQ1\0", "big")
    LAYOUT = (Fixed(HASH_BYTES), Fixed(HASH_BYTES))
    shown_by: bytes
    shown_to: bytes


_PAYLOAD: Final = Choice("code for comparing identities", Uint(4), (_Comparison,))


def qr_payload(mine: bytes, theirs: bytes) -> bytes:
    """Return what to draw for somebody: one's own account id, and theirs as it is pinned here."""
    return _PAYLOAD.write(_Comparison(mine, theirs))


def check_scanned(payload: bytes, mine: bytes, theirs: bytes) -> None:
    """Accept what was scanned from somebody's screen, if both sides see the same two accounts.

    mine: one's own account id; theirs: the account id pinned here for who shows the code.
    Raises MalformedError if it is no such code; PinError if it is one's own, somebody else's, or
    if that person's client sees another account here than one's own.
    """
    scanned: _Comparison = decode(_PAYLOAD, payload)
    if scanned.shown_by == mine:
        raise PinError("this is your own code: scan the one on the other person's screen")
    if scanned.shown_by != theirs:
        raise PinError("this code is not from the account that is known here by that name")
    if scanned.shown_to != mine:
        raise PinError("the other person's client knows another account by your name")
