"""Times, spans and sizes, as they are typed and shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.operator import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("30s", 30), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1d12h", 129_600)],
)
def test_spans_are_typed_in_units(text, seconds):
    assert units.read_span(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "2 h", "-2h", "1.5h", "2hh", "12h1d", "\u0663h", "\xb2s", "1e3", "9" * 13]
)
def test_what_is_no_span_is_refused_with_examples(text):
    with pytest.raises(units.UnreadableError, match="30s, 15m, 2h, 7d"):
        units.read_span(text)


@given(st.integers(0, 10**9))
def test_a_span_in_all_its_units_means_the_same(seconds):
    assert units.read_span(units.write_span(seconds, 4)) == seconds


def test_a_span_is_shown_in_its_two_largest_units():
    assert units.write_span(12 * 86_400 + 4 * 3_600 + 59) == "12d4h"
    assert units.write_span(0) == "0s"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (9_949, "9.9 kB"), (9_950, "10 kB"),
        (41_000_000, "41 MB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
        (2**63 - 1, "9223 PB"),
    ],
)  # fmt: skip
def test_sizes_are_shown_in_the_unit_that_fits(size, text):
    assert units.write_size(size) == text


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("64kB", 64_000), ("1.5 GB", 1_500_000_000), ("2m", 2_000_000)]
)
def test_sizes_are_typed_with_units(text, size):
    assert units.read_size(text) == size


@pytest.mark.parametrize("text", ["", "B", "1,5GB", "-1", "1XB", "nan", "inf"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(units.UnreadableError):
        units.read_size(text)


def test_times_are_utc():
    assert units.write_time(1_795_413_960_000) == "2026-11-23 06:06Z"
    assert units.write_time(1_795_413_960_123, exact=True) == "2026-11-23T06:06:00.123Z"
    assert units.read_time("2026-11-23T06:06Z") == units.read_time("2026-11-23T06:06")
    assert units.read_time("2026-11-23T07:06+01:00") == 1_795_413_960_000
    with pytest.raises(units.UnreadableError):
        units.read_time("yesterday")


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_number_can_be_shown_as_a_time(ms):
    assert units.write_time(ms).endswith("Z")
    assert units.write_time(ms, exact=True).endswith("Z")
