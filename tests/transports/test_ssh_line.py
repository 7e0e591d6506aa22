"""Keys from bytes however they are cut, and a line that is edited; pure."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from lairchat.model import limits
from lairchat.model.text import display_safe
from lairchat.transports import ssh_line
from lairchat.transports.ssh_line import Key, Keys, Line


def keys(data: bytes) -> list[Key]:
    return Keys().feed(data)


def typed(text: str) -> list[Key]:
    return [Key("text", char) for char in text]


def line_after(*presses: str | Key, text: str = "") -> Line:
    line = Line()
    line.insert(text)
    for press in presses:
        assert line.press(press if isinstance(press, Key) else Key(press))
    return line


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x1b[A", "up"), (b"\x1bOA", "up"), (b"\x1b[B", "down"), (b"\x1b[3~", "delete"),
        (b"\x1b[H", "home"), (b"\x1b[1~", "home"), (b"\x1bOF", "end"), (b"\x1b[1;5D", "word-left"),
        (b"\x1bb", "word-left"), (b"\x1bd", "kill-word"), (b"\r", "enter"), (b"\n", "enter"),
        (b"\x7f", "backspace"), (b"\x08", "backspace"), (b"\x03", "interrupt"), (b"\t", "tab"),
        (b"\x04", "end-of-input"), (b"\x0c", "clear"), (b"\x17", "kill-word-before"),
    ],
)  # fmt: skip
def test_what_terminals_send_is_a_key(data, name):
    assert keys(data) == [Key(name)]
    assert keys(b"a" + data + b"b") == [*typed("a"), Key(name), *typed("b")]


def test_characters_of_several_bytes_are_one_key():
    assert keys("a\xe4\u20ac\U0001f600".encode()) == typed("a\xe4\u20ac\U0001f600")
    assert keys(b"\xff\xc0a") == [Key("text", "\ufffd"), Key("text", "\ufffd"), *typed("a")]


def test_sequences_that_mean_nothing_leave_nothing():
    assert keys(b"\x1b[99;99;99Zx") == typed("x")
    assert keys(b"\x1b[?1;2cx\x1b[I\x1b[15~") == typed("x")
    assert keys(b"\x1b[12\x03") == [Key("interrupt")]
    assert keys(b"\x1b[" + b"1" * 40 + b"x")[-1] == Key("text", "x")
    assert keys(b"\x00\x1c\x1d\x1e\x1f\x9b") == [Key("text", "\ufffd")]
    assert keys(b"\x1b\x1b[A") == [Key("up")]


def test_a_paste_is_text_and_presses_nothing():
    pasted = b"\x1b[200~server shutdown --yes\r\nuser  list\t\x03\x1b[A\x07\x1b[201~!"
    assert keys(pasted) == [Key("text", "server shutdown --yes user list [A"), *typed("!")]
    assert keys(b"\x1b[200~\r\n\x1b[201~") == []
    endless = keys(b"\x1b[200~" + b"x" * 50_000 + b"\x1b[201~\r")
    assert [len(key.text) for key in endless] == [limits.OPERATOR_LINE_CHARS, 0]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_where_the_bytes_are_cut_does_not_matter(data, at):
    reader = Keys()
    found = reader.feed(data[:at]) + reader.feed(data[at:])
    assert found == keys(data)
    for key in found:
        assert key.text == "" or key.text.isprintable()


def test_the_keys_of_readline():
    line = line_after("home", Key("text", ">"), "end", Key("text", "!"), text="user list")
    assert line.text == ">user list!"
    assert line_after("word-left", "kill-end", text="user list bob").text == "user list "
    assert line_after("kill-word-before", text="user list bob").text == "user list "
    assert line_after("kill-word-before", "yank", "yank", text="a bc").text == "a bcbc"
    assert line_after("home", "kill-word", text="user list").text == " list"
    assert line_after("left", "left", "kill-start", text="abcd").text == "cd"
    assert line_after("home", "delete", "delete", "right", "backspace", text="abcd").text == "d"
    assert line_after("home", "left", "backspace", "end", "right", "delete", text="ab").text == "ab"
    assert line_after("home", "word-right", text="user list").cursor == 4
    assert not Line().press(Key("enter"))


def test_a_line_has_an_end():
    line = line_after(text="x" * (limits.OPERATOR_LINE_CHARS + 5))
    assert len(line.text) == limits.OPERATOR_LINE_CHARS


def test_history_goes_up_and_down_and_keeps_what_was_being_typed():
    history: list[str] = []
    line = Line(history)
    for text in ("one", "two", "two", " "):
        line.insert(text)
        assert line.take() == text
    assert history == ["one", "two"]
    line = Line(history)
    line.insert("dra")
    seen = []
    for name in ("up", "up", "up", "down", "down", "down"):
        line.press(Key(name))
        seen.append(line.text)
    assert seen == ["two", "one", "one", "two", "dra", "dra"]
    for number in range(limits.SSH_HISTORY + 5):
        line.insert(str(number))
        line.take()
    assert len(history) == limits.SSH_HISTORY


def test_replacing_is_what_completion_does():
    line = line_after("word-left", text="user li x")
    line.replace(5, "list ")
    assert (line.text, line.cursor) == ("user list x", 10)


def test_a_line_that_does_not_fit_shows_what_is_around_the_cursor():
    line = line_after(text="0123456789" * 20)
    row, column = line.shown("> ", 40)
    assert row == "> <" + ("0123456789" * 20)[-35:]
    assert column == len(row)
    line.press(Key("home"))
    assert line.shown("> ", 40) == ("> " + ("0123456789" * 20)[:35] + ">", 2)
    line.cursor = 100
    row, column = line.shown("> ", 40)
    assert (row[2], row[-1]) == ("<", ">")
    assert line_after(text="short").shown("> ", 40) == ("> short", 7)


@pytest.mark.parametrize("char", ["x", "\u0301"])
def test_only_what_can_be_seen_of_a_line_is_looked_at(char, monkeypatch):
    # Somebody may send a key a packet, and a thousand packets in one piece.
    looked_at = []
    cells = ssh_line._cells
    monkeypatch.setattr(ssh_line, "_cells", lambda one: looked_at.append(one) or cells(one))
    line = line_after(text=char * limits.OPERATOR_LINE_CHARS)
    row, _ = line.shown("> ", 80)
    assert 0 < len(looked_at) <= 4 * 80
    assert len(row) <= 4 * 80


def check_row(text: str, columns: int, cursor: int) -> None:
    line = Line()
    line.insert(text)
    line.cursor = min(cursor, len(line.text))
    row, column = line.shown("alice@lair> ", columns)
    assert display_safe(row) == row
    assert wcswidth(row) <= max(columns - 1, len("alice@lair> ") + 4)
    assert 0 <= column <= wcswidth(row)


@given(st.text(max_size=200), st.integers(20, 200), st.integers(0, 200))
def test_a_row_fits_whatever_is_in_it(text, columns, cursor):
    check_row(text, columns, cursor)


def test_hostile_text_on_the_line_moves_nothing(vectors):
    hostile = json.loads((vectors / "hostile" / "vectors.json").read_text())
    texts = [text for _, text in hostile["terminal_text"] + hostile["unicode_text"]]
    for text in texts + hostile["usernames_reject"] + hostile["csv_log"] + hostile["file_names"]:
        for cursor in (0, 1, len(text) // 2, len(text)):
            check_row(text, 80, cursor)
