"""Both people read the same digits, and nobody else's account draws them."""

import hmac
from functools import reduce
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.trust.safety_number import DIGITS, GROUPS, ROUNDS, half, safety_number
from tests.trust.people import Account, root

halves = st.integers(0, 10**30 - 1).map(lambda number: f"{number:030}")


@given(halves, halves)
def test_both_people_read_the_same(one, other):
    number = safety_number(one, other)
    assert number == safety_number(other, one)
    assert len(number) == GROUPS == 12
    assert all(len(group) == 5 and group.isdecimal() for group in number)
    assert sorted(("".join(number)[:30], "".join(number)[30:])) == sorted((one, other))


@given(halves, halves, halves)
def test_another_half_is_another_number(one, other, third):
    assert (safety_number(one, other) == safety_number(one, third)) == (other == third)


def test_the_digits_are_pbkdf2s_written_out():
    # RFC 8018 section 5.2: T = U1 xor U2 xor ..., U1 over salt and block number.
    account = Account("alice").log.account
    block = hmac.digest(account, b"lairchat safety number v1" + b"\0\0\0\1", "sha512")
    blocks = [block]
    for _ in range(ROUNDS - 1):
        blocks.append(hmac.digest(account, blocks[-1], "sha512"))
    drawn = reduce(lambda one, other: one ^ other, (int.from_bytes(each, "big") for each in blocks))
    assert half(account) == f"{drawn % 10**30:030}"


def test_a_swapped_root_draws_other_digits():
    alice, bob = Account("alice"), Account("bob")
    fake = Account("mallory")
    assert root("bob").public != root("mallory").public
    seen_by_bob = safety_number(half(alice.log.account), half(bob.log.account))
    seen_by_alice = safety_number(half(alice.log.account), half(fake.log.account))
    assert seen_by_alice != seen_by_bob


def test_what_a_forger_pays():
    assert DIGITS == 60
    assert 99 < log2(10**30) < 100
    # Each try of a forger is a key pair, and so many rounds of two SHA-512 compressions.
    assert log2(10**30) + log2(ROUNDS) > 115


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_only_whole_account_ids_have_digits(size):
    with pytest.raises(ValueError, match="is 32 bytes"):
        half(bytes(size))
