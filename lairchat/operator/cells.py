"""How much room a text takes on a terminal, in cells; it is made safe first (model/text.py)."""

from wcwidth import iter_graphemes, wcswidth

from lairchat.model.text import display_safe

__all__ = ["MARK", "clip", "fold", "pad", "safe", "width", "wrap"]

MARK = ".."
"""What stands at the end of a text that was cut."""


def safe(text: str) -> str:
    """Return one line that a terminal shows as it is."""
    return display_safe(text)


def width(text: str) -> int:
    """Return the cells that a safe text takes."""
    if text.isascii():
        return len(text)
    return sum(_size(cluster) for cluster in iter_graphemes(text))


def _size(cluster: str) -> int:
    # What a terminal does with clusters that nobody can measure is anybody's guess: at least one.
    return max(1, wcswidth(cluster))


def clip(text: str, room: int) -> str:
    """Cut a safe text to at most ``room`` (3 or more) cells; two dots show where it was cut."""
    if width(text) <= room:
        return text
    left, kept = room - len(MARK), []
    for cluster in iter_graphemes(text):
        left -= _size(cluster)
        if left < 0:
            break
        kept.append(cluster)
    return "".join(kept) + MARK


def pad(text: str, room: int, *, right: bool = False) -> str:
    """Clip or fill a safe text to exactly ``room`` cells."""
    text = clip(text, room)
    blanks = " " * (room - width(text))
    return blanks + text if right else text + blanks


def wrap(text: str, room: int) -> list[str]:
    """Break a safe text at blanks; a word that is longer than the room stays whole.

    Links and keys are copied from a terminal: a break inside of them would break them.
    """
    lines: list[str] = []
    for word in text.split(" "):
        if lines and width(lines[-1]) + 1 + width(word) <= room:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def fold(text: str, room: int) -> str:
    """Break the lines of a safe text that are longer than ``room``, as wrap() does."""
    return "\n".join("\n".join(wrap(line, room)) for line in text.split("\n"))
