"""Keys on the operators' door: the server's own, by which they know it, and those that they bring.

Promises not to know: connections, accounts.
"""

import struct
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import BadKeyError, Key

from lairchat.model.faults import StartBroken, StartPermission
from lairchat.transports.keyfiles import TooOpenError, read_private, write_private

RSA_BITS_MIN = 2_048
RSA_BITS_MAX = 8_192
"""bits: a larger key only costs time; nobody proved anything yet when it is used."""

SIGNATURES = {
    b"ssh-ed25519": b"ssh-ed25519",
    b"sk-ssh-ed25519@openssh.com": b"sk-ssh-ed25519@openssh.com",
    b"ecdsa-sha2-nistp256": b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384": b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521": b"ecdsa-sha2-nistp521",
    b"sk-ecdsa-sha2-nistp256@openssh.com": b"sk-ecdsa-sha2-nistp256@openssh.com",
    b"rsa-sha2-512": b"ssh-rsa",
    b"rsa-sha2-256": b"ssh-rsa",
}
"""How operators may sign, and the form of key that goes with it.  SHA-1 (ssh-rsa) and DSA are not
among them (RFC 8332, RFC 9142)."""

_USER_PRESENT = 0x01
_FLAGS_AND_COUNTER = 5
# What Conch and cryptography raise for bytes that are no key, or no signature.
_MALFORMED = (
    BadKeyError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    UnsupportedAlgorithm,
    ValueError,
    struct.error,
)


class HostKey:
    """The Ed25519 key of this server's shell; its repr shows the fingerprint only."""

    __slots__ = ("key", "public")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.public = key.public()

    def __repr__(self) -> str:
        return f"<HostKey {self.fingerprint}, key hidden>"

    @property
    def fingerprint(self) -> str:
        """What ``ssh`` shows before it connects for the first time: ``SHA256:...``."""
        return fingerprint_of(self.public.blob())

    @classmethod
    def create(cls, path: Path) -> "HostKey":
        """Make a new key and write it; never over an existing one.

        Raises FileExistsError then: clients that know the old one would refuse the new.
        """
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        write_private(path, pem, replace=False)
        return cls(Key.fromString(pem))

    @classmethod
    def load(cls, path: Path) -> "HostKey":
        """Read the key from its file, in OpenSSH's format.

        Raises StartPermission when it is missing, or readable by group or others, and StartBroken
        when it holds something else than an unencrypted Ed25519 key.
        """
        try:
            pem = read_private(path)
        except TooOpenError as error:
            why = f"others may read it (mode {error.mode:o}, should be 600)"
            raise StartPermission(path=path, why=why) from None
        except OSError as error:
            why = error.strerror or str(error)
            raise StartPermission(path=path, why=why.lower()) from None
        try:
            key = serialization.load_ssh_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise StartBroken(path=path, why="no unencrypted OpenSSH key in it") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise StartBroken(path=path, why="its key is not an Ed25519 key")
        return cls(Key(key))


def fingerprint_of(blob: bytes) -> str:
    """Return the fingerprint of a public key as OpenSSH writes it."""
    return f"SHA256:{b64encode(sha256(blob).digest()).decode('ascii').rstrip('=')}"


def acceptable(algorithm: bytes, blob: bytes) -> bool:
    """Say whether a key is of a kind that is looked at, and fit for this way of signing."""
    return _key(algorithm, blob) is not None


def proves(algorithm: bytes, blob: bytes, signature: bytes, signed: bytes) -> bool:
    """Say whether this signature over ``signed`` was made with the private half of the key.

    algorithm: as the client names it; the signature has to name the same one.
    blob: the public key (RFC 4253, section 6.6).  All of it comes from a stranger.
    """
    key = _key(algorithm, blob)
    if key is None:
        return False
    try:
        made_with, parts = getNS(signature)
        if made_with != algorithm:
            return False
        if key.isSecurityKey():
            _, trailing = getNS(parts)
            if len(trailing) != _FLAGS_AND_COUNTER or not trailing[0] & _USER_PRESENT:
                return False  # nobody touched it: malware could have asked it to sign
            # PROTOCOL.u2f: application, flags and counter, message.
            application = sha256(key.application).digest()
            signed = application + trailing + sha256(signed).digest()
        return bool(key.verify(signature, signed))
    except _MALFORMED:
        return False


def _key(algorithm: bytes, blob: bytes) -> Key | None:
    """Return the key of this blob, or None for what is not accepted with this algorithm."""
    form = SIGNATURES.get(algorithm)
    try:
        if form is None or getNS(blob)[0] != form:
            return None
        # Named, because Conch would otherwise also take private keys, encrypted ones too.
        key: Key = Key.fromString(blob, type="blob")
        if form == b"ssh-rsa" and not RSA_BITS_MIN <= key.size() <= RSA_BITS_MAX:
            return None
    except _MALFORMED:
        return None
    return key
