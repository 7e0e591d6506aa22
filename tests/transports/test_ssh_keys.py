"""The host key's file, and signatures of every kind of key, right and wrong."""

import base64
import struct
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from twisted.conch.ssh.common import MP, NS

from lairchat.model.faults import StartBroken, StartPermission
from lairchat.transports.ssh_keys import SIGNATURES, HostKey, acceptable, fingerprint_of, proves
from tests.requirements import require

SIGNED = b"session and request"


def ssh_keygen(*arguments: str) -> str:
    require("ssh")
    done = subprocess.run(["ssh-keygen", *arguments], capture_output=True, check=True, text=True)
    return done.stdout


def made(path: Path, kind: str, *more: str) -> tuple[bytes, object]:
    """Return a new key as OpenSSH makes it: the public one on the wire, and the private one."""
    ssh_keygen("-q", "-t", kind, "-N", "", "-f", str(path), *more)
    blob = base64.b64decode(path.with_suffix(".pub").read_text().split()[1])
    return blob, serialization.load_ssh_private_key(path.read_bytes(), None)


def signed(algorithm: bytes, key: object, message: bytes = SIGNED) -> bytes:
    """Return a signature as SSH writes it (RFC 4253, 5656, 8332, 8709)."""
    hashed = {
        b"rsa-sha2-512": hashes.SHA512,
        b"rsa-sha2-256": hashes.SHA256,
        b"ssh-rsa": hashes.SHA1,
        b"ecdsa-sha2-nistp256": hashes.SHA256,
        b"sk-ecdsa-sha2-nistp256@openssh.com": hashes.SHA256,
        b"ecdsa-sha2-nistp384": hashes.SHA384,
        b"ecdsa-sha2-nistp521": hashes.SHA512,
    }.get(algorithm)
    match key:
        case rsa.RSAPrivateKey():
            raw = key.sign(message, padding.PKCS1v15(), hashed())
        case ec.EllipticCurvePrivateKey():
            raw = b"".join(map(MP, decode_dss_signature(key.sign(message, ec.ECDSA(hashed())))))
        case _:
            raw = key.sign(message)
    return NS(algorithm) + NS(raw)


KINDS = [
    (b"ssh-ed25519", "ed25519", ()),
    (b"ecdsa-sha2-nistp256", "ecdsa", ("-b", "256")),
    (b"ecdsa-sha2-nistp384", "ecdsa", ("-b", "384")),
    (b"ecdsa-sha2-nistp521", "ecdsa", ("-b", "521")),
    (b"rsa-sha2-512", "rsa", ("-b", "2048")),
    (b"rsa-sha2-256", "rsa", ("-b", "2048")),
]


@pytest.mark.parametrize(("algorithm", "kind", "more"), KINDS)
def test_a_signature_proves_its_key_and_nothing_else(tmp_path, algorithm, kind, more):
    blob, key = made(tmp_path / "key", kind, *more)
    other, _ = made(tmp_path / "other", kind, *more)
    right = signed(algorithm, key)
    assert acceptable(algorithm, blob)
    assert proves(algorithm, blob, right, SIGNED)
    assert not proves(algorithm, blob, right, SIGNED + b"!")
    assert not proves(algorithm, other, right, SIGNED)
    for at in range(len(right) - 24, len(right)):  # before that are lengths, and the names
        flipped = bytearray(right)
        flipped[at] ^= 0x10
        assert not proves(algorithm, blob, bytes(flipped), SIGNED)
        assert not proves(algorithm, blob, right[:at], SIGNED)
    for name in SIGNATURES:  # the algorithm that is named is the one that counts
        assert proves(name, blob, right, SIGNED) == (name == algorithm)


def test_sha1_dsa_and_short_rsa_keys_prove_nothing(tmp_path):
    blob, key = made(tmp_path / "rsa", "rsa", "-b", "2048")
    assert not proves(b"ssh-rsa", blob, signed(b"ssh-rsa", key), SIGNED)
    assert not proves(b"rsa-sha2-256", blob, signed(b"ssh-rsa", key), SIGNED)
    short = rsa.generate_private_key(65537, 1024)
    numbers = short.public_key().public_numbers()
    blob = NS(b"ssh-rsa") + MP(numbers.e) + MP(numbers.n)
    assert not acceptable(b"rsa-sha2-512", blob)
    assert not proves(b"rsa-sha2-512", blob, signed(b"rsa-sha2-512", short), SIGNED)
    assert not acceptable(b"ssh-dss", NS(b"ssh-dss") + MP(1) * 4)


def touched(key: ed25519.Ed25519PrivateKey, application: bytes, flags: int) -> bytes:
    """Return what a FIDO token makes (PROTOCOL.u2f); flag 1: somebody touched it."""
    trailing = struct.pack(">BI", flags, 7)
    message = sha256(application).digest() + trailing + sha256(SIGNED).digest()
    return NS(b"sk-ssh-ed25519@openssh.com") + NS(key.sign(message)) + trailing


def test_a_key_on_a_token_counts_when_somebody_touched_it():
    name, application = b"sk-ssh-ed25519@openssh.com", b"ssh:"
    key = ed25519.Ed25519PrivateKey.generate()
    blob = NS(name) + NS(key.public_key().public_bytes_raw()) + NS(application)
    assert proves(name, blob, touched(key, application, 1), SIGNED)
    assert proves(name, blob, touched(key, application, 5), SIGNED)
    assert not proves(name, blob, touched(key, application, 0), SIGNED)
    assert not proves(name, blob, touched(key, b"ssh:other", 1), SIGNED)
    assert not proves(name, blob, touched(key, application, 1)[:-1], SIGNED)
    plain = NS(b"ssh-ed25519") + NS(key.sign(SIGNED))
    assert not proves(name, blob, plain, SIGNED)


def test_an_ecdsa_key_on_a_token():
    name = b"sk-ecdsa-sha2-nistp256@openssh.com"
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    blob = NS(name) + NS(b"nistp256") + NS(point) + NS(b"ssh:")
    trailing = struct.pack(">BI", 1, 7)
    message = sha256(b"ssh:").digest() + trailing + sha256(SIGNED).digest()
    made_by = signed(name, key, message)
    assert proves(name, blob, made_by + trailing, SIGNED)
    assert not proves(name, blob, made_by + struct.pack(">BI", 1, 8), SIGNED)


@given(st.sampled_from(list(SIGNATURES)), st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_of_strangers_raise(algorithm, rest, signature):
    for blob in (rest, NS(SIGNATURES[algorithm]) + rest):
        assert not proves(algorithm, blob, signature, SIGNED)
        assert not proves(algorithm, blob, NS(algorithm) + signature, SIGNED)


@pytest.mark.parametrize("algorithm", SIGNATURES)
def test_a_private_key_in_the_place_of_a_public_one_is_not_read(tmp_path, algorithm):
    ssh_keygen("-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "key"))
    assert not acceptable(algorithm, (tmp_path / "key").read_bytes())
    assert not acceptable(b"nonsense", b"")


# -- the host's own


def test_the_host_key_is_one_that_openssh_reads(tmp_path):
    path = tmp_path / "host"
    key = HostKey.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.fingerprint in ssh_keygen("-lf", str(path))
    assert HostKey.load(path).fingerprint == key.fingerprint == fingerprint_of(key.public.blob())
    assert key.fingerprint in repr(key)
    with pytest.raises(FileExistsError):
        HostKey.create(path)


def test_a_host_key_that_cannot_be_used_is_refused(tmp_path):
    path = tmp_path / "host"
    with pytest.raises(StartPermission, match="no such file"):
        HostKey.load(path)
    HostKey.create(path)
    path.chmod(0o640)
    with pytest.raises(StartPermission, match="640"):
        HostKey.load(path)
    path.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    path.chmod(0o600)
    with pytest.raises(StartBroken):
        HostKey.load(path)
    for kind, more in (("rsa", ("-N", "")), ("ed25519", ("-N", "secret"))):
        path.unlink()
        ssh_keygen("-q", "-t", kind, *more, "-f", str(path))
        with pytest.raises(StartBroken):
            HostKey.load(path)
