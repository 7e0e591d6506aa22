"""Editing works on clusters, loses nothing, and costs the same in a short text and an endless one."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.client import markup
from lairchat.client.actions import EDITING
from lairchat.client.editor import HISTORY, KILLS, Editor, History, Kills, clean_paste

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
pieces = st.sampled_from(
    ["a", "bc", " ", "\n", "\u00e9", "e\u0301", "\u65e5\u672c", FAMILY, "_x", ".", "\t", "\r"]
)
texts = st.lists(pieces, max_size=12).map("".join)
operations = st.lists(
    st.one_of(
        st.sampled_from([*EDITING, "up", "down", "older", "newer", "take"]),
        texts.map(lambda text: ("insert", text)),
    ),
    max_size=25,
)


def written(text: str, at: int | None = None) -> Editor:
    editor = Editor()
    editor.set(text)
    if at is not None:
        editor.at = at
    return editor


def boundaries(text: str) -> set[int]:
    found = {0}
    at = 0
    for cluster in markup.clusters(text):
        at += len(cluster)
        found.add(at)
    return found


def perform(editor: Editor, operation: object) -> None:
    if isinstance(operation, tuple):
        editor.insert(operation[1])
    elif operation == "older":
        editor.recall_older()
    elif operation == "newer":
        editor.recall_newer()
    elif operation == "take":
        editor.history.add(editor.take())
    elif operation in {"up", "down"}:
        getattr(editor, str(operation))()
    else:
        EDITING[str(operation)](editor)


@given(operations, st.integers(1, 20), st.integers(1, 8))
def test_any_editing_keeps_the_cursor_between_clusters(
    all_operations: list[object], room: int, most: int
) -> None:
    editor = Editor()
    for operation in all_operations:
        perform(editor, operation)
        assert 0 <= editor.at <= len(editor.text)
        window = editor.window(room, room + 3, most)
        assert 1 <= len(window.rows) <= most
        assert 0 <= window.y < len(window.rows)
        assert window.x <= room + 3
        assert markup.width(window.rows[window.y]) >= 0
    # insertion may join clusters, so boundaries are checked where the cursor was moved to
    editor.left()
    assert editor.at in boundaries(editor.text)
    editor.right()
    assert editor.at in boundaries(editor.text)


@given(texts, st.data())
def test_what_backspace_and_delete_take_is_one_cluster(text: str, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(sorted(boundaries(text))))
    clusters = markup.clusters(text)
    before = written(text, at)
    before.backspace()
    after = written(text, at)
    after.delete()
    count = len(markup.clusters(text[:at]))
    assert before.text == "".join(clusters[: max(0, count - 1)] + clusters[count:])
    assert after.text == "".join(clusters[:count] + clusters[count + 1 :])


@given(
    texts,
    st.sampled_from(
        ["kill_blank_word", "kill_word_left", "kill_word_right", "kill_to_start", "kill_to_end"]
    ),
    st.data(),
)
def test_a_kill_then_a_yank_changes_nothing(text: str, kill: str, data: st.DataObject) -> None:
    editor = written(text, data.draw(st.sampled_from(sorted(boundaries(text)))))
    getattr(editor, kill)()
    if editor.text != text:
        editor.yank()
    assert editor.text == text


def test_kills_in_a_row_are_one_and_older_ones_follow_by_alt_y() -> None:
    editor = written("one two three four")
    editor.kill_blank_word()
    editor.kill_blank_word()
    assert editor.kills.ring == ["three four"]
    editor.home()
    editor.kill_word_right()
    assert editor.kills.ring == ["three four", "one"]
    editor.yank()
    assert editor.text == "one two "
    editor.yank_older()
    assert editor.text == "three four two "
    editor.yank_older()
    assert editor.text == "one two "
    editor.left()
    editor.yank_older()
    assert editor.text == "one two "


def test_nothing_to_kill_and_nothing_to_yank() -> None:
    editor = Editor()
    editor.kill_to_end()
    editor.yank()
    editor.yank_older()
    assert editor.text == ""
    assert editor.kills.ring == []


def test_kill_to_the_start_of_a_line_takes_the_line_feed_at_its_beginning() -> None:
    editor = written("one\ntwo", 4)
    editor.kill_to_start()
    assert (editor.text, editor.at) == ("onetwo", 3)
    editor.kill_to_end()
    editor.kill_to_end()
    assert editor.text == "one"


def test_the_kill_ring_is_bounded_and_forward_kills_join_behind() -> None:
    kills = Kills()
    for number in range(KILLS + 5):
        kills.joins = False
        kills.add(str(number), before=False)
    assert len(kills.ring) == KILLS
    kills.add("x", before=False)
    assert kills.ring[-1] == f"{KILLS + 4}x"


def test_words_and_lines() -> None:
    editor = written("go to_it \u65e5\u672c, now\nsecond")
    editor.at = 0
    editor.word_right()
    editor.word_right()
    assert editor.at == 8
    editor.word_right()
    assert editor.text[: editor.at].endswith("\u672c")
    editor.word_left()
    assert editor.at == 9
    editor.end()
    assert editor.text[editor.at] == "\n"
    editor.home()
    assert editor.at == 0
    assert not editor.up()
    assert editor.down()
    assert not editor.down()


def test_up_and_down_keep_their_column_over_short_lines() -> None:
    editor = written("abcdef\nx\n\u65e5\u672c\u8a9e")
    assert editor.up()
    assert editor.up()
    assert editor.at == 6
    editor.down()
    editor.down()
    assert editor.at == len(editor.text)
    editor.left()
    editor.up()
    editor.up()
    assert editor.at == 4


def test_history_goes_back_and_comes_back_to_what_was_typed() -> None:
    history = History()
    for text in ("first", "second", "first"):
        history.add(text)
    history.add("   ")
    assert history.entries == ["second", "first"]
    editor = Editor(history=history)
    editor.set("draft")
    editor.recall_newer()
    assert editor.text == "draft"
    editor.recall_older()
    editor.recall_older()
    editor.recall_older()
    assert editor.text == "second"
    editor.recall_newer()
    assert editor.text == "first"
    editor.recall_newer()
    assert editor.text == "draft"


def test_an_entry_that_was_changed_is_not_lost_by_going_on() -> None:
    """Target 12: silent loss of typed text, none."""
    history = History()
    for text in ("first", "second", "third"):
        history.add(text)
    editor = Editor(history=history)
    editor.set("draft")
    editor.recall_older()
    editor.recall_older()
    editor.insert(", changed")
    editor.recall_older()
    assert editor.text == "first"
    assert history.entries == ["first", "second", "third", "second, changed"]
    editor.kill_to_start()
    editor.recall_newer()
    assert editor.text == "second"
    assert len(history.entries) == 4
    for _ in range(3):
        editor.recall_newer()
    assert editor.text == "draft"


def test_a_draft_is_not_lost_when_an_entry_is_sent_again() -> None:
    history = History()
    history.add("first")
    editor = Editor(history=history)
    editor.set("draft")
    editor.recall_older()
    assert editor.take() == "first"
    assert history.entries == ["first", "draft"]
    editor.set("sent")
    editor.take()
    assert history.entries == ["first", "draft"]


def test_history_is_bounded() -> None:
    history = History()
    for number in range(HISTORY + 5):
        history.add(str(number))
    assert len(history.entries) == HISTORY
    assert history.entries[-1] == str(HISTORY + 4)


def test_replacing_a_range_puts_the_cursor_behind() -> None:
    editor = written("hello al there", 8)
    editor.replace(6, 8, "@alice ")
    assert (editor.text, editor.at) == ("hello @alice  there", 13)


def test_no_text_is_in_its_representation() -> None:
    assert "geheim" not in repr(written("geheim"))


# -- layout ----------------------------------------------------------------------------------------


def test_the_first_row_is_shorter_than_the_others() -> None:
    window = written("abcdefghij").window(4, 6, 8)
    assert window.rows == ["abcd", "efghij", ""]
    assert (window.x, window.y) == (0, 2)
    assert not window.above
    assert not window.below


def test_a_full_row_is_followed_by_the_cursor_on_the_next() -> None:
    window = written("abcd").window(4, 6, 8)
    assert window.rows == ["abcd", ""]
    assert (window.x, window.y) == (0, 1)


def test_many_lines_scroll_inside() -> None:
    editor = written("\n".join(f"line {n}" for n in range(100)))
    window = editor.window(20, 20, 5)
    assert window.rows == [f"line {n}" for n in range(95, 100)]
    assert window.above
    assert not window.below
    editor.at = 0
    window = editor.window(20, 20, 5)
    assert window.rows == [f"line {n}" for n in range(5)]
    assert window.below
    assert not window.above
    editor.at = editor.text.index("line 50")
    window = editor.window(20, 20, 5)
    assert window.rows[window.y] == "line 50"
    assert window.above
    assert window.below


def test_a_paste_of_ten_thousand_lines_is_quick() -> None:
    """Target 11: under 300 ms to insert, lay out and edit on."""
    text = "\r\n".join(f"line {n} of a long file, with some \u00e9 in it" for n in range(10_000))
    editor = Editor()
    start = time.process_time()
    editor.insert(clean_paste(text))
    editor.window(60, 77, 8)
    for _ in range(10):
        editor.left()
        editor.backspace()
        editor.window(60, 77, 8)
    assert time.process_time() - start < 0.3
    assert editor.lines() == 10_000


def test_one_endless_line_is_laid_out_around_the_cursor() -> None:
    editor = written("x" * 500_000)
    start = time.process_time()
    window = editor.window(60, 77, 8)
    assert time.process_time() - start < 0.1
    assert len(window.rows) == 8
    assert window.above
    editor.at = 250_000
    window = editor.window(60, 77, 8)
    assert window.above
    assert window.below


@pytest.mark.parametrize(
    ("pasted", "clean"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("tab\tstays", "tab\tstays"),
        ("esc\x1b[31m nul\x00 c1\x9b del\x7f", "esc[31m nul c1 del"),
        ("\u65e5\u672c", "\u65e5\u672c"),
    ],
)
def test_a_paste_is_cleaned(pasted: str, clean: str) -> None:
    assert clean_paste(pasted) == clean
