"""The root is what the words say, and signs with both algorithms or not at all."""

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from lairchat.trust.errors import SignatureError
from lairchat.trust.root import Root, RootKey, RootSignature, backup_key
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import SigningKey, labelled

ENTROPY = SecretBytes(b"canary, 16 bytes")
ROOT = Root(ENTROPY)
OTHER = Root(SecretBytes(bytes(16)))
LABEL, CONTENT = b"a label", b"a content"
SIGNATURE = ROOT.sign(LABEL, CONTENT)


def test_the_words_are_the_root():
    assert Root(SecretBytes(ENTROPY.reveal())).public == ROOT.public
    assert OTHER.public != ROOT.public
    assert len(ROOT.public.encode()) == 1_984
    assert RootKey.decode(ROOT.public.encode()) == ROOT.public


def test_the_backup_key_is_another():
    assert backup_key(ENTROPY) == backup_key(ENTROPY)
    assert backup_key(ENTROPY) != backup_key(SecretBytes(bytes(16)))
    assert len(backup_key(ENTROPY)) == 32
    assert SigningKey(backup_key(ENTROPY)).public != ROOT.public.ed25519


def test_both_signatures_are_asked_for():
    assert len(SIGNATURE) == 3_373
    ROOT.public.check(LABEL, CONTENT, SIGNATURE)


def test_signatures_of_one_algorithm_only_are_refused():
    mine, theirs = RootSignature.decode(SIGNATURE), RootSignature.decode(OTHER.sign(LABEL, CONTENT))
    with pytest.raises(SignatureError, match="Ed25519"):
        ROOT.public.check(LABEL, CONTENT, RootSignature(theirs.ed25519, mine.mldsa65).encode())
    # What somebody with a quantum computer, or with a broken lattice, could make.
    with pytest.raises(SignatureError, match="ML-DSA"):
        ROOT.public.check(LABEL, CONTENT, RootSignature(mine.ed25519, theirs.mldsa65).encode())
    with pytest.raises(SignatureError, match="no root's signature"):
        ROOT.public.check(LABEL, CONTENT, mine.ed25519)
    with pytest.raises(SignatureError, match="ML-DSA"):
        ROOT.public.check(LABEL, CONTENT, mine.ed25519 + bytes(3_309))


def test_half_of_another_root_is_another_root():
    half = RootKey(ROOT.public.ed25519, OTHER.public.mldsa65)
    with pytest.raises(SignatureError, match="ML-DSA"):
        half.check(LABEL, CONTENT, SIGNATURE)


def test_another_label_or_content_is_refused():
    for label, content in ((LABEL + b"!", CONTENT), (LABEL, CONTENT + b"!"), (b"", b"")):
        with pytest.raises(SignatureError):
            ROOT.public.check(label, content, SIGNATURE)


@pytest.mark.parametrize("place", [0, 31, 63, 64, 1_000, 3_372])
def test_every_byte_of_the_signature_counts(place):
    changed = bytearray(SIGNATURE)
    changed[place] ^= 1
    with pytest.raises(SignatureError):
        ROOT.public.check(LABEL, CONTENT, bytes(changed))


@pytest.mark.parametrize("size", [0, 63, 3_372, 3_374])
def test_a_signature_of_another_length_is_none(size):
    with pytest.raises(SignatureError):
        ROOT.public.check(LABEL, CONTENT, (SIGNATURE + b"!")[:size])


def test_a_quantum_forger_needs_the_second_key_too():
    seed = SecretBytes(bytes(32))
    forged = RootSignature(
        RootSignature.decode(SIGNATURE).ed25519,
        MLDSA65PrivateKey.from_seed_bytes(seed.reveal()).sign(labelled(LABEL, CONTENT)),
    )
    with pytest.raises(SignatureError, match="ML-DSA"):
        ROOT.public.check(LABEL, CONTENT, forged.encode())


def test_nothing_private_is_shown():
    for shown in (repr(ROOT), str(ROOT), repr(ROOT.public), repr(backup_key(ENTROPY))):
        assert "canary" not in shown
        assert ENTROPY.reveal().hex() not in shown
        assert len(shown) < 200


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_other_sizes_are_a_misuse(size):
    with pytest.raises(ValueError, match="stand for 16 bytes"):
        Root(SecretBytes(bytes(size)))
    with pytest.raises(ValueError, match="stand for 16 bytes"):
        backup_key(SecretBytes(bytes(size)))
