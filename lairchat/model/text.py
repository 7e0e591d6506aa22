"""Makes whatever a stranger wrote safe to put on a terminal, into a log line or a table.

curses and terminals are no sanitisers: control bytes move the cursor, set titles and read the
clipboard; direction overrides and zero-width characters let one text pass for another; line
separators forge lines that nobody wrote; stacked marks paint over the neighbours.
:func:`display_safe` is the one place that stops all of it, for client, tables, errors and logs.

What it does to a character, in this order:

- Printable ASCII stays; so does every visible letter, symbol and ideograph.
- TAB becomes four spaces where lines are kept, otherwise one; other spaces become one plain space,
  except the ideographic one, which is two columns wide.
- An emoji sequence stays whole: pictograph, variation selector 16 or skin tone, up to three
  zero-width joiners, keycaps, and flags spelt with tag characters.
- A joiner between two letters of a joining script (Persian, Hindi, Sinhala) and a variation
  selector after an ideograph or symbol only refine a shape: they are left out without a trace.
- Everything else that is invisible or commands the terminal becomes U+FFFD, one for one: C0, C1,
  escapes, direction controls, zero-width and tag characters, line and paragraph separators, lone
  surrogates, noncharacters, private use (a terminal may show images for those), fillers, blanks.
- Combining marks past :data:`~lairchat.model.limits.COMBINING_MARKS` on one character become one
  U+FFFD, and so does a mark at the start of a line, which would change what stands before it.

The result never holds more characters than the input, but for TABs where lines are kept.
Tables: Unicode 14 ``emoji-data.txt`` and ``DerivedCoreProperties.txt`` (Default_Ignorable).
"""

from unicodedata import category

from lairchat.model import limits

REPLACEMENT = "\ufffd"
"""What stands for a character that must not be shown."""

_ZWJ = "\u200d"
_JOINERS = frozenset("\u200c\u200d")
_VS16 = "\ufe0f"
_KEYCAP = "\ufe0f\u20e3"
_KEYCAP_BASES = frozenset("0123456789#*")
_BLACK_FLAG = "\U0001f3f4"
_TAG_END = "\U000e007f"
_TAG_SPAN = range(4, 7)  # tag letters in a flag: "gbeng", "usca"
_ZWJ_PER_EMOJI = 3  # the longest recommended sequences join four pictographs

# Letters and symbols by category that show nothing: jamo and Hangul fillers, braille blank,
# null notehead, object replacement.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159\ufffc")
# Format characters that are drawn: Arabic and other number signs.
_DRAWN_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
# Marks that show nothing: grapheme joiner, Khmer inherent vowels, Khitan filler.
_BLANK_MARKS = frozenset("\u034f\u17b4\u17b5\U00016fe4")


def _characters(spans: str) -> frozenset[str]:
    """Return the characters of a table of hexadecimal code points and spans of them."""
    found: set[str] = set()
    for span in spans.split():
        first, _, last = span.partition("-")
        found.update(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return frozenset(found)


# Pictographs below U+10000 (property Emoji, without ASCII); above it they have a block.
_PICTOGRAPHS = _characters(
    "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA "
    "24C2 25AA-25AB 25B6 25C0 25FB-25FE 2600-2604 260E 2611 2614-2615 2618 261D 2620 "
    "2622-2623 2626 262A 262E-262F 2638-263A 2640 2642 2648-2653 265F-2660 2663 2665-2666 "
    "2668 267B 267E-267F 2692-2697 2699 269B-269C 26A0-26A1 26A7 26AA-26AB 26B0-26B1 "
    "26BD-26BE 26C4-26C5 26C8 26CE-26CF 26D1 26D3-26D4 26E9-26EA 26F0-26F5 26F7-26FA 26FD "
    "2702 2705 2708-270D 270F 2712 2714 2716 271D 2721 2728 2733-2734 2744 2747 274C 274E "
    "2753-2755 2757 2763-2764 2795-2797 27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 "
    "2B55 3030 303D 3297 3299"
)
_FLAG_LETTERS = _characters("1F1E6-1F1FF")
_SKIN_TONES = _characters("1F3FB-1F3FF")
_VARIATION_SELECTORS = _characters("180B-180D 180F FE00-FE0F E0100-E01EF")
# Vowels and finals of decomposed Korean: letters by category, but drawn onto the one before.
_JAMO_MARKS = _characters("1161-11FF D7B0-D7C6 D7CB-D7FB")

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_NO_BASE = -1  # state of the mark counter: nothing on this line can carry a mark yet


def display_safe(text: str, *, multiline: bool = False) -> str:
    r"""Return text that a terminal shows as it is, and nothing more, as the module describes.

    multiline: keep LF (and CRLF as LF) as the end of a line; otherwise they become U+FFFD too.
    Applying it twice changes nothing more.
    Printable text that needs no change is returned as the same object.
    """
    # These three need no look at single characters in Python: almost every call ends here.
    if text.isprintable():
        if text.isascii() or max(text) < "\u0300":
            return text
        if _BLANK.isdisjoint(text) and not _carries_marks(text):
            return text
    return _rewrite(text, multiline)


def display_clip(text: str, size: int) -> str:
    """Return at most ``size`` (4 or more) safe characters of one line, ending in "..." if cut."""
    if len(text) > size:
        return display_safe(text[: size - 3]) + "..."
    return display_safe(text)


def has_controls(text: str) -> bool:
    """Tell whether a text holds what no name, topic or message may hold.

    These are C0 and C1 controls (line ends and TAB among them), line separators, lone surrogates
    and noncharacters; other invisible characters may be stored and are made visible on display.
    """
    return not text.isprintable() and any(
        category(char) in {"Cc", "Cs", "Zl", "Zp"} or _is_noncharacter(char) for char in text
    )


def _carries_marks(text: str) -> bool:
    # No two-letter category but the marks' has an upper-case M.
    return "M" in "".join(map(category, text)) or not _JAMO_MARKS.isdisjoint(text)


def _is_noncharacter(char: str) -> bool:
    code = ord(char)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def _is_pictograph(char: str) -> bool:
    if char > "\uffff":
        return "\U0001f000" <= char <= "\U0001faff" and char not in _FLAG_LETTERS
    return char in _PICTOGRAPHS


def _in_joining_script(char: str) -> bool:
    # Arabic to Malayalam and Sinhala, Myanmar, Khmer and Mongolian: joiners shape their letters.
    return (
        "\u0600" <= char <= "\u0dff" or "\u1000" <= char <= "\u109f" or "\u1780" <= char <= "\u18af"
    )


def _may_be_new(char: str) -> bool:
    # Unassigned when this Python was made, but it can only be a pictograph or an ideograph.
    return "\U0001f000" <= char <= "\U0001faff" or "\U00020000" <= char <= "\U0003fffd"


def _rewrite(text: str, multiline: bool) -> str:
    if multiline:
        text = text.replace("\r\n", "\n").replace("\t", "    ")
    out: list[str] = []
    marks = _NO_BASE
    at = 0
    while at < len(text):
        char = text[at]
        end = _emoji_end(text, at)
        if end > at:
            out.append(text[at:end])
            marks = 0
            at = end
            continue
        kind = category(char)
        if char == "\n" and multiline:
            out.append(char)
            marks = _NO_BASE
        elif _is_mark(char, kind):
            marks = _add_mark(out, char, marks)
        elif not _only_shapes(text, at):
            out.append(_shown(char, kind))
            marks = 0
        at += 1
    return "".join(out)


def _is_mark(char: str, kind: str) -> bool:
    if kind[0] == "M":
        return char not in _BLANK_MARKS and char not in _VARIATION_SELECTORS
    return char in _JAMO_MARKS


def _add_mark(out: list[str], char: str, marks: int) -> int:
    """Append a combining mark, or once U+FFFD for those that are too many; return the new count."""
    if marks == _NO_BASE:
        out.append(REPLACEMENT)
        return 0
    if marks < limits.COMBINING_MARKS:
        out.append(char)
    elif marks == limits.COMBINING_MARKS:
        out.append(REPLACEMENT)
    return marks + 1


def _shown(char: str, kind: str) -> str:
    """Return what is shown for one character that is neither mark nor part of an emoji."""
    if kind == "Zs":
        return char if char == "\u3000" else " "
    if char == "\t":
        return " "
    if kind[0] == "M" or kind in _HIDDEN_CATEGORIES or char in _BLANK:
        return char if char in _DRAWN_FORMATS else REPLACEMENT
    if kind == "Cn" and (_is_noncharacter(char) or not _may_be_new(char)):
        return REPLACEMENT
    return char


def _only_shapes(text: str, at: int) -> bool:
    """Tell whether an invisible character merely refines its neighbours' shape in honest text."""
    char = text[at]
    before = text[at - 1] if at else ""
    if char in _JOINERS:
        after = text[at + 1 : at + 2]
        return (
            _in_joining_script(before)
            and _in_joining_script(after)
            and category(before)[0] in "LM"
            and category(after)[0] == "L"
        )
    # After ASCII there is nothing to refine: there it only hides in names and links.
    return char in _VARIATION_SELECTORS and not before.isascii() and category(before)[0] in "LSP"


def _emoji_end(text: str, at: int) -> int:
    """Return where the emoji sequence that starts here ends; the start itself if there is none."""
    if text[at] in _KEYCAP_BASES:
        return at + 3 if text.startswith(_KEYCAP, at + 1) else at
    end = _flag_end(text, at) or _element_end(text, at)
    if end == at:
        return at
    for _ in range(_ZWJ_PER_EMOJI):
        if not text.startswith(_ZWJ, end):
            break
        following = _element_end(text, end + 1)
        if following == end + 1:
            break
        end = following
    return end


def _element_end(text: str, at: int) -> int:
    """Return where a pictograph with its variation selector or skin tone ends, else the start."""
    if at >= len(text) or not _is_pictograph(text[at]):
        return at
    end = at + 1
    if end < len(text) and (text[end] == _VS16 or text[end] in _SKIN_TONES):
        end += 1
    return end


def _flag_end(text: str, at: int) -> int:
    """Return where a flag spelt with tag letters ends ("gbsct": Scotland), or 0."""
    if text[at] != _BLACK_FLAG:
        return 0
    stop = text.find(_TAG_END, at, at + _TAG_SPAN.stop + 1)
    if stop - at - 1 not in _TAG_SPAN:
        return 0
    spelt = "".join(chr(ord(tag) & 0x7F) for tag in text[at + 1 : stop])
    tags = all("\U000e0000" <= tag < _TAG_END for tag in text[at + 1 : stop])
    return stop + 1 if tags and spelt.isalnum() and spelt.islower() else 0
