"""A leaf is somebody's only as long as their log says so, with that key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.errors import MalformedError
from lairchat.trust.entry import Reason, Revocation
from lairchat.trust.errors import UncertifiedError
from lairchat.trust.leaf import LeafIdentity, certified
from tests.trust.people import Account, device

ALICE, MALLORY = Account("alice"), Account("mallory")
ALICE.primary()
MALLORY.primary()
LAPTOP = device("alice")
IDENTITY = LeafIdentity(ALICE.log.account, LAPTOP.id)


def test_a_certified_device_is_found_with_who_says_so():
    found = certified(ALICE.log, IDENTITY, LAPTOP.key)
    assert found.body == LAPTOP
    assert (found.position, found.signer) == (2, 1)


def test_another_key_is_refused():
    with pytest.raises(UncertifiedError, match="another key"):
        certified(ALICE.log, IDENTITY, device("mallory").key)


def test_a_device_that_is_not_in_the_log_is_refused():
    identity = LeafIdentity(ALICE.log.account, device("mallory").id)
    with pytest.raises(UncertifiedError, match="no such device"):
        certified(ALICE.log, identity, device("mallory").key)


def test_another_accounts_log_certifies_nothing():
    # Mallory's device in Mallory's log does not make it Alice's, nor the other way round.
    for log, identity in (
        (MALLORY.log, IDENTITY),
        (MALLORY.log, LeafIdentity(ALICE.log.account, device("mallory").id)),
        (ALICE.log, LeafIdentity(MALLORY.log.account, LAPTOP.id)),
    ):
        with pytest.raises(UncertifiedError, match="another account"):
            certified(log, identity, device("mallory").key)


def test_a_revoked_device_is_refused():
    alice = Account("alice")
    mine = alice.primary()
    alice.say(Revocation(2, Reason.LEFT), mine)
    with pytest.raises(UncertifiedError, match="revoked"):
        certified(alice.log, IDENTITY, LAPTOP.key)


@given(st.binary(max_size=60))
def test_an_identity_is_48_bytes(data):
    try:
        assert LeafIdentity.decode(data).encode() == data
    except MalformedError:
        assert len(data) != 48
    else:
        assert len(data) == 48
