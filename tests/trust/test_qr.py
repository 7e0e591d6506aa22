"""A scanned code says that both sides see the same two accounts, or it says nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.errors import MalformedError
from lairchat.trust.errors import PinError
from lairchat.trust.qr import QR_BYTES, check_scanned, qr_payload
from tests.trust.people import Account

ALICE, BOB, MALLORY = (Account(name).log.account for name in ("alice", "bob", "mallory"))
SHOWN_BY_BOB = qr_payload(BOB, ALICE)


def test_what_bob_shows_alice_takes():
    assert len(SHOWN_BY_BOB) == QR_BYTES <= 78  # ISO/IEC 18004: 4-L holds 78 bytes
    check_scanned(SHOWN_BY_BOB, ALICE, BOB)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (qr_payload(ALICE, BOB), "your own code"),  # a photograph of one's own screen
        (qr_payload(MALLORY, ALICE), "not from the account"),
        (qr_payload(BOB, MALLORY), "knows another account by your name"),
    ],
)
def test_a_code_of_somebody_in_between_is_refused(payload, why):
    with pytest.raises(PinError, match=why):
        check_scanned(payload, ALICE, BOB)


@pytest.mark.parametrize("place", range(QR_BYTES))
def test_every_byte_counts(place):
    changed = bytearray(SHOWN_BY_BOB)
    changed[place] ^= 1
    with pytest.raises((PinError, MalformedError)):
        check_scanned(bytes(changed), ALICE, BOB)


@given(st.binary(max_size=80))
def test_anything_else_is_no_code(payload):
    with pytest.raises(MalformedError):
        check_scanned(payload, ALICE, BOB)


@pytest.mark.parametrize("size", [*range(QR_BYTES), QR_BYTES + 1])
def test_neither_is_a_part_of_one(size):
    with pytest.raises(MalformedError):
        check_scanned((SHOWN_BY_BOB + b"\0")[:size], ALICE, BOB)
