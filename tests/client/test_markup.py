"""Width, clipping and wrapping never split a cluster (ux.md, target 10)."""

import itertools

import pyte
import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from lairchat.client import markup

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
CORPUS = [
    ("plain words", 11),
    ("", 0),
    ("\u00e4\u00f6\u00fc \u00df", 5),
    ("e\u0301", 1),
    ("\u65e5\u672c\u8a9e", 6),
    ("\ud55c\uad6d", 4),
    (FAMILY, 2),
    ("\U0001f1e9\U0001f1ea", 2),
    ("\U0001f44d\U0001f3fd", 2),
    ("\u2764\ufe0f", 2),
    ("1\ufe0f\u20e3", 2),
    ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 2),
    ("\u0e01\u0e47", 1),
    ("\u041f\u0440\u0438\u0432\u0435\u0442", 6),
    ("\u05e9\u05dc\u05d5\u05dd", 4),
    ("\uff21\uff22", 4),
    ("\ufffd", 1),
]
texts = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            [
                *list("ab \n\t"),
                "\u0301",
                "\u200d",
                "\ufe0f",
                "\u4e2d",
                FAMILY[0],
                "\x1b",
                "\x00",
                "\u202e",
            ]
        ),
    ),
    max_size=60,
)


@pytest.mark.parametrize(("text", "size"), CORPUS)
def test_width_is_what_wcwidth_says(text: str, size: int) -> None:
    assert markup.width(text) == size == wcwidth.wcswidth(text)


@pytest.mark.parametrize(
    "text",
    [
        text
        for text, _ in CORPUS
        if "\u200d" not in text
        and "\ufe0f" not in text
        and "\U0001f3f4" not in text
        and "\U0001f1e9" not in text
        and "\U0001f3fd" not in text
    ],
)
def test_width_is_where_a_terminal_puts_its_cursor(text: str) -> None:
    screen = pyte.Screen(40, 2)
    pyte.Stream(screen).feed(text)
    assert screen.cursor.x == markup.width(text)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b",
        "\x00",
        "\x7f",
        "\x9b",
        "\u202e",
        "\u200b",
        "\u2028",
        "\u2029",
        "\ud800",
        "\u0301",
        "\u200d",
        "\ufeff",
        "\U000e0041",
    ],
)
def test_what_a_terminal_would_not_show_becomes_a_visible_mark(text: str) -> None:
    assert [glyph for glyph, _ in markup.cells(text)] == ["?"]
    assert markup.width(text) == 1


def test_a_tab_is_a_blank_in_a_cell_and_four_in_wrapped_text() -> None:
    assert markup.cells("\t") == [(" ", 1)]
    assert markup.wrap("a\tb", 20) == ["a    b"]


def test_drawn_format_characters_stay() -> None:
    glyph, size = markup.shown("\u0601")
    assert (glyph, size) in {("\u0601", 1), ("?", 1)}


def test_a_carriage_return_and_line_feed_are_two_characters() -> None:
    assert markup.clusters("\u00e9\r\nx") == ["\u00e9", "\r", "\n", "x"]


def test_the_cache_of_clusters_is_bounded() -> None:
    markup._cells_of.clear()
    for number in range(markup.CACHED_CLUSTERS + 10):
        markup.shown(chr(0x4E00 + number % 20_000) + "\u0301" * (number // 20_000))
    assert len(markup._cells_of) <= markup.CACHED_CLUSTERS


@given(texts)
def test_clusters_joined_are_the_text(text: str) -> None:
    assert "".join(markup.clusters(text)) == text


@given(texts)
def test_every_cluster_takes_a_cell(text: str) -> None:
    for cluster in markup.clusters(text):
        glyph, size = markup.shown(cluster)
        assert size >= 1
        assert glyph
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in glyph)
    assert markup.width(text) == sum(size for _, size in markup.cells(text))


@given(texts, st.integers(0, 20), st.sampled_from(["", "~", "..."]))
def test_clipping_keeps_whole_clusters_within_the_room(text: str, room: int, mark: str) -> None:
    clipped = markup.clip(text, room, mark)
    assert markup.width(clipped) <= room
    if clipped != text:
        kept = clipped.removesuffix(mark) if room >= len(mark) else ""
        assert text.startswith(kept)
        starts = {0}
        at = 0
        for cluster in markup.clusters(text):
            at += len(cluster)
            starts.add(at)
        assert len(kept) in starts


@given(texts, st.integers(0, 30))
def test_padding_fills_exactly(text: str, room: int) -> None:
    assert markup.width(markup.pad(text, room, "~")) == room


@given(texts, st.integers(1, 20), st.integers(1, 20))
def test_wrapping_is_never_wider_and_splits_no_cluster(text: str, first: int, rest: int) -> None:
    lines = markup.wrap(text, first, rest)
    assert markup.width(lines[0]) <= first
    assert all(markup.width(line) <= rest for line in lines[1:])
    whole = set(markup.clusters(text.replace("\t", "    "))) | {"?"}
    for line in lines:
        assert all(cluster in whole or len(cluster) == 1 for cluster in markup.clusters(line))


@given(st.text(st.sampled_from("ab \n\u00e9"), max_size=60), st.integers(1, 12))
def test_wrapping_loses_only_the_blanks_it_breaks_at(text: str, room: int) -> None:
    assert "".join(markup.wrap(text, room)).replace(" ", "") == text.replace(" ", "").replace(
        "\n", ""
    )


@given(st.text(st.sampled_from("ab "), max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_both_ways_of_wrapping_agree(text: str, first: int, rest: int) -> None:
    simple: list[str] = []
    general: list[str] = []
    markup._wrap_simple(text, first, rest, simple)
    markup._wrap_clusters(text, first, rest, general)
    assert simple == general


def test_words_stay_whole_and_indentation_is_kept() -> None:
    assert markup.wrap("the nightly one", 11) == ["the nightly", "one"]
    assert markup.wrap("  indented line", 12) == ["  indented", "line"]
    assert markup.wrap("abcdefgh", 3) == ["abc", "def", "gh"]
    assert markup.wrap("a\u00e9 \u65e5\u672c\u8a9e", 6) == ["a\u00e9", "\u65e5\u672c\u8a9e"]
    assert markup.wrap("\u65e5", 1) == ["?"]


@given(texts.map(lambda text: text.replace("\n", "")), st.integers(1, 12), st.integers(1, 12))
def test_pieces_cover_the_text_and_leave_room_for_the_cursor(
    text: str, first: int, rest: int
) -> None:
    spans = markup.pieces(text, first, rest)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    for number, (start, end) in enumerate(spans):
        room = rest if number else first
        sizes = [size for _, size in markup.cells(text[start:end])]
        assert sum(min(size, first, rest) for size in sizes) <= room
    start, end = spans[-1]
    assert markup.width(text[start:end]) < (rest if len(spans) > 1 else first) or markup.width(
        text
    ) > len(text)


@given(texts)
def test_walking_by_clusters_visits_the_same_places_both_ways(text: str) -> None:
    forward = [0]
    while forward[-1] < len(text):
        forward.append(markup.cluster_end(text, forward[-1]))
    ends = [0]
    for cluster in markup.clusters(text):
        ends.append(ends[-1] + len(cluster))
    assert forward == ends
    backward = [len(text)]
    while backward[-1] > 0:
        backward.append(markup.cluster_start(text, backward[-1]))
    assert backward[::-1] == ends


def test_endless_clusters_are_walked_in_bounded_steps() -> None:
    text = "a" + "\u0301" * 2_000
    assert len(text) - markup.cluster_start(text, len(text)) <= markup.WALK_BACK
    assert markup.cluster_end(text, 0) <= markup.WALK_BACK
