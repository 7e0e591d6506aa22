"""Bytes of a terminal become keys; any bytes, in any pieces, without an error."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lairchat.client import keys
from lairchat.client.inputs import Focus, Input, Key, Paste, Text
from lairchat.client.keys import KeyParser


def parsed(data: bytes, *, flush: bool = True) -> list[Input]:
    parser = KeyParser()
    found = parser.feed(data)
    return found + (parser.flush() if flush else [])


def joined(found: list[Input]) -> list[Input]:
    """Join neighbouring texts: where a run is cut does not matter."""
    result: list[Input] = []
    for one in found:
        if isinstance(one, Text) and result and isinstance(result[-1], Text):
            result[-1] = Text(result[-1].text + one.text)
        else:
            result.append(one)
    return result


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\r", "enter"),
        (b"\n", "ctrl-j"),
        (b"\t", "tab"),
        (b"\x7f", "backspace"),
        (b"\x08", "ctrl-h"),
        (b"\x00", "ctrl-space"),
        (b"\x01", "ctrl-a"),
        (b"\x1a", "ctrl-z"),
        (b"\x1c", "ctrl-\\"),
        (b"\x1f", "ctrl-_"),
        (b"\x1b", "esc"),
        (b"\x1b[A", "up"),
        (b"\x1bOA", "up"),
        (b"\x1b[1;5A", "ctrl-up"),
        (b"\x1b[1;3C", "alt-right"),
        (b"\x1b[1;8D", "ctrl-alt-shift-left"),
        (b"\x1bOa", "ctrl-up"),
        (b"\x1b\x1b[A", "alt-up"),
        (b"\x1b[H", "home"),
        (b"\x1b[1~", "home"),
        (b"\x1b[4~", "end"),
        (b"\x1b[5~", "pgup"),
        (b"\x1b[6;3~", "alt-pgdn"),
        (b"\x1b[3~", "delete"),
        (b"\x1b[3;5~", "ctrl-delete"),
        (b"\x1b[Z", "shift-tab"),
        (b"\x1bOP", "f1"),
        (b"\x1b[11~", "f1"),
        (b"\x1b[[A", "f1"),
        (b"\x1b[24~", "f12"),
        (b"\x1ba", "alt-a"),
        (b"\x1bA", "alt-a"),
        (b"\x1b1", "alt-1"),
        (b"\x1b\r", "alt-enter"),
        (b"\x1b\x7f", "alt-backspace"),
        (b"\x1b ", "alt-space"),
        (b"\x1b\x01", "alt-ctrl-a"),
        ("\x1b\u00e9".encode(), "alt-\u00e9"),
        (b"\x1bOM", "enter"),
        (b"\x1b[13;2u", "shift-enter"),
        (b"\x1b[13;3u", "alt-enter"),
        (b"\x1b[27;5;9~", "ctrl-tab"),
        (b"\x1b[97;5u", "ctrl-a"),
        (b"\x1b[32;5u", "ctrl-space"),
        (b"\x1b[57~", ""),
        (b"\x1b[57444u", ""),
        (b"\x1b[133u", ""),
        (b"\x1b[99X", ""),
        (b"\x1b[[Z", ""),
        (b"\x1b[99999999999~", "home"),
    ],
)
def test_a_sequence_is_a_key(data: bytes, name: str) -> None:
    assert parsed(data) == ([Key(name)] if name else [])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"hello", [Text("hello")]),
        ("\u65e5\u672c".encode(), [Text("\u65e5\u672c")]),
        (b"a\rb", [Text("a"), Key("enter"), Text("b")]),
        (b"\x1b[I\x1b[O", [Focus(True), Focus(False)]),
        (b"\x1bOp\x1bOk", [Text("0"), Text("+")]),
        (b"\x1bOz", [Key("alt-o"), Text("z")]),
        (b"\x1b[98u\x1b[32u", [Text("b"), Text(" ")]),
        (b"\x1b[A\x1b", [Key("up"), Key("esc")]),
        (b"\x1b\x1bx", [Key("esc"), Key("alt-x")]),
        (b"\x1b\x1b", [Key("alt-esc")]),
        (b"\x1b[", [Key("alt-[")]),
        (b"\x1bO", [Key("alt-o")]),
        (b"\x1b[[", []),
        (b"\x1b[1;", []),
        (b"\x1b[1\x1b[B", [Key("down")]),
        (b"\x1b[" + b"1" * 80, [Text("1" * 16)]),
        (b"\x1b]11;rgb:0000/0000/0000\x1b\\x", [Text("x")]),
        (b"\x1b]0;title\x07x", [Text("x")]),
        (b"\x1bP1$r0m\x1b\\", []),
        (b"\xff\xfe", [Text("\ufffd\ufffd")]),
        (b"\xc2\x9bx", [Text("x")]),
        (b"\x1b[200~two\rlines\x1b[201~x", [Paste("two\rlines"), Text("x")]),
        (b"\x1b[200~\x1b[A\x1b[201~", [Paste("\x1b[A")]),
        (b"\x1b[200~never ended", [Paste("never ended")]),
    ],
)
def test_a_stream_is_read_as_it_was_meant(data: bytes, found: list[Input]) -> None:
    assert parsed(data) == found


def test_an_endless_answer_of_a_terminal_is_dropped() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b]" + b"x" * (keys.REPLY_CHARS + 10)) == []
    assert parser.feed(b"ok") == [Text("ok")]


def test_waiting_times() -> None:
    parser = KeyParser()
    assert parser.wait is None
    parser.feed(b"\x1b")
    assert parser.wait == keys.ESCAPE_SECONDS == 0.025
    assert parser.feed(b"[A") == [Key("up")]
    assert parser.wait is None
    parser.feed(b"\x1b[200~text")
    assert parser.wait == keys.PASTE_SECONDS
    assert parser.feed(b" more\x1b[20") == []
    assert parser.feed(b"1~") == [Paste("text more")]
    assert parser.wait is None
    assert parser.flush() == []


def test_an_enormous_paste_comes_in_bounded_pieces() -> None:
    parser = KeyParser()
    found = parser.feed(b"\x1b[200~")
    for _ in range(9):
        found += parser.feed(b"x" * 1_048_576)
    found += parser.feed(b"\x1b[201~")
    assert all(isinstance(one, Paste) for one in found)
    assert sum(len(one.text) for one in found) == 9 * 1_048_576
    assert max(len(one.text) for one in found) <= keys.PASTE_CHARS + keys.CHUNK_BYTES


def test_bytes_in_another_encoding() -> None:
    parser = KeyParser("latin-1")
    assert parser.feed(b"\xe9") == [Text("\u00e9")]


alphabet = st.sampled_from(
    [
        b"\x1b",
        b"[",
        b"O",
        b"2",
        b"0",
        b"1",
        b"~",
        b";",
        b"A",
        b"u",
        b"a",
        b"\r",
        b"\x07",
        b"\x9b",
        b"\xc3",
        b"\xa9",
        b"P",
        b"]",
        b"\\",
        b" ",
    ]
)
streams = st.one_of(st.binary(max_size=80), st.lists(alphabet, max_size=60).map(b"".join))


@given(streams)
@example(b"\xed\xa0")
def test_no_bytes_raise_and_nothing_stays_behind(data: bytes) -> None:
    parser = KeyParser()
    parser.feed(data)
    while parser.wait is not None:
        parser.flush()
    (last,) = parser.feed(b"ok")
    assert isinstance(last, Text)
    # Half a character before it is marked, half a surrogate by each of its bytes.
    assert last.text.lstrip("\ufffd") == "ok"


@given(streams, st.lists(st.integers(1, 9), max_size=40))
def test_any_cutting_gives_the_same_keys(data: bytes, cuts: list[int]) -> None:
    whole = KeyParser()
    expected = joined(whole.feed(data) + whole.flush())
    parser = KeyParser()
    found: list[Input] = []
    at = 0
    for cut in cuts:
        found += parser.feed(data[at : at + cut])
        at += cut
    found += parser.feed(data[at:])
    assert joined(found + parser.flush()) == expected
