"""Names the numbers that identify things, and makes the ids by which repeated commands are known.

A command id is 16 bytes, chosen by the client once per command: six bytes of big-endian Unix
milliseconds, then ten random ones.
The time in front lets the server forget old answers and still refuse what it can no longer judge.
"""

from typing import NewType

from lairchat.model import limits
from lairchat.model.refusals import IdFuture, IdOld

UserId = NewType("UserId", int)
"""An account on this server."""
RoomId = NewType("RoomId", int)
"""A room or direct conversation on this server."""
DeviceId = NewType("DeviceId", int)
"""One of a user's devices; cursors and command ids belong to it."""
SessionId = NewType("SessionId", int)
"""One login of a device."""

LOCAL_OPERATOR = UserId(-1)
"""Who commands the server from its own host, and could read its files anyway; no account.

Not 0, which stands for nobody elsewhere: what forgot to say who asks must not become the owner.
"""

_TIME_BYTES = 6
_RANDOM_BYTES = limits.COMMAND_ID_BYTES - _TIME_BYTES


def command_id(now_ms: int, random10: bytes) -> bytes:
    """Return a new command id from the wall clock (ms since 1970) and ten random bytes.

    Raises ValueError if there are not ten bytes; OverflowError if the time does not fit 48 bits.
    """
    if len(random10) != _RANDOM_BYTES:
        raise ValueError(f"a command id takes {_RANDOM_BYTES} random bytes, got {len(random10)}")
    return now_ms.to_bytes(_TIME_BYTES, "big") + random10


def command_time(identifier: bytes) -> int:
    """Return the time in a command id, ms since 1970, as its maker's clock had it.

    Raises ValueError if it is not 16 bytes long.
    """
    if len(identifier) != limits.COMMAND_ID_BYTES:
        raise ValueError(f"a command id is {limits.COMMAND_ID_BYTES} bytes, got {len(identifier)}")
    return int.from_bytes(identifier[:_TIME_BYTES], "big")


def check_command_time(identifier: bytes, now_ms: int) -> None:
    """Refuse a command id whose repeat could not be recognised any more, or not be forgotten.

    Raises IdOld past the time that answers are kept: the first answer may be gone, and doing the
    command again would show a message twice.
    Raises IdFuture past the skew granted to clocks: the id would outlive the sweep of answers.
    """
    ahead_ms = command_time(identifier) - now_ms
    if ahead_ms > limits.COMMAND_ID_SKEW_SECONDS * 1000:
        raise IdFuture
    if -ahead_ms > limits.ANSWERS_KEPT_SECONDS * 1000:
        raise IdOld
