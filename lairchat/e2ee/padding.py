"""How long a sealed message looks: padded, so that its length tells little of what it says.

Padme (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
PoPETs 2019, section 4): lengths are rounded up so that only the first bits of a length can be told
apart, which costs 12 % at most; and nothing is shorter than ``PADDED_MIN``, so that "ok", a reaction
and a receipt look the same.
"""

from typing import Final

from lairchat.mls.codec import Reader, opaque
from lairchat.mls.errors import MalformedError

PADDED_MIN: Final = 256
"""bytes: the least that a sealed message looks like."""


def padme(length: int) -> int:
    """Return the length that this one is shown as, bytes."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    kept = exponent.bit_length()
    mask = (1 << (exponent - kept)) - 1 if exponent > kept else 0
    return (length + mask) & ~mask


def padding_for(payload: bytes) -> int:
    """Return how many zero bytes go behind a payload in its private message (RFC 9420 6.3.1)."""
    # With its length in front, which is one byte shorter for the shortest payloads.
    framed = len(opaque(payload))
    return max(PADDED_MIN, padme(framed)) - framed


def padded(data: bytes) -> bytes:
    """Return what is sealed of data for one's own devices, which has no padding of its own."""
    whole = opaque(data)
    return whole.ljust(max(PADDED_MIN, padme(len(whole))), b"\0")


def unpadded(data: bytes) -> bytes:
    """Return what was padded; raises MalformedError for what was not padded here."""
    reader = Reader(data)
    found = reader.opaque()
    if reader.take(reader.remaining).strip(b"\0"):
        raise MalformedError("what pads a sealed object is not empty")
    return found
