"""A canvas clips, covers whole cells, and its difference turns one page into the other."""

from hypothesis import given
from hypothesis import strategies as st

from lairchat.client import markup
from lairchat.client.canvas import BLANK, Canvas, diff, is_risky

W, H = 12, 3
glyphs = st.lists(
    st.sampled_from(
        ["a", "b", " ", "\u00e9", "\u65e5", "\U0001f468\u200d\U0001f469", "\x1b", "\u0301", "\n"]
    ),
    max_size=10,
).map("".join)
puts = st.lists(
    st.tuples(
        st.integers(-2, W + 2), st.integers(-1, H + 1), glyphs, st.sampled_from(["normal", "bold"])
    ),
    max_size=8,
)


def drawn(all_puts: list[tuple[int, int, str, str]]) -> Canvas:
    canvas = Canvas(W, H)
    for x, y, text, attr in all_puts:
        canvas.put(x, y, text, attr)
    return canvas


@given(puts)
def test_any_text_anywhere_keeps_the_page_whole(all_puts: list[tuple[int, int, str, str]]) -> None:
    canvas = drawn(all_puts)
    for y in range(H):
        row = canvas.cells(y)
        assert len(row) == W
        assert markup.width(canvas.line(y)) == W
        assert all(c >= " " for glyph, _ in row for c in glyph)
        for x, (glyph, _) in enumerate(row):
            if glyph:
                size = markup.shown(glyph)[1]
                assert all(row[x + n][0] == "" for n in range(1, size))
            else:
                assert x > 0


@given(puts, puts)
def test_printing_the_difference_over_the_old_page_gives_the_new_one(
    before: list[tuple[int, int, str, str]], after: list[tuple[int, int, str, str]]
) -> None:
    old, new = drawn(before), drawn(after)
    page = [old.cells(y) for y in range(H)]
    for span in diff(old, new):
        assert span.cells
        assert span.x + len(span.cells) <= W
        page[span.y][span.x : span.x + len(span.cells)] = span.cells
    assert page == [new.cells(y) for y in range(H)]


@given(puts)
def test_a_difference_from_nothing_prints_what_is_not_blank(
    all_puts: list[tuple[int, int, str, str]],
) -> None:
    new = drawn(all_puts)
    page = [[BLANK] * W for _ in range(H)]
    for span in diff(None, new):
        page[span.y][span.x : span.x + len(span.cells)] = span.cells
    assert page == [new.cells(y) for y in range(H)]


def test_no_difference_no_spans_and_other_sizes_start_anew() -> None:
    one, two, wide = Canvas(4, 1), Canvas(4, 1), Canvas(5, 1)
    for canvas in (one, two, wide):
        canvas.put(0, 0, "abcd")
    assert diff(one, two) == []
    assert len(diff(one, wide)) == 1


def test_far_changes_are_two_spans_and_near_ones_are_one() -> None:
    old, near, far = Canvas(30, 1), Canvas(30, 1), Canvas(30, 1)
    near.put(0, 0, "a   b")
    far.put(0, 0, "a" + " " * 20 + "b")
    assert len(diff(old, near)) == 1
    assert [span.x for span in diff(old, far)] == [0, 21]


def test_a_row_with_a_disputed_cluster_is_printed_to_its_end() -> None:
    old, new = Canvas(10, 1), Canvas(10, 1)
    old.put(2, 0, "\u65e5x")
    new.put(2, 0, "\u65e5y")
    (span,) = diff(old, new)
    assert (span.x, len(span.cells)) == (2, 8)
    cleared = Canvas(10, 1)
    (span,) = diff(old, cleared)
    assert (span.x, len(span.cells)) == (2, 8)


def test_what_is_risky() -> None:
    assert not any(is_risky(glyph) for glyph in ("a", "", "\u00e9", "\u0416"))
    assert all(
        is_risky(glyph)
        for glyph in ("\u65e5", "e\u0301", "\U0001f600", "\U0001f468\u200d\U0001f469")
    )


def test_put_returns_the_cell_behind_and_respects_its_room() -> None:
    canvas = Canvas(10, 1)
    assert canvas.put(1, 0, "hello", room=3) == 4
    assert canvas.line(0) == " hel      "
    assert canvas.put(0, 5, "below") == 0
    assert canvas.put(0, 0, "") == 0
    canvas.fill(0, 0, 99, "status", "-")
    assert canvas.lines() == ["-" * 10]
    assert canvas.attrs() == {"normal", "status"}
