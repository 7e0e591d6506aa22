"""How a line becomes words: as shells do it, and nothing is expanded."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lairchat.model.refusals import CliQuote
from lairchat.operator.words import pieces, quoted, split

LINES = [
    ("", []),
    ("  user   list\t", ["user", "list"]),
    ("user lock eve --reason 'it is spam'", ["user", "lock", "eve", "--reason", "it is spam"]),
    ('say "a \\"b\\" c" d', ["say", 'a "b" c', "d"]),
    ("a'b'\"c\"d", ["abcd"]),
    ("''", [""]),
    ("a\\ b", ["a b"]),
    (r"'a\b'", [r"a\b"]),
    ("a|b | c", ["a", "|", "b", "|", "c"]),
    ("a '|' b", ["a", "|", "b"]),
    ("$HOME `id` $(id) * ~ ; & > x", ["$HOME", "`id`", "$(id)", "*", "~", ";", "&", ">", "x"]),
    ("a\nb", ["a", "b"]),
]


@pytest.mark.parametrize(("line", "words"), LINES)
def test_a_line_becomes_words(line, words):
    assert split(line) == words


@pytest.mark.parametrize("line", ["'", 'a "b', "a 'b c", "a\\", "\\"])
def test_what_is_left_open_is_refused(line):
    with pytest.raises(CliQuote):
        split(line)


@given(st.lists(st.text().filter(lambda word: word != "|")))
@example(["'", '"', "\\", " ", "", "|x", "\x00", "\ud7ff"])
def test_a_quoted_word_comes_back_as_it_was(words):
    assert split(" ".join(map(quoted, words))) == words


@given(st.text())
def test_words_stand_where_they_are_said_to_stand(line):
    end = 0
    for piece in pieces(line):
        assert end <= piece.start < piece.end <= len(line)
        assert not line[end : piece.start].strip()
        end = piece.end
    assert not line[end:].strip()


def test_an_unfinished_word_is_known_with_its_quote():
    assert pieces("user show 'two w")[-1] == ("two w", 10, 16, "'")
