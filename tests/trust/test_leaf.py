"""A leaf is somebody's only as long as their log says so, with that key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.errors import MalformedError
from lairchat.trust.entry import Head, Reason, Revocation
from lairchat.trust.errors import ForkError, RollbackError, UncertifiedError
from lairchat.trust.leaf import LeafIdentity, certified, certified_at
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


def test_what_a_log_said_at_a_head_does_not_change():
    alice = Account("alice")
    mine = alice.primary()
    heads = [alice.log.head]
    alice.say(device("alice", 2), mine)
    heads.append(alice.log.head)
    alice.say(Revocation(2, Reason.LEFT), mine)
    heads.append(alice.log.head)
    before, between, after = heads
    phone = LeafIdentity(alice.log.account, device("alice", 2).id)
    for head in (before, between):
        assert certified_at(alice.log, head, IDENTITY, LAPTOP.key).body == LAPTOP
    with pytest.raises(UncertifiedError, match="revoked"):
        certified_at(alice.log, after, IDENTITY, LAPTOP.key)
    with pytest.raises(UncertifiedError, match="no such device"):
        certified_at(alice.log, before, phone, device("alice", 2).key)
    assert certified_at(alice.log, between, phone, device("alice", 2).key).position == 3


def test_a_head_that_was_not_reached_certifies_nothing():
    alice = Account("alice")
    mine = alice.primary()
    short = alice.log
    alice.say(device("alice", 2), mine)
    with pytest.raises(RollbackError):
        certified_at(short, alice.log.head, IDENTITY, LAPTOP.key)
    with pytest.raises(ForkError):
        certified_at(short, Head(2, bytes(32)), IDENTITY, LAPTOP.key)


@given(st.binary(max_size=60))
def test_an_identity_is_48_bytes(data):
    try:
        assert LeafIdentity.decode(data).encode() == data
    except MalformedError:
        assert len(data) != 48
    else:
        assert len(data) == 48
