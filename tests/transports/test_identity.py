"""The server's identity: one file, one owner, statements that hold for one TLS key and one week."""

import pickle
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lairchat.model.faults import StartBroken, StartPermission
from lairchat.model.identity import ServerId
from lairchat.transports.identity import (
    STATEMENT_RENEWAL_SECONDS,
    STATEMENT_SECONDS,
    ServerIdentity,
)
from lairchat.wire.statement import identity_bytes
from tests.authority import pem_of_key

NOW = 1_800_000_000_000
LEAF = bytes(range(32))


def test_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    made = ServerIdentity.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    found = ServerIdentity.load(path)
    assert found.id == made.id == ServerId.of_key(made.public_key)
    assert found.public_key == made.public_key
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")  # PKCS8


def test_an_existing_identity_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    made = ServerIdentity.create(path)
    with pytest.raises(FileExistsError):
        ServerIdentity.create(path)
    assert ServerIdentity.load(path).id == made.id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "identity.pem"
    ServerIdentity.create(path)
    path.chmod(mode)
    with pytest.raises(StartPermission) as refused:
        ServerIdentity.load(path)
    assert f"others may read it (mode {mode:o}, should be 600)" in refused.value.text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartPermission) as refused:
        ServerIdentity.load(tmp_path / "identity.pem")
    assert "identity.pem: no such file or directory" in refused.value.text


def encrypted() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no unencrypted PEM private key in it"),
        (b"\x00" * 100, "no unencrypted PEM private key in it"),
        (pem_of_key(Ed25519PrivateKey.generate())[:60], "no unencrypted PEM private key in it"),
        (encrypted(), "no unencrypted PEM private key in it"),
        (pem_of_key(ec.generate_private_key(ec.SECP256R1())), "its key is not an Ed25519 key"),
    ],
    # Named: what is made anew by each process of a run has to be called the same in all.
    ids=["empty", "zeros", "half", "encrypted", "other"],
)
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "identity.pem"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(StartBroken) as refused:
        ServerIdentity.load(path)
    assert why in refused.value.text


def test_the_key_shows_nowhere() -> None:
    key = Ed25519PrivateKey.generate()
    identity = ServerIdentity(key)
    assert repr(identity) == f"<ServerIdentity {identity.id.short}, key hidden>"
    assert key.private_bytes_raw().hex() not in f"{identity!r} {identity}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(identity)
    assert not hasattr(identity, "__dict__")


def test_a_statement_is_signed_for_this_leaf_and_a_week() -> None:
    identity = ServerIdentity(Ed25519PrivateKey.generate())
    statement = identity.statement(LEAF, NOW)
    assert statement.key == identity.public_key
    assert statement.expires == NOW // 1000 + STATEMENT_SECONDS
    key = Ed25519PublicKey.from_public_bytes(statement.key)
    signed = b"lairchat server identity v1\x00" + LEAF + statement.expires.to_bytes(8, "big")
    assert identity_bytes(LEAF, statement.expires) == signed
    key.verify(statement.signature, signed)
    with pytest.raises(InvalidSignature):
        key.verify(statement.signature, identity_bytes(LEAF, statement.expires + 1))
    with pytest.raises(InvalidSignature):
        key.verify(statement.signature, identity_bytes(bytes(32), statement.expires))


def test_statements_are_cached_and_renewed_while_six_days_are_left() -> None:
    identity = ServerIdentity(Ed25519PrivateKey.generate())
    first = identity.statement(LEAF, NOW)
    almost = NOW + STATEMENT_RENEWAL_SECONDS * 1000 - 1000
    assert identity.statement(LEAF, almost) is first
    renewed = identity.statement(LEAF, almost + 1000)
    assert renewed.expires == first.expires + STATEMENT_RENEWAL_SECONDS
    assert identity.statement(LEAF, almost + 1000) is renewed


def test_a_clock_set_back_does_not_keep_a_statement_from_the_future() -> None:
    identity = ServerIdentity(Ed25519PrivateKey.generate())
    future = identity.statement(LEAF, NOW + 10 * 365 * 86_400_000)
    now = identity.statement(LEAF, NOW)
    assert now.expires == NOW // 1000 + STATEMENT_SECONDS < future.expires


def test_live_connections_keep_the_leaf_before_the_last_renewal() -> None:
    identity = ServerIdentity(Ed25519PrivateKey.generate())
    leaves = [bytes([number]) * 32 for number in range(10)]
    statements = [identity.statement(leaf, NOW) for leaf in leaves]
    assert identity.statement(leaves[9], NOW) is statements[9]
    assert identity.statement(leaves[8], NOW) is statements[8]
    assert identity.statement(leaves[0], NOW) is not statements[0]
    assert identity.statement(leaves[0], NOW) == statements[0]  # Ed25519 is deterministic


def test_only_a_hash_of_the_right_size_is_signed() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ServerIdentity(Ed25519PrivateKey.generate()).statement(b"short", NOW)
