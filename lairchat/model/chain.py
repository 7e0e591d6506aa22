"""The hash chain of a room's log, by which nobody can change, drop or reorder what stands in it unseen.

::

    h_0 = SHA-256("lair/1 log" || room u64)
    h_n = SHA-256(h_(n-1) || seq u64 || kind u8 || sender u64 || SHA-256(body))

with big-endian integers.  The server keeps it, and members tell each other inside encrypted messages
how far they followed it and with which hash.
"""

import struct
from collections.abc import Callable
from hashlib import sha256
from typing import Final

pack: Final[Callable[[int, int, int], bytes]] = struct.Struct(">QBQ").pack
"""What stands of an event's header in the chain: sequence, class, sender."""


def genesis(room: int) -> bytes:
    """Return h_0, which ties a chain to its room: logs cannot be swapped unnoticed."""
    return sha256(b"lair/1 log" + struct.pack(">Q", room)).digest()


def link(previous: bytes, seq: int, kind: int, sender: int, digest: bytes) -> bytes:
    """Return h_n from h_(n-1), the event's header and the SHA-256 of its body."""
    return sha256(previous + pack(seq, kind, sender) + digest).digest()
