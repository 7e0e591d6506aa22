"""Values inside of arguments, and replies that fit a frame."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.core.bodies import PAGE_BYTES, encode_frame, fit, read_inside, size_of
from lairchat.core.kernel import ok_frame
from lairchat.model import limits
from lairchat.wire import codec
from lairchat.wire.contract import Reply, Request
from lairchat.wire.errors import ProtocolError


class Note(Request, frozen=True):
    """Something inside."""

    text: str


class Pages(Reply, frozen=True):
    """A reply with many values."""

    notes: list[Note]


def test_what_lies_inside_is_checked_like_the_arguments_around_it():
    assert read_inside(Note, codec.encode_body(Note("hello"))) == Note("hello")
    for harmful in (b"", b"\x81\xa4text\x01", b"\x82\xa4text\xa1a\xa4text\xa1b", b"\xc1"):
        with pytest.raises(ProtocolError):
            read_inside(Note, harmful)


def test_a_whole_frame_at_once():
    note = Note("hello")
    assert encode_frame(note) == len(codec.encode_body(note)).to_bytes(4, "big") + (
        codec.encode_body(note)
    )


def test_a_size_is_that_on_the_wire():
    assert size_of(Note("hello")) == len(msgspec.msgpack.encode(Note("hello")))


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(0, 300))
def test_as_many_as_fit_and_no_more(texts, budget):
    notes = [Note(text) for text in texts]
    kept, more = fit(notes, budget=budget)
    assert notes[: len(kept)] == kept
    assert sum(map(size_of, kept)) <= budget
    assert more == (len(kept) < len(notes))
    if more:
        assert sum(map(size_of, notes[: len(kept) + 1])) > budget


def test_no_more_is_taken_of_an_iterator_than_needed():
    source = iter([Note("x" * 50)] * 10)
    kept, more = fit(source, budget=120)
    assert (len(kept), more, len(list(source))) == (2, True, 7)


def test_a_full_page_fits_a_frame():
    kept, more = fit(Note("x" * 100) for _ in range(10_000))
    assert more
    frame = ok_frame(2**32 - 1, codec.encode_body(Pages(notes=kept)))
    assert PAGE_BYTES - 200 < len(frame) <= limits.FRAME_BYTES
