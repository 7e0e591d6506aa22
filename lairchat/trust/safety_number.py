"""The sixty digits that two people have in common, the same on both their screens.

For each account thirty digits, drawn from its id by PBKDF2 (RFC 8018, HMAC-SHA-512); the smaller
thirty come first, so that both people read the same.
The shape is that of Signal's safety numbers: thirty digits a person, hashed many times over.
Each half holds log2(10^30) = 99.7 bits; whoever looks for a root of theirs that draws the digits of
a given account pays 2^16 HMACs for each try, 2^115.7 in all.
An account id is a hash over server, name and both keys of the root, whole: nothing is cut before the
digits are drawn.
"""

from hashlib import pbkdf2_hmac
from typing import Final

from lairchat.trust.signing import HASH_BYTES

DIGITS: Final = 60
"""count: digits of a safety number."""
GROUPS: Final = 12
"""count: groups of five digits that they are read in."""
ROUNDS: Final = 1 << 16
"""count: PBKDF2's iterations, one HMAC each; some 50 ms a person, once."""

_SALT = b"lairchat safety number v1"
_HALF = DIGITS // 2
_GROUP = DIGITS // GROUPS


def half(account: bytes) -> str:
    """Return the thirty digits of one account; worth keeping, because drawing them takes time.

    Raises ValueError if there are not 32 bytes.
    """
    if len(account) != HASH_BYTES:
        raise ValueError(f"an account id is {HASH_BYTES} bytes, got {len(account)}")
    # 512 bits for 99.7: what the remainder favours is not worth speaking of.
    drawn = int.from_bytes(pbkdf2_hmac("sha512", account, _SALT, ROUNDS), "big")
    return f"{drawn % 10**_HALF:0{_HALF}}"


def safety_number(one: str, other: str) -> tuple[str, ...]:
    """Return the twelve groups of two people's halves, in whichever order they are given."""
    digits = "".join(sorted((one, other)))
    return tuple(digits[at : at + _GROUP] for at in range(0, DIGITS, _GROUP))
