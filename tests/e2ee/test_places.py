"""How far somebody has read is told by a device in force to the others, and by nobody else."""

import contextlib
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee import places
from lairchat.e2ee.padding import PADDED_MIN, padded
from lairchat.e2ee.places import open_slot, seal
from lairchat.mls.codec import opaque
from lairchat.mls.errors import DecryptionError, InvalidError, MalformedError, MLSError
from lairchat.model import limits
from lairchat.trust.entry import Reason, Revocation
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog
from lairchat.trust.secret import SecretBytes
from tests.strategies import mutations
from tests.trust.people import Account, device, key

KEY, OTHER = SecretBytes(b"k" * 32), SecretBytes(b"o" * 32)
ATTIC, CELLAR = b"a" * 16, b"c" * 16
READ = {ATTIC: 7, CELLAR: 300}
OVERHEAD = 12 + 16
"""bytes: nonce and tag."""


def account(name: str = "alice") -> Account:
    """Return an account of two devices."""
    made = Account(name)
    for number in (1, 2):
        made.say(device(name, number))
    return made


ALICE, BOB = account(), account("bob")
groups = st.binary(min_size=limits.GROUP_ID_BYTES, max_size=limits.GROUP_ID_BYTES)
seqs = st.integers(0, limits.INTEGER_MAX)


def identity(whose: Account = ALICE, number: int = 1) -> LeafIdentity:
    return LeafIdentity(whose.log.account, device(whose.name, number).id)


def sealed(
    read: dict[bytes, int] | None = None,
    whose: Account = ALICE,
    number: int = 1,
    backup: SecretBytes = KEY,
) -> bytes:
    mine = key(whose.name, "device", number)
    told = READ if read is None else read
    return seal(backup, identity(whose, number), mine, told, os.urandom)


def opened(data: bytes, log: AccountLog = ALICE.log, number: int = 1) -> dict[bytes, int]:
    return open_slot(KEY, log, device("alice", number).id, data)


@given(st.dictionaries(groups, seqs, max_size=20))
def test_what_one_device_tells_the_other_reads(read: dict[bytes, int]) -> None:
    assert opened(sealed(read)) == read


def test_what_is_too_much_is_left_out_from_the_end() -> None:
    read = {number.to_bytes(16, "big"): number for number in range(limits.READING_ROOMS + 1)}
    found = opened(sealed(read))
    assert list(found) == list(read)[:-1]


def test_the_most_that_is_told_fits_a_slot() -> None:
    read = {os.urandom(16): limits.INTEGER_MAX for _ in range(limits.READING_ROOMS)}
    assert len(sealed(read)) <= limits.READING_SLOT_BYTES
    # Nobody is in more rooms than a slot has place for.
    assert limits.READING_ROOMS >= limits.ROOMS_JOINED


def test_the_length_tells_little() -> None:
    sizes = {len(sealed({os.urandom(16): 1 for _ in range(count)})) for count in range(8)}
    assert sizes == {PADDED_MIN + OVERHEAD}
    many = {len(sealed({os.urandom(16): 1 for _ in range(count)})) for count in range(90, 100)}
    assert len(many) <= 3


def test_the_same_twice_looks_different_and_says_nothing_in_clear() -> None:
    one, other = sealed(), sealed()
    assert one[:12] != other[:12]
    assert one[12:] != other[12:]
    for group in READ:
        assert group not in one


def test_of_another_device_another_account_or_under_another_key_it_does_not_open() -> None:
    slot = sealed()
    with pytest.raises(DecryptionError):
        opened(slot, number=2)
    with pytest.raises(DecryptionError):
        opened(sealed(backup=OTHER))
    # Somebody else with devices of the same ids, and the key as well.
    with pytest.raises(InvalidError, match="none of the account's"):
        opened(slot, BOB.log)
    with pytest.raises(DecryptionError):
        open_slot(KEY, BOB.log, device("bob").id, slot)
    with pytest.raises(DecryptionError):
        opened(b"")


def test_a_revoked_device_and_a_stranger_have_read_nothing() -> None:
    alice = account()
    slot = sealed(whose=alice)
    assert opened(slot, alice.log) == READ
    found = alice.log.device(device("alice").id)
    assert found is not None
    alice.say(Revocation(found.position, Reason.LOST))
    with pytest.raises(InvalidError, match="or no more"):
        opened(slot, alice.log)
    with pytest.raises(InvalidError, match="none of the account's"):
        open_slot(KEY, alice.log, device("mallory").id, slot)


def test_who_has_the_backup_key_alone_does_not_speak_for_a_device() -> None:
    # A device that was revoked, and says as another one that all has been read.
    forged = seal(KEY, identity(number=2), key("alice", "device", 1), READ, os.urandom)
    with pytest.raises(InvalidError, match="another device"):
        opened(forged, number=2)


def bare(plain: bytes) -> bytes:
    """Seal what no program of ours would, as device 1."""
    derived = HKDFExpand(hashes.SHA256(), 32, b"lairchat reading places key v1").derive(
        KEY.reveal()
    )
    own, nonce = identity(), os.urandom(12)
    aad = opaque(b"lairchat reading places v1") + opaque(own.account) + opaque(own.device)
    return nonce + AESGCM(derived).encrypt(nonce, plain, aad)


def signed(*told: tuple[bytes, int]) -> bytes:
    """Return a slot with any places in it, rightly signed."""
    own, pairs = identity(), tuple(places._Place(*one) for one in told)
    covered = places._Covered(own.account, own.device, pairs).encode()
    signature = key("alice", "device", 1).sign(places._LABEL, covered)
    return bare(padded(places._SLOTS.write(places._Slot(pairs, signature))))


def test_what_no_program_of_ours_writes_is_refused() -> None:
    assert opened(signed((ATTIC, 1), (CELLAR, 2))) == {ATTIC: 1, CELLAR: 2}
    with pytest.raises(MalformedError, match="twice"):
        opened(signed((ATTIC, 1), (ATTIC, 2)))
    with pytest.raises(MalformedError, match="too many"):
        opened(signed(*((os.urandom(16), 1) for _ in range(limits.READING_ROOMS + 1))))
    with pytest.raises(MalformedError, match="none of ours"):
        opened(signed((ATTIC, limits.INTEGER_MAX + 1)))
    assert opened(signed((ATTIC, limits.INTEGER_MAX))) == {ATTIC: limits.INTEGER_MAX}
    for plain in (b"", padded(b""), padded(b"\0\2"), padded(b"\0\1"), b"\0\1" + bytes(66)):
        with pytest.raises(MalformedError):
            opened(bare(plain))
    whole = padded(places._SLOTS.write(places._Slot((), bytes(64))))
    with pytest.raises(MalformedError, match="pads"):
        opened(bare(whole[:-1] + b"\1"))


def test_another_version_is_none_of_ours() -> None:
    plain = places._SLOTS.write(places._Slot((), bytes(64)))
    with pytest.raises(MalformedError):
        opened(bare(padded(b"\0\2" + plain[2:])))


@given(st.data())
def test_no_bit_can_be_changed(data: st.DataObject) -> None:
    slot = sealed()
    damaged = data.draw(mutations(slot).filter(lambda one: one != slot))
    with pytest.raises(MLSError):
        opened(damaged)


@given(st.binary(max_size=600))
def test_garbage_raises_what_it_should_and_nothing_else(data: bytes) -> None:
    for slot in (data, bare(data), bare(padded(data))):
        with contextlib.suppress(MLSError):
            opened(slot)


def test_it_is_written_as_the_documents_say() -> None:
    """Made here by hand: what another program has to make."""
    own = identity()
    told = ATTIC + (7).to_bytes(8, "big") + CELLAR + (300).to_bytes(8, "big")
    covered = own.account + own.device + opaque(told)
    signature = key("alice", "device", 1).sign(b"lairchat reading places v1", covered)
    plain = opaque(b"\0\1" + opaque(told) + signature)
    assert opened(bare(plain.ljust(256, b"\0"))) == READ


def test_no_key_and_no_place_shows_in_a_repr() -> None:
    slot = places._Slot((places._Place(ATTIC, 7),), bytes(64))
    assert "aaaa" not in repr(slot)
    assert repr(replace(slot, signature=b"s" * 64)).count("s" * 8) == 0
