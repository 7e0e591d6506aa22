"""The key of a client's store, wrapped by the vault key that the password derives.

Whoever has the files and not the password has nothing; a new password wraps the same key anew, and an
administrator's reset, which knows no vault key, opens nothing.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from lairchat.mls.codec import U16, Choice, Fixed, Struct, decode, opaque
from lairchat.mls.errors import DecryptionError
from lairchat.mls.hpke import AES_256_GCM, TAG_SIZE
from lairchat.mls.suites import Random
from lairchat.model.identity import ServerId
from lairchat.trust.secret import SecretBytes

MASTER_BYTES: Final = 32
"""bytes: the key of the store."""
NONCE_BYTES: Final = 12
_LABEL: Final = b"lairchat vault v1"


@dataclass(frozen=True, slots=True)
class _Wrapped(Struct):
    """As it lies in the profile."""

    TYPE: ClassVar[int] = 1
    LAYOUT = (Fixed(NONCE_BYTES), Fixed(MASTER_BYTES + TAG_SIZE))
    nonce: bytes
    sealed: bytes


_VERSIONS: Final = Choice("version of vaults", U16, (_Wrapped,))


def _aad(server: ServerId, name: str) -> bytes:
    # A vault of another account, moved here, must not open even under a password used twice.
    return opaque(_LABEL) + opaque(server.digest) + opaque(name.lower().encode())


def wrap(
    master: SecretBytes, vault_key: SecretBytes, server: ServerId, name: str, random: Random
) -> bytes:
    """Return the store's key, sealed under the vault key with AES-256-GCM."""
    nonce = random(NONCE_BYTES)
    aad = _aad(server, name)
    sealed = AES_256_GCM.seal(vault_key.reveal(), nonce, aad, master.reveal())
    return _VERSIONS.write(_Wrapped(nonce, sealed))


def unwrap(data: bytes, vault_key: SecretBytes, server: ServerId, name: str) -> SecretBytes:
    """Return the store's key.

    Raises DecryptionError for the wrong password or account, MalformedError for what is no vault.
    """
    wrapped: _Wrapped = decode(_VERSIONS, data)
    try:
        opened = AES_256_GCM.open(
            vault_key.reveal(), wrapped.nonce, _aad(server, name), wrapped.sealed
        )
    except DecryptionError as error:
        raise DecryptionError("the vault does not open with this password") from error
    return SecretBytes(opened)
