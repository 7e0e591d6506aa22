"""What a public key of X-Wing may be: the check is ours, so it is held against the library's."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.errors import InvalidError
from lairchat.mls.kem import XWING

PUBLIC = XWING.public(bytes(range(32)))


def accepted(public: bytes) -> bool:
    """Tell whether the check accepts a public key."""
    try:
        XWING.check(public)
    except InvalidError:
        return False
    return True


def with_number(place: int, number: int) -> bytes:
    """Return a public key in which one of the 768 numbers of 12 bits is another."""
    numbers = int.from_bytes(PUBLIC[:1152], "little")
    numbers &= ~(0xFFF << 12 * place)
    return (numbers | number << 12 * place).to_bytes(1152, "little") + PUBLIC[1152:]


def library_accepts(public: bytes) -> bool:
    """Tell whether the library parses the ML-KEM half."""
    try:
        mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184])
    except Exception:  # noqa: BLE001  # it raises ValueError or InternalError, by its version
        return False
    return True


@pytest.mark.parametrize("place", [0, 1, 2, 383, 384, 766, 767])
@pytest.mark.parametrize("number", [0, 3328, 3329, 4095])
def test_a_number_is_less_than_the_modulus(place: int, number: int) -> None:
    """FIPS 203 section 7.2, at the edges."""
    public = with_number(place, number)
    assert accepted(public) == library_accepts(public) == (number < 3329)


@given(st.integers(0, 767), st.integers(0, 4095))
def test_what_the_library_parses_is_accepted_and_nothing_else(place: int, number: int) -> None:
    """FIPS 203 section 7.2."""
    public = with_number(place, number)
    assert accepted(public) == library_accepts(public)


def test_random_bytes_are_no_key() -> None:
    """Of 768 random numbers of 12 bits, one is too large."""
    assert not accepted(os.urandom(1216))


@pytest.mark.parametrize("size", [0, 32, 1184, 1215, 1217])
def test_a_public_key_has_one_length(size: int) -> None:
    """draft-connolly-cfrg-xwing-kem section 5.1."""
    assert not accepted(PUBLIC[:size].ljust(size, b"\0"))
    assert accepted(PUBLIC)
