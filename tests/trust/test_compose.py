"""What an account signs, others take; what its key may not sign, it does not even make."""

import pytest

from lairchat.trust.compose import sign_entry, sign_genesis
from lairchat.trust.entry import Reason, Revocation
from lairchat.trust.errors import RuleError
from lairchat.trust.log import AccountLog
from tests.trust.people import NOW, SERVER, Account, device, key, root


def test_the_name_is_taken_in_lower_case():
    signed = sign_genesis(root("alice"), SERVER, "Alice")
    assert AccountLog.begin(signed, SERVER).account == Account("alice").log.account


def test_an_entry_is_the_next_one():
    alice = Account("alice")
    mine = alice.primary()
    signed = sign_entry(alice.log, device("alice", 2), NOW, mine)
    assert signed.content.position == 3
    assert signed.content.previous == alice.entries[-1].hash
    assert signed.content.signer == 1
    assert signed.content.time == NOW
    assert alice.log.append(signed).head.hash == signed.hash


def test_a_key_that_is_not_in_force_makes_nothing():
    alice = Account("alice")
    with pytest.raises(RuleError, match="not in force"):
        sign_entry(alice.log, device("alice"), NOW, key("alice", "signer", 1))
    mine = alice.primary()
    alice.say(Revocation(1, Reason.LOST))
    with pytest.raises(RuleError, match="not in force"):
        sign_entry(alice.log, device("alice", 2), NOW, mine)
