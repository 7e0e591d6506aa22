"""What operators are told, in words."""


def because(reason: str) -> str:
    """Return a reason as the end of a sentence."""
    return f": {reason}" if reason else ""


def counted(count: int, noun: str) -> str:
    """Return how many there are of something, such as ``1 connection``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def spelt(seconds: int) -> str:
    """Return a span of time as operators write it: ``90s``, ``15m``, ``2h``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def listed(names: list[str], *, of: int = 200) -> str:
    """Return names as a list that ends after so many characters."""
    text = ", ".join(names)
    if len(text) <= of:
        return text
    return f"{text[:of].rpartition(', ')[0]}, ... ({len(names)} in all)"
