"""Derives from a password what proves who one is, so that the password itself is never sent.

Argon2id (RFC 9106) makes guessing slow, HKDF (RFC 5869) makes two keys that say nothing about each
other: the authentication secret, which the server gets, and the vault key, which it never gets
(it wraps the key of the client's store).
So a password that an operator resets opens no store: the new one derives another vault key.
"""

from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lairchat.model import limits
from lairchat.model.identity import ServerId

LANES: Final = 4
"""count: RFC 9106 section 4, second recommended option."""
_SALT_LABEL = b"lairchat password v1\x00"
_AUTHENTICATION = b"lairchat authentication secret v1"
_VAULT = b"lairchat vault key v1"
_KEY_BYTES = 32


class Keys:
    """What a password came to, 32 bytes each; kept out of repr."""

    __slots__ = ("authentication", "vault")

    def __init__(self, authentication: bytes, vault: bytes) -> None:
        self.authentication = authentication
        self.vault = vault

    def __repr__(self) -> str:
        return "Keys(redacted)"


def salt(server: ServerId, name: str) -> bytes:
    """Return the 16-byte salt of an account: bound to the server's identity and the name.

    The same password gives different secrets on another server and for another name; a server
    that is not the one that was pinned cannot collect a secret that works elsewhere.
    """
    return sha256(_SALT_LABEL + server.digest + name.lower().encode("ascii", "replace")).digest()[
        :16
    ]


def derive(password: str, server: ServerId, name: str) -> Keys:
    """Derive an account's keys; takes about a fifth of a second and 64 MiB, without the GIL.

    The cost is no argument: what nobody can ask for, no server can lower.
    """
    stretched = Argon2id(
        salt=salt(server, name),
        length=_KEY_BYTES,
        iterations=limits.ARGON2_CLIENT_PASSES,
        lanes=LANES,
        memory_cost=limits.ARGON2_CLIENT_KIB,
    ).derive(password.encode("utf-8", "surrogatepass"))
    return Keys(_expand(stretched, _AUTHENTICATION), _expand(stretched, _VAULT))


def _expand(stretched: bytes, label: bytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), _KEY_BYTES, label).derive(stretched)
