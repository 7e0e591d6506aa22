"""Lengths tell little, and everything short looks alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.padding import PADDED_MIN, padding_for, padme
from lairchat.mls.codec import opaque


@pytest.mark.parametrize(
    ("length", "shown"),
    # By hand from the paper: E = floor(log2 L), S = floor(log2 E) + 1, the last E - S bits are 0.
    [(0, 0), (1, 1), (2, 2), (9, 10), (256, 256), (257, 272), (1000, 1024), (1025, 1088), (16384, 16384)],
)  # fmt: skip
def test_padme(length: int, shown: int) -> None:
    assert padme(length) == shown


@given(st.integers(2, 1 << 20))
def test_it_costs_little_and_hides_much(length: int) -> None:
    shown = padme(length)
    assert length <= shown <= length * 1.12 + 1
    assert padme(shown) == shown
    # A shown length has O(log log L) significant bits.
    assert len(bin(shown).rstrip("0")) - 2 <= length.bit_length().bit_length() + 1


@given(st.binary(max_size=5000))
def test_what_is_framed_has_a_padded_length(payload: bytes) -> None:
    total = len(opaque(payload)) + padding_for(payload)
    assert total >= PADDED_MIN
    assert total == max(PADDED_MIN, padme(len(opaque(payload))))


def test_everything_short_looks_alike() -> None:
    # 64 bytes and more have a longer length in front than 63.
    totals = {len(opaque(bytes(size))) + padding_for(bytes(size)) for size in range(254)}
    assert totals == {PADDED_MIN}
