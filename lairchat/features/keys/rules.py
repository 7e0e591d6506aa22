"""Which public keys the shell lets in, and how people know them.

Reads the one-line form of OpenSSH (sshd(8), AUTHORIZED_KEYS) around the key's own form (RFC 4253
section 6.6, RFC 5656, RFC 8709; PROTOCOL.u2f for keys on a token).
"""

import base64
import struct
from hashlib import sha256
from typing import NamedTuple

from lairchat.model import limits
from lairchat.model.phrases import counted
from lairchat.model.refusals import SshKeyBad
from lairchat.model.text import display_clip

RSA_BITS_MIN = 2_048
RSA_BITS_MAX = 8_192
_ED25519_BYTES = 32
# Bytes of an uncompressed point, by curve.
_POINTS = {b"nistp256": 65, b"nistp384": 97, b"nistp521": 133}
_UNCOMPRESSED = 4


class PublicKey(NamedTuple):
    """A public key: its kind, such as ssh-ed25519, the SHA-256 of it, and what its owner calls it."""

    kind: str
    digest: bytes
    comment: str


def suspended(keys: int, name: str) -> str:
    """Return what to tell whoever takes somebody's rights away, of the keys that hang on them."""
    if not keys:
        return ""
    return f" ({counted(keys, 'key')} that {name} added to others suspended: user key list)"


def digest_of(blob: bytes) -> bytes:
    """Return by what a key is known, from the form in which SSH sends it."""
    return sha256(blob).digest()


def fingerprint(digest: bytes) -> str:
    """Return what ``ssh-keygen -l`` shows: ``SHA256:q1k...``."""
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def parse(text: str) -> PublicKey:
    """Read the one public key in the text of a file; raises SshKeyBad."""
    if "PRIVATE KEY" in text:
        # It may stand in somebody's history or terminal now; nothing of it goes anywhere else.
        raise SshKeyBad(field="$.key", why="it is a private key, which is for nobody else to see")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) != 1:
        raise SshKeyBad(field="$.key", why=f"it has {len(lines)} lines, not one")
    kind, _, rest = lines[0].partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:  # not base64, or not even ASCII
        blob = b""
    try:
        fields = _fields(blob)
    except struct.error:
        fields = []
    if not fields or fields[0] != kind.encode("ascii", "replace"):
        raise SshKeyBad(field="$.key", why="the line does not begin with a kind and its key")
    why = _fault(fields)
    if why is not None:
        raise SshKeyBad(field="$.key", why=why)
    label = display_clip(comment.strip(), limits.LABEL_CHARS)
    return PublicKey(kind, digest_of(blob), label)


def _fields(blob: bytes) -> list[bytes]:
    """Cut a key into its fields; raises struct.error where it ends too early."""
    found, at = [], 0
    while at < len(blob):
        (size,) = struct.unpack_from(">I", blob, at)
        at += 4
        if size > len(blob) - at:
            raise struct.error("a field is longer than what is left")
        found.append(blob[at : at + size])
        at += size
    return found


def _fault(fields: list[bytes]) -> str | None:
    """Return why a key does not let anybody in, or None."""
    match fields:
        case [b"ssh-ed25519", point] | [b"sk-ssh-ed25519@openssh.com", point, _]:
            return None if len(point) == _ED25519_BYTES else "it is damaged"
        case [
            b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" | b"ecdsa-sha2-nistp521" as kind,
            curve,
            point,
        ] if kind.endswith(curve):
            return _fault_of_point(curve, point)
        case [b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256" as curve, point, _]:
            return _fault_of_point(curve, point)
        case [b"ssh-rsa", _, modulus]:
            bits = int.from_bytes(modulus, "big").bit_length()
            if not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
                return f"RSA keys have {RSA_BITS_MIN} to {RSA_BITS_MAX} bits here, not {bits}"
            return None
        case [b"ssh-dss", *_]:
            return "ssh-dss keys are too weak"
    return "it is of a kind that is not known here"


def _fault_of_point(curve: bytes, point: bytes) -> str | None:
    sound = len(point) == _POINTS.get(curve) and point[0] == _UNCOMPRESSED
    return None if sound else "it is damaged"
