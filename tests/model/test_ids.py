"""Command ids carry their time, and the time decides which repeats are still recognised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.model.ids import check_command_time, command_id, command_time
from lairchat.model.refusals import IdFuture, IdOld

NOW = 1_795_000_000_000
DAY = 86_400_000
HOUR = 3_600_000


def made(at: int) -> bytes:
    return command_id(at, bytes(10))


def test_six_bytes_of_milliseconds_stand_before_ten_random_ones():
    assert command_id(1, b"0123456789") == b"\x00\x00\x00\x00\x00\x01" + b"0123456789"


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_the_time_comes_back(at, random):
    assert command_time(command_id(at, random)) == at


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_ids_sort_by_time(one, other):
    assert (made(one) < made(other)) == (one < other)


@pytest.mark.parametrize("size", [0, 9, 11, 16])
def test_other_than_ten_random_bytes_are_a_misuse(size):
    with pytest.raises(ValueError, match="10 random bytes"):
        command_id(NOW, bytes(size))


@pytest.mark.parametrize("at", [-1, 2**48])
def test_a_time_that_does_not_fit_is_a_misuse(at):
    with pytest.raises(OverflowError):
        command_id(at, bytes(10))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_an_id_of_another_size_has_no_time(size):
    with pytest.raises(ValueError, match="16 bytes"):
        command_time(bytes(size))


@pytest.mark.parametrize("age", [0, 1, 7 * DAY, -HOUR])
def test_ids_within_the_window_pass(age):
    assert check_command_time(made(NOW - age), NOW) is None


def test_an_id_older_than_the_kept_answers_is_refused():
    with pytest.raises(IdOld):
        check_command_time(made(NOW - 7 * DAY - 1), NOW)


def test_an_id_from_far_ahead_is_refused():
    with pytest.raises(IdFuture):
        check_command_time(made(NOW + HOUR + 1), NOW)
