"""Cuts a command line into words, as shells do; nothing is expanded, nothing runs.

Single quotes keep everything, double quotes all but the backslash, which takes the character after
it as it is.  A ``|`` outside of quotes is a word of its own.
"""

from typing import NamedTuple

from lairchat.model.refusals import CliQuote

__all__ = ["PIPE", "Piece", "pieces", "quoted", "split"]

PIPE = "|"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@#,+=%")


class Piece(NamedTuple):
    """One word of a line.

    text: without its quotes.  start, end: where it stands in the line.
    quote: the quote that is still open at its end, or "".
    """

    text: str
    start: int
    end: int
    quote: str = ""


def split(line: str) -> list[str]:
    """Return the words of a line; raises CliQuote where a quote is left open."""
    found = pieces(line)
    if found and found[-1].quote:
        raise CliQuote(quote=found[-1].quote)
    return [piece.text for piece in found]


def pieces(line: str) -> list[Piece]:
    """Return the words with their places; one that is not finished yet may be the last."""
    found: list[Piece] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
        elif line[at] == PIPE:
            found.append(Piece(PIPE, at, at + 1))
            at += 1
        else:
            found.append(_word(line, at))
            at = found[-1].end
    return found


def _word(line: str, start: int) -> Piece:
    """Read the word that begins here."""
    text: list[str] = []
    quote = ""
    at = start
    while at < len(line):
        char = line[at]
        if char == "\\" and quote != "'":
            text.append(line[at + 1 : at + 2])
            at += 2
            continue
        if quote:
            if char == quote:
                quote = ""
            else:
                text.append(char)
        elif char in "'\"":
            quote = char
        elif char.isspace() or char == PIPE:
            break
        else:
            text.append(char)
        at += 1
    if at > len(line):  # a backslash at the end waits for its character
        return Piece("".join(text), start, len(line), "\\")
    return Piece("".join(text), start, at, quote)


def quoted(word: str) -> str:
    """Return how a word is written so that :func:`split` gives it back."""
    if word and _PLAIN.issuperset(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
