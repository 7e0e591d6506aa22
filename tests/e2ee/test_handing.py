"""The backup's key goes from device to device of one account, and nowhere else."""

import contextlib
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.handing import NOTE, Asked, Handed, answer, ask, read_note, take
from lairchat.mls.errors import InvalidError, MalformedError, MLSError
from lairchat.mls.suites import HYBRID
from lairchat.trust.entry import Reason, Revocation
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.secret import SecretBytes
from tests.trust.people import Account, device, key

KEY = SecretBytes(b"k" * 32)


class Alice:
    """An account of two devices; the second asks the first."""

    def __init__(self) -> None:
        self.account = Account("alice")
        for number in (1, 2):
            self.account.say(device("alice", number))
        self.first, self.second = (
            LeafIdentity(self.account.log.account, device("alice", number).id) for number in (1, 2)
        )
        self.private, note = ask(self.second, key("alice", "device", 2), os.urandom)
        asked = read_note(note)
        assert isinstance(asked, Asked)
        self.asked = asked

    def answer(self, asked: Asked | None = None, backup: SecretBytes = KEY) -> Handed:
        mine = key("alice", "device", 1)
        note = answer(self.account.log, asked or self.asked, self.first, mine, backup)
        assert KEY.reveal() not in note
        found = read_note(note)
        assert isinstance(found, Handed)
        return found

    def take(self, handed: Handed) -> SecretBytes:
        return take(self.account.log, handed, self.second, self.private)


def test_a_device_gets_the_key_from_another() -> None:
    alice = Alice()
    assert alice.take(alice.answer()) == KEY


def test_who_is_none_of_the_account_s_devices_gets_nothing() -> None:
    alice = Alice()
    with pytest.raises(InvalidError, match="none of the account's"):
        alice.answer(replace(alice.asked, device=b"m" * 16))
    _, note = ask(alice.second, key("mallory", "device", 1), os.urandom)
    forged = read_note(note)
    assert isinstance(forged, Asked)
    with pytest.raises(InvalidError, match="another device"):
        alice.answer(forged)
    # Nor does the server, with its own key in the place of the asker's.
    own = HYBRID.hpke_public(HYBRID.hpke_derive(os.urandom(48)))
    with pytest.raises(InvalidError, match="another device"):
        alice.answer(replace(alice.asked, public=own))


def test_a_revoked_device_neither_gets_nor_gives() -> None:
    alice = Alice()
    handed = alice.answer()
    for one in (alice.second, alice.first):
        found = alice.account.log.device(one.device)
        assert found is not None
        alice.account.say(Revocation(found.position, Reason.LOST))
        with pytest.raises(InvalidError, match="or no more"):
            alice.answer()
    with pytest.raises(InvalidError, match="or no more"):
        alice.take(handed)


def test_nobody_hands_a_device_a_key_of_their_own() -> None:
    alice = Alice()
    context = alice.first.account + alice.second.device
    encapsulation, sealed = HYBRID.encrypt_with_label(
        alice.asked.public, b"lairchat backup key v1", context, b"m" * 32
    )
    good = alice.answer()
    with pytest.raises(InvalidError, match="another device"):
        alice.take(replace(good, encapsulation=encapsulation, sealed=sealed))
    # An answer to another question is none to this.
    private, note = ask(alice.second, key("alice", "device", 2), os.urandom)
    other = read_note(note)
    assert isinstance(other, Asked)
    with pytest.raises(InvalidError):
        alice.take(alice.answer(other))
    with pytest.raises(InvalidError):
        take(alice.account.log, good, alice.second, private)


def test_what_is_no_key_is_not_taken() -> None:
    alice = Alice()
    with pytest.raises(MalformedError):
        alice.take(alice.answer(backup=SecretBytes(b"short")))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_note_another_note_or_malformed(data: bytes) -> None:
    if not data.startswith(NOTE):
        assert read_note(data) is None
    with contextlib.suppress(MLSError):
        assert read_note(NOTE + data) is not None
