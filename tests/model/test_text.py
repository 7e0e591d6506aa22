"""Nothing that a stranger writes reaches a terminal as anything but visible text."""

import json
import re
import subprocess
import sys
from unicodedata import category

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from lairchat.model.text import REPLACEMENT, display_clip, display_safe, has_controls

# An oracle of its own: Default_Ignorable_Code_Point of DerivedCoreProperties.txt, as a pattern.
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
BLANKS = re.compile("[\u2800\U0001d159\ufffc]")
PICTOGRAPH = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
ELEMENT = f"{PICTOGRAPH}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])?"
EMOJI = re.compile(
    f"[0-9#*]\ufe0f\u20e3|\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{{4,6}}\U000e007f"
    f"|{ELEMENT}(?:\u200d{ELEMENT}){{0,3}}"
)
DRAWN_FORMATS = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")
DRAWN_FORMATS |= {"\U000110bd", "\U000110cd"}
JAMO = re.compile("[\u1161-\u11ff\ud7b0-\ud7fb]")

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
KISS = "\U0001f469\U0001f3fb\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f468\U0001f3fb"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"

# Characters whose neighbourhood decides, so that generated texts hold many of them.
TRICKY = st.sampled_from(
    [
        *"a1# \t\n\r\x00\x1b\x7f\x85\x9b",
        *"\u200b\u200c\u200d\u200e\u202e\u2066\u2028\u2029\ufeff\u00ad\u034f\u061c\u180b\u180e",
        *"\ufe00\ufe0e\ufe0f\u20e3\u0301\u0489\u0903\u0645\u06cc\u0915\u094d\u0dc1\u0dca\u1820",
        *"\u1100\u1161\u11a8\u115f\u1160\u3164\uffa0\u2800\ufffc\ufffd\u3000\u00a0\u845b\u00a9\u2764",
        *"\U0001f468\U0001f3fb\U0001f3f4\U0001f1e9\U0001fae8\U000e0067\U000e0062\U000e007f\U000e0100",
        *"\ud800\udc80\ue000\ufdd0\uffff\U0010eeee\U000110bd\U00016fe4\U0001d159\u0378",
        FAMILY,
        SCOTLAND,
        "1\ufe0f\u20e3",
        "\r\n",
    ]
)
ANYTHING = st.integers(0, 0x10FFFF).map(chr)
TEXTS = st.lists(st.one_of(TRICKY, ANYTHING), max_size=30).map("".join)


def flaws(text: str, *, multiline: bool = False) -> list[str]:
    """Say what a shown text holds that it must not."""
    found = []
    bare = EMOJI.sub("x", text)
    if multiline:
        bare = bare.replace("\n", "\0")
    found += [ascii(char) for char in CONTROLS.findall(bare.replace("\0", ""))]
    found += [ascii(char) for char in IGNORABLE.findall(bare) + BLANKS.findall(bare)]
    found += [
        ascii(char)
        for char in bare.replace("\0", "")
        if category(char) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} and char not in DRAWN_FORMATS
    ]
    for line in bare.split("\0"):
        marks = "".join("m" if is_mark(char) else "." for char in line)
        if marks.startswith("m"):
            found.append("a mark at the start of a line")
        if "mmmmm" in marks:
            found.append("more than four marks")
        found += [
            f"{char!a} has no width"
            for char in line
            if not is_mark(char) and wcwidth.wcwidth(char) < 1
        ]
    return found


def is_mark(char: str) -> bool:
    return category(char).startswith("M") or JAMO.match(char) is not None


@given(TEXTS)
def test_whatever_comes_in_only_visible_text_goes_out(text):
    assert flaws(display_safe(text)) == []
    assert flaws(display_safe(text, multiline=True), multiline=True) == []


@given(TEXTS)
def test_applying_it_again_changes_nothing(text):
    for multiline in (False, True):
        once = display_safe(text, multiline=multiline)
        assert display_safe(once, multiline=multiline) == once


@given(TEXTS)
def test_one_line_never_grows(text):
    assert len(display_safe(text)) <= len(text)


@given(TEXTS)
def test_lines_are_neither_made_nor_lost(text):
    ends = text.replace("\r\n", "\n").count("\n")
    assert display_safe(text, multiline=True).count("\n") == ends
    assert "\n" not in display_safe(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_comes_back_as_the_same_object(text):
    assert display_safe(text) is text
    assert display_safe(text, multiline=True) is text


@pytest.mark.parametrize(
    "text",
    [
        "\u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439",
        "na\u00efve caf\u00e9",
        "\u65e5\u672c\u8a9e\u3000\u306e",
        "\ud55c\uad6d\uc5b4",
        "\u0645\u0631\u062d\u0628\u0627",
        "\u05e9\u05dc\u05d5\u05dd",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
        "cafe\u0301",
        "\u1112\u1161\u11ab\u1100\u116e\u11a8",
        "\u06dd",
        FAMILY,
        KISS,
        SCOTLAND,
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\U0001f3f4\u200d\u2620\ufe0f",
        "\U0001f44d\U0001f3fd",
        "1\ufe0f\u20e3 #\ufe0f\u20e3",
        "\u2764\ufe0f \u00a9\ufe0f",
        "\U0001f1e9\U0001f1ea",
        "\U0001fae8",
        "\ufffd",
    ],
    ids=ascii,
)
def test_honest_text_of_the_world_stays_as_it_is(text):
    assert display_safe(text) == text
    assert display_safe(text, multiline=True) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\ufffd[2J"),
        ("\x9b2J", "\ufffd2J"),
        ("hi\n[12:00] <admin> you are fired", "hi\ufffd[12:00] <admin> you are fired"),
        ("a\r\nb", "a\ufffd\ufffdb"),
        ("a\tb", "a b"),
        ("a\u00a0b\u2003c", "a b c"),
        ("user\u202egnp.exe", "user\ufffdgnp.exe"),
        ("ad\u200dmin", "ad\ufffdmin"),
        ("\ufeffadmin", "\ufffdadmin"),
        ("a\u034fdmin", "a\ufffddmin"),
        ("a\ufe0fdmin", "a\ufffddmin"),
        ("1\ufe0f", "1\ufffd"),
        ("\ud800", "\ufffd"),
        ("\ue000\U0010eeee", "\ufffd\ufffd"),
        ("Z" + "\u0301" * 40 + "a", "Z" + "\u0301" * 4 + "\ufffda"),
        ("\u0301a", "\ufffda"),
        ("\u1161", "\ufffd"),
        ("a" + "\u1161" * 9, "a" + "\u1161" * 4 + "\ufffd"),
        ("\u200d\U0001f468", "\ufffd\U0001f468"),
        ("\U0001f468\u200d", "\U0001f468\ufffd"),
        ("\U0001f468\u200da", "\U0001f468\ufffda"),
        (
            "\U0001f468\u200d" * 4 + "\U0001f468",
            "\U0001f468\u200d" * 3 + "\U0001f468\ufffd\U0001f468",
        ),
        ("\U0001f1e9\u200d\U0001f468", "\U0001f1e9\ufffd\U0001f468"),
        ("\U0001f3f4\U000e0067\U000e007f", "\U0001f3f4\ufffd\ufffd"),
        ("\U0001f3f4" + "\U000e0020" * 5 + "\U000e007f", "\U0001f3f4" + "\ufffd" * 6),
        ("\U0001f3f4\U000e0067abcde\U000e007f", "\U0001f3f4\ufffdabcde\ufffd"),
        ("\U000e0068\U000e0069", "\ufffd\ufffd"),
        ("\u0378", "\ufffd"),
        ("\U0001ffff", "\ufffd"),
    ],
    ids=ascii,
)
def test_what_commands_or_hides_becomes_visible(text, shown):
    assert display_safe(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\u0dc1\u0dca\u200d\u0dbb\u0dd3", "\u0dc1\u0dca\u0dbb\u0dd3"),
        ("\u845b\U000e0100\u57ce", "\u845b\u57ce"),
        ("\u263a\ufe0e", "\u263a"),
        ("\u1820\u180b", "\u1820"),
    ],
    ids=ascii,
)
def test_what_only_refines_a_shape_is_left_out(text, shown):
    assert display_safe(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u0645\u200c", "\u0645\ufffd"),
        ("\u0645\u200c\u200c\u062e", "\u0645\ufffd\ufffd\u062e"),
        ("\u0645\u200ca", "\u0645\ufffda"),
        ("\u0660\u200c\u0661", "\u0660\ufffd\u0661"),
        ("\u845b\U000e0100\U000e0100", "\u845b\ufffd"),
        ("\ufe0e", "\ufffd"),
    ],
    ids=ascii,
)
def test_where_it_refines_nothing_it_is_shown(text, shown):
    assert display_safe(text) == shown


def test_lines_are_kept_where_they_are_wanted():
    assert display_safe("a\r\n\tb\rc\n", multiline=True) == "a\n    b\ufffdc\n"


def test_a_mark_at_the_start_of_any_line_is_shown():
    assert display_safe("a\n\u0301b", multiline=True) == "a\n\ufffdb"


def test_every_character_between_two_letters():
    # Each one of the planes in use, each with neighbours that it could hide between.
    used = [*range(0x40000), *range(0xE0000, 0xE1000), 0xF0000, 0xFFFFF, 0x10FFFF]
    for first in range(0, len(used), 4096):
        text = "x".join(map(chr, used[first : first + 4096]))
        assert flaws(display_safe(f"x{text}")) == []


def test_hostile_terminal_strings(vectors):
    hostile = json.loads((vectors / "hostile" / "vectors.json").read_text("utf-8"))
    texts = [text for kind in ("terminal_text", "unicode_text") for _, text in hostile[kind]]
    texts += hostile["usernames_reject"] + hostile["file_names"] + hostile["csv_log"]
    texts += hostile["xss"] + hostile["fts_queries"]
    assert len(texts) > 100
    for text in texts:
        for multiline in (False, True):
            shown = display_safe(text, multiline=multiline)
            assert flaws(shown, multiline=multiline) == [], ascii(text)
            assert display_safe(shown, multiline=multiline) == shown


def test_naughty_strings(vectors):
    for text in json.loads((vectors / "blns" / "blns.json").read_text("utf-8")):
        shown = display_safe(text)
        assert flaws(shown) == [], ascii(text)
        assert display_safe(shown) == shown


def test_undecodable_bytes_are_visible(vectors):
    hostile = json.loads((vectors / "hostile" / "vectors.json").read_text("utf-8"))
    for text in hostile["invalid_utf8_hex"]:
        shown = display_safe(bytes.fromhex(text).decode("utf-8", "surrogateescape"))
        assert flaws(shown) == []
        assert REPLACEMENT in shown


@given(TEXTS, st.integers(4, 40))
def test_clipping_keeps_within_the_size_and_stays_safe(text, size):
    shown = display_clip(text, size)
    assert len(shown) <= size
    assert flaws(shown) == []
    assert display_safe(shown) == shown


def test_a_clipped_text_says_so():
    assert display_clip("abcdefgh", 8) == "abcdefgh"
    assert display_clip("abcdefghi", 8) == "abcde..."


@pytest.mark.parametrize("char", "\x00\x07\t\n\r\x1b\x7f\x85\u2028\u2029\ud800\ufdd0\uffff")
def test_controls_are_found(char):
    assert has_controls(f"a{char}b")


@pytest.mark.parametrize(
    "text", ["", "plain", "caf\u00e9", "a\u00a0b", "\u0645\u200c\u062e", FAMILY]
)
def test_other_text_holds_no_controls(text):
    assert not has_controls(text)


def test_the_first_paint_can_afford_the_import():
    # Milliseconds before a user sees anything: what these modules pull in is counted.
    program = (
        "import sys; before = set(sys.modules);"
        "import lairchat.model.text, lairchat.model.limits, lairchat.model.identity;"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = "dataclasses typing re enum string pathlib ipaddress functools hashlib json logging"
    assert not set(heavy.split()) & set(loaded)
    assert "lairchat.model.text" in loaded
