"""Says times and counts in the words of sentences, for people on any clock."""

from datetime import UTC, datetime

LAST_MS = 253_402_300_799_000
"""ms: the end of the year 9999, past which dates are not written."""


def utc(at: int) -> str:
    """Return a time in ms since 1970 as ``2026-11-23 14:06 UTC``."""
    moment = datetime.fromtimestamp(min(at, LAST_MS) / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def lasting(until: int | None, reason: str = "") -> str:
    """Return how long something holds and why, to follow it in a sentence: `` until ... (spam)``."""
    end = "" if until is None else f" until {utc(until)}"
    return f"{end} ({reason})" if reason else end


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its word: ``1 member``, ``2 members``; ``many`` where an s is not enough."""
    return f"{count} {one if count == 1 else many or one + 's'}"
