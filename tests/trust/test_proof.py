"""Defends: a proof is good for one session of one device on one server, by one key."""

import pytest

from lairchat.model.identity import ServerId
from lairchat.trust.errors import SignatureError
from lairchat.trust.proof import PROOF_LABEL, check_proof, sign_proof
from lairchat.trust.signing import check_signature
from tests.trust.people import SERVER, key, seed

MINE = key("alice", "device", 1)
PROOF = sign_proof(MINE, SERVER, 7, 3)


def test_a_proof_is_taken():
    check_proof(MINE.public, SERVER, 7, 3, PROOF)


def test_what_is_signed_is_laid_out_as_written():
    content = SERVER.digest + (7).to_bytes(8, "big") + (3).to_bytes(8, "big")
    check_signature(MINE.public, b"lairchat device proof v1", content, PROOF)
    assert not PROOF_LABEL.startswith(b"MLS 1.0 ")


@pytest.mark.parametrize(
    ("public", "server", "session", "device", "signature"),
    [
        (key("bob", "device", 1).public, SERVER, 7, 3, PROOF),
        (MINE.public, ServerId(seed("another")), 7, 3, PROOF),
        (MINE.public, SERVER, 8, 3, PROOF),
        (MINE.public, SERVER, 7, 4, PROOF),
        (MINE.public, SERVER, 3, 7, PROOF),
        (MINE.public, SERVER, 7, 3, PROOF[:-1] + bytes([PROOF[-1] ^ 1])),
        (MINE.public, SERVER, 7, 3, b""),
        # Under this key there are signatures of everything.
        (b"\1" + bytes(31), SERVER, 7, 3, PROOF),
    ],
)
def test_any_other_is_refused(public, server, session, device, signature):
    with pytest.raises(SignatureError):
        check_proof(public, server, session, device, signature)
