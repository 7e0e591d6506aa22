"""Times and counts in sentences."""

from hypothesis import given
from hypothesis import strategies as st

from lairchat.model import limits
from lairchat.model.phrases import counted, lasting, utc


def test_times_are_told_in_utc_to_the_minute():
    assert utc(0) == "1970-01-01 00:00 UTC"
    assert utc(1_800_000_059_999) == "2027-01-15 08:00 UTC"


@given(st.integers(0, limits.INTEGER_MAX))
def test_no_time_is_too_late_to_be_told(at):
    assert len(utc(at)) == len("2027-01-15 08:00 UTC")


def test_how_long_and_why():
    assert lasting(None) == ""
    assert lasting(0) == " until 1970-01-01 00:00 UTC"
    assert lasting(None, "spam") == " (spam)"
    assert lasting(0, "spam") == " until 1970-01-01 00:00 UTC (spam)"


def test_counts_agree_with_their_words():
    assert [counted(number, "room") for number in (0, 1, 2)] == ["0 rooms", "1 room", "2 rooms"]
    assert counted(2, "person", "people") == "2 people"
