"""Times, spans and sizes as operators write and read them (see wire/shown.py)."""

import re
from datetime import UTC, datetime

__all__ = [
    "UnreadableError",
    "read_size",
    "read_span",
    "read_time",
    "write_size",
    "write_span",
    "write_time",
]

_SPANS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SPAN = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,6})?) ?([kMGTP]?)i?B?", re.ASCII | re.IGNORECASE)
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999


class UnreadableError(ValueError):
    """A word is not what it should be; the text says what that is."""


def read_span(text: str) -> int:
    """Return seconds from ``90``, ``30s``, ``15m``, ``2h``, ``7d`` or ``1d12h``."""
    if _SECONDS.fullmatch(text):
        return int(text)
    found = _SPAN.fullmatch(text)
    if found is None or not text:
        raise UnreadableError("a time span is written like 30s, 15m, 2h, 7d or 1d12h")
    return sum(
        int(count or 0) * size for count, (_, size) in zip(found.groups(), _SPANS, strict=True)
    )


def write_span(seconds: int, parts: int = 2) -> str:
    """Return a span in its largest units, at most so many of them: ``12d4h``."""
    words = []
    for unit, size in _SPANS:
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count}{unit}")
        if len(words) == parts:
            break
    return "".join(words) or "0s"


def read_size(text: str) -> int:
    """Return bytes from ``512``, ``64kB``, ``1.5 GB``."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UnreadableError("a size is written like 512, 64kB or 1.5GB")
    units = [unit[0].lower() for unit in _SIZES]
    factor: int = 1000 ** (units.index(found[2].lower()) if found[2] else 0)
    return round(float(found[1]) * factor)


def write_size(size: int) -> str:
    """Return a number of bytes as ``41 MB``, with one digit after the point below ten."""
    value, at = float(size), 0
    while value >= 999.5 and at < len(_SIZES) - 1:
        value, at = value / 1000, at + 1
    digits = 1 if at and value < 9.95 else 0
    return f"{value:.{digits}f} {_SIZES[at]}"


def read_time(text: str) -> int:
    """Return ms since 1970 from ISO 8601, in UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableError("a time is written like 2026-11-23 or 2026-11-23T14:06Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def write_time(ms: int, *, exact: bool = False) -> str:
    """Return a point in time in UTC: ``2026-11-23 14:06Z``, or exactly, for programs."""
    moment = datetime.fromtimestamp(min(max(ms, _FIRST), _LAST) / 1000, UTC)
    if exact:
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return moment.strftime("%Y-%m-%d %H:%MZ")
