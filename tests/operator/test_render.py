"""Answers fit the terminal, are faithful for programs, and never carry somebody's control bytes."""

import csv
import io
import json
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lairchat.operator.answer import Answer, answer_of, filtered, shape_of
from lairchat.operator.cells import clip, fold, pad, safe, width, wrap
from lairchat.operator.line import Filter, Format
from lairchat.operator.render import render, summary
from lairchat.operator.values import as_plain, as_text
from lairchat.wire.contract import Nothing, Outcome
from tests.operator import hostile
from tests.operator.consoles import Both, Facts, Locked, Things, thing

SHAPE = shape_of(Things)
TEXTS = hostile.texts()


def table(*things, columns=80, form=Format.TEXT, filters=()):
    answer = answer_of(SHAPE, Things(list(things)), things)
    return render(filtered(answer, filters), form, columns)


def one(reply, *, columns=80, form=Format.TEXT):
    return render(
        answer_of(shape_of(type(reply)), reply, getattr(reply, "parts", [])), form, columns
    )


def test_a_table_shows_its_columns_in_words():
    assert table(thing("anvil"), thing("bell", "so")) == (
        "NAME    SIZE  SEEN               WAIT  GOOD  SHARE  WORDS  NOTE\n"
        "anvil  41 MB  2027-01-15 08:00Z    2h  yes   14.25  a, b   -\n"
        "bell   41 MB  2027-01-15 08:00Z    2h  yes   14.25  a, b   so\n"
    )


def test_nothing_is_said_to_be_nothing():
    assert table() == "none\n"
    assert table(form=Format.JSON) == "[]\n"
    assert one(Nothing()) == ""
    assert one(Nothing(), form=Format.JSON) == "{}\n"


def test_the_last_column_goes_on_below():
    text = table(thing("anvil", "a note of quite some words, more than a line can hold"))
    assert text.splitlines()[1:] == [
        "anvil  41 MB  2027-01-15 08:00Z    2h  yes   14.25  a, b   a note of quite some",
        "                                                           words, more than a",
        "                                                           line can hold",
    ]


def test_a_narrow_terminal_is_told_what_it_does_not_see():
    lines = table(thing("anvil", "a note of quite some words"), columns=40).splitlines()
    assert lines[0] == "NAME    SIZE  SEEN               WAIT"
    assert lines[-1] == "(not shown: good, share, words, note; .."


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.text(max_size=80), st.text(max_size=200)), max_size=5),
    st.integers(30, 200),
)
def test_no_line_is_wider_than_the_terminal(names, columns):
    for line in table(*(thing(name, note) for name, note in names), columns=columns).splitlines():
        assert width(line) <= columns
        assert hostile.foreign(line) == set()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_hostile_names_are_harmless_in_every_form(text):
    reply = Facts(text, 1, 0, text)
    done = Locked(text, text, text)
    for columns in (40, 80, 200):
        rows = table(thing(text, text), thing(text), columns=columns)
        # A name is no line of its own: header, a row each with its margin, what is left out.
        assert len([line for line in rows.splitlines() if line[:1] != " "]) <= 4
        for shown in (rows, one(reply, columns=columns), one(done, columns=columns)):
            assert hostile.foreign(shown) == set()
    for form in (Format.JSON, Format.CSV):
        for shown in (table(thing(text, text), form=form), one(reply, form=form)):
            assert hostile.foreign(shown) == set()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_json_is_faithful(text):
    assert json.loads(table(thing(text), form=Format.JSON))[0]["name"] == text
    assert json.loads(one(Facts(text, 1, 0, ""), form=Format.JSON))["name"] == text


def test_json_writes_times_spans_and_sizes_for_programs():
    assert json.loads(table(thing("anvil"), form=Format.JSON)) == [
        {
            "name": "anvil", "size": 41_000_000, "seen": "2027-01-15T08:00:00.000Z", "wait": 7_200,
            "good": True, "share": 14.25, "words": ["a", "b"], "note": "",
        }
    ]  # fmt: skip
    assert json.loads(one(Facts("a", 1, 0, ""), form=Format.JSON))["last_seen"] is None


def test_json_has_one_row_a_line_and_readable_letters():
    text = table(thing("caf\u00e9"), thing("b"), form=Format.JSON)
    assert len(text.splitlines()) == 4
    assert "caf\u00e9" in text


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_csv_can_be_read_again_and_runs_nothing(text):
    rows = list(csv.DictReader(io.StringIO(table(thing(text), form=Format.CSV))))
    assert rows[0]["name"] in {safe(text), safe(f"'{text}")}
    assert not rows[0]["name"].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_csv_of_facts_has_two_columns():
    assert one(Facts("a", 5, 0, "n"), form=Format.CSV) == (
        "field,value\nname,a\nsize,5\nlast_seen,\nnote,n\n"
    )


def test_facts_are_aligned_and_broken_at_blanks_only():
    link = "lair://example.org:7023/i/" + "K" * 80
    assert one(Facts("a", 2_000, 0, f"see {link} soon")) == (
        f"name       a\nsize       2.0 kB\nlast seen  never\nnote       see\n"
        f"           {link}\n           soon\n"
    )


def test_facts_can_stand_side_by_side():
    facts = answer_of(shape_of(Facts), Facts("a\x1b", 2_000, 0, ""), []).facts
    assert summary(facts, 80) == "name a\ufffd | size 2.0 kB | last seen never\n"
    assert summary(facts, 20) == "name a\ufffd\nsize 2.0 kB\nlast seen never\n"
    assert summary([], 20) == ""


def test_facts_may_have_lines_where_each_keeps_its_margin():
    assert one(Facts("a", 1, 0, "x\ny")).endswith("note       x\n           y\n")


def test_facts_and_rows_come_together():
    reply = Both("good", [thing("anvil")])
    assert one(reply).startswith("state  good\nNAME ")
    parsed = json.loads(one(reply, form=Format.JSON))
    assert (parsed["state"], parsed["parts"][0]["name"]) == ("good", "anvil")


def test_facts_without_rows_say_no_more():
    assert one(Both("good", [])) == "state  good\n"


def test_an_outcome_is_one_sentence_and_how_to_undo_it():
    assert one(Outcome("locked eve until 14:06 (1 session closed)", "user unlock eve")) == (
        "locked eve until 14:06 (1 session closed). undo: user unlock eve\n"
    )
    assert one(Outcome("x" * 70, "user unlock eve")) == f"{'x' * 70}\nundo: user unlock eve\n"
    assert one(Outcome("done")) == "done\n"
    assert one(Outcome("word " * 17 + "end", "")) == f"{'word ' * 15}word\nword end\n"
    assert one(Locked("locked a", "", "b")) == "locked a\ngiven  b\n"


FILTERS = [
    ([Filter("grep", "BELL")], ["bell"]),
    ([Filter("grep", "41 mb"), Filter("head", number=1)], ["anvil"]),
    ([Filter("head", number=0)], []),
    ([Filter("grep", "nothing")], []),
]


@pytest.mark.parametrize(("filters", "names"), FILTERS)
def test_filters_look_at_what_is_shown(filters, names):
    text = table(thing("anvil"), thing("bell"), form=Format.JSON, filters=filters)
    assert [row["name"] for row in json.loads(text)] == names


def test_rows_and_facts_can_be_counted():
    counted = [Filter("count")]
    assert table(thing("a"), thing("b"), filters=counted) == "2\n"
    assert table(thing("a"), thing("b"), filters=counted, form=Format.JSON) == "2\n"
    assert table(thing("a"), thing("b"), filters=counted * 2) == "1\n"
    answer = answer_of(shape_of(Facts), Facts("a", 1, 0, "b"), [])
    assert isinstance(answer, Answer)
    assert render(filtered(answer, [Filter("count")]), Format.TEXT, 80) == "4\n"
    found = filtered(answer, [Filter("grep", "SEEN"), Filter("head", number=9)])
    assert render(found, Format.TEXT, 80) == "last seen  never\n"
    assert render(filtered(answer, [Filter("grep", "1 b")]), Format.TEXT, 80) == "size  1 B\n"


@given(st.text(), st.integers(3, 40))
def test_cells_are_counted_as_terminals_do(text, room):
    shown = safe(text)
    assert width(clip(shown, room)) <= room
    assert width(pad(shown, room)) == room
    assert " ".join(wrap(shown, room)) == shown
    folded = fold(f"{shown}\n{shown}\n", room)
    assert folded.replace("\n", " ") == f"{shown} {shown} "
    assert all(width(line) <= room or " " not in line for line in folded.split("\n"))


def test_wide_letters_are_never_halved():
    assert clip("\u4e2d\u6587\u4e2d\u6587", 7) == "\u4e2d\u6587.."
    assert pad("\u4e2d\u6587\u4e2d\u6587", 7) == "\u4e2d\u6587.. "


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text", "plain"),
    [
        (Colour.RED, "red", "red"),
        ({"a": 1, "b": None}, "a 1, b -", {"a": 1, "b": None}),
        (Outcome("x"), "done x, undo -", {"done": "x"}),
        ([Outcome("x")], "done x, undo -", [{"done": "x"}]),
        (False, "no", False),
        (3.0, "3", 3.0),
    ],
)
def test_values_of_any_type_can_be_shown(value, text, plain):
    assert as_text(value, None) == text
    assert as_plain(value, None) == plain
